//! A mail filter in the test's own process that says what it is told to, by the milter protocol.
//!
//! Its answers are packets as they stand on the wire, so that it can also say what no filter should.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::port::Port;
use crate::wait::{PATIENCE, until};

/// What a filter does about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It sends a packet: command and data, without length.
    Say(Vec<u8>),
    /// It sends these bytes.
    Raw(Vec<u8>),
    /// It closes the connection.
    Close,
    /// It says nothing more.
    Hang,
}

/// A packet of an edit or an answer.
pub fn say(packet: impl AsRef<[u8]>) -> Act {
    Act::Say(packet.as_ref().to_vec())
}

/// A header to be added (`h`), or inserted (`i`) or changed (`m`) at a place.
pub fn header(command: char, index: Option<u32>, name: &str, value: &str) -> Act {
    let index = index.map_or(Vec::new(), |index| index.to_be_bytes().to_vec());
    say([command.to_string().as_bytes(), &index, name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat())
}

/// What a filter does, by the command bytes of events; it goes on with everything else.
#[derive(Clone, Debug, Default)]
pub struct Script {
    acts: HashMap<u8, Vec<Act>>,
    answer: Option<Vec<u8>>,
    steps: u32,
}

impl Script {
    /// Goes on with everything.
    pub fn new() -> Script {
        Script::default()
    }

    /// The same, and this at an event.
    pub fn at(mut self, event: char, acts: impl Into<Vec<Act>>) -> Script {
        self.acts.insert(u8::try_from(event).unwrap_or(b'?'), acts.into());
        self
    }

    /// The same with these protocol bits.
    pub fn steps(self, steps: u32) -> Script {
        Script { steps, ..self }
    }

    /// The same with another answer to the offer: a packet.
    pub fn answer(self, packet: impl AsRef<[u8]>) -> Script {
        Script { answer: Some(packet.as_ref().to_vec()), ..self }
    }
}

/// A scripted filter; dropped, it ends.
pub struct Filter {
    port: Port,
    heard: Lines,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

type Lines = Arc<Mutex<Vec<String>>>;

impl Filter {
    /// A filter on a port of its own.
    pub fn start(script: Script) -> Filter {
        let port = Port::reserve();
        let address = ("127.0.0.1", port.number());
        let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("{address:?}: {e}"));
        let filter = Filter { port, heard: Lines::default(), connections: Arc::default() };
        let (heard, connections) = (Arc::clone(&filter.heard), Arc::clone(&filter.connections));
        let script = Arc::new(script);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.lock().unwrap_or_else(PoisonError::into_inner).extend(stream.try_clone());
                let (heard, script) = (Arc::clone(&heard), Arc::clone(&script));
                std::thread::spawn(move || serve(stream, &script, &heard));
            }
        });
        filter
    }

    /// `inet:127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("inet:127.0.0.1:{}", self.port.number())
    }

    /// What it was told, an event a line: its command and its data, with `|` for NUL.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same without macros, and the first letters alone.
    pub fn events(&self) -> String {
        let heard = self.heard();
        heard.iter().filter(|line| !line.starts_with('D')).filter_map(|line| line.chars().next()).collect()
    }

    /// Waits until it was told a line that begins so.
    pub fn wait_heard(&self, start: &str) -> String {
        let found = until(PATIENCE, || self.heard().into_iter().find(|line| line.starts_with(start)));
        found.unwrap_or_else(|| panic!("no filter hears {start}: {:#?}", self.heard()))
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        for connection in self.connections.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn serve(mut stream: TcpStream, script: &Script, heard: &Lines) {
    while let Some(packet) = read(&mut stream) {
        let command = packet.first().copied().unwrap_or(0);
        let text = String::from_utf8_lossy(&packet).replace('\0', "|").replace('\r', "\\r").replace('\n', "\\n");
        let text = if command == b'O' { "O".to_owned() } else { text };
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        let acts = match command {
            b'O' => {
                let usual = [&b"O"[..], &6u32.to_be_bytes(), &0x1ffu32.to_be_bytes(), &script.steps.to_be_bytes()];
                vec![Act::Say(script.answer.clone().unwrap_or_else(|| usual.concat()))]
            }
            b'Q' => vec![Act::Close],
            b'A' | b'D' => Vec::new(),
            other => script.acts.get(&other).cloned().unwrap_or_else(|| vec![say("c")]),
        };
        for act in acts {
            let bytes = match act {
                Act::Say(packet) => {
                    let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
                    [&length.to_be_bytes()[..], &packet].concat()
                }
                Act::Raw(bytes) => bytes,
                Act::Close => {
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
                Act::Hang => continue,
            };
            if stream.write_all(&bytes).is_err() {
                return;
            }
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut packet = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()?];
    stream.read_exact(&mut packet).ok()?;
    Some(packet)
}
