//! Lookup tables: what postmap and postalias make, whoever's programs read it, and daemons that notice a change.

use scenarios::scenario;
use testing::programs::Programs;
use testing::{Instance, Setup};

const SOURCE: &str = "# a comment\nfoo bar\n  baz\n\n\"a b\"@c quoted\nUPPER Value\nfoo twice\nlonely\nx: y\n";
const ALIASES: &str = "root: joe,  \"j doe\"\n\"odd: name\": :include:/x,\n\t\"|cmd a\"\nnothing\nu@d: x\n";

/// `lmdb:FILE` for a source file in the configuration directory.
fn table(mail: &Instance, name: &str, text: &str) -> String {
    let path = mail.etc().join(name);
    std::fs::write(&path, text).expect("source written");
    format!("lmdb:{}", path.display())
}

/// What a table holds, one `key<TAB>value` a line, without what depends on the time.
fn listing(mail: &Instance, programs: &Programs, table: &str) -> String {
    let output = programs.run("postmap", &mail.etc()).args(["-s", table]).output().expect("postmap runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|line| !line.starts_with("YP_")).map(|line| format!("{line}\n")).collect()
}

/// The problems that a command reports: what follows `warning: FILE`.
fn problems(mail: &Instance, program: &str, table: &str) -> Vec<String> {
    let output = mail.run(program, &[table]);
    assert!(output.status.success(), "{output:?}");
    let file = table.trim_start_matches("lmdb:");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = text.lines().filter_map(|line| line.split_once("warning: ")).map(|(_, told)| told);
    told.map(|told| told.replace(table, "TABLE").replace(file, "FILE")).collect()
}

#[test]
fn a_table_holds_its_source_and_bad_lines_are_named() {
    scenario(|| {
        let mail = Setup::new().build();
        let table = table(&mail, "source", SOURCE);
        let mut told = problems(&mail, "postmap", &table);
        told.sort();
        let expected = [
            "FILE, line 8: expected format: key whitespace value",
            "FILE, line 9: record is in \"key: value\" format; is this an alias file?",
            "TABLE: duplicate entry: \"foo\"",
        ];
        assert_eq!(told, expected);
        let text = listing(&mail, mail.programs(), &table);
        assert_eq!(text, "\"a b\"@c\tquoted\nfoo\tbar  baz\nupper\tValue\nx:\ty\n");
        let found = mail.run("postmap", &["-q", "Foo", &table]);
        assert_eq!(found.stdout, b"bar  baz\n");
        let absent = mail.run("postmap", &["-q", "nosuch", &table]);
        assert_eq!((absent.status.code(), absent.stdout.len(), absent.stderr.len()), (Some(1), 0, 0));
    });
}

#[test]
fn a_table_is_changed_entry_by_entry() {
    scenario(|| {
        let mail = Setup::new().build();
        let table = table(&mail, "source", "foo bar\nkey value\n");
        mail.output("postmap", &[&table]);
        mail.run_with("postmap", &["-i", &table], b"new x\nfoo ignored\n");
        mail.run_with("postmap", &["-i", "-r", &table], b"key replaced\n");
        mail.run_with("postmap", &["-i", "-w", &table], b"key kept\n");
        assert_eq!(listing(&mail, mail.programs(), &table), "foo\tbar\nkey\treplaced\nnew\tx\n");
        assert!(mail.run("postmap", &["-d", "FOO", &table]).status.success());
        assert_eq!(mail.run("postmap", &["-d", "foo", &table]).status.code(), Some(1));
        let asked = mail.run_with("postmap", &["-q", "-", &table], b"foo\nnew\nkey\n");
        assert_eq!(asked.stdout, b"new\tx\nkey\treplaced\n");
    });
}

#[test]
fn an_alias_database_holds_destinations_written_anew() {
    scenario(|| {
        let mail = Setup::new().build();
        let table = table(&mail, "more", ALIASES);
        let told = problems(&mail, "postalias", &table);
        assert_eq!(told, ["FILE, line 4: need name:value pair", "FILE, line 5: name must be local"]);
        let text = listing(&mail, mail.programs(), &table);
        assert_eq!(text, "@\t@\nodd: name\t:include:/x, \"|cmd a\"\nroot\tjoe, \"j doe\"\n");
    });
}

#[test]
fn tables_of_either_mail_system_are_read_by_the_other() {
    scenario(|| {
        let mail = Setup::new().build();
        let Some(oracle) = Programs::oracle() else { return };
        let both = [Programs::ours(), oracle];
        let plenty: String = (0..3000).map(|n| format!("key{n} {}\n", "v".repeat(n % 300 + 1))).collect();
        for (program, text) in [("postmap", SOURCE), ("postalias", ALIASES), ("postmap", plenty.as_str())] {
            let mut listings = Vec::new();
            for (number, maker) in both.iter().enumerate() {
                let table = table(&mail, &format!("made-{number}"), text);
                let made = maker.run(program, &mail.etc()).arg(&table).output().expect("runs");
                assert!(made.status.success(), "{made:?}");
                listings.extend(both.iter().map(|reader| listing(&mail, reader, &table)));
            }
            assert!(listings[0].lines().count() > 2);
            assert!(listings.iter().all(|listing| *listing == listings[0]), "{listings:?}");
        }
    });
}

#[test]
fn a_changed_table_is_used_for_new_mail() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let table = table(&mail, "transport", "other.test error:first answer\n");
        mail.output("postmap", &[&table]);
        mail.set("transport_maps", &table);
        mail.start();
        mail.sendmail(&["-f", "alice@mail.test", "x@other.test"], "Subject: x\n\nbody\n");
        mail.wait_log(&["to=<x@other.test>", "relay=none", "status=bounced (first answer)"]);
        self::table(&mail, "transport", "other.test error:second answer\n");
        mail.output("postmap", &[&table]);
        // A daemon looks at its tables when it has a client, at most once a second or so.
        for _ in 0..20 {
            mail.sendmail(&["-f", "alice@mail.test", "x@other.test"], "Subject: x\n\nbody\n");
            mail.wait_idle();
            if mail.find_log(&["status=bounced (second answer)"]).is_some() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        mail.wait_log(&["table lmdb:", "has changed -- restarting"]);
        mail.wait_log(&["to=<x@other.test>", "status=bounced (second answer)"]);
    });
}
