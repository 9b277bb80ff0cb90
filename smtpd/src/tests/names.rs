//! Clients and domains as the name service knows them.

use std::net::SocketAddr;

use dns::{Hosts, ResolvConf, Resolver};
use net::Protocols;
use receiving::peer::look_up;
use smtp_server::NameStatus;

use crate::tests::fakes::{Client, with_server};
use crate::tests::name_server;

/// Label, reverse name, and why the name is what it is.
async fn identity(address: &str) -> (String, String, NameStatus) {
    let conf = ResolvConf { servers: vec![name_server::serve()], attempts: 1, ..ResolvConf::default() };
    let resolver = Resolver::new(conf, Hosts::default(), Protocols { v4: true, v6: true });
    let local: SocketAddr = "10.1.2.3:25".parse().unwrap();
    let remote = SocketAddr::new(address.parse().unwrap(), 4000);
    let peer = look_up(&resolver, remote, local).await;
    (peer.label, peer.reverse_name, peer.name_status)
}

fn check(address: &str, name: &str, reverse: &str, status: NameStatus) {
    let address = address.to_owned();
    let expected = (format!("{name}[{address}]"), reverse.to_owned(), status);
    with_server("", |_server| async move {
        assert_eq!(identity(&address).await, expected);
    });
}

#[test]
fn a_name_is_believed_when_its_own_family_lists_the_address() {
    check("10.1.2.4", "four.example", "four.example", NameStatus::Known);
    check("2001:db8:1::25", "six.example", "six.example", NameStatus::Known);
    check("10.1.2.5", "unknown", "six.example", NameStatus::None);
    check("10.1.2.1", "unknown", "nosuch.example", NameStatus::None);
    check("10.1.2.2", "unknown", "other.example", NameStatus::None);
}

#[test]
fn a_name_service_that_fails_says_nothing_for_good() {
    check("10.1.2.3", "unknown", "broken.example", NameStatus::Temporary);
    check("10.1.2.6", "unknown", "unknown", NameStatus::Temporary);
}

#[test]
fn an_address_without_a_name_or_with_a_number_for_one_is_unknown() {
    check("10.1.2.9", "unknown", "unknown", NameStatus::None);
    check("10.1.2.7", "unknown", "unknown", NameStatus::None);
}

#[test]
fn unknown_domains_are_turned_down_for_now_and_those_that_want_no_mail_for_good() {
    let settings = "smtpd_sender_restrictions = reject_unknown_sender_domain\n\
                    unknown_address_tempfail_action = defer\n";
    for (sender, expected) in [
        ("a@mail.example", "250 2.1.5 Ok"),
        ("a@four.example", "250 2.1.5 Ok"),
        // A domain that is relayed to is asked for as well.
        ("a@ok.test", "450 4.1.8 <a@ok.test>: Sender address rejected: Domain not found"),
        ("", "250 2.1.5 Ok"),
        ("a@[10.0.0.1]", "250 2.1.5 Ok"),
        ("a@nosuch.example", "450 4.1.8 <a@nosuch.example>: Sender address rejected: Domain not found"),
        ("a@empty.example", "450 4.1.8 <a@empty.example>: Sender address rejected: Domain not found"),
        ("a@broken.example", "450 4.1.8 <a@broken.example>: Sender address rejected: Domain not found"),
        (
            "a@null.example",
            "550 5.7.27 <a@null.example>: Sender address rejected: Domain null.example does not accept mail (nullMX)",
        ),
    ] {
        with_server(settings, |server| async move {
            let (mut client, _) = Client::connect(&server).await;
            client.say(&format!("MAIL FROM:<{sender}>")).await;
            assert_eq!(client.say("RCPT TO:<bob@ok.test>").await, expected);
        });
    }
}

#[test]
fn a_helo_name_must_have_an_address_or_a_mail_exchanger() {
    let settings = "smtpd_helo_restrictions = reject_unknown_helo_hostname\nsmtpd_delay_reject = no\n";
    with_server(settings, |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        assert_eq!(client.say("HELO six.example").await, "250 mx.example.test");
        assert_eq!(
            client.say("HELO nosuch.example").await,
            "450 4.7.1 <nosuch.example>: Helo command rejected: Host not found"
        );
        assert_eq!(client.say("HELO [10.0.0.1]").await, "250 mx.example.test");
    });
}

#[test]
fn a_host_is_not_hidden_from_a_table_by_many_others() {
    let settings = "smtpd_sender_restrictions = check_sender_mx_access inline:{{mx100.hidden.test=REJECT}}\n";
    with_server(settings, |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say("MAIL FROM:<a@hidden.test>").await;
        let reply = client.say("RCPT TO:<bob@ok.test>").await;
        assert_eq!(reply, "450 4.4.4 <a@hidden.test>: Sender address rejected: Too many hosts behind this name");
    });
}
