//! Tables of patterns: what a rule of a `regexp:` or `pcre:` table finds. The cases stand in `patterns.txt`.

use scenarios::scenario;
use testing::{Instance, Setup, Sink};

const CASES: &str = include_str!("../../patterns.txt");

/// What a table of this one rule finds: `KEY=RESULT` for each key.
fn found(mail: &Instance, kind: &str, rule: &str, keys: &[&str]) -> Vec<String> {
    let path = mail.etc().join("patterns");
    std::fs::write(&path, format!("{rule}\n")).expect("table written");
    let keys: String = keys.iter().map(|key| format!("{key}\n")).collect();
    let output = mail.run_with("postmap", &["-q", "-", &format!("{kind}:{}", path.display())], keys.as_bytes());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| line.replacen('\t', "=", 1)).collect()
}

#[test]
fn every_pattern_finds_what_its_engine_says() {
    scenario(|| {
        let mail = Setup::new().build();
        let lines = CASES.lines().filter(|line| !line.starts_with('#'));
        let mut rows = lines.map(|line| line.split('\t').collect::<Vec<_>>());
        let keys = rows.next().expect("the keys").split_off(1);
        let mut wrong = Vec::new();
        for row in rows {
            let [kind, rule, expected @ ..] = row.as_slice() else { panic!("a case of two fields: {row:?}") };
            let found = found(&mail, kind, rule, &keys);
            if found != expected {
                wrong.push(format!("{kind} {rule}: {found:?} for {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn a_pattern_that_costs_too_much_does_not_match_and_the_mail_goes_on() {
    scenario(|| {
        let mail = Setup::new().set("header_checks", "pcre:{{/^X-Test: (a+)+$$/ REJECT}}").start();
        let text = format!("X-Test: {}b\nSubject: hello\n\nbody\n", "a".repeat(40));
        mail.sendmail(&["-f", "carol@mail.test", "alice@mail.test"], &text);
        mail.wait_mail("alice", 1);
        mail.wait_log(&["warning: pcre map ", ", line 1: match limit exceeded"]);
    });
}

#[test]
fn no_part_of_an_address_becomes_part_of_a_transport() {
    scenario(|| {
        let sink = Sink::v4();
        let routes = "regexp:{{/^(a.*)@Other\\.test$$/ error:5.1.1 no $$1} {/^b/ error:5.1.1 gone}}";
        let setup = Setup::new().set("relayhost", sink.next_hop()).set("transport_maps", routes);
        let mail = setup.set("smtpd_reject_unlisted_recipient", "no").start();
        mail.sendmail(&["-f", "carol@mail.test", "ab@other.test", "bc@other.test"], "Subject: x\n\nbody\n");
        mail.wait_log(&["to=<ab@other.test>", "status=sent"]);
        mail.wait_log(&["to=<bc@other.test>", "dsn=5.1.1", "status=bounced (gone)"]);
        mail.wait_log(&[
            "trivial-rewrite",
            "line 1: regular expression substitution is not allowed: skipping this rule",
        ]);
    });
}
