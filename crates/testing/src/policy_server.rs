//! A policy service in the test's own process that answers what it is told to, and real ones that are started for each
//! connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// What a service does about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It says these bytes.
    Say(Vec<u8>),
    /// It says these bytes and closes the connection.
    Last(Vec<u8>),
    /// It says `x` for as long as anybody reads it.
    Endless,
    /// Nothing.
    Nothing,
}

/// A question that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which connection it came over, from 0.
    pub connection: usize,
    /// Names and values, in order.
    pub attributes: Vec<(String, String)>,
}

impl Question {
    /// The value of an attribute; empty if it is not there.
    pub fn value(&self, name: &str) -> &str {
        self.attributes.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// A scripted service. It ends with the process.
#[derive(Clone)]
pub struct PolicyServer {
    /// `inet:127.0.0.1:PORT` or `unix:PATH`, as main.cf has it.
    pub name: String,
    heard: Arc<Mutex<Vec<Question>>>,
}

impl PolicyServer {
    /// At a port of its own.
    pub fn start(act: impl Fn(&Question) -> Act + Send + Sync + 'static) -> PolicyServer {
        let (listener, name) = listen();
        let streams = (0..).map_while(move |_| Some(Box::new(listener.accept().ok()?.0) as Box<dyn Stream>));
        PolicyServer::serving(name, streams, act)
    }

    /// At this socket.
    pub fn at(path: &Path, act: impl Fn(&Question) -> Act + Send + Sync + 'static) -> PolicyServer {
        let listener = UnixListener::bind(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let opened = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666));
        opened.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let streams = (0..).map_while(move |_| Some(Box::new(listener.accept().ok()?.0) as Box<dyn Stream>));
        PolicyServer::serving(format!("unix:{}", path.display()), streams, act)
    }

    /// One that says the same to everything.
    pub fn saying(answer: &str) -> PolicyServer {
        let answer = answer.as_bytes().to_vec();
        PolicyServer::start(move |_| Act::Say(answer.clone()))
    }

    fn serving(
        name: String,
        streams: impl Iterator<Item = Box<dyn Stream>> + Send + 'static,
        act: impl Fn(&Question) -> Act + Send + Sync + 'static,
    ) -> PolicyServer {
        let server = PolicyServer { name, heard: Arc::default() };
        let (heard, act) = (Arc::clone(&server.heard), Arc::new(act));
        std::thread::spawn(move || {
            for (connection, stream) in streams.enumerate() {
                let (heard, act) = (Arc::clone(&heard), Arc::clone(&act));
                std::thread::spawn(move || serve(stream, connection, &heard, &*act));
            }
        });
        server
    }

    /// What was asked.
    pub fn heard(&self) -> Vec<Question> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The name of a service that `command` makes: it is run for each connection, which it has as its input and output.
pub fn of_program(command: impl Fn() -> Command + Send + 'static) -> String {
    let (listener, name) = listen();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let output = stream.try_clone().unwrap_or_else(|e| panic!("a policy service's connection: {e}"));
            let mut command = command();
            command.stdin(Stdio::from(OwnedFd::from(stream))).stdout(Stdio::from(OwnedFd::from(output)));
            let mut process = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
            // It ends with the connection.
            std::thread::spawn(move || process.wait());
        }
    });
    name
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap_or_else(|e| panic!("policy service: {e}"));
    let port = listener.local_addr().map_or(0, |address| address.port());
    (listener, format!("inet:127.0.0.1:{port}"))
}

trait Stream: Read + Write + Send {
    fn close(&self);
}

impl Stream for TcpStream {
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Stream for UnixStream {
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

fn serve(mut stream: Box<dyn Stream>, connection: usize, heard: &Mutex<Vec<Question>>, act: &dyn Fn(&Question) -> Act) {
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let end = received.windows(2).position(|pair| pair == b"\n\n");
        let Some(end) = end else {
            match stream.read(&mut buffer) {
                Ok(count @ 1..) => received.extend_from_slice(&buffer[..count]),
                Ok(0) | Err(_) => return,
            }
            continue;
        };
        let text = String::from_utf8_lossy(&received[..end]).into_owned();
        received.drain(..end + 2);
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let question = Question { connection, attributes: text.lines().filter_map(pair).collect() };
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(question.clone());
        match act(&question) {
            Act::Say(answer) => drop(stream.write_all(&answer)),
            Act::Last(answer) => {
                drop(stream.write_all(&answer));
                return stream.close();
            }
            Act::Endless => while stream.write_all(&[b'x'; 4096]).is_ok() {},
            Act::Nothing => {}
        }
    }
}
