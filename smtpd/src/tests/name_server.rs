//! A name server with a few records on a loopback port. RFC 1035 4

use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::task::spawn_local;

/// Name, and its records: addresses, `NS host`, `TXT text`, `MX20 host`, `MX host` (`MX` alone accepts no mail), `PTR name`, `SERVFAIL`, or none.
type Zone = &'static [(&'static str, &'static [&'static str])];

const ZONE: Zone = &[
    ("six.example", &["2001:db8:1::25"]),
    ("four.example", &["10.1.2.4"]),
    ("other.example", &["10.9.9.9"]),
    ("broken.example", &["SERVFAIL"]),
    ("null.example", &["MX"]),
    ("mail.example", &["MX four.example"]),
    ("empty.example", &["PTR unused"]),
    ("1.2.1.10.in-addr.arpa", &["PTR nosuch.example"]),
    ("2.2.1.10.in-addr.arpa", &["PTR other.example"]),
    ("3.2.1.10.in-addr.arpa", &["PTR broken.example"]),
    ("4.2.1.10.in-addr.arpa", &["PTR four.example"]),
    ("5.2.1.10.in-addr.arpa", &["PTR six.example"]),
    ("6.2.1.10.in-addr.arpa", &["SERVFAIL"]),
    ("7.2.1.10.in-addr.arpa", &["PTR 10.1.2.7"]),
    ("5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", &["PTR six.example"]),
    ("5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example", &["127.0.0.2", "TXT listed six"]),
    ("3.2.1.10.bl.example", &["127.0.0.2"]),
    ("3.2.1.10.filt.example", &["127.0.0.2", "127.0.0.4", "TXT one reason", "TXT other reason"]),
    ("four.example.rhs.example", &["127.0.0.9", "TXT rhs reason"]),
    ("helo.test.rhs.example", &["127.0.0.9"]),
    ("sender.test.rhs.example", &["127.0.0.9"]),
    ("ok.test.rhs.example", &["127.0.0.9"]),
    ("3.2.1.10.servfail.test", &["SERVFAIL"]),
    ("sender.test.servfail.test", &["SERVFAIL"]),
    ("four.example.servfail.test", &["SERVFAIL"]),
    ("servfail.test", &["SERVFAIL"]),
    ("sender.test", &["MX mx.sender.test", "NS ns1.dns.test", "192.0.2.67"]),
    ("sub.sender.test", &["192.0.2.68"]),
    ("mx.sender.test", &["192.0.2.66", "2001:db8:66::1"]),
    ("ns1.dns.test", &["192.0.2.53", "2001:db8:53::1"]),
    ("nomx.test", &["192.0.2.69", "2001:db8:69::1"]),
    ("badmx.test", &["MX nosuch.test"]),
    ("backup.test", &["MX mx.sender.test", "MX20 this.test"]),
    ("primary.test", &["MX this.test", "MX20 mx.sender.test"]),
    ("this.test", &["127.0.0.1"]),
];

/// Starts it.
pub async fn serve() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    spawn_local(async move {
        let mut question = [0; 512];
        loop {
            let (length, peer) = socket.recv_from(&mut question).await.unwrap();
            socket.send_to(&answer(&question[..length]), peer).await.unwrap();
        }
    });
    address
}

fn answer(question: &[u8]) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while question[at] != 0 {
        let length = usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..at + 1 + length]).to_lowercase());
        at += 1 + length;
    }
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let records = ZONE.iter().find(|(name, _)| *name == labels.join(".")).map(|(_, records)| *records);
    let code = match records {
        None => 3,
        Some(["SERVFAIL"]) => 2,
        Some(_) => 0,
    };
    let data: Vec<_> = records.unwrap_or_default().iter().filter_map(|record| encode(record, kind)).collect();
    let mut reply = question[..2].to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1, 0, data.len() as u8, 0, 0, 0, 0]);
    reply.extend(&question[12..at + 5]);
    for data in data {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        reply.extend(data);
    }
    reply
}

fn encode(record: &str, kind: u16) -> Option<Vec<u8>> {
    match (record.split_once(' ').unwrap_or((record, "")), record.parse::<IpAddr>(), kind) {
        (("MX", host), _, 15) => Some([&[0, 0], &name(host)[..]].concat()),
        (("MX20", host), _, 15) => Some([&[0, 20], &name(host)[..]].concat()),
        (("NS", host), _, 2) => Some(name(host)),
        (("TXT", text), _, 16) => Some([&[text.len() as u8], text.as_bytes()].concat()),
        (("PTR", host), _, 12) => Some(name(host)),
        (_, Ok(IpAddr::V4(address)), 1) => Some(address.octets().to_vec()),
        (_, Ok(IpAddr::V6(address)), 28) => Some(address.octets().to_vec()),
        _ => None,
    }
}

fn name(host: &str) -> Vec<u8> {
    let mut data = Vec::new();
    for label in host.split('.').filter(|label| !label.is_empty()) {
        data.push(label.len() as u8);
        data.extend(label.as_bytes());
    }
    data.push(0);
    data
}
