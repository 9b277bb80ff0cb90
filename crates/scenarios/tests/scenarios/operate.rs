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
