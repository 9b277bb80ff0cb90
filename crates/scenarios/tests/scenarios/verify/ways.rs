//! The ways of probes, and what is found out at the end of each.

use scenarios::scenario;
use testing::port::Port;
use testing::{Answering, Setup};

use super::{far, known, rcpt, verifying};

/// What a recipient is answered, what is known of it afterwards, and a part of the line about its probe.
struct End {
    recipient: &'static str,
    reply: &'static str,
    standing: &'static str,
    text: &'static str,
    line: &'static [&'static str],
}

const ENDS: &[End] = &[
    End {
        recipient: "alice@mail.test",
        reply: "250 2.1.5 Ok",
        standing: "0",
        text: "aliased to FOLDER/mail/alice/",
        line: &["to=<alice@mail.test>, relay=local,", "dsn=2.0.0, status=deliverable (aliased to "],
    },
    End {
        recipient: "list@mail.test",
        reply: "250 2.1.5 Ok",
        standing: "0",
        text: "aliased to alice, x@elsewhere.test",
        line: &["to=<list@mail.test>", "status=deliverable (aliased to alice, x@elsewhere.test)"],
    },
    End {
        recipient: "x@[127.0.0.1]",
        reply: "550 5.1.1 <x@[127.0.0.1]>: Recipient address rejected: undeliverable address: unknown user: \"x\"",
        standing: "2",
        text: "unknown user: \"x\"",
        line: &["to=<x@[127.0.0.1]>, relay=local,", "dsn=5.1.1, status=undeliverable (unknown user: \"x\")"],
    },
    End {
        recipient: "one@alias.test",
        reply: "250 2.1.5 Ok",
        standing: "0",
        text: "250 2.1.5 fine",
        line: &["to=<one@far.test>, orig_to=<one@alias.test>, relay=127.0.0.1[127.0.0.1]", "status=deliverable"],
    },
    End {
        recipient: "two@alias.test",
        reply: "250 2.1.5 Ok",
        standing: "0",
        text: "aliased to multiple recipients",
        line: &["cleanup", "to=<two@alias.test>, relay=none,", "status=deliverable (aliased to multiple recipients)"],
    },
    End {
        recipient: "none@alias.test",
        reply: "550 5.1.1 <none@alias.test>: Recipient address rejected: undeliverable address: User unknown in virtual \
                alias table",
        standing: "2",
        text: "User unknown in virtual alias table",
        line: &["to=<none@alias.test>, relay=none,", "status=undeliverable (User unknown in virtual alias table)"],
    },
    End {
        recipient: "x@error.test",
        reply: "550 5.1.1 <x@error.test>: Recipient address rejected: undeliverable address: never",
        standing: "2",
        text: "never",
        line: &["to=<x@error.test>, relay=none,", "dsn=5.7.7, status=undeliverable (never)"],
    },
    End {
        recipient: "x@retry.test",
        reply: "450 4.1.1 <x@retry.test>: Recipient address rejected: unverified address: wait",
        standing: "1",
        text: "wait",
        line: &["to=<x@retry.test>, relay=none,", "dsn=4.3.2, status=undeliverable (wait)"],
    },
    End {
        recipient: "x@discard.test",
        reply: "250 2.1.5 Ok",
        standing: "0",
        text: "discard.test",
        line: &["to=<x@discard.test>, relay=none,", "dsn=2.0.0, status=deliverable (discard.test)"],
    },
    End {
        recipient: "x@down.test",
        reply: "450 4.1.1 <x@down.test>: Recipient address rejected: unverified address: connect to \
                127.0.0.1[127.0.0.1]:9: Connection refused",
        standing: "1",
        text: "connect to 127.0.0.1[127.0.0.1]:9: Connection refused",
        line: &["to=<x@down.test>, relay=none,", "dsn=4.4.1, status=undeliverable (connect to 127.0.0.1[127.0.0.1]:9"],
    },
    End {
        recipient: "\"a b\"@far.test",
        reply: "250 2.1.5 Ok",
        standing: "0",
        text: "250 2.1.5 fine",
        line: &["to=<\"a b\"@far.test>", "status=deliverable (250 2.1.5 fine)"],
    },
];

