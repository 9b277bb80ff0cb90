//! Lookup tables: what postmap and postalias make, whoever's programs read it, and daemons that notice a change.

use scenarios::scenario;
use testing::programs::Programs;
use testing::{Client, Instance, Setup};

const SOURCE: &str = "# a comment\nfoo bar\n  baz\n\n\"a b\"@c quoted\nUPPER Value\nfoo twice\nlonely\nx: y\n";
const ALIASES: &str = "root: joe,  \"j doe\"\n\"odd: name\": :include:/x,\n\t\"|cmd a\"\nnothing\nu@d: x\n";

/// `lmdb:FILE` for a source file in the configuration directory.
fn table(mail: &Instance, name: &str, text: &str) -> String {
    of_type("lmdb", mail, name, text)
}

/// `TYPE:FILE` for a source file in the configuration directory.
fn of_type(kind: &str, mail: &Instance, name: &str, text: &str) -> String {
    let path = mail.etc().join(name);
    std::fs::write(&path, text).expect("source written");
    format!("{kind}:{}", path.display())
}

/// What a table holds, one `key<TAB>value` a line, without what depends on the time.
fn listing(mail: &Instance, table: &str) -> String {
    let text = mail.output("postmap", &["-s", table]);
    text.lines().filter(|line| !line.starts_with("YP_")).map(|line| format!("{line}\n")).collect()
}

fn sorted(listing: &str) -> Vec<String> {
    let mut lines: Vec<String> = listing.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// The problems that a command reports: what follows `warning: FILE`.
fn problems(mail: &Instance, program: &str, table: &str) -> Vec<String> {
    let output = mail.run(program, &[table]);
    assert!(output.status.success(), "{output:?}");
    let (_, file) = table.split_once(':').expect("type and file");
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
        let text = listing(&mail, &table);
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
        assert_eq!(listing(&mail, &table), "foo\tbar\nkey\treplaced\nnew\tx\n");
        assert!(mail.run("postmap", &["-d", "FOO", &table]).status.success());
        assert_eq!(mail.run("postmap", &["-d", "foo", &table]).status.code(), Some(1));
        let asked = mail.run_with("postmap", &["-q", "-", &table], b"foo\nnew\nkey\n");
        assert_eq!(asked.stdout, b"new\tx\nkey\treplaced\n");
    });
}

#[test]
fn a_constant_database_holds_its_source_in_order_and_is_never_changed() {
    scenario(|| {
        let mail = Setup::new().build();
        let table = of_type("cdb", &mail, "source", SOURCE);
        let mut told = problems(&mail, "postmap", &table);
        told.sort();
        let expected = [
            "FILE, line 8: expected format: key whitespace value",
            "FILE, line 9: record is in \"key: value\" format; is this an alias file?",
            "FILE: duplicate entry: \"foo\"",
        ];
        assert_eq!(told, expected);
        let held = "foo\tbar  baz\n\"a b\"@c\tquoted\nupper\tValue\nx:\ty\n";
        assert_eq!(mail.output("postmap", &["-s", &table]), held);
        let asked = mail.run_with("postmap", &["-q", "-", &table], b"Upper\nnosuch\nFOO\n");
        assert_eq!(asked.stdout, b"Upper\tValue\nFOO\tbar  baz\n");
        let absent = mail.run("postmap", &["-q", "nosuch", &table]);
        assert_eq!((absent.status.code(), absent.stdout.len(), absent.stderr.len()), (Some(1), 0, 0));
        for change in [&["-i"][..], &["-i", "-r"], &["-d", "foo"], &["-d", "-"]] {
            let refused = mail.run_with("postmap", &[change, &[&table]].concat(), b"foo new\n");
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(refused.status.code(), Some(1), "{said}");
            assert!(said.contains("fatal: unsupported non-bulk change request"), "{said}");
        }
        assert_eq!(mail.output("postmap", &["-s", &table]), held);
        let again = of_type("cdb", &mail, "source", "foo 1\nbar 2\nfoo 3\n");
        mail.output("postmap", &["-r", &again]);
        assert_eq!(mail.output("postmap", &["-s", &table]), "bar\t2\nfoo\t3\n");
        assert!(!mail.etc().join("source.cdb.tmp").exists());
    });
}

