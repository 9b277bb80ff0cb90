//! The swap: what one mail system has in its queue, the other delivers.

use scenarios::scenario;
use testing::programs::{Implementation, Programs};
use testing::{Client, Setup, Sink};

#[test]
fn mail_deferred_by_one_system_is_delivered_by_the_other() {
    scenario(|| {
        let here = Programs::under_test();
        let there = match here.implementation {
            Implementation::Ours => Programs::oracle(),
            Implementation::Oracle => Some(Programs::ours()),
        };
        let Some(there) = there else {
            eprintln!("left out: no C Postfix (`cargo xtask oracle` unpacks it)");
            return;
        };
        let sink = Sink::v6();
        sink.refuse(Some("450 4.2.1 mailbox is busy"));
        let mut mail = Setup::of(here).set("relayhost", sink.next_hop()).start();
        let mut ids = Vec::new();
        for server in [mail.v4(), mail.v6()] {
            let mut client = Client::greet(server).expect("connected");
            let reply = client.send("a@client.test", &["x@other.test", "y@other.test"], "Subject: swap\n\nbody\n");
            ids.push(reply.expect("sent").queue_id().expect("queue id"));
        }
        for id in &ids {
            mail.wait_queue("deferred", id);
        }
        mail.stop();
        mail.sendmail(&["-f", "root@mail.test", "alice@mail.test"], "Subject: dropped\n\nbody\n");
        sink.refuse(None);

        mail.switch(there);
        mail.start();
        mail.output("postqueue", &["-f"]);
        for id in &ids {
            for recipient in ["x", "y"] {
                mail.wait_log(&[id, &format!("to=<{recipient}@other.test>"), "status=sent"]);
            }
            mail.wait_log(&[id, ": removed"]);
        }
        mail.wait_mail("alice", 1);
        let recipients: usize = sink.received().iter().map(|r| r.recipients.len()).sum();
        assert_eq!(recipients, 4, "each recipient once");
        assert_eq!(mail.find_log(&["spare"]), None, "a folder of ours is nobody's business");
    });
}
