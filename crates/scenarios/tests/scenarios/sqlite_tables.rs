//! Tables of the type `sqlite`: queries to the file of a database that other programs write.

mod of_a_site;

use std::path::PathBuf;

use rusqlite::Connection;
use scenarios::scenario;
use testing::auth_server::{Act, AuthServer, GREETING};
use testing::{Client, Instance, Setup};

/// A database of this mail system, with tables of its own.
struct Database(PathBuf);

impl Database {
    fn new(mail: &Instance, sql: &str) -> Database {
        let folder = mail.folder().join("databases");
        std::fs::create_dir_all(&folder).expect("folder");
        let database = Database(folder.join("mail.sqlite"));
        database.write(sql);
        database
    }

    fn writer(&self) -> Connection {
        Connection::open(&self.0).expect("database")
    }

    fn write(&self, sql: &str) {
        self.writer().execute_batch(sql).expect("written");
    }

    /// The table that makes this query, with a file of its own.
    fn table(&self, mail: &Instance, name: &str, query: &str) -> String {
        self.with(mail, name, &format!("query = {query}"))
    }

    fn with(&self, mail: &Instance, name: &str, settings: &str) -> String {
        let file = mail.etc().join(format!("{name}.cf"));
        std::fs::write(&file, format!("dbpath = {}\n{settings}\n", self.0.display())).expect("settings");
        format!("sqlite:{}", file.display())
    }
}

/// Names and values.
const PAIRS: &str = "create table t(k text, v text);
    insert into t values('a','va'),('a','va2'),('b@x.y','u@v.w'),('o''q','quoted'),('e',''),('nul',NULL),('Up','up');";

fn query(mail: &Instance, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = mail.run("postmap", arguments);
    let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).trim_end().to_owned(), said)
}

/// What postmap finds; nothing is an empty text.
fn found(mail: &Instance, table: &str, key: &str) -> String {
    let (status, value, said) = query(mail, &["-q", key, table]);
    assert_eq!(status == Some(0), !value.is_empty(), "{table} {key}: {said}");
    value
}

/// What the server says to a recipient, in a session of its own.
fn rcpt(mail: &Instance, sender: &str, recipient: &str) -> String {
    let mut client = Client::greet(mail.v4()).expect("connected");
    client.command(&format!("MAIL FROM:<{sender}>")).expect("reply");
    client.command(&format!("RCPT TO:<{recipient}>")).expect("reply").last()
}

#[test]
fn a_key_becomes_a_query_and_rows_become_a_value() {
    scenario(|| {
        let mail = Setup::new().build();
        let database = Database::new(&mail, PAIRS);
        let table = database.table(&mail, "plain", "SELECT v FROM t WHERE k='%s'");
        let cases = [
            ("a", "va,va2"),
            ("A", "va,va2"),
            ("o'q", "quoted"),
            ("e", ""),
            ("nul", ""),
            ("nope", ""),
            ("UP", ""),
            ("' OR 1=1 --", ""),
            ("", ""),
        ];
        for (key, value) in cases {
            assert_eq!(found(&mail, &table, key), value, "{key}");
        }
        for (name, settings, key, value) in [
            (
                "format",
                "query=SELECT v FROM t WHERE k='%s'\nresult_format=<%s|%u|%d|%S>",
                "b@x.y",
                "<u@v.w|u|v.w|b@x.y>",
            ),
            ("format", "query=SELECT v FROM t WHERE k='%s'\nresult_format=<%s|%u|%d|%S>", "a", ""),
            ("parts", "query=SELECT '%u','%d'\nresult_format=%s:%U:%D", "a@b@c.d", "a@b:a@b:c.d"),
            ("parts", "query=SELECT '%u','%d'\nresult_format=%s:%U:%D", "@ex.am", ""),
            ("labels", "query=SELECT '%1-%2-%3-%%'", "joe@a.b.c", "c-b-a-%"),
            ("labels", "query=SELECT '%1-%2-%3-%%'", "joe@b.c", ""),
            ("domain", "query=SELECT 1\ndomain=x.y, !z.z", "b@x.y", "1"),
            ("domain", "query=SELECT 1\ndomain=x.y, !z.z", "b@z.z", ""),
            ("domain", "query=SELECT 1\ndomain=x.y, !z.z", "x.y", ""),
            ("old", "table=t\nselect_field=v\nwhere_field=k\nadditional_conditions=AND v<>'va'", "a", "va2"),
            ("kinds", "query=SELECT 1.5 UNION ALL SELECT 7 UNION ALL SELECT x'4100ff'", "x", "1.5,7,A"),
            ("more", "query=SELECT 'one'; SELECT 'two'", "x", "one"),
        ] {
            assert_eq!(found(&mail, &database.with(&mail, name, settings), key), value, "{settings} {key}");
        }
        let main_cf = format!("my_dbpath={}", database.0.display());
        for setting in [main_cf.as_str(), "my_query=SELECT v FROM t WHERE k=$my_q", "my_q='%s'"] {
            let (name, value) = setting.split_once('=').expect("a setting");
            let set = mail.run("postconf", &["-e", &format!("{name}={value}")]);
            assert!(set.status.success(), "{set:?}");
        }
        assert_eq!(found(&mail, "sqlite:my", "a"), "va,va2");
        assert!(mail.output("postconf", &["-m"]).lines().any(|kind| kind == "sqlite"));
    });
}

