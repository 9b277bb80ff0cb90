//! `postfix check`: what is wrong in main.cf and master.cf is told with its place, once, and nothing that works is.

use scenarios::scenario;
use testing::accounts::is_root;
use testing::{Instance, Setup};

/// What check says, in the order of its lines.
fn check(mail: &Instance) -> String {
    let output = mail.run("postfix", &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", mail.log());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Lines that are about the configuration, and not about owners and modes of the programs under test.
fn about_files(mail: &Instance) -> Vec<String> {
    let said = check(mail);
    let is_about =
        |line: &&str| line.contains(" there yet") || line.contains("/main.cf") || line.contains("/master.cf");
    said.lines().filter(is_about).map(str::to_owned).collect()
}

/// The line of a setting in main.cf.
fn line_of(mail: &Instance, setting: &str) -> usize {
    let main_cf = std::fs::read_to_string(mail.etc().join("main.cf")).expect("main.cf");
    1 + main_cf.lines().position(|line| line.starts_with(setting)).expect("is set")
}

fn with_mistakes(service: &str) -> Instance {
    let mut mail = Setup::new().set("relay_domains", "$nosuch").set("mydistination", "x").build();
    mail.add_service(service);
    let main_cf = mail.etc().join("main.cf");
    let text = std::fs::read_to_string(&main_cf).expect("main.cf");
    std::fs::write(&main_cf, format!("hopcount_limit = 49\n{text}hopcount_limit = 50\n")).expect("written");
    mail
}

#[test]
fn what_is_wrong_in_both_files_is_named() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let mail = with_mistakes("other unix - - n - - smtp -o smtp_hello_name=x -o smtp_bind_address=$nothing");
        let said = check(&mail);
        for sentence in [
            "overriding earlier entry: hopcount_limit=49",
            "undefined parameter: nosuch",
            "unused parameter: mydistination=x",
            "unused parameter: smtp_hello_name=x",
            "undefined parameter: nothing",
        ] {
            assert!(said.contains(sentence), "not said: {sentence}\n{said}");
        }
    });
}

#[test]
fn each_thing_is_told_once() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let mail = with_mistakes("other unix - - n - - smtp");
        let lines = about_files(&mail);
        let mistakes = ["overriding", "undefined", "unused parameter"];
        for mistake in mistakes {
            assert_eq!(lines.iter().filter(|line| line.contains(mistake)).count(), 1, "{lines:#?}");
        }
        assert_eq!(lines.len(), mistakes.len(), "{lines:#?}");
    });
}

#[test]
fn what_is_not_there_is_one_line_a_feature_with_its_lines() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let mail = Setup::new()
            .set("virtual_alias_domains", "mysql:/etc/x.cf")
            .set("virtual_alias_maps", "mysql:/etc/x.cf")
            .set("unverified_sender_reject_code", "550")
            .build();
        let lines = about_files(&mail);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        let first = line_of(&mail, "virtual_alias_domains");
        let mysql =
            format!("virtual_alias_domains (main.cf line {first}), virtual_alias_maps (main.cf line {})", first + 1);
        let is_about_mysql =
            |line: &String| line.contains("mysql: tables are not there yet: ") && line.contains(&mysql);
        assert!(lines.iter().any(is_about_mysql), "{lines:#?}");
    });
}

#[test]
fn what_could_not_answer_a_client_is_told_before_one_comes() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let mail = Setup::new()
            .set("smtpd_helo_restrictions", "reject_nonsense")
            .set("virtual_mailbox_domains", "virtual.test")
            .set("virtual_transport", "gone:")
            .set("relocated_maps", "hash:/no/such/table")
            .build();
        let lines = about_files(&mail);
        for (setting, sentence) in [
            ("smtpd_helo_restrictions", "unknown smtpd restriction: \"reject_nonsense\""),
            ("virtual_transport", "has no service gone"),
            ("relocated_maps", "there is neither /no/such/table.lmdb nor /no/such/table"),
        ] {
            let place = format!("main.cf, line {}: {setting}", line_of(&mail, setting));
            assert!(
                lines.iter().any(|line| line.contains(&place) && line.ends_with(sentence)),
                "{setting}: {lines:#?}"
            );
        }
        assert_eq!(lines.len(), 3, "{lines:#?}");
    });
}
