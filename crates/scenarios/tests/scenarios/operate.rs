//! Running the system: reload, stop, the state that `postfix` and `master -t` report.

use scenarios::scenario;
use testing::{Client, Setup};

#[test]
fn a_reload_applies_the_changed_setting() {
    scenario(|| {
        let mut mail = Setup::new().start();
        let greeting = |mail: &testing::Instance| Client::connect(mail.v6()).expect("connected").greeting().last();
        assert_eq!(greeting(&mail), "220 mail.test ESMTP Postfix");
        mail.set("smtpd_banner", "$myhostname ESMTP changed");
        mail.reload();
        let changed = || greeting(&mail) == "220 mail.test ESMTP changed";
        assert!(testing::wait::until_true(testing::wait::PATIENCE, changed), "{}", mail.log());
    });
}

#[test]
fn a_message_in_flight_survives_a_reload() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("MAIL FROM:<a@client.test>").expect("reply");
        client.command("RCPT TO:<alice@mail.test>").expect("reply");
        assert_eq!(client.command("DATA").expect("reply").code, 354);
        mail.reload();
        let reply = client.command("Subject: slow\r\n\r\nbody\r\n.").expect("reply");
        assert_eq!(reply.code, 250, "{reply:?}");
        mail.wait_mail("alice", 1);
    });
}

#[test]
fn a_stopped_system_leaves_no_process_and_its_lock_is_free() {
    scenario(|| {
        let mut mail = Setup::new().start();
        mail.sendmail(&["-f", "root@mail.test", "alice"], "Subject: last\n\nbody\n");
        mail.wait_mail("alice", 1);
        mail.stop();
        let mut locked = std::process::Command::new(mail.programs().daemon("master"));
        let status = locked.arg("-c").arg(mail.etc()).arg("-t").status().expect("ran");
        assert_eq!(status.code(), Some(0));
    });
}

#[test]
fn a_second_master_on_the_same_queue_refuses_to_start() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut second = std::process::Command::new(mail.programs().daemon("master"));
        let status = second.arg("-c").arg(mail.etc()).arg("-t").status().expect("ran");
        assert_eq!(status.code(), Some(1));
        let pid = std::fs::read_to_string(mail.queue().join("pid/master.pid")).expect("pid file");
        assert_eq!(pid, format!("{:>32}\n", mail.master()));
    });
}

#[test]
fn daemons_run_as_the_mail_owner() {
    scenario(|| {
        let mail = Setup::new().start();
        mail.sendmail(&["-f", "root@mail.test", "alice"], "Subject: x\n\nbody\n");
        mail.wait_mail("alice", 1);
        Client::greet(mail.v6()).expect("connected");
        let owner = mail.accounts().owner_uid.as_raw();
        for program in ["smtpd", "cleanup", "qmgr", "trivial-rewrite", "pickup"] {
            for process in mail.processes_of(program) {
                let ids = process.effective_ids();
                assert!(ids.is_none_or(|(uid, _)| uid == owner), "{program} runs as {ids:?}");
            }
        }
    });
}

#[test]
fn the_postfix_command_starts_reloads_flushes_checks_and_stops_with_the_right_status() {
    scenario(|| {
        if !testing::accounts::is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let mut mail = Setup::new().build();
        let status = |mail: &testing::Instance, command: &str| mail.run("postfix", &[command]).status.code();
        assert_eq!(status(&mail, "status"), Some(1), "not running");
        for command in ["stop", "reload", "abort"] {
            assert_eq!(status(&mail, command), Some(1), "{command} when not running");
        }
        assert_eq!(status(&mail, "start"), Some(0), "{}", mail.log());
        mail.adopt();
        assert_eq!(status(&mail, "status"), Some(0));
        assert_eq!(status(&mail, "start"), Some(1), "already running");
        assert_eq!(status(&mail, "check"), Some(0));
        assert_eq!(status(&mail, "reload"), Some(0));
        mail.wait_log(&["postfix/master", "reload -- version"]);
        mail.sendmail(&["-f", "root@mail.test", "alice"], "Subject: x\n\nbody\n");
        assert_eq!(status(&mail, "flush"), Some(0));
        mail.wait_mail("alice", 1);
        assert_eq!(status(&mail, "stop"), Some(0));
        assert_eq!(status(&mail, "status"), Some(1));
        assert_eq!(status(&mail, "wonder"), Some(1), "unknown command");
        // Of C Postfix the last line may be lost: its postlogd ends with the rest.
        let last = testing::programs::oracle_version().is_none().then_some("stopping the Postfix mail system");
        for line in ["refreshing the Postfix mail system"].into_iter().chain(last) {
            assert!(mail.find_log(&["postfix/postfix-script", line]).is_some(), "no {line:?} in\n{}", mail.log());
        }
    });
}