#[test]
fn what_makes_no_sense_is_told_by_whoever_asks() {
    scenario(|| {
        let mail = Setup::new().build();
        let database = Database::new(&mail, PAIRS);
        let good = database.table(&mail, "good", "SELECT v FROM t WHERE k='%s'");
        for (arguments, why) in [
            (&["-q", "a", "sqlite:/nofile"][..], "open /nofile: No such file or directory".to_owned()),
            (&["-q", "a", "sqlite:nope"], "bad string length 0 < 1: nope_dbpath = ".to_owned()),
            (&["-s", &good], format!("table {good}: sequence operation is not supported")),
            (&["-d", "a", &good], format!("{good} map requires O_RDONLY access mode")),
        ] {
            let (status, value, said) = query(&mail, arguments);
            assert_eq!((status, value.as_str()), (Some(1), ""), "{arguments:?}");
            assert!(said.trim_end().ends_with(why.trim_end()), "{arguments:?}: {said}");
        }
        for (settings, why) in [
            ("query=SELECT 1\nexpansion_limit=x", "FILE: bad numerical configuration: expansion_limit = x"),
            ("query=SELECT 1\nresult_format=%x", "db_common_parse: FILE: Invalid result template: %x"),
            ("query=SELECT '%q'", "db_common_parse: FILE: Invalid query template: SELECT '%q'"),
            ("table=t", "FILE: bad string length 0 < 1: select_field ="),
            ("query=SELECT 1\nlonely", "FILE, line 3: missing '=' after attribute name: \"lonely\""),
            ("query=SELEC 1", "dict_sqlite_lookup: FILE: SQL prepare failed: near \"SELEC\": syntax error?"),
            ("query=SELECT v FROM no", "dict_sqlite_lookup: FILE: SQL prepare failed: no such table: no?"),
            (
                "query=SELECT v FROM t WHERE k='%s'\nexpansion_limit=1",
                "dict_sqlite_lookup: FILE: Expansion limit exceeded for key 'a'",
            ),
        ] {
            let table = database.with(&mail, "wrong", settings);
            let file = table.trim_start_matches("sqlite:").to_owned();
            let (status, _, said) = query(&mail, &["-q", "a", &table]);
            assert_eq!(status, Some(1), "{settings}");
            assert!(said.replace(&file, "FILE").contains(why), "{settings}: {said}");
        }
    });
}

