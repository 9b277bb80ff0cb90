//! The shortest ways of a message: handed in over IPv4, IPv6 or the sendmail command, found in a Maildir.

use scenarios::scenario;
use testing::swaks::swaks;
use testing::{Client, Setup};

const TEXT: &str =
    "From: a@client.test\nTo: alice@mail.test\nSubject: hello\nMessage-Id: <1@client.test>\n\nbody\n.dot\n";

#[test]
fn a_message_over_ipv4_is_delivered_to_the_maildir() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let reply = client.send("a@client.test", &["alice@mail.test"], TEXT).expect("sent");
        let id = reply.queue_id().expect("queue id");
        let delivered = mail.wait_mail("alice", 1).remove(0);
        assert_eq!(delivered.body(), "body\n.dot\n");
        assert_eq!(delivered.header("Return-Path").as_deref(), Some("<a@client.test>"));
        let received = delivered.header("Received").expect("Received");
        assert!(received.contains("[127.0.0.1]") && received.contains(&id), "{received}");
        mail.wait_log(&[&id, "to=<alice@mail.test>", "relay=local", "dsn=2.0.0", "status=sent (delivered to maildir)"]);
        mail.wait_log(&[&id, ": removed"]);
    });
}

#[test]
fn a_message_over_ipv6_is_delivered_and_its_address_is_written_with_the_tag() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v6()).expect("connected");
        let reply = client.send("a@client.test", &["alice@mail.test"], TEXT).expect("sent");
        assert!(reply.queue_id().is_some(), "{reply:?}");
        let received = mail.wait_mail("alice", 1)[0].header("Received").expect("Received");
        assert!(received.contains("[IPv6:::1]"), "{received}");
        mail.wait_log(&["connect from unknown[::1]"]);
    });
}

#[test]
fn a_message_from_the_sendmail_command_is_delivered_with_sender_and_date_added() {
    scenario(|| {
        let mail = Setup::new().start();
        mail.sendmail(&["-f", "root@mail.test", "alice@mail.test"], "Subject: local\n\nbody\n");
        let delivered = mail.wait_mail("alice", 1).remove(0);
        assert_eq!(delivered.header("Subject").as_deref(), Some("local"));
        for added in ["Message-Id", "Date", "From"] {
            assert!(delivered.header(added).is_some(), "no {added}: {}", delivered.0);
        }
        mail.wait_log(&["pickup", "uid=", "from=<root@mail.test>"]);
    });
}

#[test]
fn a_message_handed_in_while_the_system_is_down_is_delivered_after_the_start() {
    scenario(|| {
        let mut mail = Setup::new().build();
        mail.sendmail(&["-f", "root@mail.test", "bob"], "Subject: early\n\nbody\n");
        assert_eq!(mail.queue_ids("maildrop").len(), 1);
        mail.start();
        assert_eq!(mail.wait_mail("bob", 1)[0].header("Subject").as_deref(), Some("early"));
    });
}

#[test]
fn a_message_to_three_users_is_delivered_to_each() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v6()).expect("connected");
        let everybody = ["alice@mail.test", "bob@mail.test", "carol@mail.test"];
        client.send("a@client.test", &everybody, TEXT).expect("sent");
        for user in testing::setup::USERS {
            assert_eq!(mail.wait_mail(user, 1).len(), 1);
        }
    });
}

#[test]
fn a_client_that_we_did_not_write_delivers_over_both_protocols() {
    scenario(|| {
        let mail = Setup::new().start();
        for (number, server) in [mail.v4(), mail.v6()].into_iter().enumerate() {
            let output =
                swaks(server, &["--from", "a@client.test", "--to", "alice@mail.test"]).expect("swaks is installed");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
            mail.wait_mail("alice", number + 1);
        }
    });
}
