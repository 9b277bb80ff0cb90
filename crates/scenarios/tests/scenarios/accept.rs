//! What the SMTP server takes and refuses.

use scenarios::scenario;
use testing::{Client, Setup};

#[test]
fn rcpt_to_unknown_local_user_is_rejected_with_550_5_1_1() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("MAIL FROM:<a@client.test>").expect("reply");
        let reply = client.command("RCPT TO:<nobody-here@mail.test>").expect("reply");
        let text = "<nobody-here@mail.test>: Recipient address rejected: User unknown in local recipient table";
        assert_eq!(reply.last(), format!("550 5.1.1 {text}"));
        let parts = ["NOQUEUE: reject: RCPT from unknown[127.0.0.1]: 550 5.1.1 ", "helo=<client.test>", "proto=ESMTP"];
        mail.wait_log(&parts);
    });
}

#[test]
fn a_stranger_may_not_relay() {
    scenario(|| {
        let mail = Setup::new().set("mynetworks", "192.0.2.0/24").start();
        for server in [mail.v4(), mail.v6()] {
            let mut client = Client::greet(server).expect("connected");
            client.command("MAIL FROM:<a@client.test>").expect("reply");
            let reply = client.command("RCPT TO:<x@other.test>").expect("reply");
            assert!(reply.code == 454 || reply.code == 554, "{reply:?}");
            assert!(reply.last().contains("<x@other.test>: Relay access denied"), "{reply:?}");
        }
    });
}

#[test]
fn an_unknown_restriction_is_a_451_and_named_in_the_log() {
    scenario(|| {
        let mail = Setup::new().set("smtpd_recipient_restrictions", "permit_wonders, permit").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("MAIL FROM:<a@client.test>").expect("reply");
        let reply = client.command("RCPT TO:<alice@mail.test>").expect("reply");
        assert_eq!(reply.last(), "451 4.3.5 Server configuration error");
        mail.wait_log(&["warning: unknown smtpd restriction: \"permit_wonders\""]);
    });
}

#[test]
fn the_greeting_and_the_ehlo_reply_name_the_host_and_the_extensions() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::connect(mail.v6()).expect("connected");
        assert_eq!(client.greeting().last(), "220 mail.test ESMTP Postfix");
        let reply = client.command("EHLO client.test").expect("reply");
        assert_eq!(reply.lines[0], "mail.test");
        for keyword in ["PIPELINING", "SIZE 10240000", "ENHANCEDSTATUSCODES", "8BITMIME"] {
            assert!(reply.lines.iter().any(|l| l == keyword), "no {keyword}: {reply:?}");
        }
    });
}

#[test]
fn a_message_above_the_size_limit_is_refused_at_mail() {
    scenario(|| {
        let mail = Setup::new().set("message_size_limit", "2000").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let reply = client.command("MAIL FROM:<a@client.test> SIZE=2001").expect("reply");
        assert_eq!(reply.last(), "552 5.3.4 Message size exceeds fixed limit");
    });
}

#[test]
fn the_end_of_a_session_is_logged_with_its_commands() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("NOOP").expect("reply");
        assert_eq!(client.command("NONSENSE").expect("reply").code, 500);
        assert_eq!(client.command("QUIT").expect("reply").last(), "221 2.0.0 Bye");
        mail.wait_log(&["disconnect from unknown[127.0.0.1] ehlo=1 noop=1 quit=1 unknown=0/1 commands=3/4"]);
    });
}