fn ways(far: &Answering) -> Setup {
    verifying(far)
        .set("local_recipient_maps", "")
        .set("virtual_alias_domains", "alias.test")
        .set(
            "virtual_alias_maps",
            "inline:{ {one@alias.test = one@far.test} {two@alias.test = alice@mail.test,no@far.test} }",
        )
        .set(
            "transport_maps",
            "inline:{ {error.test = error:5.7.7 never} {retry.test = retry:4.3.2 wait} {discard.test = discard:} \
             {down.test = smtp:[127.0.0.1]:9} }",
        )
}

#[test]
fn every_end_of_a_way_says_whether_the_address_is_good() {
    scenario(|| {
        let far = far();
        let mut mail = ways(&far).build();
        let aliases = std::fs::read_to_string(mail.etc().join("aliases")).expect("aliases");
        testing::setup::write_old(&mail.etc().join("aliases"), &(aliases + "list alice, x@elsewhere.test\n"));
        mail.start();
        for end in ENDS {
            assert_eq!(rcpt(mail.port(), end.recipient), end.reply, "{}", mail.log());
            mail.wait_log(end.line);
            let key = end.recipient.replace('"', "");
            let text = end.text.replace("FOLDER", &mail.folder().display().to_string());
            assert_eq!(known(&mail, &key), Some((end.standing.to_owned(), text)), "{}", end.recipient);
        }
        // Under the address that it became as well.
        assert_eq!(known(&mail, "one@far.test"), Some(("0".to_owned(), "250 2.1.5 fine".to_owned())));
        mail.wait_idle();
        assert!(mail.queue_ids("deferred").is_empty(), "{}", mail.log());
        assert!(std::fs::read_dir(mail.maildir("alice")).is_err(), "a probe was delivered");
    });
}

#[test]
fn the_address_that_was_asked_about_is_known_without_original_recipients() {
    scenario(|| {
        let far = far();
        let mail = ways(&far).set("enable_original_recipient", "no").start();
        assert_eq!(rcpt(mail.port(), "one@alias.test"), "250 2.1.5 Ok", "{}", mail.log());
        for address in ["one@alias.test", "one@far.test"] {
            assert_eq!(known(&mail, address), Some(("0".to_owned(), "250 2.1.5 fine".to_owned())), "{address}");
        }
    });
}

#[test]
fn a_probe_may_ask_for_the_word_behind_data() {
    scenario(|| {
        let (taking, refusing) = (far(), Answering::start("554 5.1.1 not here", |_| Some("250 2.1.5 fine".to_owned())));
        let maps = format!(
            "inline:{{ {{taking.test = data:{}}} {{refusing.test = data:{}}} }}",
            taking.next_hop(),
            refusing.next_hop()
        );
        let mail = verifying(&taking)
            .set("transport_maps", &maps)
            .service("data unix - - n - - smtp -o smtp_address_verify_target=data")
            .start();
        let said = "host 127.0.0.1[127.0.0.1] said: 554 5.1.1 not here (in reply to DATA command)";
        let no = format!("550 5.1.1 <x@refusing.test>: Recipient address rejected: undeliverable address: {said}");
        assert_eq!(rcpt(mail.port(), "x@refusing.test"), no, "{}", mail.log());
        assert_eq!(rcpt(mail.port(), "x@taking.test"), "250 2.1.5 Ok", "{}", mail.log());
        mail.wait_log(&["to=<x@taking.test>", "dsn=2.0.0, status=deliverable (354 go on)"]);
        mail.wait_log(&["to=<x@refusing.test>", "dsn=5.1.1, status=undeliverable"]);
        let waits = || taking.heard().last().is_some_and(|line| line == "(lost)");
        assert!(testing::wait::until_true(testing::wait::PATIENCE, waits), "{:?}", taking.heard());
        // Mail is delivered by the same service as before.
        assert!(refusing.heard().contains(&"QUIT".to_owned()), "{:?}", refusing.heard());
    });
}

