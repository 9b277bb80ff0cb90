//! One connection to the server for all sessions of a process, kept from one login to the next.
//!
//! Requests have numbers, and one task reads the answers and gives each to who waits for it. A request that could not
//! be written is made once more on a new connection, for the server may have been started again since the last one; a
//! request that was written is not, for nobody knows what became of it. Who begins a login while the connection is
//! being made waits for the same attempt, and hears of its failure.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Mutex, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::{Zeroize, Zeroizing};

use super::greeting::MAJOR;
use super::{Answer, Greeting, Lines, Mechanism};

/// How long the server may take to be connected, to greet, and to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes read at once.
const READ_SIZE: usize = 4 << 10;

/// A connection.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// A connection of any kind.
pub type Transport = Box<dyn Stream>;

/// How the server is reached.
pub trait Connect {
    /// A new connection.
    ///
    /// # Errors
    /// Those of connect(2).
    fn connect(&self) -> Pin<Box<dyn Future<Output = io::Result<Transport>> + '_>>;
}

/// A login that begins.
pub struct Request<'a> {
    /// As the client wrote it; the name of one of the server's mechanisms, in any case.
    pub mechanism: &'a str,
    /// smtpd_sasl_service
    pub service: &'a str,
    /// The server's address.
    pub local: Option<IpAddr>,
    /// The client's address.
    pub remote: Option<IpAddr>,
    /// Nobody can listen.
    pub secured: bool,
    /// What came with the command, in base64.
    pub initial: Option<&'a [u8]>,
}

impl Request<'_> {
    fn line(&self, id: u32) -> Zeroizing<Vec<u8>> {
        let initial = self.initial.map_or(0, <[u8]>::len);
        // Room for all of it: a buffer that grows leaves copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(initial + self.mechanism.len() + self.service.len() + 200));
        let head = format!("AUTH\t{id}\t{}\tservice={}\tnologin", self.mechanism, self.service);
        line.extend_from_slice(head.as_bytes());
        for (name, address) in [("lip", self.local), ("rip", self.remote)] {
            if let Some(address) = address {
                line.extend_from_slice(format!("\t{name}={address}").as_bytes());
            }
        }
        if self.secured {
            line.extend_from_slice(b"\tsecured");
        }
        // The last field, by the protocol.
        if let Some(initial) = self.initial {
            line.extend_from_slice(b"\tresp=");
            line.extend_from_slice(initial);
        }
        line.push(b'\n');
        line
    }
}

/// What became of a request.
pub enum Outcome {
    /// The server has answered.
    Answered(Answer),
    /// It was connected, and is not any more, or is silent.
    Lost,
}

/// A login that goes on, with the server's first answer.
pub struct Begun {
    /// For the next response.
    pub exchange: Exchange,
    /// What the server says to the first one.
    pub outcome: Outcome,
}

/// The server as a process has it.
pub struct Client {
    /// As it is configured, for the log.
    path: String,
    connect: Box<dyn Connect>,
    patience: Duration,
    link: Mutex<Option<Rc<Link>>>,
    /// Attempts to connect that have failed.
    failures: Cell<u64>,
    last_id: Cell<u32>,
}

impl Client {
    /// A server that nobody has connected to yet. `path`: as main.cf has it.
    pub fn new(path: impl Into<String>, connect: impl Connect + 'static) -> Client {
        Client {
            path: path.into(),
            connect: Box::new(connect),
            patience: PATIENCE,
            link: Mutex::new(None),
            failures: Cell::new(0),
            last_id: Cell::new(0),
        }
    }

    /// The server's mechanisms; `None` where it cannot be reached, which was logged as far as there is something to
    /// say.
    pub async fn mechanisms(&self) -> Option<Rc<[Mechanism]>> {
        Some(Rc::clone(&self.link().await?.mechanisms))
    }

