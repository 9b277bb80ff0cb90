//! A DNS server in the test's own process: records as text, and a list of what was asked. UDP and TCP.
//!
//! Where a test is about a resolver and not about the questions, dnsmasq ([`crate::dns`]) is the more real one.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use crate::port::Port;

/// Types of records that can be served and that questions are noted by.
const TYPES: [(&str, u16); 9] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", CNAME),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("TLSA", 52),
];

/// The type of an alias.
const CNAME: u16 = 5;

/// No type of a record: says that the name's questions fail. RFC 6895 3.1 leaves it to private use.
const FAIL: u16 = 65_280;

/// Name, type and data of one record.
type Record = (String, u16, Vec<u8>);

/// A running server; it ends with the process.
#[derive(Clone)]
pub struct NameServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    held: Arc<Mutex<Held>>,
    judge: Arc<Judge>,
}

/// Decides what becomes of a question.
type Judge = dyn Fn(&Question) -> Verdict + Send + Sync;

/// A question that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// `AAAA host.example`.
    pub text: String,
    /// It has an OPT record.
    pub edns: bool,
    /// It has the AD bit.
    pub ad: bool,
    /// It has the DO bit.
    pub dnssec: bool,
    /// It came over TCP.
    pub tcp: bool,
    /// How many came before it.
    pub earlier: usize,
}

/// What becomes of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The zone has the answer.
    Zone,
    /// The zone has the answer, and the server says that it is validated.
    Signed,
    /// The zone has the answer, and those that its aliases lead to, as from a server that asks others.
    Recursive,
    /// No records, and this response code (RFC 1035 4.1.1).
    Code(u8),
    /// No answer; a connection is closed.
    Silence,
    /// The answer does not fit: TC and no records over UDP, the zone's answer over TCP.
    Truncated,
    /// No records, from a server that neither knows nor looks further.
    Referral,
    /// The zone's answer with another number.
    OtherNumber,
    /// A refusal with another number, then the zone's answer.
    ForgedFirst,
    /// The zone's answer to another question.
    OtherQuestion,
    /// The zone's records with the code that there is no such name.
    Denied,
    /// Bytes that are no message.
    Garbage,
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
        NameServer::judged(address, zone, |_| Verdict::Zone)
    }

    /// The same, with a judge that decides what becomes of each question.
    pub fn judged<L: AsRef<str>>(
        address: SocketAddr,
        zone: &[L],
        judge: impl Fn(&Question) -> Verdict + Send + Sync + 'static,
    ) -> NameServer {
        let records: Arc<Vec<Record>> = Arc::new(zone.iter().map(|line| record(line.as_ref())).collect());
        let udp = UdpSocket::bind(address).unwrap_or_else(|e| panic!("name server on {address}: {e}"));
        let address = udp.local_addr().unwrap_or(address);
        let tcp = TcpListener::bind(address).unwrap_or_else(|e| panic!("name server on {address}: {e}"));
        let server = NameServer { address, asked: Arc::default(), held: Arc::default(), judge: Arc::new(judge) };
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

    /// A server with a judge on a loopback port that is free.
    pub fn judged_on_loopback<L: AsRef<str>>(
        zone: &[L],
        judge: impl Fn(&Question) -> Verdict + Send + Sync + 'static,
    ) -> NameServer {
        let port = Port::reserve();
        NameServer::judged(SocketAddr::from((Ipv4Addr::LOCALHOST, port.number())), zone, judge)
    }

    /// Answers a question (`AAAA slow.example`) only when one about another name has been asked after it.
    pub fn hold(&self, question: &str) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).question = Some(question.to_owned());
    }

    fn serve_udp(&self, socket: &UdpSocket, records: &[Record]) {
        let mut question = [0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut question) {
            let mut answers = self.answers(&question[..length], records, false).unwrap_or_default();
            let Some(answer) = answers.pop() else { continue };
            for earlier in answers {
                let _ = socket.send_to(&earlier, peer);
            }
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
                let read = stream.read_exact(&mut question).is_ok();
                let answers = if read { self.answers(&question, records, true) } else { None };
                let Some(answer) = answers.and_then(|mut answers| answers.pop()) else { break };
                let length = u16::try_from(answer.len()).unwrap_or(u16::MAX).to_be_bytes();
                if stream.write_all(&[&length[..], &answer].concat()).is_err() {
                    break;
                }
            }
        }
    }

    /// What is sent back, the answer last; nothing for a question without an answer.
    fn answers(&self, question: &[u8], records: &[Record], tcp: bool) -> Option<Vec<Vec<u8>>> {
        let (name, end) = name_in(question)?;
        let kind = u16::from_be_bytes([*question.get(end)?, *question.get(end + 1)?]);
        let shown =
            TYPES.iter().find(|(_, number)| *number == kind).map_or(kind.to_string(), |(text, _)| text.to_string());
        let text = format!("{shown} {name}");
        let earlier = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.push(text.clone());
            asked.len() - 1
        };
        let (edns, ad) = (question.get(11) == Some(&1), question.get(3).is_some_and(|flags| flags & 0x20 != 0));
        // After type and class: the root, the type of the OPT record, its size, extended code and version, flags.
        let dnssec = edns && question.get(end + 11).is_some_and(|flags| flags & 0x80 != 0);
        let verdict = (self.judge)(&Question { text, edns, ad, dnssec, tcp, earlier });
        let follows = verdict == Verdict::Recursive;
        let zone = from_zone(question, &name, kind, end, records, follows)?;
        let empty = |flags: u16| {
            let words = [flags, 1, 0, 0, 0].map(u16::to_be_bytes).concat();
            [&question[..2], &words, &question[12..end + 4]].concat()
        };
        let changed = |change: fn(&mut Vec<u8>)| {
            let mut answer = zone.clone();
            change(&mut answer);
            answer
        };
        Some(match verdict {
            Verdict::Silence => return None,
            Verdict::Code(code) => vec![empty(0x8180 | u16::from(code))],
            Verdict::Truncated if !tcp => vec![empty(0x8380)],
            Verdict::Zone | Verdict::Recursive | Verdict::Truncated => vec![zone],
            Verdict::Signed => vec![changed(|answer| answer[3] |= 0x20)],
            Verdict::Referral => vec![empty(0x8100)],
            Verdict::OtherNumber => vec![changed(|answer| answer[0] ^= 1)],
            Verdict::ForgedFirst => {
                let mut forged = empty(0x8183);
                forged[1] ^= 1;
                vec![forged, zone]
            }
            Verdict::OtherQuestion => vec![changed(|answer| answer[13] = b'!')],
            Verdict::Denied => vec![changed(|answer| answer[3] |= 3)],
            Verdict::Garbage => vec![vec![1, 2, 3]],
        })
    }
}