#[test]
fn a_table_has_the_permissions_of_its_source_whatever_the_umask() {
    scenario(|| {
        use std::os::unix::fs::PermissionsExt;
        let mail = Setup::new().build();
        for (kind, option) in [("lmdb", "-N"), ("cdb", "-n"), ("lmdb", "-p"), ("cdb", "-p")] {
            let table = of_type(kind, &mail, "source", "a b\n");
            let (source, index) = (mail.etc().join("source"), mail.etc().join(format!("source.{kind}")));
            std::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o440)).expect("mode");
            let mut command = std::process::Command::new("sh");
            let postmap = mail.command("postmap");
            for (name, value) in postmap.get_envs() {
                command.env(name, value.unwrap_or_default());
            }
            command.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(postmap.get_program()).args(postmap.get_args());
            assert!(command.args([option, &table]).status().expect("postmap").success());
            let mode = std::fs::metadata(&index).expect("made").permissions().mode() & 0o777;
            assert_eq!(mode, if option == "-p" { 0o644 } else { 0o640 }, "{kind} {option}");
            std::fs::remove_file(&index).expect("removed");
            std::fs::remove_file(&source).expect("removed");
        }
    });
}

#[test]
fn an_alias_database_holds_destinations_written_anew() {
    scenario(|| {
        let mail = Setup::new().build();
        let table = table(&mail, "more", ALIASES);
        let told = problems(&mail, "postalias", &table);
        assert_eq!(told, ["FILE, line 4: need name:value pair", "FILE, line 5: name must be local and have no domain"]);
        let text = listing(&mail, &table);
        assert_eq!(text, "@\t@\nodd: name\t:include:/x, \"|cmd a\"\nroot\tjoe, \"j doe\"\n");
    });
}

#[test]
fn tables_of_either_mail_system_are_read_by_the_other() {
    scenario(|| {
        let Some(oracle) = Programs::oracle() else { return };
        let both = [Programs::ours(), oracle].map(|programs| Setup::of(programs).build());
        let plenty: String = (0..3000).map(|n| format!("key{n} {}\n", "v".repeat(n % 300 + 1))).collect();
        let texts = [("postmap", SOURCE), ("postalias", ALIASES), ("postmap", plenty.as_str())];
        for (kind, (program, text)) in ["lmdb", "cdb"].into_iter().flat_map(|kind| texts.map(|text| (kind, text))) {
            let mut answers = Vec::new();
            for maker in &both {
                let table = of_type(kind, maker, "made", text);
                maker.output(program, &[&table]);
                // Not every version can list every type.
                let listed = listing(&both[0], &table);
                let keys: Vec<&str> = listed.lines().filter_map(|line| line.split('\t').next()).collect();
                let keys = keys.join("\n");
                let ask = |reader: &Instance| reader.run_with("postmap", &["-q", "-", &table], keys.as_bytes()).stdout;
                answers.push(sorted(&listed));
                answers.extend(both.iter().map(|reader| sorted(&String::from_utf8_lossy(&ask(reader)))));
            }
            assert!(answers[0].len() > 2);
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{kind}: {answers:?}");
        }
    });
}

