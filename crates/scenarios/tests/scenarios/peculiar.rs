//! Servers, firewalls and name services that are dealt with as the site says: what they say is left out, replaced, or
//! taken for what it shows.

use scenarios::scenario;
use testing::dns::Zone;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup, Sink, World};

const TEXT: &str = "From: alice@mail.test\nSubject: x\n\nbody\n";

fn send(mail: &Instance, recipient: &str) -> String {
    let mut client = Client::greet(mail.v4()).expect("connected");
    let reply = client.send("alice@mail.test", &[recipient], TEXT).expect("sent");
    reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"))
}

/// What stands behind the first of several words in the log, beside the blank.
fn between() -> &'static str {
    if testing::programs::oracle_version().as_deref() == Some("3.7") { "" } else { "," }
}

/// Sends a message that says that it needs eight bits, and gives the MAIL command that the sink has heard.
fn heard(mail: &Instance, sink: &Sink) -> String {
    let count = sink.count();
    mail.sendmail(&["-B8BITMIME", "-f", "alice@mail.test", "bob@other.test"], TEXT);
    assert!(until_true(PATIENCE, || sink.count() > count), "{}", mail.log());
    sink.received().remove(count).sender
}

#[test]
fn a_firewall_that_shows_in_the_greeting_is_worked_around_as_its_address_or_the_site_says() {
    scenario(|| {
        let sink = Sink::v4();
        sink.greet("220 ***************0*0*0****200***");
        let mut mail = Setup::new()
            .set("relayhost", sink.next_hop())
            .set("smtp_pix_workaround_threshold_time", "0")
            .set("smtp_pix_workaround_delay_time", "1s")
            .start();
        let relay = format!("127.0.0.1[127.0.0.1]:{}", sink.address().port());
        assert!(!heard(&mail, &sink).contains("BODY="));
        mail.wait_log(&[&format!("enabling PIX workarounds: disable_esmtp{} delay_dotcrlf for {relay}", between())]);
        mail.set("smtp_pix_workaround_maps", "inline:{127.0.0.1=delay_dotcrlf}");
        mail.reload();
        assert!(heard(&mail, &sink).contains("BODY=8BITMIME"));
        mail.wait_log(&[&format!("enabling PIX workarounds: delay_dotcrlf for {relay}")]);
        let lines = || mail.log().matches("PIX").count();
        let before = lines();
        sink.greet("220 sink.test ESMTP *****");
        assert!(heard(&mail, &sink).contains("BODY=8BITMIME"));
        assert_eq!(lines(), before);
    });
}

#[test]
fn keywords_that_are_discarded_for_an_address_are_those_that_its_table_has() {
    scenario(|| {
        let sink = Sink::v4();
        let mut mail = Setup::new()
            .set("relayhost", sink.next_hop())
            .set("smtp_discard_ehlo_keywords", "pipelining, size")
            .set("smtp_discard_ehlo_keyword_address_maps", "inline:{{127.0.0.1 = 8bitmime dsn nothing}}")
            .start();
        assert!(!heard(&mail, &sink).contains("BODY="));
        mail.wait_log(&[&format!("discarding EHLO keywords: 8BITMIME{} DSN", between())]);
        mail.set("smtp_discard_ehlo_keyword_address_maps", "inline:{{127.0.0.1 = dsn silent-discard}}");
        mail.reload();
        assert!(heard(&mail, &sink).contains("BODY=8BITMIME"));
        assert_eq!(mail.log().matches("discarding EHLO keywords").count(), 1);
        mail.set("smtp_discard_ehlo_keyword_address_maps", "fail:x");
        mail.reload();
        let id = send(&mail, "bob@other.test");
        mail.wait_log(&[&id, "smtp_discard_ehlo_keyword_address_maps map lookup error for 127.0.0.1"]);
        let reason = "status=deferred (local data error while talking to 127.0.0.1[127.0.0.1])";
        mail.wait_log(&[&id, "dsn=4.3.0", reason]);
    });
}

#[test]
fn a_line_of_a_reply_is_what_the_filter_makes_of_it() {
    scenario(|| {
        let sink = Sink::v4();
        sink.refuse(Some("550 5.1.1 no such user"));
        let mut mail = Setup::new().set("relayhost", sink.next_hop()).build();
        // main.cf expands $1.
        let file = mail.etc().join("replies");
        std::fs::write(&file, "/^550 5(.*)$/ 450 4$1\n").expect("written");
        mail.set("smtp_reply_filter", &format!("regexp:{}", file.display()));
        mail.start();
        let id = send(&mail, "bob@other.test");
        let relay = format!("127.0.0.1[127.0.0.1]:{}", sink.address().port());
        let replaced = "replacing server reply \"550 5.1.1 no such user\" with \"450 4.1.1 no such user\"";
        mail.wait_log(&[&format!("{relay}: {replaced}")]);
        mail.wait_log(&[
            &id,
            "dsn=4.1.1",
            "status=deferred",
            "said: 450 4.1.1 no such user (in reply to RCPT TO command)",
        ]);
        mail.set("smtp_reply_filter", "fail:x");
        mail.reload();
        let id = send(&mail, "bob@other.test");
        mail.wait_log(&[&format!("warning: {id}: table fail:x lookup error for 220 sink.test ESMTP")]);
        let reason = "status=deferred (local data error while talking to 127.0.0.1[127.0.0.1])";
        mail.wait_log(&[&id, "dsn=4.3.0", reason]);
    });
}