#[test]
fn the_log_begins_with_the_start() {
    scenario(|| {
        if !testing::accounts::is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let mut mail = Setup::new().build();
        assert_eq!(mail.run("postfix", &["start"]).status.code(), Some(0), "{}", mail.log());
        mail.adopt();
        mail.wait_log(&["postfix/postfix-script", "starting the Postfix mail system"]);
    });
}

#[test]
fn missing_queue_directories_are_made_at_the_start() {
    scenario(|| {
        if !testing::accounts::is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let mut mail = Setup::new().build();
        for name in ["incoming", "maildrop", "private", "public"] {
            std::fs::remove_dir(mail.queue().join(name)).expect("removed");
        }
        assert_eq!(mail.run("postfix", &["start"]).status.code(), Some(0), "{}", mail.log());
        mail.adopt();
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        for (name, mode) in [("incoming", 0o700), ("maildrop", 0o730), ("private", 0o700), ("public", 0o710)] {
            let data = std::fs::metadata(mail.queue().join(name)).expect("made");
            assert_eq!(
                (data.uid(), data.permissions().mode() & 0o7777),
                (mail.accounts().owner_uid.as_raw(), mode),
                "{name}"
            );
        }
        mail.sendmail(&["-f", "root@mail.test", "alice"], "Subject: x\n\nbody\n");
        mail.wait_mail("alice", 1);
    });
}

#[test]
fn a_log_that_is_rotated_keeps_its_lines_and_the_new_one_has_its_permissions() {
    scenario(|| {
        if !testing::accounts::is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        use std::os::unix::fs::PermissionsExt;
        let mut mail = Setup::new()
            .set("maillog_file_permissions", "0640")
            .set("maillog_file_rotate_suffix", "day%j")
            .set("maillog_file_compressor", "true")
            .build();
        assert_eq!(mail.run("postfix", &["start"]).status.code(), Some(0), "{}", mail.log());
        mail.adopt();
        let log = mail.folder().join("log");
        let mode = || std::fs::metadata(&log).expect("log").permissions().mode() & 0o777;
        let rotated = || {
            let files = std::fs::read_dir(mail.folder()).expect("folder").map(|entry| entry.expect("entry").path());
            files.filter(|path| path.to_string_lossy().contains("/log.day")).collect::<Vec<_>>()
        };
        mail.sendmail(&["-f", "first@mail.test", "alice"], "Subject: x\n\nbody\n");
        mail.wait_log(&["from=<first@mail.test>"]);
        assert_eq!(mode(), 0o640);
        assert_eq!(mail.run("postfix", &["logrotate"]).status.code(), Some(0), "{}", mail.log());
        mail.sendmail(&["-f", "second@mail.test", "alice"], "Subject: x\n\nbody\n");
        mail.wait_log(&["from=<second@mail.test>"]);
        assert_eq!(mode(), 0o640, "of the new log");
        let old = rotated();
        assert_eq!(old.len(), 1, "{old:?}");
        let lines = std::fs::read_to_string(&old[0]).expect("the old log");
        assert!(lines.contains("from=<first@mail.test>") && !lines.contains("from=<second@"), "{lines}");
        if testing::programs::oracle_version().is_none() {
            let again = mail.run("postfix", &["logrotate"]);
            assert_eq!(again.status.code(), Some(1), "an old log would be lost");
            assert_eq!(std::fs::read_to_string(&old[0]).expect("the old log"), lines);
        }
    });
}

#[test]
fn a_command_line_that_sendmail_refuses_is_in_the_log() {
    scenario(|| {
        let mail = Setup::new().start();
        for (arguments, sentence) in [
            (&["-B", "FOO", "alice"], "fatal: -B option needs 8BITMIME or 7BIT"),
            (&["-bx", "-i", "alice"], "fatal: unsupported: -bx"),
        ] {
            let refused = mail.run("sendmail", arguments);
            assert_eq!(refused.status.code(), Some(75), "{arguments:?}");
            mail.wait_log(&["postfix/sendmail[", sentence]);
        }
    });
}
