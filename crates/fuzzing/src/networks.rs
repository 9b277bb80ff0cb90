//! Addresses, networks, names and endpoints of the network, and what a kernel says about interfaces.

use std::net::{IpAddr, Ipv4Addr};

use net::discover::layout::{Order, Pointer};
use net::discover::replay::{Answers, Fixture};
use net::discover::{Kernel, Method};
use net::haproxy::{self, Header, LONGEST};
use net::platform::PLATFORMS;
use net::{Cidr, HostPort, OctetPattern, Protocols, Shown, address, brackets, hostname, literal};
use sys::interfaces::Answer;

use crate::pieces::{assert_harmless, choices};

/// A network that is read contains its own address, and is read back from what it is shown as.
pub fn network_patterns(data: &[u8]) {
    match Cidr::parse(data) {
        Ok(network) => {
            assert!(network.contains(network.network()));
            assert_eq!(Cidr::parse(network.to_string()), Ok(network));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Some(found) = address::parse(data) {
        assert_eq!(address::parse(Shown(found).to_string().as_bytes()), Some(found));
        shown_as_literal(found);
    }
    if let Ok(Some(found)) = literal::check_mailhost(data) {
        shown_as_literal(found);
    }
    if hostname::is_valid(data) {
        assert!(data.is_ascii() && data.len() <= 255);
        assert_harmless(std::str::from_utf8(data).unwrap());
        assert!(address::parse(data).is_none(), "a name is no address");
    }
}

/// What a proxy says ends where it says, whatever follows; while it lasts more is asked for, and never without bound.
pub fn proxy_header(data: &[u8]) {
    let protocols = Protocols::parse("ipv4, ipv6").expect("families");
    match haproxy::parse(data, protocols) {
        Ok(Some((header, end))) => {
            assert!(end <= data.len().min(LONGEST));
            assert_eq!(haproxy::parse(&data[..end], protocols), Ok(Some((header, end))));
            for cut in 0..end {
                assert_eq!(haproxy::parse(&data[..cut], protocols), Ok(None), "all of it is of the header");
            }
            if let Header::Proxied { client, server } = header {
                assert_eq!(client, net::unmap(client, protocols));
                assert_eq!(server, net::unmap(server, protocols));
            }
        }
        Ok(None) => assert!(data.len() < LONGEST),
        Err(malformed) => assert_harmless(&malformed.to_string()),
    }
}

/// An address in our own words is a literal.
fn shown_as_literal(address: IpAddr) {
    let shown = Shown(address).to_string();
    // No literal has a first octet of 0, in `::ffff:0.15.0.1` neither.
    if shown.contains('.') && shown.rsplit(':').next().is_some_and(|dotted| dotted.starts_with("0.")) {
        return;
    }
    assert!(literal::check(shown.as_bytes()).is_ok());
    assert_eq!(literal::mailhost(format!("[{}]", literal::rfc(address)).as_bytes()), Some(address));
}

/// An endpoint in its own words is itself; a pattern of octets is one of finite size that can be asked.
pub fn endpoints(data: &[u8]) {
    let text = text::lossless::decode(data);
    for parsed in [HostPort::parse_service(&text), HostPort::parse_server(&text)].into_iter().flatten() {
        if let Some(host) = &parsed.host {
            assert_harmless(host);
        }
        if parsed.port.as_deref().is_some_and(|port| port.contains(['[', ':'])) {
            continue;
        }
        let shown = parsed.to_string();
        let again =
            if parsed.host.is_some() { HostPort::parse_server(&shown) } else { HostPort::parse_service(&shown) };
        let again = again.expect("the canonical form can be read");
        assert_eq!((&again.host, &again.port), (&parsed.host, &parsed.port), "{shown}");
        assert!(parsed.port_number().is_ok() || parsed.port.is_some());
    }
    if let Ok(pattern) = OctetPattern::parse(&text) {
        let _ = pattern.matches(Ipv4Addr::LOCALHOST);
    }
    match Protocols::parse(&text) {
        Ok(protocols) => assert_eq!(protocols.is_empty(), protocols.families().next().is_none()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    for right in [brackets::in_list(&text), brackets::in_server(&text), brackets::in_endpoint(&text)] {
        let right = right.unwrap_or_default();
        assert!(right.is_empty() || right.contains('['));
        assert_eq!(brackets::in_word(&right), None, "what was put right is right");
    }
}

/// What a kernel answers gives addresses with prefixes of their family, or an error.
pub fn kernel_answers(data: &[u8]) {
    let (platform, data) = choices(data);
    let (how, bytes) = choices(data);
    let Some(fixture) = fixture(platform, how, bytes) else { return };
    for line in fixture.outcome() {
        if line.starts_with("warning: ") || line.starts_with("fatal: ") || line == "no kernel is asked" {
            assert_harmless(&line);
            continue;
        }
        let (address, rest) = line.split_once('/').expect("address and prefix");
        let address: IpAddr = address.parse().expect("an address");
        let prefix: u8 = rest.split(' ').next().and_then(|digits| digits.parse().ok()).expect("a prefix");
        assert!(prefix <= if address.is_ipv4() { 32 } else { 128 });
    }
}

/// A system whose kernel answers the bytes to everything: as records, as netmasks, as text of /proc.
fn fixture(platform: u8, how: u8, bytes: &[u8]) -> Option<Fixture> {
    let method = Method::ALL[usize::from(how & 3)];
    let order = if how & 4 == 0 { Order::Little } else { Order::Big };
    let pointer = if how & 8 == 0 { Pointer::Wide } else { Pointer::Narrow };
    let platform = PLATFORMS.get(usize::from(platform & 15))?;
    let netmask = bytes.rchunks(48).next().unwrap_or_default().to_vec();
    let answer = Answer { header: Vec::new(), records: bytes.to_vec() };
    let netmasks = vec![Ok(netmask); 4];
    let answers = Answers { socket: None, refused: None, answer, netmasks };
    let answers = [answers.clone(), answers];
    let if_inet6 = Ok(bytes.to_vec());
    let mut fixture = Fixture { platform, method, order, pointer, answers, if_inet6, expected: Vec::new() };
    let layout = fixture.layout();
    // The number of bytes that the kernel says it wrote: all of them, or one more than there are.
    let said = u32::try_from(bytes.len()).ok()? + u32::from(how >> 7);
    let mut header = vec![0; layout.header];
    let length = if order == Order::Little { said.to_le_bytes() } else { said.to_be_bytes() };
    header.get_mut(layout.length_at..layout.length_at + 4)?.copy_from_slice(&length);
    for answers in &mut fixture.answers {
        answers.answer.header.clone_from(&header);
    }
    Some(fixture)
}
