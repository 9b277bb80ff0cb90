//! `postfix non-bdb`: what stands in for Berkeley DB, as an operator turns it on and off.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use scenarios::scenario;
use testing::programs::Implementation;
use testing::{Instance, Setup};

const LINE: &str = "nbdb_reindex unix y      n       n       -       1       nbdb_reindexd";

fn start() -> Instance {
    let setup = Setup::new().set("compatibility_level", "3.11");
    setup.set("default_database_type", "cdb").set("default_cache_db_type", "lmdb").build()
}

/// Exit status, standard output, and what it said.
fn non_bdb(mail: &Instance, words: &str) -> (Option<i32>, String, String) {
    let words = words.split(' ').filter(|word| !word.is_empty());
    let output = mail.command("postfix").arg("non-bdb").args(words).output().expect("postfix runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The lines of main.cf and master.cf about it.
fn lines(mail: &Instance) -> Vec<String> {
    let mut found = Vec::new();
    for file in ["main.cf", "master.cf"] {
        let text = std::fs::read_to_string(mail.etc().join(file)).expect("a file of the configuration");
        found.extend(text.lines().filter(|line| line.contains("bdb")).map(str::to_owned));
    }
    found
}

/// 3.7 has no such command, and the postfix command is for root.
fn is_there() -> bool {
    testing::accounts::is_root() && testing::programs::oracle_version().as_deref() != Some("3.7")
}

#[test]
fn what_stands_in_for_berkeley_db_is_turned_on_and_off_in_main_cf_and_master_cf() {
    scenario(|| {
        if !is_there() {
            eprintln!("left out: no postfix non-bdb, or not for us");
            return;
        }
        let mail = start();
        let level = |word: &str| format!("non_bdb_migration_level = {word}");
        for (word, left) in [
            ("disable", vec![]),
            ("enable-redirect", vec![level("enable-redirect")]),
            ("enable-redirect", vec![level("enable-redirect")]),
            ("enable-reindex", vec![level("enable-reindex"), LINE.to_owned()]),
            ("enable-reindex", vec![level("enable-reindex"), LINE.to_owned()]),
            ("enable-redirect", vec![level("enable-redirect")]),
            ("enable-reindex", vec![level("enable-reindex"), LINE.to_owned()]),
            ("disable", vec![]),
        ] {
            let (status, output, said) = non_bdb(&mail, word);
            assert_eq!((status, output.as_str(), lines(&mail)), (Some(0), "", left), "{word}: {said}");
            assert_eq!(non_bdb(&mail, "status"), (Some(0), format!("{word}\n"), String::new()));
        }
    });
}

#[test]
fn a_command_that_makes_no_sense_changes_nothing_and_says_why() {
    scenario(|| {
        if !is_there() {
            eprintln!("left out: no postfix non-bdb, or not for us");
            return;
        }
        let mut mail = start();
        let usage = "fatal: usage: postfix non-bdb status (or enable-redirect, or enable-reindex, or disable)";
        let is_refused = |mail: &Instance, words: &str, why: &str| {
            let before = lines(mail);
            let (status, output, said) = non_bdb(mail, words);
            assert_eq!((status, output.as_str(), lines(mail)), (Some(1), "", before), "{words}: {said}");
            assert!(said.contains(why), "{words}: {said}");
        };
        for words in ["", "foo", "status x", "enable-redirect x"] {
            is_refused(&mail, words, usage);
        }
        mail.set("default_database_type", "hash");
        is_refused(
            &mail,
            "enable-redirect",
            "fatal: parameter default_database_type specifies a Berkeley DB type: 'hash'",
        );
        assert_eq!(non_bdb(&mail, "disable").0, Some(0));
        mail.set("default_database_type", "cdb");
        mail.set("default_cache_db_type", "btree");
        is_refused(
            &mail,
            "enable-reindex",
            "fatal: parameter default_cache_db_type specifies a Berkeley DB type: 'btree'",
        );
        mail.set("non_bdb_migration_level", "foo");
        for words in ["status", "enable-redirect", "disable"] {
            is_refused(&mail, words, "fatal: invalid non-Berkeley-DB migration level: 'foo'");
        }
    });
}

/// A table of Berkeley DB as another system has left it: its source, and an index that nobody can read any more.
fn left(mail: &Instance, name: &str, text: &str) -> String {
    let path = mail.etc().join(name);
    std::fs::write(&path, text).expect("a source");
    std::fs::write(mail.etc().join(format!("{name}.db")), "Berkeley DB").expect("an index");
    path.display().to_string()
}

#[test]
fn with_enable_reindex_what_daemons_need_is_indexed_and_what_is_not_safe_stays_and_is_told() {
    scenario(|| {
        if !is_there() {
            eprintln!("left out: no postfix non-bdb, or not for us");
            return;
        }
        let mut mail = start();
        let is_open = |folder: &Path| folder.metadata().is_ok_and(|folder| folder.permissions().mode() & 0o022 != 0);
        if testing::programs::oracle_version().is_some() && mail.etc().ancestors().any(is_open) {
            eprintln!("left out: Postfix trusts nothing below a directory like /tmp, where these files are");
            return;
        }
        let (safe, loose) = (left(&mail, "virtual", "list@mail.test alice@mail.test\n"), left(&mail, "loose", "k v\n"));
        std::fs::set_permissions(&loose, Permissions::from_mode(0o664)).expect("mode");
        mail.set("non_bdb_migration_allow_root_prefixes", &mail.etc().display().to_string());
        mail.set("virtual_alias_maps", &format!("hash:{safe}"));
        mail.set("fallback_transport_maps", &format!("hash:{loose}"));
        assert_eq!(non_bdb(&mail, "enable-reindex").0, Some(0));
        mail.start();
        if mail.programs().implementation == Implementation::Ours {
            let instead = "postfix start and postfix reload make index files that are missing";
            mail.wait_log(&["/master[", &format!("service nbdb_reindex needs no process: {instead}")]);
            mail.reload();
            assert_eq!(mail.log().matches("nbdb_reindex needs no process").count(), 1, "{}", mail.log());
        }
        assert!(mail.find_log(&["services that are not here: ", "nbdb_reindex"]).is_none(), "{}", mail.log());
        mail.sendmail(&["-f", "bob@mail.test", "list@mail.test"], "Subject: x\n\nbody\n");
        mail.wait_mail("alice", 1);
        mail.wait_log(&["/nbdb_reindexd[", &format!("successfully executed 'postmap cdb:{safe}' as uid 0")]);
        mail.wait_log(&[
            &format!(
                "warning: request to index hash:{loose} failed: legacy indexed file '{loose}.db' is owned by uid '0', "
            ),
            &format!("but source file '{loose}' is owned or writable by other user; to allow automatic indexing, "),
        ]);
        assert!(!mail.etc().join("loose.cdb").exists());
    });
}
