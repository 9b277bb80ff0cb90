//! Messages from an SMTP client to the next hop. Client and sink are this process, the same for both mail systems, and
//! not counted; the queue is on one disk.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Programs, Setup, Sink};

use crate::failure::{Failure, Outcome};

/// Messages before a measurement: processes are started, connections made, and there are more files than it needs.
const WARM_UP: usize = 4_000;

/// Who sends how much.
#[derive(Clone, Copy)]
pub struct Load {
    pub messages: usize,
    pub sessions: usize,
    /// Bytes of a message, about.
    pub size: usize,
    /// Messages of one connection, before the next one is made.
    pub each_connection: usize,
}

impl Load {
    /// Messages of 1 KiB over sessions that last as long as there is something to send.
    pub const fn reused(messages: usize, sessions: usize) -> Load {
        Load { messages, sessions, size: 1024, each_connection: usize::MAX }
    }
}

/// A mail system that relays everything to a sink.
pub struct Relay {
    pub mail: Instance,
    sink: Sink,
}

impl Relay {
    /// Starts one, with further settings.
    pub fn start(programs: &Programs, settings: &[(&str, String)]) -> Relay {
        let sink = Sink::counting();
        let setup = Setup::of(programs.clone()).set("relayhost", sink.next_hop()).set("mydestination", "");
        let mail = settings.iter().fold(setup, |setup, (name, value)| setup.set(name, value.clone())).start();
        Relay { mail, sink }
    }

    /// Starts one and lets it work a little.
    pub fn warm(programs: &Programs, sessions: usize) -> Outcome<Relay> {
        let relay = Relay::start(programs, &[]);
        relay.deliver(&Load::reused(WARM_UP, sessions))?;
        Ok(relay)
    }

    /// Sends, and waits until the sink has them all.
    pub fn deliver(&self, load: &Load) -> Outcome {
        let goal = self.sink.count() + load.messages;
        submit(self.mail.v4(), load, "bench@other.test")?;
        self.wait(|sink| sink.count(), goal)
    }

    /// One message to so many recipients of one destination, until the sink has it for all of them.
    pub fn deliver_to_many(&self, recipients: usize) -> Outcome {
        let goal = self.sink.recipients() + recipients;
        let mut client = Client::greet(self.mail.v4())?;
        demand(client.command("MAIL FROM:<bench@client.test>")?.code, 250)?;
        for first in (0..recipients).step_by(RECIPIENTS_AT_ONCE) {
            let some = first..recipients.min(first + RECIPIENTS_AT_ONCE);
            let lines: String = some.clone().map(|n| format!("RCPT TO:<user{n}@other.test>\r\n")).collect();
            client.write(lines.as_bytes())?;
            some.into_iter().try_for_each(|_| demand(client.reply()?.code, 250))?;
        }
        demand(client.command("DATA")?.code, 354)?;
        client.write(testing::client::wire_form(&text(1024)).as_bytes())?;
        demand(client.reply()?.code, 250)?;
        self.wait(|sink| sink.recipients(), goal)
    }

    /// How many messages have come to the sink.
    pub fn arrived(&self) -> usize {
        self.sink.count()
    }

    /// Waits until so many messages have.
    pub fn wait_for(&self, messages: usize) -> Outcome {
        self.wait(|sink| sink.count(), messages)
    }

    fn wait(&self, count: impl Fn(&Sink) -> usize, goal: usize) -> Outcome {
        wait_for(|| count(&self.sink), goal)
            .map_err(|Failure(text)| Failure(format!("{text}\n{}", end_of_log(&self.mail))))
    }
}

/// Waits until so many have come to the sink, as long as something arrives.
pub fn wait_for(count: impl Fn() -> usize, goal: usize) -> Outcome {
    let mut last = count();
    while last < goal {
        until_true(PATIENCE, || count() >= goal);
        let now = count();
        if now == last {
            return Err(Failure(format!("{now} of {goal} came to the sink")));
        }
        last = now;
    }
    Ok(())
}

/// Commands whose replies certainly fit into the buffers of a connection.
const RECIPIENTS_AT_ONCE: usize = 500;

/// Header and body of about this many bytes.
pub fn text(size: usize) -> String {
    let line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";
    format!("Subject: bench\n\n{}", line.repeat(size / line.len()))
}

/// Sends; comes back when the mail system has taken all.
pub fn submit(address: SocketAddr, load: &Load, recipient: &str) -> Outcome {
    let text = text(load.size);
    in_sessions(load.sessions, |number| {
        let mut left = load.messages / load.sessions + usize::from(number < load.messages % load.sessions);
        while left > 0 {
            let mut client = Client::greet(address)?;
            let some = left.min(load.each_connection);
            (0..some).try_for_each(|_| send(&mut client, recipient, &text))?;
            if left > some {
                client.command("QUIT")?;
            }
            left -= some;
        }
        Ok(())
    })
}

/// Sends until it is told to stop; how many messages were taken.
pub fn submit_until(mail: &Instance, sessions: usize, recipient: &str, stop: &AtomicBool) -> Outcome<usize> {
    let (text, taken) = (text(1024), AtomicUsize::new(0));
    in_sessions(sessions, |_| {
        let mut client = Client::greet(mail.v4())?;
        while !stop.load(Ordering::Acquire) {
            send(&mut client, recipient, &text)?;
            taken.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    })?;
    Ok(taken.into_inner())
}

/// Does something in so many threads; the first failure of any.
fn in_sessions(sessions: usize, work: impl Fn(usize) -> Outcome + Sync) -> Outcome {
    let work = &work;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..sessions).map(|number| scope.spawn(move || work(number))).collect();
        let broken = || Err(Failure("a client broke".to_owned()));
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| broken()))
    })
}

fn send(client: &mut Client, recipient: &str, text: &str) -> Outcome {
    let reply = client.send("bench@client.test", &[recipient], text)?;
    if reply.code == 250 { Ok(()) } else { Err(Failure(reply.last())) }
}

fn demand(code: u16, wanted: u16) -> Outcome {
    if code == wanted { Ok(()) } else { Err(Failure(format!("{code} in place of {wanted}"))) }
}

/// What it has logged last.
pub fn end_of_log(mail: &Instance) -> String {
    let log = mail.log();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
