//! Mail for other hosts: over IPv6 to a second instance, deferred while the next hop refuses, flushed on request.

use scenarios::scenario;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Setup, Sink};

const TEXT: &str = "From: a@client.test\nSubject: onward\nMessage-Id: <2@client.test>\n\nbody\n";

#[test]
fn a_message_is_relayed_to_a_second_instance_over_ipv6() {
    scenario(|| {
        let last = Setup::new().start();
        let first = Setup::new()
            .set("mydestination", "")
            .set("myhostname", "relay.test")
            .set("relayhost", format!("[::1]:{}", last.port()))
            .start();
        let mut client = Client::greet(first.v6()).expect("connected");
        let reply = client.send("a@client.test", &["alice@mail.test"], TEXT).expect("sent");
        let id = reply.queue_id().expect("queue id");
        let delivered = last.wait_mail("alice", 1).remove(0);
        assert!(delivered.0.contains("by relay.test"), "{}", delivered.0);
        let relay = format!("relay=::1[::1]:{}", last.port());
        first.wait_log(&[&id, "to=<alice@mail.test>", &relay, "status=sent (250 2.0.0 Ok: queued as"]);
        last.wait_log(&["connect from unknown[::1]"]);
    });
}

#[test]
fn a_message_is_relayed_over_ipv4_as_it_came() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = Setup::new().set("relayhost", sink.next_hop()).start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.send("a@client.test", &["x@other.test", "y@other.test"], TEXT).expect("sent");
        testing::wait::until_true(testing::wait::PATIENCE, || sink.count() >= 1);
        let received = sink.received();
        assert!(received[0].text.ends_with("\n\nbody\n"), "{}", received[0].text);
        assert_eq!(received.iter().map(|r| r.recipients.len()).sum::<usize>(), 2);
    });
}

#[test]
fn a_refused_message_is_deferred_and_delivered_after_postqueue_f() {
    scenario(|| {
        let sink = Sink::v6();
        sink.refuse(Some("450 4.2.1 mailbox is busy"));
        let mail = Setup::new().set("relayhost", sink.next_hop()).start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let reply = client.send("a@client.test", &["x@other.test"], TEXT).expect("sent");
        let id = reply.queue_id().expect("queue id");
        mail.wait_log(&[&id, "dsn=4.2.1", "status=deferred", "450 4.2.1 mailbox is busy"]);
        mail.wait_queue("deferred", &id);
        // Each attempt has a log of its own, and what has ended has none.
        mail.output("postqueue", &["-f"]);
        let attempts =
            || mail.log().lines().filter(|line| line.contains(&id) && line.contains("status=deferred")).count();
        assert!(until_true(PATIENCE, || attempts() == 2), "{}", mail.log());
        mail.wait_idle();
        let log = mail.queue_file("defer", &id).and_then(|path| std::fs::read_to_string(path).ok());
        assert_eq!(log.expect("a log").matches("\nrecipient=").count(), 1);
        sink.refuse(None);
        mail.output("postqueue", &["-f"]);
        mail.wait_log(&[&id, "dsn=2.0.0", "status=sent (250 2.0.0 Ok)"]);
        mail.wait_log(&[&id, ": removed"]);
        assert_eq!((sink.count(), mail.queue_file("defer", &id)), (1, None));
    });
}

#[test]
fn a_message_is_deferred_when_nobody_listens_at_the_next_hop() {
    scenario(|| {
        let closed = testing::port::Port::reserve();
        let mail = Setup::new().set("relayhost", format!("[::1]:{}", closed.number())).start();
        mail.sendmail(&["-f", "root@mail.test", "x@other.test"], TEXT);
        mail.wait_log(&["to=<x@other.test>", "relay=none", "dsn=4.4.1", "status=deferred", "Connection refused"]);
        // The agent logs before the queue manager moves the file.
        mail.wait_idle();
        assert_eq!(mail.queue_ids("deferred").len(), 1);
    });
}

#[test]
fn a_server_that_says_421_to_the_second_recipient_gets_the_first_in_each_try() {
    scenario(|| {
        let sink = Sink::v4();
        sink.refuse_beyond(1, "421 4.7.0 too many recipients");
        let mail = Setup::new().set("relayhost", sink.next_hop()).start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let recipients = ["x@other.test", "y@other.test", "z@other.test"];
        let reply = client.send("a@client.test", &recipients, TEXT).expect("sent");
        let id = reply.queue_id().expect("queue id");
        for (sent, open) in [("x", Some("z")), ("y", Some("z")), ("z", None)] {
            mail.wait_log(&[&id, &format!("to=<{sent}@other.test>"), "status=sent"]);
            if let Some(open) = open {
                mail.wait_log(&[&id, &format!("to=<{open}@other.test>"), "dsn=4.7.0", "status=deferred", "421 4.7.0"]);
                mail.wait_queue("deferred", &id);
                mail.output("postqueue", &["-f"]);
            }
        }
        mail.wait_log(&[&id, ": removed"]);
        let received = sink.received();
        let each: Vec<_> = received.iter().map(|message| message.recipients.concat()).collect();
        assert_eq!(each, ["<x@other.test>", "<y@other.test>", "<z@other.test>"]);
    });
}

/// A message of two parts, one of them in UTF-8; its encoding as field and as text.
fn two_parts(outer: &str, inner: &str, text: &str) -> String {
    format!(
        "From: a@client.test\nSubject: two\nMessage-Id: <3@client.test>\nDate: Sat, 28 Nov 2026 22:00:00 +0000\n\
         MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\
         Content-Transfer-Encoding: {outer}\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {inner}\n\n\
         {text}\n--b\n\nplain = text\n--b--\n"
    )
}

fn body_of(received: &testing::sink::Received) -> &str {
    received.text.split_once("MIME-Version").map_or("", |(_, rest)| rest)
}

#[test]
fn eight_bit_parts_become_quoted_printable_for_a_server_without_8bitmime_and_for_no_other() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = Setup::new().set("relayhost", sink.next_hop()).start();
        let eight = two_parts("8bit", "8bit", "gr\u{fc}\u{df}e = 1  ");
        let send = || {
            Client::greet(mail.v4()).expect("connected").send("a@client.test", &["x@other.test"], &eight).expect("sent")
        };
        let arrived = |count| assert!(testing::wait::until_true(testing::wait::PATIENCE, || sink.count() >= count));
        send();
        arrived(1);
        sink.take_7bit_alone();
        let id = send().queue_id().expect("queue id");
        mail.wait_log(&[&id, ": removed"]);
        arrived(2);
        let received = sink.received();
        let seven = two_parts("7bit", "quoted-printable", "gr=C3=BC=C3=9Fe =3D 1 =20");
        let expected = |text: &str| text.split_once("MIME-Version").map(|(_, rest)| rest.to_owned());
        assert_eq!(Some(body_of(&received[0]).to_owned()), expected(&eight));
        assert_eq!(Some(body_of(&received[1]).to_owned()), expected(&seven));
    });
}
