//! What a client may do, and what it is told when it does more.

use ipc::anvil::{Event, Request};

use crate::tests::fakes::{Client, TestServer, start_error, with_server};

const BASE: &str = "smtpd_client_event_limit_exceptions =\n";

/// Runs a test with limits that hold for the local host.
fn with_limits<F: Future<Output = ()>>(settings: &str, test: impl FnOnce(TestServer) -> F) {
    with_server(&format!("{BASE}{settings}\n"), test);
}

fn identities(server: &TestServer) -> Vec<String> {
    let identity = |request: &Request| match request {
        Request::Count { identity, .. }
        | Request::Look { identity, .. }
        | Request::Release { identity }
        | Request::Hold { identity, .. } => identity.clone(),
    };
    server.mail.borrow().counted.iter().map(identity).collect()
}

#[test]
fn one_connection_too_many_is_told_so_and_left_until_another_one_ends() {
    with_limits("smtpd_client_connection_count_limit = 1", |server| async move {
        let (mut first, greeting) = Client::connect(&server).await;
        assert_eq!(greeting.code(), 220);
        let (mut second, greeting) = Client::connect(&server).await;
        assert_eq!(greeting.verbatim(), b"421 4.7.0 mx.example.test Error: too many connections from 127.0.0.1");
        assert!(second.reply().await.is_none());
        assert_eq!(first.say("QUIT").await, "221 2.0.0 Bye");
        assert_eq!(Client::connect(&server).await.1.code(), 220);
        assert!(identities(&server).iter().all(|identity| identity == "smtp:127.0.0.1"));
    });
}

#[test]
fn a_client_that_connects_too_often_is_told_so() {
    with_limits("smtpd_client_connection_rate_limit = 2", |server| async move {
        for code in [220, 220, 421, 421] {
            assert_eq!(Client::connect(&server).await.1.code(), code);
        }
    });
}

#[test]
fn messages_are_counted_after_the_syntax_and_before_the_address() {
    with_limits("smtpd_client_message_rate_limit = 2", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        assert_eq!(client.say("MAIL").await, "501 5.5.4 Syntax: MAIL FROM:<address>");
        assert_eq!(client.say("MAIL FROM:<a@b.test>").await, "250 2.1.0 Ok");
        assert_eq!(client.say("MAIL FROM:<a@b.test>").await, "503 5.5.1 Error: nested MAIL command");
        client.say("RSET").await;
        assert_eq!(client.say("MAIL FROM:<").await, "501 5.1.7 Bad sender address syntax");
        for line in ["MAIL FROM:<a@b.test>", "MAIL FROM:<"] {
            assert_eq!(client.say(line).await, "450 4.7.1 Error: too much mail from 127.0.0.1");
        }
        assert!(client.say("RCPT TO:<bob@ok.test>").await.starts_with("503 "));
    });
}

#[test]
fn recipients_are_counted_over_all_messages_of_a_client() {
    with_limits("smtpd_client_recipient_rate_limit = 2", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        assert!(client.say("RCPT TO:<bob@ok.test>").await.starts_with("503 "));
        client.say_all(&["MAIL FROM:<a@b.test>", "RCPT TO:<bob@ok.test>", "RSET", "MAIL FROM:<>"]).await;
        assert!(client.say("RCPT TO:<x@stranger.test>").await.starts_with("554 "));
        let reply = client.say("RCPT TO:<bob@ok.test>").await;
        assert_eq!(reply, "450 4.7.1 Error: too many recipients from 127.0.0.1");
    });
}

#[test]
fn who_is_excepted_is_not_counted_at_all() {
    let settings = "smtpd_client_event_limit_exceptions = 127.0.0.1\nsmtpd_client_connection_rate_limit = 1";
    with_limits(settings, |server| async move {
        for _ in 0..3 {
            assert_eq!(Client::connect(&server).await.1.code(), 220);
        }
        assert!(identities(&server).is_empty());
    });
}

#[test]
fn only_what_has_a_limit_is_counted_and_connections_with_anything() {
    with_limits(
        "smtpd_client_connection_count_limit = 0\nsmtpd_client_recipient_rate_limit = 9",
        |server| async move {
            let (mut client, _) = Client::connect(&server).await;
            client.say_all(&["MAIL FROM:<a@b.test>", "RCPT TO:<bob@ok.test>"]).await;
            let count = |event| Request::Count { event, identity: "smtp:127.0.0.1".to_owned() };
            assert_eq!(server.mail.borrow().counted, [count(Event::Connection), count(Event::Recipient)]);
        },
    );
}

#[test]
fn a_lost_anvil_stops_no_mail() {
    with_limits("smtpd_client_message_rate_limit = 1\n# no anvil", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say_all(&["MAIL FROM:<a@b.test>", "RSET", "MAIL FROM:<a@b.test>", "RCPT TO:<bob@ok.test>"]).await;
    });
}

#[test]
fn xclient_counts_for_the_client_that_it_names() {
    let settings = "smtpd_authorized_xclient_hosts = 127.0.0.1\nsmtpd_client_connection_rate_limit = 1\n\
                    smtpd_client_ipv4_prefix_length = 24\nservice_name = submission\ninet_protocols = all";
    with_limits(settings, |server| async move {
        let identity = ["ADDR=10.9.9.8", "ADDR=IPV6:2001:db8:1::fff:0:26", "ADDR=[UNAVAILABLE]"];
        for (attributes, code) in identity.into_iter().map(|text| (text, "220 ")).chain([("ADDR=10.9.9.9", "421 ")]) {
            let (mut client, _) = Client::connect(&server).await;
            let reply = client.say(&format!("XCLIENT NAME=a.b {attributes}")).await;
            assert!(reply.starts_with(code), "{attributes}: {reply}");
        }
        let mut seen = identities(&server);
        seen.sort();
        seen.dedup();
        let expected = ["submission:10.9.9.0/24", "submission:2001:db8:1::/84", "submission:unknown"];
        assert_eq!(seen, expected);
    });
}

#[test]
fn a_prefix_that_is_longer_than_an_address_is_fatal() {
    let error = start_error("smtpd_client_ipv6_prefix_length = 129\n");
    assert_eq!(error, "invalid smtpd_client_ipv6_prefix_length parameter value 129 > 128");
    let error = start_error("smtpd_client_ipv4_prefix_length = -1\n");
    assert_eq!(error, "invalid smtpd_client_ipv4_prefix_length parameter value -1 < 0");
}