#[test]
fn a_database_is_there_and_read_alone_and_an_expression_has_quotes() {
    scenario(|| {
        let mail = Setup::new().build();
        let missing = mail.etc().join("missing.cf");
        let nowhere = mail.folder().join("nowhere").display().to_string();
        std::fs::write(&missing, format!("dbpath = {nowhere}\nquery = SELECT %s\n")).expect("settings");
        let (status, _, said) = query(&mail, &["-q", "a", &format!("sqlite:{}", missing.display())]);
        let shown = said.replace(&missing.display().to_string(), "FILE").replace(&nowhere, "NOWHERE");
        assert_eq!(status, Some(1));
        for part in [
            "sqlite:FILE: query >SELECT %s< contains >%s< without the recommended '' quotes",
            "sqlite:FILE: open database NOWHERE: unable to open database file: No such file or directory",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
        let database = Database::new(&mail, PAIRS);
        let (status, _, said) = query(&mail, &["-q", "a", &database.table(&mail, "write", "DELETE FROM t")]);
        assert_eq!(status, Some(1));
        assert!(
            said.contains("SQL step failed for query 'DELETE FROM t': attempt to write a readonly database?"),
            "{said}"
        );
    });
}

/// A mail system whose users could log in, so that senders may have owners.
fn with_logins() -> Instance {
    let auth = [("smtpd_sasl_auth_enable", "yes"), ("smtpd_sasl_type", "dovecot"), ("smtpd_sasl_path", "private/auth")];
    auth.into_iter().fold(Setup::new(), |setup, (name, value)| setup.set(name, value)).build()
}

fn auth_server(mail: &Instance) -> AuthServer {
    AuthServer::start(&mail.queue().join("private/auth"), GREETING, |_| Act::Nothing)
}

/// What every program asks of one database.
fn site(mail: &mut Instance) -> Database {
    let database = Database::new(
        mail,
        "create table alias(source text, destination text, owner text);
         insert into alias values('list@mail.test','alice@mail.test,bob@mail.test','list@mail.test');
         create table box(address text, path text);
         insert into box values('joe@virt.test','joe/');
         create table way(domain text, transport text);
         insert into way values('gone.test','discard:says the database');
         create table client(name text, action text);
         insert into client values('bad.test','REJECT says the database');",
    );
    let settings = [
        ("virtual_alias_maps", "SELECT destination FROM alias WHERE source='%s'"),
        ("virtual_mailbox_maps", "SELECT path FROM box WHERE address='%s'"),
        ("virtual_mailbox_domains", "SELECT 1 FROM box WHERE address LIKE '%%@%s'"),
        ("transport_maps", "SELECT transport FROM way WHERE domain='%s'"),
        ("access", "SELECT action FROM client WHERE name='%s'"),
    ];
    for (name, query) in settings {
        let table = database.table(mail, name, query);
        match name {
            "access" => mail.set("smtpd_sender_restrictions", &format!("check_sender_access {table}")),
            _ => mail.set(name, &table),
        }
    }
    let boxes = mail.folder().join("virtual");
    std::fs::create_dir_all(&boxes).expect("folder");
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let owner =
        if uid.is_root() { ("65534".to_owned(), "65534".to_owned()) } else { (uid.to_string(), gid.to_string()) };
    if uid.is_root() {
        std::os::unix::fs::chown(&boxes, Some(65534), Some(65534)).expect("owner");
    }
    mail.set("virtual_mailbox_base", &boxes.display().to_string());
    mail.set("virtual_uid_maps", &format!("static:{}", owner.0));
    mail.set("virtual_gid_maps", &format!("static:{}", owner.1));
    mail.set("relay_domains", "gone.test");
    database
}

fn ask_for_owners(mail: &mut Instance, database: &Database) {
    let owners = database.table(mail, "owners", "SELECT owner FROM alias WHERE source='%s'");
    mail.set("smtpd_sender_login_maps", &owners);
    mail.set("smtpd_recipient_restrictions", "reject_sender_login_mismatch");
}

#[test]
fn every_program_that_takes_tables_asks_the_database() {
    scenario(|| {
        let mut mail = with_logins();
        let database = site(&mut mail);
        ask_for_owners(&mut mail, &database);
        mail.start();
        let _server = auth_server(&mail);
        assert!(rcpt(&mail, "x@bad.test", "alice@mail.test").contains("Sender address rejected: says the database"));
        assert!(rcpt(&mail, "list@mail.test", "alice@mail.test").starts_with("553 5.7.1"));
        for (to, starts) in [
            ("joe@virt.test", "250"),
            ("jim@virt.test", "550 5.1.1"),
            ("list@mail.test", "250"),
            ("x@gone.test", "250"),
            ("\"' OR 1=1 --\"@virt.test", "550 5.1.1"),
            ("\"' UNION SELECT 'x' --\"@mail.test", "550 5.1.1"),
        ] {
            let reply = rcpt(&mail, "x@client.test", to);
            assert!(reply.starts_with(starts), "{to}: {reply}");
        }
        mail.sendmail(
            &["-f", "carol@mail.test", "list@mail.test", "joe@virt.test", "x@gone.test"],
            "Subject: x\n\nbody\n",
        );
        mail.wait_mail("alice", 1);
        mail.wait_mail("bob", 1);
        mail.wait_log(&["to=<joe@virt.test>", "relay=virtual", "status=sent"]);
        mail.wait_log(&["to=<x@gone.test>", "status=sent (says the database)"]);
        mail.wait_idle();
        // What a program commits is what the next client hears of.
        assert!(rcpt(&mail, "x@client.test", "new@virt.test").starts_with("550"));
        database.write("insert into box values('new@virt.test','new/'); delete from box where address like 'joe%';");
        assert!(rcpt(&mail, "x@client.test", "new@virt.test").starts_with("250"));
        assert!(rcpt(&mail, "x@client.test", "joe@virt.test").starts_with("550"));
        assert!(mail.find_log(&["warning: "]).is_none(), "{}", mail.log());
    });
}

#[test]
fn an_address_as_long_as_a_header_may_be_is_asked_for_as_well() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let database = Database::new(&mail, PAIRS);
        let table = database.table(&mail, "canonical", "SELECT 'long@mail.test' WHERE length('%s') > 90000");
        mail.set("canonical_maps", &table);
        mail.set("canonical_classes", "header_recipient");
        mail.start();
        let content = format!("To: {}@mail.test\nSubject: x\n\nbody\n", "a".repeat(100_000));
        mail.sendmail(&["-f", "carol@mail.test", "alice@mail.test"], &content);
        let got = mail.wait_mail("alice", 1);
        assert_eq!(got[0].header("To").as_deref(), Some("long@mail.test"));
    });
}

