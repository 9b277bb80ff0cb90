//! Local delivery: what the lists of administrators and users mean, and what the text of an address never becomes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
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

/// A user whom every system has, who is nobody of the mail system and has no .forward.
const USER: &str = "games";

/// An instance as root, where mail for [`USER`] gets into a mailbox file in `spool`, and `forward` is where .forward
/// files are.
fn with_mailboxes(setup: Setup) -> Option<Instance> {
    if !testing::accounts::is_root() {
        eprintln!("left out: only root delivers as other users");
        return None;
    }
    let mut mail = setup.set("local_recipient_maps", "").build();
    for (name, value) in [("mail_spool_directory", "spool"), ("forward_path", "forward/$user")] {
        let path = mail.folder().join(value.split('/').next().unwrap_or_default());
        fs::create_dir(&path).expect("a directory");
        mail.set(name, &mail.folder().join(value).display().to_string());
    }
    mail.set("deliver_lock_attempts", "2");
    mail.set("deliver_lock_delay", "1s");
    mail.start();
    Some(mail)
}

/// The ids of [`USER`].
fn user() -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").expect("users");
    let line = passwd.lines().find(|line| line.starts_with(&format!("{USER}:"))).expect("the user of the test");
    let ids: Vec<u32> = line.split(':').skip(2).take(2).filter_map(|id| id.parse().ok()).collect();
    (ids[0], ids[1])
}

/// The status line of a new message for the user.
fn status(mail: &Instance, count: &mut usize) -> String {
    *count += 1;
    mail.sendmail(&["-f", "<>", &format!("{USER}+{count}@mail.test")], "Subject: x\n\nx\n");
    let line = mail.wait_log(&[&format!("to=<{USER}+{count}@mail.test>"), "status="]);
    line[line.find("dsn=").unwrap_or_default()..].to_owned()
}

fn plus() -> Setup {
    Setup::new().set("recipient_delimiter", "+")
}

#[test]
fn mailboxes_are_filled_whoever_may_write_to_the_mail_spool() {
    scenario(|| {
        let Some(mail) = with_mailboxes(plus()) else { return };
        let spool = mail.folder().join("spool");
        let mailbox = spool.join(USER);
        let group = nix::unistd::Group::from_name("mail").ok().flatten().expect("group mail").gid;
        let (uid, gid) = user();
        let mut count = 0;
        for (mode, expected_group) in [(0o755, gid), (0o2775, group.as_raw()), (0o1777, gid)] {
            let group = if mode == 0o2775 { group } else { 0.into() };
            nix::unistd::chown(&spool, None, Some(group)).expect("group of the spool");
            fs::set_permissions(&spool, fs::Permissions::from_mode(mode)).expect("mode of the spool");
            for messages in 1..3 {
                let status = status(&mail, &mut count);
                assert!(status.ends_with("status=sent (delivered to mailbox)"), "{mode:o}: {status}");
                let text = fs::read_to_string(&mailbox).expect("a mailbox");
                assert_eq!(text.matches("Subject: x").count(), messages, "{mode:o}");
            }
            let meta = fs::metadata(&mailbox).expect("a mailbox");
            assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o777), (uid, expected_group, 0o600), "{mode:o}");
            assert!(!spool.join(format!("{USER}.lock")).exists(), "{mode:o}");
            fs::remove_file(&mailbox).expect("a mailbox to remove");
        }
    });
}

#[test]
fn links_in_a_mail_spool_that_others_may_write_to_lead_no_mail_elsewhere() {
    scenario(|| {
        let Some(mail) = with_mailboxes(plus()) else { return };
        let spool = mail.folder().join("spool");
        let (mailbox, victim) = (spool.join(USER), mail.folder().join("victim"));
        fs::write(&victim, "old\n").expect("a file");
        let (uid, gid) = user();
        nix::unistd::chown(&victim, Some(uid.into()), Some(gid.into())).expect("the user's file");
        let mut count = 0;
        for mode in [0o1777, 0o2775] {
            fs::set_permissions(&spool, fs::Permissions::from_mode(mode)).expect("mode of the spool");
            std::os::unix::fs::symlink(&victim, &mailbox).expect("a link");
            let said = status(&mail, &mut count);
            assert!(said.contains("dsn=5.2.0") && said.contains("file is a symbolic link"), "{said}");
            fs::remove_file(&mailbox).expect("the link removed");
            fs::hard_link(&victim, &mailbox).expect("a second name");
            let said = status(&mail, &mut count);
            assert!(said.contains("dsn=5.2.0") && said.contains("file has 2 hard links"), "{said}");
            fs::remove_file(&mailbox).expect("the name removed");
            assert_eq!(fs::read_to_string(&victim).expect("the file"), "old\n");
        }
    });
}