const V4: [&str; 2] = ["192.0.2.25", "192.0.2.26"];

#[test]
fn records_that_the_filter_ignores_are_not_there_and_without_any_mail_waits() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        V4.iter().for_each(|address| world.address(address.parse().expect("address")));
        let zone = Zone::new().mx("two.test", "a.two.test", 10).mx("two.test", "b.two.test", 20);
        let _dns = zone.host("a.two.test", &[V4[0]]).host("b.two.test", &[V4[1]]).start();
        let mut mail = Setup::new()
            .set("relayhost", "")
            .set("mynetworks", "127.0.0.0/8")
            .set("inet_interfaces", "127.0.0.1")
            .set("smtp_dns_reply_filter", "regexp:{{/ MX 10 / ignore}}")
            .start();
        let _sinks = V4.map(|address| Sink::at((address.parse::<std::net::IpAddr>().expect("address"), 25).into()));
        let id = send(&mail, "bob@two.test");
        mail.wait_log(&["ignoring DNS RR: two.test. ", " IN MX 10 a.two.test."]);
        mail.wait_log(&[&id, &format!("relay=b.two.test[{}]:25", V4[1]), "status=sent"]);
        let of_host = "regexp:{{/^[ab]\\.two\\.test\\. .* IN A / ignore}}";
        for (filter, dsn, why) in [
            ("regexp:{{/ MX / ignore}}", "4.7.0", "two.test type=MX: DNS reply filter drops all results"),
            (of_host, "4.7.0", "b.two.test type=A: DNS reply filter drops all results"),
            ("regexp:{{/ MX / drop}}", "4.4.3", "two.test type=MX: Invalid DNS reply filter syntax"),
            ("fail:x", "4.4.3", "two.test type=MX: Invalid DNS reply filter syntax"),
        ] {
            mail.set("smtp_dns_reply_filter", filter);
            mail.reload();
            let id = send(&mail, "bob@two.test");
            let reason = format!("status=deferred (Error looking up name={why})");
            mail.wait_log(&[&id, &format!("dsn={dsn}"), &reason]);
        }
        mail.wait_log(&["warning: smtp_dns_reply_filter: unknown DNS filter action: \"drop\""]);
    });
}

#[test]
fn a_client_is_not_refused_for_records_that_the_filter_of_the_server_ignores() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let _dns = Zone::new().host("a.test", &[V4[0]]).start();
        let mut mail = Setup::new()
            .set("mynetworks", "127.0.0.0/8")
            .set("inet_interfaces", "127.0.0.1")
            .set("smtpd_sender_restrictions", "reject_unknown_sender_domain")
            .set("smtpd_dns_reply_filter", "regexp:{{/ A / ignore}}")
            .start();
        let said = |mail: &Instance| {
            let mut client = Client::greet(mail.v4()).expect("connected");
            client.command("MAIL FROM:<bob@a.test>").expect("said");
            client.command("RCPT TO:<alice@mail.test>").expect("said").last()
        };
        assert_eq!(said(&mail), "250 2.1.5 Ok");
        mail.wait_log(&["ignoring DNS RR: a.test. ", " IN A 192.0.2.25"]);
        mail.wait_log(&["warning: a.test: MX or address lookup error: DNS reply filter drops all results"]);
        mail.set("smtpd_dns_reply_filter", "regexp:{{/ A / drop}}");
        mail.reload();
        assert_eq!(said(&mail), "450 4.1.8 <bob@a.test>: Sender address rejected: Domain not found");
    });
}

#[test]
fn the_older_name_of_the_check_is_about_the_domain_of_the_sender_and_of_nobody_else() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let _dns = Zone::new().host("a.test", &[V4[0]]).start();
        let mail = Setup::new()
            .set("mynetworks", "127.0.0.0/8")
            .set("inet_interfaces", "127.0.0.1")
            .set("relay_domains", "gone.test")
            .set("smtpd_sender_restrictions", "reject_unknown_address")
            .start();
        for (sender, recipient, expected) in [
            ("bob@a.test", "alice@mail.test", "250 2.1.5 Ok"),
            ("bob@gone.test", "x@gone.test", "450 4.1.8 <bob@gone.test>: Sender address rejected: Domain not found"),
            ("bob@a.test", "x@gone.test", "250 2.1.5 Ok"),
        ] {
            let mut client = Client::greet(mail.v4()).expect("connected");
            client.command(&format!("MAIL FROM:<{sender}>")).expect("said");
            let said = client.command(&format!("RCPT TO:<{recipient}>")).expect("said").last();
            assert_eq!(said, expected, "{}", mail.log());
        }
    });
}
