//! Thousands of SMTP clients in one thread: sockets that never wait, so that it is not the clients that are slow.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::failure::{Failure, Outcome};

/// How long all of them together may hear nothing.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a client says in one go, and how many replies it then waits for.
pub struct Step {
    pub bytes: Vec<u8>,
    pub replies: usize,
}

impl Step {
    pub fn new(bytes: impl Into<Vec<u8>>, replies: usize) -> Step {
        Step { bytes: bytes.into(), replies }
    }

    /// A greeting, once connected.
    pub fn ehlo() -> Step {
        Step::new("EHLO client.test\r\n", 1)
    }

    /// One message in one pipelined envelope.
    pub fn message(text: &str) -> [Step; 2] {
        let envelope = "MAIL FROM:<bench@client.test>\r\nRCPT TO:<bench@other.test>\r\nDATA\r\n";
        [Step::new(envelope, 3), Step::new(testing::client::wire_form(text), 1)]
    }
}

/// Clients that are connected and greeted.
pub struct Crowd {
    poll: Poll,
    sessions: Vec<Session>,
}

struct Session {
    stream: TcpStream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    awaited: usize,
    /// How many steps it has begun.
    begun: usize,
}

impl Crowd {
    /// Connects so many, `at_once` at a time, and waits until each is greeted.
    pub fn connect(address: SocketAddr, count: usize, at_once: usize) -> Outcome<Crowd> {
        let mut crowd = Crowd { poll: Poll::new()?, sessions: Vec::with_capacity(count) };
        let (mut greeted, mut events) = (0, Events::with_capacity(1024));
        while greeted < count {
            while crowd.sessions.len() < count.min(greeted.saturating_add(at_once)) {
                crowd.add(address)?;
            }
            let waiting = crowd.sessions.len() - greeted;
            for at in crowd.wait(&mut events, waiting)? {
                let session = &mut crowd.sessions[at];
                greeted += usize::from(session.awaited > 0 && session.turn()?);
            }
        }
        Ok(crowd)
    }

    fn add(&mut self, address: SocketAddr) -> Outcome {
        let mut stream = TcpStream::connect(address)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(self.sessions.len()), interest)?;
        self.sessions.push(Session { stream, inbox: Vec::new(), outbox: Vec::new(), awaited: 1, begun: 0 });
        Ok(())
    }

    /// Lets each say all steps so many times, `at_once` clients at a time.
    pub fn play(&mut self, steps: &[Step], times: usize, at_once: usize) -> Outcome {
        let (all, count) = (steps.len() * times, self.sessions.len());
        if all == 0 {
            return Ok(());
        }
        let (mut started, mut done, mut events) = (0, 0, Events::with_capacity(1024));
        self.sessions.iter_mut().for_each(|session| session.begun = 0);
        while done < count {
            while started < count.min(done.saturating_add(at_once)) {
                self.sessions[started].say(&steps[0])?;
                started += 1;
            }
            for at in self.wait(&mut events, started - done)? {
                let session = &mut self.sessions[at];
                while session.awaited > 0 && session.turn()? {
                    match session.begun {
                        begun if begun == all => done += 1,
                        begun => session.say(&steps[begun % steps.len()])?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Those that something has happened to.
    fn wait(&mut self, events: &mut Events, waiting: usize) -> Outcome<Vec<usize>> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.poll.poll(events, Some(PATIENCE)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => result?,
            }
            if !events.is_empty() {
                return Ok(events.iter().map(|event| event.token().0).collect());
            }
            if Instant::now() >= end {
                return Err(Failure(format!("{waiting} of {} clients hear nothing", self.sessions.len())));
            }
        }
    }
}

impl Session {
    fn say(&mut self, step: &Step) -> io::Result<()> {
        self.outbox.extend_from_slice(&step.bytes);
        (self.awaited, self.begun) = (step.replies, self.begun + 1);
        self.write()
    }

    /// Writes and reads what is possible; whether all replies of the step are there.
    fn turn(&mut self) -> Outcome<bool> {
        self.write()?;
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Failure(format!("the server hangs up: {}", self.inbox.escape_ascii()))),
                Ok(length) => self.inbox.extend_from_slice(&buffer[..length]),
                Err(error) if is_early(&error) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.awaited = self.awaited.saturating_sub(take_replies(&mut self.inbox)?);
        Ok(self.awaited == 0)
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(length) => drop(self.outbox.drain(..length)),
                Err(error) if is_early(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Nothing is there to be read, there is no room to write, or there is no connection yet.
fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected | io::ErrorKind::Interrupted)
}

/// Takes the complete replies; how many they are, or the first that refuses.
fn take_replies(inbox: &mut Vec<u8>) -> Outcome<usize> {
    let mut replies = 0;
    while let Some(end) = inbox.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = inbox.drain(..=end).collect();
        match line[..] {
            [b'2' | b'3', _, _, b'-', ..] => {}
            [b'2' | b'3', _, _, ..] => replies += 1,
            _ => return Err(Failure(format!("the server says {}", line.trim_ascii().escape_ascii()))),
        }
    }
    Ok(replies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testing::Sink;

    #[test]
    fn a_reply_counts_with_its_last_line_and_an_incomplete_one_stays() {
        let mut inbox = b"250-a\r\n250 b\r\n354 c\r\n25".to_vec();
        assert_eq!(take_replies(&mut inbox).ok(), Some(2));
        assert_eq!(inbox, b"25");
        assert!(take_replies(&mut b"450 4.2.0 later\r\n".to_vec()).is_err());
    }

    #[test]
    fn each_client_sends_its_messages() {
        let sink = Sink::v4();
        let mut crowd = Crowd::connect(sink.address(), 30, 7).expect("connected");
        crowd.play(&[Step::ehlo()], 1, usize::MAX).expect("greeted");
        crowd.play(&Step::message("Subject: x\n\n.y\n"), 3, 10).expect("sent");
        assert_eq!(sink.count(), 90);
        assert_eq!(sink.received()[0].text, "Subject: x\n\n.y\n");
    }
}