/// RFC 1035 4.1: the question again, and the records of its name and type.
fn from_zone(question: &[u8], name: &str, kind: u16, end: usize, records: &[Record], follows: bool) -> Option<Vec<u8>> {
    let (mut found, mut owner): (Vec<&Record>, String) = (Vec::new(), name.to_owned());
    loop {
        let of_owner = |of: u16| records.iter().filter(|(other, record, _)| *other == owner && *record == of).collect();
        let data: Vec<&Record> = of_owner(kind);
        let aliases: Vec<&Record> = of_owner(CNAME);
        let alias = aliases.first().filter(|alias| data.is_empty() && !found.contains(alias));
        found.extend(data);
        let Some(alias) = alias else { break };
        found.push(alias);
        if !follows {
            break;
        }
        owner = name_in(&[&[0; 12], &alias.2[..]].concat())?.0;
    }
    let below = format!(".{owner}");
    let exists = records.iter().any(|(other, ..)| *other == owner || other.ends_with(&below));
    let fails = records.iter().any(|(other, of, _)| *other == owner && *of == FAIL);
    let code = match (fails, exists) {
        (true, _) => 2,
        (false, true) => 0,
        (false, false) => 3,
    };
    let mut answer = question.get(..2)?.to_vec();
    for number in [0x8580 | code, 1, u16::try_from(found.len()).ok()?, 0, 0] {
        answer.extend(number.to_be_bytes());
    }
    answer.extend(question.get(12..end + 4)?);
    for (owner, of, data) in found {
        // The name of the question again is a pointer to it.
        answer.extend(if owner == name { vec![0xc0, 12] } else { wire_name(owner) });
        answer.extend(of.to_be_bytes());
        answer.extend([0, 1, 0, 0, 1, 44]);
        answer.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
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
        // Numbers, and a host last: preference; priority, weight and port.
        "MX" | "SRV" => {
            let (numbers, host) = data.rsplit_once(' ').unwrap_or_else(|| panic!("{line}: no host"));
            let number = |word: &str| word.parse::<u16>().unwrap_or_else(|e| panic!("{line}: {e}")).to_be_bytes();
            [numbers.split(' ').flat_map(number).collect(), wire_name(host)].concat()
        }
        "FAIL" => Vec::new(),
        "TLSA" => association(line, data),
        "TXT" => [&[u8::try_from(data.len()).unwrap_or(u8::MAX)], data.as_bytes()].concat(),
        _ => wire_name(data),
    };
    (name, number, bytes)
}

/// `3 1 1 HEX`
fn association(line: &str, data: &str) -> Vec<u8> {
    let words: Vec<&str> = data.split(' ').collect();
    let (numbers, hex) = words.split_at(words.len().min(3));
    let mut bytes: Vec<u8> =
        numbers.iter().map(|word| word.parse().unwrap_or_else(|e| panic!("{line}: {e}"))).collect();
    for pair in hex.concat().as_bytes().chunks(2) {
        let digits = String::from_utf8_lossy(pair);
        bytes.push(u8::from_str_radix(&digits, 16).unwrap_or_else(|e| panic!("{line}: {e}")));
    }
    bytes
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
