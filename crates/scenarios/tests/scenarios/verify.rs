//! Address verification: probes, what is said while they are under way and afterwards, and what is kept of them.

mod broken;
mod cache;
mod ways;

use scenarios::scenario;
use testing::port::Port;
use testing::{Answering, Client, Instance, Setup};

/// A server behind this one: `no...` it does not know, `later...` it may know later.
fn far() -> Answering {
    Answering::start("354 go on", |address| {
        Some(match address {
            no if no.starts_with("no") => "550 5.1.1 no such user".to_owned(),
            later if later.starts_with("later") => "451 4.7.1 greylisted".to_owned(),
            _ => "250 2.1.5 fine".to_owned(),
        })
    })
}

/// Verifies recipients; what is not local goes to this server.
fn verifying(far: &Answering) -> Setup {
    Setup::new()
        .set("relayhost", far.next_hop())
        .set("smtpd_error_sleep_time", "0")
        .set("address_verify_map", "lmdb:$data_directory/verify_cache")
        .set("address_verify_poll_delay", "1s")
        .set("unverified_recipient_reject_code", "550")
        .set("smtpd_recipient_restrictions", "reject_unverified_recipient")
}

/// One server for each list of options, `name = value; name = value`.
fn servers(setup: Setup, options: &[&str]) -> (Setup, Vec<Port>) {
    let ports: Vec<Port> = options.iter().map(|_| Port::reserve()).collect();
    let lines = ports.iter().zip(options).map(|(port, options)| {
        let options: Vec<String> = options.split("; ").map(|option| format!("-o {{ {option} }}")).collect();
        format!("127.0.0.1:{} inet n - n - - smtpd {}", port.number(), options.join(" "))
    });
    (lines.fold(setup, |setup, line| setup.service(&line)), ports)
}

/// What a recipient is answered.
fn rcpt(port: u16, recipient: &str) -> String {
    from(port, "a@b.test", recipient)
}

/// The same, of mail from this sender.
fn from(port: u16, sender: &str, recipient: &str) -> String {
    let mut client = Client::greet(([127, 0, 0, 1], port).into()).expect("connected");
    let mut say = |line: &str| client.command(line).map_or_else(|_| "closed".to_owned(), |reply| reply.last());
    say(&format!("MAIL FROM:<{sender}>"));
    say(&format!("RCPT TO:<{recipient}>"))
}