/// Mail to a domain that a transport table answers for, before and after the table is changed by `update`.
fn change_a_table(kind: &str, update: fn(&Instance, &str)) -> Instance {
    let mut mail = Setup::new().build();
    let source = mail.etc().join("transport").display().to_string();
    let table = format!("{kind}:{source}");
    testing::setup::write_old(source.as_ref(), "other.test error:first answer\n");
    update(&mail, &table);
    mail.set("transport_maps", &table);
    mail.start();
    let send = || mail.sendmail(&["-f", "alice@mail.test", "x@other.test"], "Subject: x\n\nbody\n");
    send();
    mail.wait_log(&["to=<x@other.test>", "relay=none", "status=bounced (first answer)"]);
    std::fs::write(&source, "other.test error:second answer\n").expect("source written");
    update(&mail, &table);
    // A daemon looks at its tables when it is asked something, at most once a second.
    for _ in 0..20 {
        send();
        mail.wait_idle();
        if mail.find_log(&["status=bounced (second answer)"]).is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    mail.wait_log(&["to=<x@other.test>", "status=bounced (second answer)"]);
    mail
}

#[test]
fn a_table_that_postmap_changes_is_used_for_new_mail() {
    scenario(|| {
        change_a_table("lmdb", |mail, table| {
            mail.output("postmap", &[table]);
        });
    });
}

#[test]
fn a_table_of_text_that_changes_makes_its_readers_restart() {
    scenario(|| {
        let mail = change_a_table("texthash", |_, _| ());
        mail.wait_log(&["trivial-rewrite", "table texthash:", "has changed -- restarting"]);
    });
}

#[test]
fn a_constant_database_that_is_replaced_makes_its_readers_restart() {
    scenario(|| {
        let mail = change_a_table("cdb", |mail, table| {
            mail.output("postmap", &[table]);
        });
        mail.wait_log(&["trivial-rewrite", "table cdb:", "has changed -- restarting"]);
    });
}

/// A mail system whose recipients are in a table of 3000, and that table's file.
fn with_many_recipients(kind: &str) -> (Instance, std::path::PathBuf) {
    let mut mail = Setup::new().build();
    let text: String = (0..3000).map(|n| format!("l{n} x\n")).collect();
    let table = of_type(kind, &mail, "recipients", &text);
    let output = mail.run("postmap", &[&table]);
    assert!(output.status.success(), "{output:?}");
    mail.set("local_recipient_maps", &table);
    mail.start();
    let file = mail.etc().join(format!("recipients.{kind}"));
    (mail, file)
}

#[test]
fn a_table_that_is_cut_short_fails_for_now_and_costs_no_session() {
    scenario(|| cut_short("lmdb"));
}

#[test]
fn a_constant_database_that_is_cut_short_fails_for_now_and_costs_no_session() {
    scenario(|| cut_short("cdb"));
}

fn cut_short(kind: &str) {
    let (mail, file) = with_many_recipients(kind);
    let mut clients: Vec<Client> = (0..10).map(|_| Client::greet(mail.v4()).expect("connected")).collect();
    let mut first = clients.remove(0);
    first.command("MAIL FROM:<x@client.test>").expect("reply");
    assert_eq!(first.command("RCPT TO:<l5@mail.test>").expect("reply").code, 250);
    std::fs::File::options().write(true).open(file).expect("table").set_len(0).expect("cut");
    let reply = first.command("RCPT TO:<l2500@mail.test>").expect("reply");
    assert_eq!(reply.last(), "451 4.3.0 <l2500@mail.test>: Temporary lookup failure");
    for client in &mut clients {
        assert_eq!(client.command("NOOP").expect("reply").code, 250);
    }
}

#[test]
fn a_table_that_somebody_has_locked_is_read_all_the_same() {
    scenario(|| {
        use nix::fcntl::{FcntlArg, fcntl};
        use nix::libc;
        let (mail, file) = with_many_recipients("lmdb");
        let file = std::fs::File::options().read(true).write(true).open(file).expect("table");
        let whole = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&file, FcntlArg::F_SETLK(&whole)).expect("lock");
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("MAIL FROM:<x@client.test>").expect("reply");
        assert_eq!(client.command("RCPT TO:<l5@mail.test>").expect("reply").code, 250);
        assert_eq!(client.command("RCPT TO:<nobody@mail.test>").expect("reply").code, 550);
    });
}