    /// Begins a login; `None` where the server cannot be reached, as above.
    pub async fn begin(&self, request: &Request<'_>) -> Option<Begun> {
        for last in [false, true] {
            let link = self.link().await?;
            let id = self.last_id.get().wrapping_add(1).max(1);
            self.last_id.set(id);
            match link.ask(id, request.line(id)).await {
                Ok(answer) => {
                    return Some(Begun { exchange: Exchange { link, id }, outcome: Outcome::Answered(answer) });
                }
                Err(Failed::Unwritten) if !last => {}
                Err(_) => return Some(Begun { exchange: Exchange { link, id }, outcome: Outcome::Lost }),
            }
        }
        None
    }

    /// The connection, new if there is none that works.
    async fn link(&self) -> Option<Rc<Link>> {
        let failures = self.failures.get();
        let mut link = self.link.lock().await;
        if let Some(link) = link.as_ref().filter(|link| !link.dead.get()) {
            return Some(Rc::clone(link));
        }
        *link = None;
        // Somebody else's attempt has failed meanwhile: the next one would take as long.
        if self.failures.get() != failures {
            return None;
        }
        *link = self.connected().await;
        if link.is_none() {
            self.failures.set(failures.wrapping_add(1));
        }
        link.clone()
    }

    async fn connected(&self) -> Option<Rc<Link>> {
        let stream = match timeout(self.patience, self.connect.connect()).await {
            Ok(stream) => stream.map_err(|error| net::reason(&error)),
            Err(_) => Err("Connection timed out".to_owned()),
        };
        let stream = stream
            .inspect_err(|reason| {
                logging::warning!("SASL: Connect to Dovecot auth socket '{}' failed: {reason}", self.path);
            })
            .ok()?;
        match timeout(self.patience, greeted(stream)).await {
            Ok(Ok((stream, lines, mechanisms))) => Some(Link::new(stream, lines, mechanisms, self.patience)),
            Ok(Err(Some(why))) => {
                logging::warning!("SASL: {why}");
                None
            }
            Ok(Err(None)) | Err(_) => None,
        }
    }
}

/// Says hello and reads the greeting. The error has nothing to say where the server has just gone.
async fn greeted(mut stream: Transport) -> Result<(Transport, Lines, Vec<Mechanism>), Option<String>> {
    let hello = format!("VERSION\t{MAJOR}\t0\nCPID\t{}\n", std::process::id());
    stream.write_all(hello.as_bytes()).await.map_err(|_| None)?;
    let (mut lines, mut greeting, mut buffer) = (Lines::default(), Greeting::default(), [0; READ_SIZE]);
    loop {
        while let Some(line) = lines.next_line().map_err(|error| Some(error.to_string()))? {
            if greeting.line(line).map_err(|error| Some(error.to_string()))? {
                return Ok((stream, lines, greeting.into_mechanisms()));
            }
        }
        match stream.read(&mut buffer).await {
            Ok(count @ 1..) => lines.push(&buffer[..count]),
            Ok(0) | Err(_) => return Err(None),
        }
    }
}

/// Why a request has no answer.
enum Failed {
    /// It has not reached the server.
    Unwritten,
    /// It has, or may have.
    Lost,
}

/// One connection that has been greeted.
struct Link {
    mechanisms: Rc<[Mechanism]>,
    patience: Duration,
    writer: Mutex<Writer>,
    waiting: RefCell<HashMap<u32, oneshot::Sender<Answer>>>,
    /// No request goes over it any more.
    dead: Cell<bool>,
    /// When the server has last said something.
    heard: Cell<Instant>,
    reader: RefCell<Option<AbortHandle>>,
}

struct Writer {
    stream: WriteHalf<Transport>,
    /// A line was begun and not ended.
    broken: bool,
}