/// The cache as postmap shows it, without the mark of the last cleanup: key and value.
fn cached(mail: &Instance) -> Vec<(String, String)> {
    let table = format!("lmdb:{}", mail.folder().join("data/verify_cache").display());
    let entries = mail.output("postmap", &["-s", &table]);
    let entries = entries.lines().filter_map(|line| line.split_once('\t'));
    let counted = entries.filter(|(key, _)| *key != "_LAST_CACHE_CLEANUP_COMPLETED_");
    counted.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Whether it is known to be deliverable (0), not now (1), not (2), or is being found out (3), and why.
fn known(mail: &Instance, address: &str) -> Option<(String, String)> {
    let entries = cached(mail);
    let (_, value) = entries.iter().find(|(key, _)| key == address)?;
    let fields: Vec<&str> = value.splitn(4, ':').collect();
    Some((fields[0].to_owned(), fields[3].to_owned()))
}

const NO_SUCH_USER: &str = "host 127.0.0.1[127.0.0.1] said: 550 5.1.1 no such user (in reply to RCPT TO command)";
const GREYLISTED: &str = "host 127.0.0.1[127.0.0.1] said: 451 4.7.1 greylisted (in reply to RCPT TO command)";

#[test]
fn an_address_is_probed_once_and_what_the_probe_has_found_out_is_said_from_then_on() {
    scenario(|| {
        let far = far();
        let mail = verifying(&far).start();
        let no = format!("550 5.1.1 <no@far.test>: Recipient address rejected: undeliverable address: {NO_SUCH_USER}");
        let later = format!("450 4.1.1 <later@far.test>: Recipient address rejected: unverified address: {GREYLISTED}");
        for _ in 0..2 {
            assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
            assert_eq!(rcpt(mail.port(), "no@far.test"), no);
            assert_eq!(rcpt(mail.port(), "later@far.test"), later);
        }
        let probe = |address: &str| {
            ["MAIL FROM:<double-bounce@mail.test>", &format!("RCPT TO:<{address}>"), "RSET"].map(str::to_owned)
        };
        let expected = [probe("good@far.test"), probe("no@far.test"), probe("later@far.test")].concat();
        // A session may serve several probes, and its end comes behind the answer.
        let heard = || {
            let is_about_session = |line: &String| line.starts_with("EHLO") || line == "QUIT";
            far.heard().into_iter().filter(|line| !is_about_session(line)).collect::<Vec<_>>()
        };
        testing::wait::until_true(testing::wait::PATIENCE, || heard().len() == expected.len());
        assert_eq!(heard(), expected);
        mail.wait_log(&["from=<double-bounce@mail.test>, size=218, nrcpt=1 (queue active)"]);
        mail.wait_log(&["to=<good@far.test>", "dsn=2.1.5, status=deliverable (250 2.1.5 fine)"]);
        mail.wait_log(&["to=<no@far.test>", &format!("dsn=5.1.1, status=undeliverable ({NO_SUCH_USER})")]);
        mail.wait_log(&["to=<later@far.test>", &format!("dsn=4.7.1, status=undeliverable ({GREYLISTED})")]);
        mail.wait_log(&["cache lmdb:", "/verify_cache full cleanup: retained=0 dropped=0 entries"]);
        assert_eq!(known(&mail, "good@far.test"), Some(("0".to_owned(), "250 2.1.5 fine".to_owned())));
        assert_eq!(known(&mail, "no@far.test"), Some(("2".to_owned(), NO_SUCH_USER.to_owned())));
        assert_eq!(known(&mail, "later@far.test"), Some(("1".to_owned(), GREYLISTED.to_owned())));
        // Nobody hears of a probe: none waits, none is returned.
        mail.wait_idle();
        assert!(mail.queue_ids("deferred").is_empty() && mail.find_log(&["notification"]).is_none(), "{}", mail.log());
    });
}

#[test]
fn who_is_not_known_yet_is_put_off_when_nobody_waits_for_the_probe() {
    scenario(|| {
        let far = far();
        let mail = verifying(&far).set("address_verify_poll_count", "1").start();
        let first = rcpt(mail.port(), "good@far.test");
        let text = "<good@far.test>: Recipient address rejected: unverified address: Address verification in progress";
        assert_eq!(first, format!("450 4.1.1 {text}"), "{}", mail.log());
        mail.wait_log(&["to=<good@far.test>", "status=deliverable"]);
        mail.wait_idle();
        assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
    });
}

/// Options of a server, sender, recipient, and what the recipient is answered.
const ANSWERS: &[(&str, &str, &str, &str)] = &[
    (
        "unverified_recipient_reject_code = 450",
        "a@b.test",
        "no@far.test",
        "450 4.1.1 <no@far.test>: Recipient address rejected: unverified address: {NO}",
    ),
    ("unverified_recipient_reject_code = 250", "a@b.test", "no@far.test", "250 2.1.5 Ok"),
    ("unverified_recipient_defer_code = 250", "a@b.test", "later@far.test", "250 2.1.5 Ok"),
    (
        "unverified_recipient_defer_code = 421",
        "a@b.test",
        "later@far.test",
        "421 4.1.1 <later@far.test>: Recipient address rejected: unverified address: {LATER}",
    ),
    (
        "unverified_recipient_reject_reason = go away",
        "a@b.test",
        "no@far.test",
        "550 5.1.1 <no@far.test>: Recipient address rejected: undeliverable address: go away",
    ),
    (
        "unverified_recipient_reject_reason = go away",
        "a@b.test",
        "later@far.test",
        "450 4.1.1 <later@far.test>: Recipient address rejected: unverified address: go away",
    ),
    (
        "soft_bounce = yes",
        "a@b.test",
        "no@far.test",
        "450 4.1.1 <no@far.test>: Recipient address rejected: undeliverable address: {NO}",
    ),
    // What cannot be found out now is remembered, and said if nothing else is.
    (
        "smtpd_recipient_restrictions = reject_unverified_recipient, reject",
        "a@b.test",
        "later@far.test",
        "554 5.7.1 <later@far.test>: Recipient address rejected: Access denied",
    ),
    (
        "smtpd_recipient_restrictions = reject_unverified_recipient, reject; unverified_recipient_reject_code = 450",
        "a@b.test",
        "no@far.test",
        "554 5.7.1 <no@far.test>: Recipient address rejected: Access denied",
    ),
    (
        "smtpd_recipient_restrictions = reject_unverified_recipient, reject; unverified_recipient_tempfail_action = defer",
        "a@b.test",
        "later@far.test",
        "450 4.1.1 <later@far.test>: Recipient address rejected: unverified address: {LATER}",
    ),
    (
        "smtpd_recipient_restrictions = reject_unverified_recipient, reject; reject_tempfail_action = defer",
        "a@b.test",
        "later@far.test",
        "450 4.1.1 <later@far.test>: Recipient address rejected: unverified address: {LATER}",
    ),
    (
        "smtpd_recipient_restrictions = defer_if_reject, reject_unverified_recipient",
        "a@b.test",
        "no@far.test",
        "450 4.7.0 <no@far.test>: Recipient address rejected: defer_if_reject requested",
    ),
    (
        "smtpd_recipient_restrictions = warn_if_reject reject_unverified_recipient, permit",
        "a@b.test",
        "no@far.test",
        "250 2.1.5 Ok",
    ),
    // Senders.
    (
        "smtpd_sender_restrictions = reject_unverified_sender; smtpd_recipient_restrictions = permit",
        "no@far.test",
        "alice@mail.test",
        "450 4.1.7 <no@far.test>: Sender address rejected: unverified address: {NO}",
    ),
    (
        "smtpd_sender_restrictions = reject_unverified_sender; smtpd_recipient_restrictions = permit; \
         unverified_sender_reject_code = 550",
        "no@far.test",
        "alice@mail.test",
        "550 5.1.7 <no@far.test>: Sender address rejected: undeliverable address: {NO}",
    ),
    (
        "smtpd_sender_restrictions = reject_unverified_sender; smtpd_recipient_restrictions = permit; \
         unverified_sender_reject_code = 550; unverified_sender_reject_reason = who are you",
        "no@far.test",
        "alice@mail.test",
        "550 5.1.7 <no@far.test>: Sender address rejected: undeliverable address: who are you",
    ),
    (
        "smtpd_sender_restrictions = reject_unverified_sender; smtpd_recipient_restrictions = permit; \
         unverified_sender_defer_code = 250",
        "later@far.test",
        "alice@mail.test",
        "250 2.1.5 Ok",
    ),
    (
        "smtpd_sender_restrictions = reject_unverified_sender; smtpd_recipient_restrictions = permit, reject; \
         unverified_sender_tempfail_action = defer",
        "later@far.test",
        "alice@mail.test",
        "450 4.1.7 <later@far.test>: Sender address rejected: unverified address: {LATER}",
    ),
    (
        "smtpd_sender_restrictions = reject_unverified_sender; smtpd_recipient_restrictions = permit",
        "good@far.test",
        "alice@mail.test",
        "250 2.1.5 Ok",
    ),
    (
        "smtpd_sender_restrictions = reject_unverified_sender; smtpd_recipient_restrictions = permit",
        "",
        "alice@mail.test",
        "250 2.1.5 Ok",
    ),
    // Who probes is probed: that sender is never turned down as a recipient.
    ("smtpd_recipient_restrictions = reject", "a@b.test", "double-bounce@mail.test", "250 2.1.5 Ok"),
    ("smtpd_recipient_restrictions = reject", "a@b.test", "DOUBLE-bounce@mail.test", "250 2.1.5 Ok"),
    (
        "smtpd_recipient_restrictions = reject",
        "a@b.test",
        "double-bounce",
        "554 5.7.1 <double-bounce>: Recipient address rejected: Access denied",
    ),
    (
        "smtpd_recipient_restrictions = reject",
        "a@b.test",
        "double-bounce+x@mail.test",
        "554 5.7.1 <double-bounce+x@mail.test>: Recipient address rejected: Access denied",
    ),
    (
        "smtpd_sender_restrictions = reject",
        "double-bounce@mail.test",
        "alice@mail.test",
        "554 5.7.1 <double-bounce@mail.test>: Sender address rejected: Access denied",
    ),
];

#[test]
fn codes_reasons_and_actions_are_those_of_main_cf() {
    scenario(|| {
        let far = far();
        let options: Vec<&str> = ANSWERS.iter().map(|(options, ..)| *options).collect();
        let (setup, ports) = servers(verifying(&far), &options);
        let mail = setup.start();
        for (port, (options, sender, recipient, expected)) in ports.iter().zip(ANSWERS) {
            let expected = expected.replace("{NO}", NO_SUCH_USER).replace("{LATER}", GREYLISTED);
            assert_eq!(from(port.number(), sender, recipient), expected, "{options}:\n{}", mail.log());
        }
        mail.wait_log(&["reject_warning: RCPT from ", &format!("undeliverable address: {NO_SUCH_USER};")]);
    });
}

#[test]
fn recipients_are_verified_at_data_when_there_is_one_alone() {
    scenario(|| {
        let far = far();
        let mail = verifying(&far)
            .set("smtpd_recipient_restrictions", "permit")
            .set("smtpd_data_restrictions", "reject_unverified_recipient")
            .start();
        let data = |recipients: &[&str]| {
            let mut client = Client::greet(mail.v4()).expect("connected");
            let mut say = |line: &str| client.command(line).map_or_else(|_| "closed".to_owned(), |reply| reply.last());
            say("MAIL FROM:<a@b.test>");
            recipients.iter().for_each(|recipient| _ = say(&format!("RCPT TO:<{recipient}>")));
            say("DATA")
        };
        let no = format!("550 5.1.1 <no@far.test>: Recipient address rejected: undeliverable address: {NO_SUCH_USER}");
        assert_eq!(data(&["no@far.test"]), no, "{}", mail.log());
        assert!(data(&["no@far.test", "later@far.test"]).starts_with("354 "), "{}", mail.log());
    });
}

#[test]
fn with_a_time_to_live_the_sender_of_probes_changes_and_is_known_for_its_time() {
    scenario(|| {
        let far = far();
        let mail = verifying(&far)
            .set("address_verify_sender", "probe@mail.test")
            .set("address_verify_sender_ttl", "100000s")
            .start();
        assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
        let heard = far.heard();
        let sender = heard.iter().find_map(|line| line.strip_prefix("MAIL FROM:<")).expect("a probe");
        let sender = sender.split('>').next().unwrap_or_default();
        let changing = sender.strip_prefix("probe").and_then(|rest| rest.strip_suffix("@mail.test"));
        let is_digit = |byte: u8| b"0123456789BCDFGHJKLMNPQRSTVWXYZ".contains(&byte);
        assert!(changing.is_some_and(|part| !part.is_empty() && part.bytes().all(is_digit)), "{sender}");
        assert_eq!(rcpt(mail.port(), sender), "250 2.1.5 Ok", "{}", mail.log());
        let unknown =
            "550 5.1.1 <probe@mail.test>: Recipient address rejected: undeliverable address: unknown user: \"probe\"";
        assert_eq!(rcpt(mail.port(), "probe@mail.test"), unknown, "{}", mail.log());
    });
}

#[test]
fn the_null_sender_may_probe() {
    scenario(|| {
        for value in ["", "<>"] {
            let far = far();
            let mail =
                verifying(&far).set("address_verify_sender", value).set("address_verify_sender_ttl", "1h").start();
            assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
            assert!(far.heard().iter().any(|line| line.starts_with("MAIL FROM:<>")), "{:?}", far.heard());
        }
    });
}

#[test]
fn failures_that_are_not_to_be_remembered_are_found_out_each_time() {
    scenario(|| {
        let far = far();
        let mail =
            verifying(&far).set("address_verify_negative_cache", "no").set("address_verify_poll_count", "1").start();
        let unknown =
            "450 4.1.1 <no@far.test>: Recipient address rejected: unverified address: Address verification in progress";
        for count in 1..=2 {
            assert_eq!(rcpt(mail.port(), "no@far.test"), unknown, "{}", mail.log());
            let found = || mail.log().matches("status=undeliverable-but-not-cached").count() == count;
            assert!(testing::wait::until_true(testing::wait::PATIENCE, found), "{}", mail.log());
        }
        assert_eq!(known(&mail, "no@far.test"), None);
        rcpt(mail.port(), "good@far.test");
        mail.wait_log(&["to=<good@far.test>", "status=deliverable"]);
        mail.wait_idle();
        assert_eq!(rcpt(mail.port(), "good@far.test"), "250 2.1.5 Ok", "{}", mail.log());
    });
}

#[test]
fn the_sender_of_probes_and_notifications_is_known_to_exist() {
    scenario(|| {
        let (setup, ports) = servers(verifying(&far()), &["smtpd_sender_restrictions = reject_unverified_sender"]);
        let mail = setup.start();
        assert_eq!(
            from(ports[0].number(), "double-bounce@mail.test", "alice@mail.test"),
            "250 2.1.5 Ok",
            "{}",
            mail.log()
        );
        let found = "status=deliverable (undeliverable postmaster notification discarded)";
        mail.wait_log(&["to=<double-bounce@mail.test>, relay=none", found]);
        mail.sendmail(&["-f", "alice@mail.test", "double-bounce@mail.test"], "Subject: x\n\nx\n");
        let found = "dsn=2.0.0, status=sent (undeliverable postmaster notification discarded)";
        mail.wait_log(&["to=<double-bounce@mail.test>, relay=none", found]);
    });
}