#[test]
fn a_table_of_file_names_holds_what_is_in_the_files() {
    scenario(|| {
        let mail = Setup::new().build();
        let file = |name: &str, text: &str| {
            let path = mail.etc().join(name);
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let (key, certificate, none) = (file("k", "KEY\n"), file("c", "CERT\n"), mail.etc().join("none"));
        let source = format!("A.test {key}, {certificate}\nb.test {key} {}\nc.test ,\n", none.display());
        let table = table(&mail, "source", &source);
        let built = mail.run("postmap", &["-F", &table]);
        let said = String::from_utf8_lossy(&built.stderr).into_owned();
        assert_eq!(built.status.code(), Some(0), "{said}");
        let missing = format!(", line 2: open {}: No such file or directory: skipping this entry", none.display());
        assert!(said.contains(&missing) && said.contains(", line 3: empty pathname list: >>,<<': skipping"), "{said}");
        assert_eq!(mail.output("postmap", &["-s", &table]), "a.test\tS0VZCgpDRVJUCg==\n");
        assert_eq!(mail.output("postmap", &["-F", "-s", &table]), "a.test\tKEY\n\nCERT\n\n");
        assert_eq!(mail.output("postmap", &["-F", "-q", "a.test", &table]), "KEY\n\nCERT\n\n");
        let text = format!("texthash:{}", mail.etc().join("source").display());
        assert_eq!(mail.output("postmap", &["-F", "-q", "a.test", &text]), "KEY\n\nCERT\n\n");
    });
}

#[test]
fn a_table_that_was_made_without_the_contents_of_files_does_not_answer_with_them() {
    scenario(|| {
        let mail = Setup::new().build();
        let table = table(&mail, "source", "a.test /etc/passwd\n");
        mail.output("postmap", &[&table]);
        let asked = mail.run("postmap", &["-F", "-q", "a.test", &table]);
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert_eq!((asked.status.code(), asked.stdout.len()), (Some(1), 0), "{said}");
        let malformed = format!("warning: table {table}: key a.test: malformed BASE64 value: /etc/passwd");
        assert!(said.contains(&malformed) && said.contains(&format!("fatal: table {table}: query error")), "{said}");
        assert!(!mail.run("postalias", &["-F", &table]).status.success());
    });
}

#[test]
fn tables_that_are_made_of_others_answer_as_their_members_do() {
    scenario(|| {
        let mail = Setup::new().set("virtual_alias_maps", "pipemap:{inline:{to@mail.test=x}, inline:{x=bob}}").start();
        let numbers = of_type("texthash", &mail, "numbers", "a 1\n");
        let union = format!("unionmap:{{static:one,inline:{{a=two}},{numbers}}}");
        let is_new = testing::programs::oracle_version().as_deref() != Some("3.7");
        let absent = format!("open database {}.lmdb: No such file or directory", mail.etc().join("no").display());
        let member = format!("pipemap:{{inline:{{a=b}},lmdb:{}}}", mail.etc().join("no").display());
        for (key, table, found, said) in [
            ("a", union.as_str(), "one,two,1\n", ""),
            ("zz", &union, "one\n", ""),
            ("x", "unionmap:{static:{a b}, static:c}", "a b,c\n", ""),
            ("a", "unionmap:{inline:{a=two},fail:x}", "", "query error: Application error"),
            ("a", "unionmap:{fail:x,static:b}", "", "query error: Application error"),
            ("a", "unionmap:{inline:{b=1}}", "", ""),
            ("a", "unionmap:{foo}", "", "bad syntax: \"unionmap:{foo}\"; need \"unionmap:{type:name...}\""),
            ("a", "pipemap:{inline:{a=b},inline:{b=c}}", "c\n", ""),
            ("b", "pipemap:{inline:{a=b},inline:{b=c}}", "", ""),
            ("a", "pipemap:{inline:{a=b},nosuch:x}", "", "unsupported dictionary type: nosuch"),
            ("a", &member, "", &absent),
            ("x", "randmap:{{c d}}", "{c d}\n", ""),
            ("x", "randmap:{}", "", "bad syntax: \"randmap:{}\"; need \"randmap:{value...}\""),
            ("a", "internal:x", "", ""),
            ("a", "debug:inline:{a=b}", "b\n", "inline:{a=b} lookup: \"a\" = \"b\""),
        ] {
            if !is_new && table.starts_with("debug:") {
                continue;
            }
            let output = mail.run("postmap", &["-q", key, table]);
            assert_eq!(String::from_utf8_lossy(&output.stdout), found, "{table}");
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(if said.is_empty() { errors.is_empty() } else { errors.contains(said) }, "{table}: {errors}");
        }
        mail.sendmail(&["-f", "alice@mail.test", "to@mail.test"], "Subject: x\n\nbody\n");
        mail.wait_log(&["to=<bob@mail.test>, orig_to=<to@mail.test>", "status=sent"]);
    });
}
