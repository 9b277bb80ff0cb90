//! Tables of the users and the groups of this machine: `unix:passwd.byname`, `unix:group.byname`.

use scenarios::scenario;
use testing::{Client, Instance, Setup};

/// A table of tables: what one says, patterns make something else of.
fn through(first: &str, pattern: &str, result: &str) -> String {
    format!("pipemap:{{{first},regexp:{{{{/{pattern}/ {result}}}}}}}")
}

fn query(mail: &Instance, program: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = mail.run(program, arguments);
    let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), said)
}

#[test]
fn commands_show_an_entry_as_the_line_of_its_file() {
    scenario(|| {
        let mail = Setup::new().build();
        let line = |file: &str, name: &str| {
            let text = std::fs::read_to_string(file).expect("a database of the system");
            let line = text.lines().find(|line| line.starts_with(&format!("{name}:"))).expect("an account");
            format!("{line}\n")
        };
        for program in ["postmap", "postalias"] {
            for (table, file) in [("passwd.byname", "/etc/passwd"), ("group.byname", "/etc/group")] {
                let table = format!("unix:{table}");
                for name in ["root", "daemon", "DAEMON"] {
                    let expected = (Some(0), line(file, &name.to_lowercase()), String::new());
                    assert_eq!(query(&mail, program, &["-q", name, &table]), expected);
                }
                for name in ["no-such-name", "", " root"] {
                    assert_eq!(query(&mail, program, &["-q", name, &table]), (Some(1), String::new(), String::new()));
                }
                assert_eq!(query(&mail, program, &["-f", "-q", "ROOT", &table]).0, Some(1));
            }
        }
        let both = format!("{},{}", line("/etc/passwd", "root").trim_end(), line("/etc/group", "root"));
        let union = "unionmap:{unix:passwd.byname,unix:group.byname}";
        assert_eq!(query(&mail, "postmap", &["-q", "root", union]), (Some(0), both, String::new()));
        let pipe = "pipemap:{inline:{root=daemon},unix:group.byname}";
        let found = (Some(0), line("/etc/group", "daemon"), String::new());
        assert_eq!(query(&mail, "postmap", &["-q", "root", pipe]), found);
        let types = mail.output("postconf", &["-m"]);
        assert!(types.lines().any(|kind| kind == "unix"), "{types}");
    });
}

#[test]
fn there_are_two_tables_and_they_are_read_alone() {
    scenario(|| {
        let mail = Setup::new().build();
        for (arguments, why) in [
            (&["-q", "root", "unix:foo"][..], "unknown table: unix:foo"),
            (&["-q", "root", "unix:passwd.byuid"], "unknown table: unix:passwd.byuid"),
            (&["-q", "root", "unix:/etc/passwd"], "unknown table: unix:/etc/passwd"),
            (&["-q", "root", "unix:"], "open dictionary: expecting \"type:name\" form instead of \"unix:\""),
            (&["-s", "unix:passwd.byname"], "table unix:passwd.byname: sequence operation is not supported"),
            (&["-d", "root", "unix:passwd.byname"], "unix:passwd.byname map requires O_RDONLY access mode"),
            (&["-i", "unix:passwd.byname"], "unix:passwd.byname map requires O_RDONLY access mode"),
            (&["-i", "inline:{a=b}"], "inline:{a=b} map requires O_RDONLY access mode"),
        ] {
            let (status, output, said) = query(&mail, "postmap", arguments);
            assert_eq!((status, output.as_str()), (Some(1), ""), "{arguments:?}");
            assert!(said.ends_with(&format!("fatal: {why}")), "{arguments:?}: {said}");
        }
    });
}

#[test]
fn every_list_of_tables_takes_them() {
    scenario(|| {
        let users = "unix:passwd.byname";
        let mut mail = Setup::new()
            .set(
                "smtpd_helo_restrictions",
                format!("check_helo_access {}", through(users, "^games:", "REJECT no games")),
            )
            .set(
                "smtpd_sender_restrictions",
                format!("check_sender_access {}", through("unix:group.byname", "^games:", "REJECT not of games")),
            )
            .set("local_recipient_maps", "$alias_maps proxy:unix:group.byname")
            .set("virtual_alias_maps", through(users, "^bin:", "alice@mail.test"))
            .set("transport_maps", through(users, "^sync:", "discard:not wanted"))
            .build();
        let aliases = format!("texthash:{}", mail.etc().join("aliases").display());
        mail.set("alias_maps", &format!("{aliases} {}", through("unix:group.byname", "^adm:", "bob@mail.test")));
        mail.start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let mut say = |line: &str| client.command(line).expect("reply").last().to_owned();
        assert!(say("MAIL FROM:<x@games>").starts_with("250"));
        assert_eq!(say("RCPT TO:<adm@mail.test>"), "554 5.7.1 <x@games>: Sender address rejected: not of games");
        say("RSET");
        say("MAIL FROM:<x@client.test>");
        for (to, starts) in [("adm", "250"), ("audio", "250"), ("bin", "250"), ("root-but-no-group", "550 5.1.1")] {
            let reply = say(&format!("RCPT TO:<{to}@mail.test>"));
            assert!(reply.starts_with(starts), "{to}: {reply}");
        }
        say("RSET");
        say("HELO games");
        say("MAIL FROM:<x@client.test>");
        assert_eq!(say("RCPT TO:<adm@mail.test>"), "554 5.7.1 <games>: Helo command rejected: no games");
        mail.sendmail(&["-f", "carol@mail.test", "bin@mail.test", "x@sync", "adm@mail.test"], "Subject: x\n\nbody\n");
        mail.wait_mail("alice", 1);
        mail.wait_mail("bob", 1);
        mail.wait_log(&["to=<x@sync>", "relay=none", "status=sent (not wanted)"]);
        mail.wait_idle();
        assert!(mail.find_log(&["warning: "]).is_none(), "{}", mail.log());
    });
}