#[test]
fn address_verify_settings_send_probes_another_way_than_mail() {
    scenario(|| {
        let (mail_way, probe_way) = (Answering::start("354 x", |_| Some("550 5.0.0 mail".to_owned())), far());
        let (down, up) = (mail_way.next_hop(), probe_way.next_hop());
        let tables = [
            format!("relayhost = {down}; address_verify_relayhost = {up}"),
            format!("default_transport = smtp:{down}; relayhost =; address_verify_default_transport = smtp:{up}"),
            format!(
                "relay_domains = far.test; relay_transport = smtp:{down}; relayhost =; \
                 address_verify_relay_transport = smtp:{up}"
            ),
            format!(
                "virtual_mailbox_domains = far.test; virtual_transport = smtp:{down}; relayhost =; \
                 address_verify_virtual_transport = smtp:{up}"
            ),
            format!("transport_maps = static:smtp:{down}; address_verify_transport_maps = static:smtp:{up}"),
            format!(
                "sender_dependent_relayhost_maps = static:{down}; \
                 address_verify_sender_dependent_relayhost_maps = static:{up}"
            ),
            format!(
                "sender_dependent_default_transport_maps = static:smtp:{down}; relayhost =; \
                 address_verify_sender_dependent_default_transport_maps = static:smtp:{up}"
            ),
            format!(
                "mydestination = mail.test, far.test; local_transport = smtp:{down}; local_recipient_maps =; \
                 address_verify_local_transport = smtp:{up}"
            ),
        ];
        for table in tables {
            let mut setup = verifying(&probe_way).set("smtpd_reject_unlisted_recipient", "no");
            for item in table.split("; ") {
                let (name, value) = item.split_once('=').expect("a setting");
                setup = setup.set(name.trim(), value.trim());
            }
            let mail = setup.start();
            assert_eq!(rcpt(mail.port(), "x@far.test"), "250 2.1.5 Ok", "{table}\n{}", mail.log());
            mail.sendmail(&["-f", "a@mail.test", "x@far.test"], "Subject: x\n\nx\n");
            mail.wait_log(&["to=<x@far.test>", "status=bounced (host 127.0.0.1[127.0.0.1] said: 550 5.0.0 mail"]);
        }
    });
}

#[test]
fn of_more_probes_than_may_wait_the_last_ones_are_not_made() {
    scenario(|| {
        // It says nothing to those who are to wait.
        let far =
            Answering::start("354 x", |address| (!address.starts_with("wait")).then(|| "250 2.1.5 fine".to_owned()));
        let port = Port::reserve();
        let mail = verifying(&far)
            .set("address_verify_pending_request_limit", "1")
            .service(&format!("127.0.0.1:{} inet n - n - - smtpd -o address_verify_poll_count=1", port.number()))
            .start();
        let asked = |address: &str| far.asked(address) > 0;
        let progress = |who: &str| {
            format!(
                "450 4.1.1 <{who}>: Recipient address rejected: unverified address: Address verification in progress"
            )
        };
        assert_eq!(rcpt(port.number(), "wait1@far.test"), progress("wait1@far.test"), "{}", mail.log());
        assert!(testing::wait::until_true(testing::wait::PATIENCE, || asked("wait1@far.test")), "{}", mail.log());
        let many = "Too many address verification requests";
        let too_many = format!("450 4.1.1 <x@far.test>: Recipient address rejected: unverified address: {many}");
        assert_eq!(rcpt(mail.port(), "x@far.test"), too_many, "{}", mail.log());
        mail.wait_log(&["to=<x@far.test>, relay=none,", &format!("dsn=4.3.2, status=undeliverable ({many})")]);
    });
}