impl Link {
    fn new(stream: Transport, lines: Lines, mechanisms: Vec<Mechanism>, patience: Duration) -> Rc<Link> {
        let (reader, stream) = tokio::io::split(stream);
        let link = Rc::new(Link {
            mechanisms: mechanisms.into(),
            patience,
            writer: Mutex::new(Writer { stream, broken: false }),
            waiting: RefCell::default(),
            dead: Cell::new(false),
            heard: Cell::new(Instant::now()),
            reader: RefCell::new(None),
        });
        let task = tokio::task::spawn_local(read(Rc::clone(&link), reader, lines));
        *link.reader.borrow_mut() = Some(task.abort_handle());
        link
    }

    /// The end of it: who waits hears that it is lost.
    fn end(&self) {
        self.dead.set(true);
        self.waiting.borrow_mut().clear();
        if let Some(reader) = self.reader.borrow_mut().take() {
            reader.abort();
        }
    }

    async fn ask(&self, id: u32, line: Zeroizing<Vec<u8>>) -> Result<Answer, Failed> {
        let asked = Instant::now();
        let (sender, answer) = oneshot::channel();
        self.waiting.borrow_mut().insert(id, sender);
        let _ticket = Ticket { link: self, id };
        if self.dead.get() {
            return Err(Failed::Unwritten);
        }
        match timeout(self.patience, self.write(&line)).await {
            Ok(true) => {}
            Ok(false) => {
                self.end();
                return Err(Failed::Unwritten);
            }
            Err(_) => {
                self.end();
                return Err(Failed::Lost);
            }
        }
        match timeout_at(asked + self.patience, answer).await {
            Ok(answer) => answer.map_err(|_| Failed::Lost),
            Err(_) => {
                // A server that answers others is alive, and theirs are not to be lost.
                if self.heard.get() < asked {
                    self.end();
                }
                Err(Failed::Lost)
            }
        }
    }

    /// True when all of it was written.
    async fn write(&self, line: &[u8]) -> bool {
        let mut writer = self.writer.lock().await;
        if std::mem::replace(&mut writer.broken, true) {
            return false;
        }
        let done = writer.stream.write_all(line).await.is_ok();
        writer.broken = !done;
        done
    }
}

/// A place among those who wait, given up with the wait.
struct Ticket<'a> {
    link: &'a Link,
    id: u32,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.link.waiting.borrow_mut().remove(&self.id);
    }
}

/// Gives each answer to who waits for it, until the connection ends.
async fn read(link: Rc<Link>, mut stream: ReadHalf<Transport>, mut lines: Lines) {
    let mut buffer = Zeroizing::new([0; READ_SIZE]);
    loop {
        loop {
            match lines.next_line() {
                Ok(Some(line)) => answered(&link, line),
                Ok(None) => break,
                Err(error) => {
                    logging::repeated!("SASL: {error}");
                    return link.end();
                }
            }
        }
        match stream.read(&mut buffer[..]).await {
            Ok(count @ 1..) => {
                link.heard.set(Instant::now());
                lines.push(&buffer[..count]);
                buffer[..count].zeroize();
            }
            Ok(0) | Err(_) => return link.end(),
        }
    }
}

fn answered(link: &Link, line: &[u8]) {
    match Answer::parse(line) {
        Ok(Some((id, answer))) => {
            if let Some(waits) = link.waiting.borrow_mut().remove(&id) {
                let _ = waits.send(answer);
            }
        }
        Ok(None) => {}
        Err(_) => logging::repeated!("SASL: Protocol error"),
    }
}

/// A login that goes on: the server knows it by the connection and the number.
pub struct Exchange {
    link: Rc<Link>,
    id: u32,
}

impl Exchange {
    /// Answers a challenge, in base64.
    pub async fn respond(&self, response: &[u8]) -> Outcome {
        let mut line = Zeroizing::new(Vec::with_capacity(response.len() + 20));
        line.extend_from_slice(format!("CONT\t{}\t", self.id).as_bytes());
        line.extend_from_slice(response);
        line.push(b'\n');
        self.link.ask(self.id, line).await.map_or(Outcome::Lost, Outcome::Answered)
    }
}

#[cfg(test)]
mod tests;