#[test]
fn parts_of_an_address_are_asked_for_whatever_the_query_takes_of_them() {
    scenario(|| {
        let mut mail = Setup::new().set("recipient_delimiter", "+").set("propagate_unmatched_extensions", "").build();
        let database = Database::new(&mail, PAIRS);
        let apart = database.table(&mail, "apart", "SELECT 'alice@mail.test' WHERE '%u'='zed' AND '%d'='mail.test'");
        let limited = "query = SELECT 'bob@mail.test' WHERE '%s'='yan@mail.test'\ndomain = mail.test";
        mail.set("virtual_alias_maps", &format!("{apart} {}", database.with(&mail, "limited", limited)));
        mail.start();
        mail.sendmail(&["-f", "carol@mail.test", "Zed+x@mail.test", "yan+y@Mail.test"], "Subject: x\n\nbody\n");
        mail.wait_mail("alice", 1);
        mail.wait_mail("bob", 1);
    });
}

#[test]
fn programs_that_keep_the_database_open_change_nothing_for_the_next_look_up() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let database = site(&mut mail);
        let writer = database.writer();
        writer.query_row("PRAGMA journal_mode=wal", [], |_| Ok(())).expect("mode");
        writer.execute_batch("insert into box values('first@virt.test','first/')").expect("written");
        mail.start();
        assert!(rcpt(&mail, "x@client.test", "first@virt.test").starts_with("250"));
        for name in ["second", "third"] {
            assert!(rcpt(&mail, "x@client.test", &format!("{name}@virt.test")).starts_with("550"));
            writer.execute("insert into box values(?1,'x/')", [format!("{name}@virt.test")]).expect("written");
            assert!(rcpt(&mail, "x@client.test", &format!("{name}@virt.test")).starts_with("250"));
        }
        drop(writer);
        database.write("insert into box values('fourth@virt.test','x/')");
        assert!(rcpt(&mail, "x@client.test", "fourth@virt.test").starts_with("250"));
        assert!(mail.find_log(&["warning: "]).is_none(), "{}", mail.log());
    });
}

#[test]
fn a_database_in_wal_mode_that_nobody_has_open_needs_no_file_beside_it() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let database = site(&mut mail);
        database.writer().query_row("PRAGMA journal_mode=wal", [], |_| Ok(())).expect("mode");
        mail.start();
        assert!(rcpt(&mail, "x@client.test", "joe@virt.test").starts_with("250"));
        assert!(rcpt(&mail, "x@client.test", "jim@virt.test").starts_with("550"));
        let files = std::fs::read_dir(database.0.parent().expect("folder")).expect("folder").count();
        assert_eq!(files, 1);
    });
}

