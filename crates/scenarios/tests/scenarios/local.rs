//! Local delivery: what the lists of administrators and users mean, and what the text of an address never becomes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use scenarios::scenario;
use testing::{Client, Instance, Setup};

/// An instance with these aliases, and a directory that everybody may write to.
fn with_aliases(setup: Setup, text: impl FnOnce(&str) -> String) -> (Instance, PathBuf) {
    let mut mail = setup.set("default_transport", "error:5.1.1 no such domain").build();
    let open = mail.folder().join("open");
    fs::create_dir(&open).expect("a directory");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("open to all");
    let path = mail.etc().join("more-aliases");
    fs::write(&path, text(&open.display().to_string())).expect("aliases written");
    let users = mail.etc().join("aliases");
    mail.set("alias_maps", &format!("texthash:{}, texthash:{}", users.display(), path.display()));
    mail.start();
    (mail, open)
}

/// A stranger's message to the address.
fn from_stranger(mail: &Instance, to: &str) {
    let mut client = Client::greet(mail.v4()).expect("connected");
    let reply = client.send("stranger@evil.test", &[to], "Subject: x\r\n\r\nx").expect("a reply");
    assert!(reply.last().starts_with("250 "), "{reply:?}");
}

#[test]
fn luser_relay_is_one_address_whatever_the_recipient_holds() {
    scenario(|| {
        let setup = Setup::new().set("local_recipient_maps", "").set("luser_relay", "$local@catch.test");
        let (mail, open) = with_aliases(setup, |_| String::new());
        let (secret, output) = (open.join("secret"), open.join("output"));
        fs::write(&secret, "password-xyzzy\n").expect("a file");
        for local in [
            format!("a,:include:{},c", secret.display()),
            "one,two".to_owned(),
            format!("|echo x >{}", output.display()),
            output.display().to_string(),
            format!(":include:{}", secret.display()),
            "x\\\" y <z>".to_owned(),
        ] {
            from_stranger(&mail, &format!("\"{local}\"@mail.test"));
            mail.wait_idle();
        }
        let log = mail.log();
        assert!(!log.contains("xyzzy") && !output.exists(), "{log}");
        let relayed = log.lines().filter(|line| line.contains("@catch.test>, orig_to=")).count();
        assert_eq!(relayed, 6, "{log}");
    });
}

#[test]
fn blanks_quotes_and_brackets_do_not_decide_between_a_command_and_a_file() {
    let forms = [
        "| CMD",
        "|CMD",
        "\t|\t\"CMD\"",
        "|(comment) CMD",
        "<|CMD>",
        "Name <\"| CMD\">",
        "group: | CMD;",
        "\"| CMD\"",
        "\\|CMD",
    ];
    scenario(|| {
        let (mail, open) = with_aliases(Setup::new(), |open| {
            let lines = forms.iter().enumerate();
            lines.map(|(n, form)| format!("form{n} {}\n", form.replace("CMD", &format!("{open}/program")))).collect()
        });
        let program = open.join("program");
        let text = format!("#!/bin/sh\ncat >>{}/output\n", open.display());
        fs::write(&program, &text).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o777)).expect("made executable");
        for (n, form) in forms.iter().enumerate() {
            mail.sendmail(&["-f", "carol@mail.test", &format!("form{n}@mail.test")], "Subject: x\n\nx\n");
            let line = mail.wait_log(&[&format!("to=<form{n}@mail.test>"), "status="]);
            assert!(line.contains("status=sent (delivered to command: "), "{form}: {line}");
            let output = fs::read_to_string(open.join("output")).unwrap_or_default();
            assert_eq!(output.matches("Subject: x").count(), n + 1, "{form}");
            assert_eq!(fs::read_to_string(&program).expect("the program"), text, "{form}");
        }
    });
}

#[test]
fn a_list_names_the_same_whether_it_is_an_alias_or_a_file() {
    let forms = [
        ("alice;bob", &["alice", "bob"][..]),
        ("alice bob,(c) carol", &["alice", "bob", "carol"]),
        ("g: alice, Bob <bob>;", &["alice", "bob"]),
        ("Name <alice> bob, <carol>", &["alice", "bob", "carol"]),
        ("<>, alice", &["alice"]),
        ("alice>", &["alice"]),
        ("\"alice\"bob", &["alice", "bob"]),
        ("alice@mail.test, @mail.test:bob@mail.test, carol % mail.test", &["alice", "bob", "carol"]),
        ("/OPEN/a b", &[]),
    ];
    scenario(|| {
        let setup = Setup::new().set("allow_mail_to_files", "alias, forward, include");
        let (mail, open) = with_aliases(setup, |open| {
            let line = |(n, (form, _)): (usize, &(&str, &[&str]))| {
                let form = form.replace("/OPEN", open);
                fs::write(format!("{open}/list{n}"), format!("# a comment\n{form}\n")).expect("a list");
                format!("alias{n} {form}\nlist{n} :include:{open}/list{n}\n")
            };
            forms.iter().enumerate().map(line).collect()
        });
        let mut count = [0; 3];
        for (n, (form, users)) in forms.iter().enumerate() {
            for kind in ["alias", "list"] {
                mail.sendmail(&["-f", "<>", &format!("{kind}{n}@mail.test")], "Subject: x\n\nx\n");
                mail.wait_idle();
                for (user, count) in ["alice", "bob", "carol"].iter().zip(&mut count) {
                    *count += usize::from(users.contains(user));
                    let messages = fs::read_dir(mail.maildir(user).join("new")).map_or(0, Iterator::count);
                    assert_eq!(messages, *count, "{user} by {kind}: {form}\n{}", mail.log());
                }
            }
        }
        let file = fs::read_to_string(open.join("a")).expect("the file of the last form");
        assert_eq!(file.matches("Subject: x").count(), 2, "{file}");
        mail.wait_log(&["unknown user: \"b\""]);
    });
}
