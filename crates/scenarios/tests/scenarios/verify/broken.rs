//! Where verification does not work: the service is not there, hangs or dies, its cache cannot be used.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scenarios::scenario;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance};

use super::{far, rcpt, verifying};

const UNAVAILABLE: &str = "450 4.1.1 <good@far.test>: Recipient address rejected: unverified address: Address verification status unavailable";

fn signal(mail: &Instance, program: &str, signal: Signal) {
    let processes = mail.processes_of(program);
    assert!(!processes.is_empty(), "no {program}\n{}", mail.log());
    processes.iter().for_each(|process| kill(Pid::from_raw(process.pid), signal).expect("signalled"));
}

#[test]
fn a_service_that_is_not_there_or_hangs_puts_recipients_off_and_nobody_else() {
    scenario(|| {
        let far = far();
        let mail = verifying(&far)
            .set(
                "smtpd_recipient_restrictions",
                "check_recipient_access inline:{bob@mail.test=OK}, reject_unverified_recipient",
            )
            .start();
        assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        let problem = "450 4.1.1 <good@far.test>: Recipient address rejected: address verification problem";
        signal(&mail, "verify", Signal::SIGSTOP);
        assert_eq!(rcpt(mail.port(), "good@far.test"), problem, "{}", mail.log());
        mail.wait_log(&["warning: verify service failure: "]);
        Client::greet(mail.v4())
            .expect("connected")
            .send("a@b.test", &["bob@mail.test"], "Subject: x\n\nx\n")
            .expect("sent");
        mail.wait_mail("bob", 1);
        signal(&mail, "verify", Signal::SIGKILL);
        assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
    });
}

#[test]
fn a_service_without_a_name_in_master_cf_puts_recipients_off() {
    scenario(|| {
        let far = far();
        let mail = verifying(&far).set("address_verify_service_name", "nosuch").start();
        let problem = "450 4.1.1 <good@far.test>: Recipient address rejected: address verification problem";
        assert_eq!(rcpt(mail.port(), "good@far.test"), problem, "{}", mail.log());
        mail.wait_log(&["warning: verify service failure: "]);
    });
}

#[test]
fn whoever_is_killed_takes_no_more_with_him_than_what_was_not_written() {
    scenario(|| {
        let far = far();
        let mail = verifying(&far).start();
        assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        for program in ["verify", "verify-scribe"] {
            let before = mail.processes_of("verify").first().map(|process| process.pid);
            let victims = if program == "verify" { mail.processes_of(program) } else { scribes() };
            // Every scribe of this machine's tests has a directory of its own.
            let own = |pid: i32| {
                let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                program == "verify" || String::from_utf8_lossy(&words).contains(&mail.folder().display().to_string())
            };
            let victims: Vec<i32> = victims.iter().map(|process| process.pid).filter(|pid| own(*pid)).collect();
            assert_eq!(victims.len(), 1, "{program}\n{}", mail.log());
            kill(Pid::from_raw(victims[0]), Signal::SIGKILL).expect("killed");
            let is_another = || mail.processes_of("verify").first().map(|process| process.pid) != before;
            assert!(until_true(PATIENCE, is_another), "{}", mail.log());
            assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
            assert_eq!(rcpt(mail.port(), &format!("new-{program}@far.test")), "250 2.1.5 Ok", "{}", mail.log());
        }
        assert_eq!(far.asked("good@far.test"), 1);
    });
}

fn scribes() -> Vec<testing::process::Process> {
    let all =
        std::fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    all.filter_map(testing::process::Process::of_pid).filter(|process| process.name == "verify-scribe").collect()
}

#[test]
fn a_cache_that_makes_no_sense_is_put_aside_and_begun_anew() {
    scenario(|| {
        let far = far();
        let mut mail = verifying(&far).start();
        assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        mail.stop();
        let file = mail.folder().join("data/verify_cache.lmdb");
        let whole = std::fs::read(&file).expect("a cache");
        let mut torn = whole.clone();
        torn[2 * 4096..].fill(0xff);
        for (count, bad) in [b"garbage ".repeat(4096), whole[..whole.len() / 2].to_vec(), torn].into_iter().enumerate()
        {
            // The file stays the one of its owner.
            std::fs::write(&file, &bad).expect("written");
            mail.start();
            assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
            mail.wait_log(&["warning: ", "/data/verify_cache.lmdb: ", "put aside as ", ".damaged, and begun anew"]);
            assert_eq!(far.asked("good@far.test"), count + 2);
            assert_eq!(std::fs::read(mail.folder().join("data/verify_cache.lmdb.damaged")).expect("put aside"), bad);
            mail.stop();
        }
    });
}

#[test]
fn a_cache_that_cannot_be_written_makes_every_answer_uncertain() {
    scenario(|| {
        let far = far();
        for (map, why) in [
            ("texthash:/x", "error: texthash:/x map requires O_RDONLY access mode"),
            ("inline:{a=b}", "error: inline:{a=b} map requires O_RDONLY access mode"),
            ("nosuch:/x", "error: unsupported dictionary type: nosuch"),
            ("lmdb:/nonexistent/x", "error: open database /nonexistent/x.lmdb: No such file or directory"),
        ] {
            let mail = verifying(&far).set("address_verify_map", map).start();
            assert_eq!(rcpt(mail.port(), "good@far.test"), UNAVAILABLE, "{map}\n{}", mail.log());
            mail.wait_log(&[why]);
            mail.wait_log(&["cache lookup for 'good@far.test' failed due to error"]);
        }
        assert_eq!(far.heard(), Vec::<String>::new());
    });
}

#[test]
fn a_cache_among_the_files_of_others_is_one_in_data_directory() {
    scenario(|| {
        if !testing::accounts::is_root() {
            eprintln!("left out: without root there is no other owner");
            return;
        }
        let far = far();
        let mut mail = verifying(&far).build();
        let elsewhere = mail.etc().join("kept");
        mail.set("address_verify_map", &format!("lmdb:{}", elsewhere.display()));
        mail.start();
        assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        let owner = &mail.accounts().owner;
        let (table, etc, data) = (elsewhere.display(), mail.etc(), mail.folder().join("data"));
        mail.wait_log(&[&format!("request to update table lmdb:{table} in non-{owner} directory {}", etc.display())]);
        mail.wait_log(&[&format!("redirecting the request to {owner}-owned data_directory {}", data.display())]);
        mail.wait_log(&[&format!("cache lmdb:{}/kept full cleanup", data.display())]);
        assert!(data.join("kept.lmdb").exists());
    });
}
