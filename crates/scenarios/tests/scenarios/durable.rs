//! The promise of `250`: the message is on stable storage before the client hears so. Seen in the system calls.

use scenarios::scenario;
use testing::trace::Trace;
use testing::{Client, Setup};

const CALLS: &str = "trace=fsync,fdatasync,syncfs,write,writev,sendto,sendmsg,rename,renameat2,openat";

#[test]
fn a_message_is_synchronised_before_it_is_acknowledged() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        // The first message starts the processes that the trace is attached to.
        client.send("a@client.test", &["alice@mail.test"], "Subject: first\n\nbody\n").expect("sent");
        mail.wait_mail("alice", 1);
        let trace = Trace::attach(&mail, &["-s", "200", "-e", CALLS]);
        let reply = client.send("a@client.test", &["alice@mail.test"], "Subject: second\n\nbody\n").expect("sent");
        let id = reply.queue_id().expect("queue id");
        mail.wait_mail("alice", 2);
        let calls = trace.finish();
        let at = |found: &dyn Fn(&str) -> bool| calls.lines().position(found);
        let synchronised = at(&|l| ["fsync(", "fdatasync(", "syncfs("].iter().any(|call| l.contains(call)));
        let acknowledged = at(&|l| l.contains(&format!("queued as {id}")) && l.contains("250 "));
        let (synchronised, acknowledged) = (synchronised.expect("a sync call"), acknowledged.expect("the reply"));
        assert!(synchronised < acknowledged, "{calls}");
    });
}
