//! What is kept: when it counts, when it is found out anew, and when it goes.

use std::time::{SystemTime, UNIX_EPOCH};

use scenarios::scenario;
use testing::programs::oracle_version;
use testing::{Instance, Programs};

use super::{NO_SUCH_USER, cached, far, known, rcpt, verifying};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

/// Writes entries into the cache, as if they had been found out so long ago.
fn keep(mail: &Instance, entries: &[(&str, &str, u64, &str)]) {
    let table = format!("lmdb:{}", mail.folder().join("data/verify_cache").display());
    let text: String = entries
        .iter()
        .map(|(address, standing, age, words)| format!("{address} {standing}:0:{}:{words}\n", now() - age))
        .collect();
    let output = mail.run_with("postmap", &["-i", &table], text.as_bytes());
    assert!(output.status.success(), "{output:?}");
    let owner = mail.accounts();
    let file = mail.folder().join("data/verify_cache.lmdb");
    if testing::accounts::is_root() {
        std::os::unix::fs::chown(file, Some(owner.owner_uid.as_raw()), Some(owner.owner_gid.as_raw())).expect("chown");
    }
}

#[test]
fn what_is_known_counts_for_its_time_and_is_found_out_anew_before_that_is_over() {
    scenario(|| {
        let far = far();
        let mut mail = verifying(&far).set("address_verify_cache_cleanup_interval", "0").build();
        keep(
            &mail,
            &[
                ("no1@far.test", "0", 6 * DAY, "was good"),
                ("no2@far.test", "0", 8 * DAY, "was good"),
                ("no3@far.test", "0", 32 * DAY, "was good"),
                ("good1@far.test", "2", HOUR, "was bad"),
                ("good2@far.test", "2", 4 * HOUR, "was bad"),
                ("good3@far.test", "2", 4 * DAY, "was bad"),
                ("good4@far.test", "1", HOUR, "was away"),
                ("good5@far.test", "1", 4 * DAY, "was away"),
            ],
        );
        mail.start();
        let bad = |who: &str| format!("550 5.1.1 <{who}>: Recipient address rejected: undeliverable address: was bad");
        // Fresh, and nobody asks.
        assert_eq!(rcpt(mail.port(), "no1@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        assert_eq!(rcpt(mail.port(), "good1@far.test"), bad("good1@far.test"));
        let away = "450 4.1.1 <good4@far.test>: Recipient address rejected: unverified address: was away";
        assert_eq!(rcpt(mail.port(), "good4@far.test"), away);
        // Old: it counts, and somebody asks meanwhile.
        assert_eq!(rcpt(mail.port(), "no2@far.test"), "250 2.1.5 Ok");
        mail.wait_log(&["to=<no2@far.test>", "status=undeliverable"]);
        assert_eq!(rcpt(mail.port(), "good2@far.test"), bad("good2@far.test"));
        mail.wait_log(&["to=<good2@far.test>", "status=deliverable"]);
        mail.wait_idle();
        assert_eq!(rcpt(mail.port(), "good2@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        // A failure is nothing against what was good.
        assert_eq!(rcpt(mail.port(), "no2@far.test"), "250 2.1.5 Ok");
        assert_eq!(known(&mail, "no2@far.test"), Some(("0".to_owned(), "was good".to_owned())));
        // Over: it counts no more.
        let no = format!("550 5.1.1 <no3@far.test>: Recipient address rejected: undeliverable address: {NO_SUCH_USER}");
        assert_eq!(rcpt(mail.port(), "no3@far.test"), no, "{}", mail.log());
        assert_eq!(rcpt(mail.port(), "good3@far.test"), "250 2.1.5 Ok");
        assert_eq!(rcpt(mail.port(), "good5@far.test"), "250 2.1.5 Ok");
        for fresh in ["no1@far.test", "good1@far.test", "good4@far.test"] {
            assert_eq!(far.asked(fresh), 0, "{fresh}");
        }
    });
}

#[test]
fn what_has_expired_goes_and_what_is_no_entry_too() {
    scenario(|| {
        let far = far();
        let mut mail = verifying(&far).build();
        keep(
            &mail,
            &[
                ("a@far.test", "0", DAY, "good"),
                ("b@far.test", "0", 30 * DAY, "good"),
                ("c@far.test", "0", 32 * DAY, "good"),
                ("d@far.test", "2", 2 * DAY, "bad"),
                ("e@far.test", "2", 4 * DAY, "bad"),
                ("f@far.test", "1", 4 * DAY, "away"),
                ("g@far.test", "7", 0, "nonsense"),
            ],
        );
        mail.start();
        rcpt(mail.port(), "a@far.test");
        mail.wait_log(&["/verify_cache full cleanup: retained=3 dropped=4 entries"]);
        let are_gone = || {
            cached(&mail).into_iter().map(|(key, _)| key).collect::<Vec<_>>()
                == ["a@far.test", "b@far.test", "d@far.test"]
        };
        assert!(testing::wait::until_true(testing::wait::PATIENCE, are_gone), "{:?}", cached(&mail));
    });
}

#[test]
fn an_entry_that_makes_no_sense_is_none() {
    scenario(|| {
        let far = far();
        let mut mail = verifying(&far).set("address_verify_cache_cleanup_interval", "0").build();
        keep(&mail, &[("good@far.test", "x", 0, "nonsense")]);
        mail.start();
        assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        mail.wait_log(&["warning: bad address verify table entry: "]);
        assert_eq!(known(&mail, "good@far.test"), Some(("0".to_owned(), "250 2.1.5 fine".to_owned())));
    });
}

#[test]
fn a_cache_without_a_file_is_as_good_until_the_end_of_its_process() {
    scenario(|| {
        let far = far();
        let mail = verifying(&far).set("address_verify_map", "").start();
        for _ in 0..2 {
            assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        }
        mail.wait_log(&["cache internal:verify full cleanup: retained=0 dropped=0 entries"]);
        assert_eq!(far.asked("good@far.test"), 1);
        assert!(!mail.folder().join("data/verify_cache.lmdb").exists());
    });
}

#[test]
fn what_is_known_is_known_after_a_restart() {
    scenario(|| {
        let far = far();
        let mut mail = verifying(&far).start();
        assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        mail.reload();
        assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        mail.stop();
        mail.start();
        assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        assert_eq!(far.asked("good@far.test"), 1);
    });
}

#[test]
fn each_mail_system_goes_on_with_what_the_other_has_found_out() {
    scenario(|| {
        let Some(oracle) = Programs::oracle().filter(|_| oracle_version().is_none()) else {
            eprintln!("left out: runs with both programs, from ours alone");
            return;
        };
        let far = far();
        let mut mail = verifying(&far).start();
        assert_eq!(rcpt(mail.port(), "one@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        mail.stop();
        mail.switch(oracle);
        mail.start();
        assert_eq!(rcpt(mail.port(), "one@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        assert_eq!(rcpt(mail.port(), "two@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        mail.stop();
        mail.switch(Programs::ours());
        mail.start();
        for address in ["one@far.test", "two@far.test"] {
            assert_eq!(rcpt(mail.port(), address), "250 2.1.5 Ok", "{}", mail.log());
            assert_eq!(far.asked(address), 1, "{address}");
        }
    });
}
