//! Commands that scripts call: a mailbox that is locked while another program runs, services that are woken, tables
//! that are asked in JSON.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use scenarios::scenario;
use testing::programs::Implementation;
use testing::wait::{PATIENCE, until, until_true};
use testing::{Instance, Setup};

fn mail() -> (Instance, PathBuf) {
    let mail = Setup::new().set("deliver_lock_attempts", "2").set("deliver_lock_delay", "1s").build();
    let mailbox = mail.folder().join("box");
    (mail, mailbox)
}

/// Status and standard error of postlock with these words; MAILBOX is the mailbox.
fn postlock(mail: &Instance, mailbox: &Path, words: &[&str]) -> (Option<i32>, String) {
    let path = mailbox.display().to_string();
    let words: Vec<String> = words.iter().map(|word| word.replace("MAILBOX", &path)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    said(&mail.run("postlock", &words))
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_mailbox_is_locked_for_as_long_as_a_command_runs_whose_status_is_that_of_postlock() {
    scenario(|| {
        let (mail, mailbox) = mail();
        let locked = "test -e MAILBOX.lock && exit 7";
        assert_eq!(postlock(&mail, &mailbox, &["-l", "dotlock", "MAILBOX", "sh", "-c", locked]).0, Some(7));
        assert!(mailbox.exists() && !mail.folder().join("box.lock").exists());
        assert_eq!(postlock(&mail, &mailbox, &["-l", "fcntl", "MAILBOX", "sh", "-c", locked]).0, Some(1));
        for (words, status) in [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 1)] {
            assert_eq!(postlock(&mail, &mailbox, &["MAILBOX", "sh", "-c", words]).0, Some(status), "{words}");
        }
        let (status, why) = postlock(&mail, &mailbox, &["MAILBOX", "/nowhere/command"]);
        assert_eq!(status, Some(1), "{why}");
        assert!(why.contains("fatal: execvp /nowhere/command: No such file or directory"), "{why}");
    });
}

#[test]
fn a_mailbox_that_somebody_has_is_not_waited_for_longer_than_is_set() {
    scenario(|| {
        let (mut mail, mailbox) = mail();
        fs::write(&mailbox, "").expect("a mailbox");
        fs::write(mail.folder().join("box.lock"), "").expect("a lock file");
        let (status, why) = postlock(&mail, &mailbox, &["MAILBOX", "true"]);
        assert_eq!(status, Some(75), "{why}");
        assert!(why.contains("box: unable to create lock file ") && why.ends_with(": File exists\n"), "{why}");
        // Whoever wrote it is gone, says its age; what a program has done to its date does not.
        let lock = fs::File::options().write(true).open(mail.folder().join("box.lock")).expect("the lock file");
        lock.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("a date");
        assert_eq!(postlock(&mail, &mailbox, &["MAILBOX", "true"]).0, Some(75));
        mail.set("stale_lock_time", "1s");
        let free = || postlock(&mail, &mailbox, &["MAILBOX", "true"]).0 == Some(0);
        assert!(until_true(PATIENCE, free), "a lock file that stays for ever");
        for (words, why) in [
            (&["-l", "bogus", "MAILBOX", "true"][..], "unknown mailbox_delivery_lock value \"bogus\" in \"bogus\""),
            (&["MAILBOX"], "usage: "),
            (&["MAILBOX/x", "true"], "Not a directory"),
        ] {
            let (status, told) = postlock(&mail, &mailbox, words);
            assert!(status == Some(75) && told.contains(why), "{words:?}: {status:?} {told}");
        }
    });
}

#[test]
fn a_service_is_sent_what_it_understands_and_one_that_is_not_there_is_named() {
    scenario(|| {
        let mail = Setup::new().start();
        let is_c_postfix = mail.programs().implementation == Implementation::Oracle;
        let kicked = until(PATIENCE, || {
            let (status, why) = said(&mail.run("postkick", &["public", "qmgr", "IDFA"]));
            // Where qmgr has closed the socket already, C Postfix's postkick dies of SIGPIPE.
            (status.is_some() || !is_c_postfix).then_some((status, why))
        });
        assert_eq!(kicked, Some((Some(0), String::new())));
        let (status, why) = said(&mail.run("postkick", &["public", "nobody", "W"]));
        assert_eq!(status, Some(1), "{why}");
        assert!(why.contains("warning: unable to look up public/nobody: No such file or directory"), "{why}");
        let down = "Cannot contact class public service nobody - perhaps the mail system is down";
        assert!(why.contains(down), "{why}");
        let (status, why) = said(&mail.run("postkick", &["public", "qmgr"]));
        assert!(status == Some(1) && why.contains("usage: "), "{status:?} {why}");
    });
}

#[test]
fn tables_answer_in_json_and_the_environment_is_asked_in_lower_case() {
    scenario(|| {
        let mail = Setup::new().build();
        let source = mail.folder().join("table");
        fs::write(&source, "a\\b \"q\"\nc \u{e4} x\n").expect("a source");
        let table = format!("cdb:{}", source.display());
        assert!(mail.run("postmap", &[&table]).status.success());
        let printed = |output: Output| String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(printed(mail.run("postmap", &["-jq", "C", &table])), "{\"C\": \"\u{e4} x\"}\n");
        let both = "{\"a\\\\b\": \"\\\"q\\\"\"}\n{\"c\": \"\u{e4} x\"}\n";
        assert_eq!(printed(mail.run("postmap", &["-js", &table])), both);
        assert_eq!(printed(mail.run_with("postmap", &["-jq", "-", &table], b"c\nd\na\\b\n")).lines().count(), 2);
        let output = mail.run("postmap", &["-j", &table]);
        assert!(said(&output).1.contains("option -j requires -q or -s"), "{output:?}");
        assert!(mail.run("postmap", &["-q", "PATH", "environ:x"]).stdout.is_empty());
        assert!(!mail.run("postmap", &["-fq", "PATH", "environ:x"]).stdout.is_empty());
    });
}