#[test]
fn a_mailbox_that_cannot_be_locked_or_is_not_the_users_waits_with_the_reason() {
    scenario(|| {
        let Some(mail) = with_mailboxes(plus()) else { return };
        let spool = mail.folder().join("spool");
        let (mailbox, lock) = (spool.join(USER), spool.join(format!("{USER}.lock")));
        let mut count = 0;
        fs::write(&lock, "").expect("a lock file");
        let said = status(&mail, &mut count);
        let reason = format!("unable to create lock file {}: File exists", lock.display());
        assert!(said.contains("dsn=4.2.0, status=deferred") && said.contains(&reason), "{said}");
        fs::remove_file(&lock).expect("the lock file removed");
        let held = fs::File::create(&mailbox).expect("a mailbox");
        let said = status(&mail, &mut count);
        assert!(said.contains("dsn=4.2.0, status=deferred") && said.contains("is not owned by recipient"), "{said}");
        mail.wait_log(&["warning: specify \"strict_mailbox_ownership = no\""]);
        let (uid, gid) = user();
        nix::unistd::chown(&mailbox, Some(uid.into()), Some(gid.into())).expect("the user's mailbox");
        let whole = nix::libc::flock {
            l_type: nix::libc::F_WRLCK as nix::libc::c_short,
            l_whence: nix::libc::SEEK_SET as nix::libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        nix::fcntl::fcntl(&held, nix::fcntl::FcntlArg::F_SETLK(&whole)).expect("a lock");
        let said = status(&mail, &mut count);
        let reason = "unable to lock for exclusive access: Resource temporarily unavailable";
        assert!(said.contains("dsn=4.2.0, status=deferred") && said.contains(reason), "{said}");
    });
}

#[test]
fn a_forward_file_counts_when_it_is_the_users_own_or_roots() {
    scenario(|| {
        let Some(mail) = with_mailboxes(plus()) else { return };
        let forward = mail.folder().join("forward").join(USER);
        let other = mail.folder().join("other");
        let (uid, _) = user();
        let (mut count, nobody) = (0, mail.accounts().recipient_uid.as_raw());
        let mut outcome = |owner: u32, mode: u32, is_link: bool| {
            let file = if is_link { &other } else { &forward };
            fs::write(file, "\"|cat >/dev/null\"\n").expect("a list");
            nix::unistd::chown(file, Some(owner.into()), None).expect("its owner");
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("its mode");
            if is_link {
                std::os::unix::fs::symlink(&other, &forward).expect("a link");
            }
            let said = status(&mail, &mut count);
            fs::remove_file(&forward).expect("the list removed");
            said
        };
        for (owner, mode) in [(uid, 0o600), (uid, 0o664), (0, 0o644)] {
            let said = outcome(owner, mode, false);
            assert!(said.contains("sent (delivered to command: cat >/dev/null)"), "{owner} {mode:o}: {said}");
        }
        let why = |text: &str| format!("warning: file {} {text}", forward.display());
        for (owner, mode, is_link, text) in [
            (nobody, 0o644, false, format!("has bad owner uid {nobody}")),
            (uid, 0o666, false, "is world writable".to_owned()),
            (uid, 0o644, true, "is not a regular file".to_owned()),
        ] {
            let said = outcome(owner, mode, is_link);
            assert!(said.contains("sent (delivered to mailbox)"), "{text}: {said}");
            mail.wait_log(&[&why(&text)]);
        }
        let said = outcome(uid, 0o000, false);
        assert!(said.contains("sent (delivered to mailbox)"), "{said}");
        mail.wait_log(&[&format!("warning: cannot open file {}: Permission denied", forward.display())]);
    });
}

#[test]
fn a_command_has_the_users_rights_alone_and_its_time() {
    scenario(|| {
        let Some(mail) = with_mailboxes(plus().set("command_time_limit", "2s")) else { return };
        let open = mail.folder().join("open");
        fs::create_dir(&open).expect("a directory");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("open to all");
        let forward = mail.folder().join("forward").join(USER);
        let mut count = 0;
        let mut run = |line: &str| {
            fs::write(&forward, format!("\"|{line}\"\n")).expect("a list");
            status(&mail, &mut count)
        };
        let ids = open.join("ids");
        assert!(run(&format!("id -u >{0}; id -G >>{0}", ids.display())).contains("status=sent"), "{}", mail.log());
        let (uid, gid) = user();
        assert_eq!(fs::read_to_string(&ids).expect("ids"), format!("{uid}\n{gid}\n"));
        let said = run("echo words; exec sleep 600");
        let reason = "Command time limit exceeded: \"echo words; exec sleep 600\". Command output: words )";
        assert!(said.starts_with("dsn=5.3.0, status=bounced") && said.ends_with(reason), "{said}");
        let said = run("kill -TERM 0; exec sleep 600");
        assert!(said.starts_with("dsn=4.3.0, status=deferred (Command died with signal 15"), "{said}");
        // It may end what it runs as; how the mail system sees that differs, that it goes on does not.
        for signal in ["STOP", "KILL"] {
            let said = run(&format!("kill -{signal} $PPID; exec sleep 600"));
            assert!(!said.contains("status=sent"), "{said}");
        }
        assert!(run("exec cat >/dev/null").contains("status=sent"), "{}", mail.log());
    });
}