#[test]
fn who_waits_for_a_locked_database_holds_up_nobody_else_and_hears_of_it_in_the_end() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let database = site(&mut mail);
        mail.set("virtual_alias_maps", "");
        mail.set("transport_maps", "");
        mail.set("virtual_mailbox_domains", "virt.test");
        mail.set("smtpd_sender_restrictions", "");
        mail.start();
        let writer = database.writer();
        let mut waiting = Client::greet(mail.v4()).expect("connected");
        waiting.command("MAIL FROM:<x@client.test>").expect("reply");
        writer.execute_batch("begin exclusive").expect("locked");
        waiting.write(b"RCPT TO:<joe@virt.test>\r\n").expect("sent");
        let mut other = Client::greet(mail.v4()).expect("connected");
        assert_eq!(other.command("MAIL FROM:<y@client.test>").expect("reply").code, 250);
        assert_eq!(other.command("RCPT TO:<alice@mail.test>").expect("reply").code, 250);
        let reply = waiting.reply().expect("reply").last();
        assert_eq!(reply, "451 4.3.0 <joe@virt.test>: Temporary lookup failure");
        mail.wait_log(&["warning: dict_sqlite_lookup: ", ": SQL prepare failed: database is locked?"]);
        mail.wait_log(&["warning: sqlite:", "lookup error for \"joe@virt.test\""]);
        waiting.write(b"RCPT TO:<joe@virt.test>\r\n").expect("sent");
        writer.execute_batch("commit").expect("unlocked");
        assert_eq!(waiting.reply().expect("reply").code, 250);
    });
}

#[test]
fn a_database_or_a_query_that_is_broken_is_an_error_for_now() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let database = site(&mut mail);
        for name in ["virtual_alias_maps", "transport_maps", "smtpd_sender_restrictions"] {
            mail.set(name, "");
        }
        mail.set("virtual_mailbox_domains", "virt.test");
        mail.set("virtual_mailbox_maps", &database.table(&mail, "no-table", "SELECT path FROM nosuch"));
        mail.start();
        let for_now = "451 4.3.0 <joe@virt.test>: Temporary lookup failure";
        assert_eq!(rcpt(&mail, "x@client.test", "joe@virt.test"), for_now);
        mail.wait_log(&["warning: dict_sqlite_lookup: ", ": SQL prepare failed: no such table: nosuch?"]);
        let endless = "WITH RECURSIVE c(x) AS (SELECT '%s' UNION ALL SELECT x FROM c) SELECT x FROM c";
        mail.set("virtual_mailbox_maps", &database.table(&mail, "endless", endless));
        mail.reload();
        assert_eq!(rcpt(&mail, "x@client.test", "joe@virt.test"), for_now);
        mail.wait_log(&["SQL step failed for query 'WITH", "': more than 4194304 bytes?"]);
        std::fs::write(&database.0, vec![b'x'; 10_000]).expect("database");
        mail.set("virtual_mailbox_maps", &database.table(&mail, "broken", "SELECT path FROM box"));
        mail.reload();
        assert_eq!(rcpt(&mail, "x@client.test", "joe@virt.test"), for_now);
        mail.wait_log(&["SQL prepare failed: file is not a database?"]);
    });
}

#[test]
fn a_database_that_is_not_there_is_an_error_for_now_and_used_when_it_comes() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let database = site(&mut mail);
        let aside = database.0.with_extension("aside");
        std::fs::rename(&database.0, &aside).expect("renamed");
        mail.set("virtual_mailbox_domains", "virt.test");
        for name in ["virtual_alias_maps", "transport_maps", "smtpd_sender_restrictions"] {
            mail.set(name, "");
        }
        mail.start();
        assert_eq!(
            rcpt(&mail, "x@client.test", "joe@virt.test"),
            "451 4.3.0 <joe@virt.test>: Temporary lookup failure"
        );
        let why =
            format!("open database {}: unable to open database file: No such file or directory", database.0.display());
        mail.wait_log(&["error: sqlite:", &why]);
        mail.wait_log(&["warning: sqlite:", &format!("is unavailable. sqlite:{}", mail.etc().display()), &why]);
        std::fs::rename(&aside, &database.0).expect("renamed");
        let comes = || rcpt(&mail, "x@client.test", "joe@virt.test").starts_with("250");
        assert!(testing::wait::until_true(testing::wait::PATIENCE, comes), "{}", mail.log());
    });
}
