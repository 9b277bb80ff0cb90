//! A DNS server in the test's own process: records as text, and a list of what was asked. UDP and TCP.
//!
//! Where a test is about a resolver and not about the questions, dnsmasq ([`crate::dns`]) is the more real one.

use crate::port::Port;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

/// Types of records that can be served and that questions are noted by.
const TYPES: [(&str, u16); 7] = [("A", 1), ("NS", 2), ("CNAME", 5), ("PTR", 12), ("MX", 15), ("TXT", 16), ("AAAA", 28)];

/// No type of a record: says that the name's questions fail. RFC 6895 3.1 leaves it to private use.
const FAIL: u16 = 65_280;

/// Name, type and data of one record.
type Record = (String, u16, Vec<u8>);

/// A running server; it ends with the process.
#[derive(Clone, Debug)]
pub struct NameServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    held: Arc<Mutex<Held>>,
}

/// Answers that are not told yet.
#[derive(Debug, Default)]
struct Held {
    question: Option<String>,
    answers: Vec<(Vec<u8>, SocketAddr)>,
}

impl NameServer {
    /// Serves lines of the form `host.example AAAA 2001:db8::1`, `example MX 10 host.example`; questions about the name
    /// of a line `broken.example FAIL` fail. A name that neither has a record nor stands above one does not exist.
    pub fn start<L: AsRef<str>>(address: SocketAddr, zone: &[L]) -> NameServer {
        let records: Arc<Vec<Record>> = Arc::new(zone.iter().map(|line| record(line.as_ref())).collect());
        let udp = UdpSocket::bind(address).unwrap_or_else(|e| panic!("name server on {address}: {e}"));
        let address = udp.local_addr().unwrap_or(address);
        let tcp = TcpListener::bind(address).unwrap_or_else(|e| panic!("name server on {address}: {e}"));
        let server = NameServer { address, asked: Arc::default(), held: Arc::default() };
        let (on_udp, on_tcp) = ((server.clone(), records.clone()), (server.clone(), records));
        std::thread::spawn(move || on_udp.0.serve_udp(&udp, &on_udp.1));
        std::thread::spawn(move || on_tcp.0.serve_tcp(&tcp, &on_tcp.1));
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was asked so far: `AAAA host.example`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same on a loopback port that is free.
    pub fn on_loopback<L: AsRef<str>>(zone: &[L]) -> NameServer {
        let port = Port::reserve();
        NameServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port.number())), zone)
    }

    /// Answers a question (`AAAA slow.example`) only when one about another name has been asked after it.
    pub fn hold(&self, question: &str) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).question = Some(question.to_string());
    }

    fn serve_udp(&self, socket: &UdpSocket, records: &[Record]) {
        let mut question = [0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut question) {
            let Some(answer) = self.answer(&question[..length], records) else { continue };
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = self.asked().pop();
            if held.question.is_some() && held.question == asked {
                held.answers.push((answer, peer));
                continue;
            }
            let _ = socket.send_to(&answer, peer);
            if name_of(held.question.as_deref()) == name_of(asked.as_deref()) {
                continue;
            }
            for (answer, peer) in held.answers.drain(..) {
                let _ = socket.send_to(&answer, peer);
            }
        }
    }

    fn serve_tcp(&self, listener: &TcpListener, records: &[Record]) {
        for mut stream in listener.incoming().flatten() {
            let mut length = [0; 2];
            while stream.read_exact(&mut length).is_ok() {
                let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                let answer = stream.read_exact(&mut question).ok().and_then(|()| self.answer(&question, records));
                let Some(answer) = answer else { break };
                let length = u16::try_from(answer.len()).unwrap_or(u16::MAX).to_be_bytes();
                if stream.write_all(&[&length[..], &answer].concat()).is_err() {
                    break;
                }
            }
        }
    }

    /// RFC 1035 4.1: the question again, and the records of its name and type, with their names as a pointer to it.
    fn answer(&self, question: &[u8], records: &[Record]) -> Option<Vec<u8>> {
        let (name, end) = name_in(question)?;
        let kind = u16::from_be_bytes([*question.get(end)?, *question.get(end + 1)?]);
        let shown =
            TYPES.iter().find(|(_, number)| *number == kind).map_or(kind.to_string(), |(text, _)| text.to_string());
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{shown} {name}"));
        let below = format!(".{name}");
        let exists = records.iter().any(|(other, ..)| *other == name || other.ends_with(&below));
        let found: Vec<_> =
            records.iter().filter(|(other, of, _)| *other == name && (*of == kind || *of == 5)).collect();
        let mut answer = question.get(..2)?.to_vec();
        let fails = records.iter().any(|(other, of, _)| *other == name && *of == FAIL);
        let code = if fails {
            2
        } else if exists {
            0
        } else {
            3
        };
        for number in [0x8580 | code, 1, u16::try_from(found.len()).ok()?, 0, 0] {
            answer.extend(number.to_be_bytes());
        }
        answer.extend(question.get(12..end + 4)?);
        for (_, of, data) in found {
            answer.extend([0xc0, 12]);
            answer.extend(of.to_be_bytes());
            answer.extend([0, 1, 0, 0, 1, 44]);
            answer.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
            answer.extend(data);
        }
        Some(answer)
    }
}

/// The name of the first question, in lower case, and where it ends.
fn name_in(question: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*question.get(at)?);
        if length == 0 {
            return Some((labels.join("."), at + 1));
        }
        labels.push(String::from_utf8_lossy(question.get(at + 1..at + 1 + length)?).to_lowercase());
        at += 1 + length;
    }
}

fn record(line: &str) -> Record {
    let mut words = line.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (name, kind, data) = (word().to_lowercase(), word(), word());
    let number = TYPES.iter().chain(&[("FAIL", FAIL)]).find(|(text, _)| *text == kind).map(|(_, number)| *number);
    let number = number.unwrap_or_else(|| panic!("type of record: {line}"));
    let bytes = match kind {
        "A" | "AAAA" => match data.parse().unwrap_or_else(|e| panic!("{line}: {e}")) {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        },
        "MX" => {
            let (preference, host) = data.split_once(' ').unwrap_or_else(|| panic!("{line}: no host"));
            let preference: u16 = preference.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
            [preference.to_be_bytes().to_vec(), wire_name(host)].concat()
        }
        "FAIL" => Vec::new(),
        "TXT" => [&[u8::try_from(data.len()).unwrap_or(u8::MAX)], data.as_bytes()].concat(),
        _ => wire_name(data),
    };
    (name, number, bytes)
}

fn wire_name(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}

/// Of a question as it is noted.
fn name_of(question: Option<&str>) -> Option<&str> {
    question?.split_once(' ').map(|(_, name)| name)
}
