//! XCLIENT and XFORWARD: what reaches cleanup about the client.

use crate::tests::fakes::{Client, with_server};
use crate::tests::messages::shown;

const MESSAGE: [&str; 5] = ["MAIL FROM:<a@b.test>", "RCPT TO:<bob@ok.test>", "DATA", "x: y", "."];

/// The attributes of the only message that a session makes after `lines`.
async fn attributes(client: &mut Client, lines: &[&str]) {
    for line in lines.iter().chain(&MESSAGE[..3]) {
        let reply = client.say(line).await;
        assert!(reply.starts_with(['2', '3']), "{line}: {reply}");
    }
    assert!(client.say(&MESSAGE[3..].join("\r\n")).await.starts_with("250 2.0.0 Ok: queued"));
}

fn check(lines: &[&str], expected: &[&str], absent: &[&str]) {
    let settings = "smtpd_authorized_xclient_hosts = 127.0.0.1\nsmtpd_authorized_xforward_hosts = 127.0.0.1\n\
                    inet_protocols = all\nsmtpd_relay_restrictions = permit_auth_destination, reject\n";
    with_server(settings, |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        attributes(&mut client, lines).await;
        let records = shown(&server.mail.borrow().finished[0]);
        for attribute in expected {
            assert!(records.contains(&format!("A {attribute}")), "{lines:?}: no {attribute} in {records:?}");
        }
        for name in absent {
            assert!(!records.iter().any(|line| line.starts_with(&format!("A {name}="))), "{lines:?}: {name}");
        }
    });
}

#[test]
fn the_identity_of_xclient_is_that_of_the_message() {
    check(
        &[
            "EHLO c",
            "XCLIENT NAME=cl.example ADDR=IPv6:2001:DB8:7:0::9 PORT=77 HELO=a+20b PROTO=esmtp LOGIN=bob DESTADDR=10.0.0.1 \
             DESTPORT=25",
        ],
        &[
            "log_client_name=cl.example",
            "log_client_address=IPv6:2001:db8:7::9",
            "log_message_origin=cl.example[2001:db8:7::9]",
            "client_name=cl.example",
            "reverse_client_name=cl.example",
            "client_address=2001:db8:7::9",
            "client_port=77",
            "client_address_type=10",
            "server_address=10.0.0.1",
            "server_port=25",
            "helo_name=a?b",
            "protocol_name=ESMTP",
            "sasl_method=XCLIENT",
            "sasl_username=bob",
        ],
        &[],
    );
}

#[test]
fn an_identity_without_an_address_and_a_greeting_has_none() {
    check(
        &["EHLO c", "XCLIENT ADDR=[UNAVAILABLE] NAME=[TEMPUNAVAIL]"],
        &["client_address=unknown", "client_name=unknown", "log_message_origin=unknown[unknown]", "protocol_name=SMTP"],
        &["helo_name", "log_helo_name", "sasl_username"],
    );
}

#[test]
fn xforward_names_the_client_of_the_log_and_no_other() {
    check(
        &["EHLO c", "XFORWARD NAME=fw.example ADDR=IPV6:2001:db8::1", "XFORWARD HELO=a(b)c IDENT=a+2Ab SOURCE=REMOTE"],
        &[
            "log_ident=a*b",
            "rewrite_context=remote",
            "log_client_name=fw.example",
            "log_client_address=IPv6:2001:db8::1",
            "log_client_port=unknown",
            "log_message_origin=fw.example[2001:db8::1]",
            "log_helo_name=a?b?c",
            "log_protocol_name=unknown",
            "client_name=unknown",
            "client_address=127.0.0.1",
            "helo_name=c",
        ],
        &[],
    );
    check(
        &["XFORWARD NAME=only.name"],
        &["log_message_origin=only.name", "log_client_address=unknown"],
        &["log_helo_name"],
    );
}

#[test]
fn an_original_queue_id_alone_says_nothing_of_a_client() {
    let expected = ["log_ident=xx", "log_client_address=127.0.0.1", "rewrite_context=local"];
    check(&["EHLO c", "XFORWARD IDENT=xx SOURCE=[UNAVAILABLE]"], &expected, &[]);
}

#[test]
fn what_xforward_said_is_forgotten_with_the_transaction_and_at_a_new_greeting() {
    let said = ["EHLO c", "XFORWARD NAME=fw.example", "EHLO c"];
    check(&said, &["log_client_name=unknown", "log_client_address=127.0.0.1"], &[]);
    let said = ["EHLO c", "XFORWARD NAME=fw.example", "MAIL FROM:<>", "RSET"];
    check(&said, &["log_client_name=unknown", "log_client_address=127.0.0.1"], &[]);
}
