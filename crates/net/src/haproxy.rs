//! What a proxy says of its client before it passes anything on: the PROXY protocol of haproxy, versions 1 and 2.
//!
//! Whoever can connect can say anything here, so that a service which listens to it must be open to the proxy alone. A
//! header has an end that is known before much of it is there; what has none within [`LONGEST`] bytes is no header.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{Family, Protocols, address};

/// The longest header: that of version 2 with the room that the protocol wants for it.
/// told: the log, by who reads it ([`Malformed::Unended`], [`Malformed::Short`]).
pub const LONGEST: usize = 536;

/// The first bytes of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, command, protocol, length.
const FIXED: usize = 16;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The proxy's own, to see whether somebody is there.
    Local,
    /// A client's.
    Proxied {
        /// Where it comes from.
        client: SocketAddr,
        /// Where it has called.
        server: SocketAddr,
    },
}

/// Why bytes are no header. Display is what follows `haproxy read: `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// They begin like none.
    Unrecognized,
    /// Version 1 without an end.
    Unended,
    /// Version 2 that is longer than it may be.
    Short,
    /// A word that is missing, or is not what it should be.
    Word(&'static str),
    /// Another version of version 2, or another command.
    Command,
    /// No TCP.
    Protocol,
    /// Addresses that are cut off.
    Addresses,
    /// inet_protocols does not have this family.
    Disabled(Family),
}

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Malformed::Unrecognized => "unrecognized protocol header",
            Malformed::Unended => "missing protocol header terminator",
            Malformed::Short => "short version 2 protocol header",
            Malformed::Word(what) => return write!(out, "bad or missing {what}"),
            Malformed::Command => "bad command in proxy header",
            Malformed::Protocol => "unsupported network protocol",
            Malformed::Addresses => "short address field",
            Malformed::Disabled(Family::V4) => "Postfix IPv4 support is disabled",
            Malformed::Disabled(Family::V6) => "Postfix IPv6 support is disabled",
        })
    }
}

impl std::error::Error for Malformed {}

/// Reads a header at the beginning of `bytes`: what it says, and its length. Nothing: more bytes are needed, and all of
/// these are of the header.
///
/// # Errors
/// There is none, or none that can be used.
pub fn parse(bytes: &[u8], protocols: Protocols) -> Result<Option<(Header, usize)>, Malformed> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(a, b)| a == b);
    if begins(SIGNATURE) && !bytes.is_empty() {
        return version_2(bytes, protocols);
    }
    if !begins(b"PROXY") {
        return Err(Malformed::Unrecognized);
    }
    match bytes.iter().take(LONGEST).position(|byte| *byte == b'\n') {
        Some(end) => version_1(&bytes[..end], protocols).map(|header| Some((header, end + 1))),
        None if bytes.len() >= LONGEST => Err(Malformed::Unended),
        None => Ok(None),
    }
}

/// `PROXY TCP4 client server port port`
fn version_1(line: &[u8], protocols: Protocols) -> Result<Header, Malformed> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    if words.next() != Some(b"PROXY") {
        return Err(Malformed::Unrecognized);
    }
    let family = match words.next().map(<[u8]>::to_ascii_uppercase).as_deref() {
        Some(b"TCP4") => Family::V4,
        Some(b"TCP6") => Family::V6,
        _ => return Err(Malformed::Word("protocol type")),
    };
    if !protocols.has(family) {
        return Err(Malformed::Word("protocol type"));
    }
    let mut address = |what| {
        let found = words.next().and_then(address::parse).filter(|address| Family::of(*address) == family);
        found.ok_or(Malformed::Word(what))
    };
    let (client, server) = (address("client address")?, address("server address")?);
    let mut port = |what| words.next().and_then(port).ok_or(Malformed::Word(what));
    let (from, to) = (port("client port")?, port("server port")?);
    Ok(proxied((client, from), (server, to), protocols))
}

/// A number without leading zeros.
fn port(word: &[u8]) -> Option<u16> {
    let is_plain = word.iter().all(u8::is_ascii_digit) && (word.len() == 1 || word.first() != Some(&b'0'));
    std::str::from_utf8(word).ok().filter(|_| is_plain)?.parse().ok()
}

fn version_2(bytes: &[u8], protocols: Protocols) -> Result<Option<(Header, usize)>, Malformed> {
    let Some(([_, _, _, _, _, _, _, _, _, _, _, _, command, kind, high, low], rest)) =
        bytes.split_first_chunk::<FIXED>()
    else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if FIXED + length > LONGEST {
        return Err(Malformed::Short);
    }
    let Some(said) = rest.get(..length) else { return Ok(None) };
    let header = match command {
        0x20 => Header::Local,
        0x21 => addresses(*kind, said, protocols)?,
        _ => return Err(Malformed::Command),
    };
    Ok(Some((header, FIXED + length)))
}

/// The addresses of version 2; what follows them is for others.
fn addresses(kind: u8, said: &[u8], protocols: Protocols) -> Result<Header, Malformed> {
    let family = match kind {
        0x11 => Family::V4,
        0x21 => Family::V6,
        _ => return Err(Malformed::Protocol),
    };
    if !protocols.has(family) {
        return Err(Malformed::Disabled(family));
    }
    let mut rest = said;
    let mut address = || match family {
        Family::V4 => take(&mut rest).map(|octets: [u8; 4]| IpAddr::V4(Ipv4Addr::from(octets))),
        Family::V6 => take(&mut rest).map(|octets: [u8; 16]| IpAddr::V6(Ipv6Addr::from(octets))),
    };
    let (client, server) = (address(), address());
    let (from, to) = (take(&mut rest).map(u16::from_be_bytes), take(&mut rest).map(u16::from_be_bytes));
    match (client, server, from, to) {
        (Some(client), Some(server), Some(from), Some(to)) => Ok(proxied((client, from), (server, to), protocols)),
        _ => Err(Malformed::Addresses),
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

fn proxied(client: (IpAddr, u16), server: (IpAddr, u16), protocols: Protocols) -> Header {
    let unmapped = |end: (IpAddr, u16)| address::unmap(end.into(), protocols);
    Header::Proxied { client: unmapped(client), server: unmapped(server) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both() -> Protocols {
        Protocols::parse("ipv4, ipv6").unwrap()
    }

    fn said(text: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
        parse(text, both())
    }

    fn header(client: &str, server: &str) -> Header {
        Header::Proxied { client: client.parse().unwrap(), server: server.parse().unwrap() }
    }

    fn binary(command: u8, kind: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, kind], &length, addresses].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 192, 0, 2, 25, 22, 46, 0, 25];

    /// As Postfix 3.11 takes them.
    #[test]
    fn a_line_names_the_client_and_the_server() {
        let expected = header("192.0.2.7:5678", "192.0.2.25:25");
        for line in [
            "PROXY TCP4 192.0.2.7 192.0.2.25 5678 25\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.25 5678 25\n",
            "PROXY tcp4  192.0.2.7 192.0.2.25 5678 25 more\r\n",
        ] {
            assert_eq!(said(line.as_bytes()), Ok(Some((expected, line.len()))), "{line}");
        }
        let line = b"PROXY TCP6 2001:db8::7 2001:db8::25 0 25\r\nEHLO x\r\n";
        assert_eq!(said(line), Ok(Some((header("[2001:db8::7]:0", "[2001:db8::25]:25"), line.len() - 8))));
        let mapped = b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.25 5678 25\r\n";
        assert_eq!(said(mapped), Ok(Some((expected, mapped.len()))));
    }

    #[test]
    fn a_line_that_says_too_little_or_something_else_is_none() {
        for (line, what) in [
            ("PROXY UNKNOWN\r\n", "protocol type"),
            ("PROXY TCP4 192.0.2.700 192.0.2.25 5678 25\r\n", "client address"),
            ("PROXY TCP4 2001:db8::7 192.0.2.25 5678 25\r\n", "client address"),
            ("PROXY TCP6 fe80::1%lo 2001:db8::25 5678 25\r\n", "client address"),
            ("PROXY TCP4 192.0.2.7\r\n", "server address"),
            ("PROXY TCP4 192.0.2.7 192.0.2.25 99999 25\r\n", "client port"),
            ("PROXY TCP4 192.0.2.7 192.0.2.25 +1 25\r\n", "client port"),
            ("PROXY TCP4 192.0.2.7 192.0.2.25 05678 25\r\n", "client port"),
            ("PROXY TCP4 192.0.2.7 192.0.2.25 5678\r\n", "server port"),
        ] {
            assert_eq!(said(line.as_bytes()), Err(Malformed::Word(what)), "{line}");
        }
        for other in ["EHLO x\r\n", "proxy TCP4 192.0.2.7 192.0.2.25 5678 25\r\n", "PROXYTCP4 1\r\n", "\r\nx"] {
            assert_eq!(said(other.as_bytes()), Err(Malformed::Unrecognized), "{other}");
        }
        let v4 = Protocols::parse("ipv4").unwrap();
        assert_eq!(parse(b"PROXY TCP6 ::1 ::1 1 1\r\n", v4), Err(Malformed::Word("protocol type")));
        assert_eq!(said(&[&b"PROXY "[..], &[b'x'; LONGEST]].concat()), Err(Malformed::Unended));
    }

    /// As Postfix 3.11 takes them.
    #[test]
    fn version_2_is_read_to_its_end() {
        let expected = header("192.0.2.7:5678", "192.0.2.25:25");
        assert_eq!(said(&binary(0x21, 0x11, &V4)), Ok(Some((expected, 28))));
        let with_more = binary(0x21, 0x11, &[&V4[..], &[4; 500]].concat());
        assert_eq!(said(&with_more), Ok(Some((expected, 528))));
        assert_eq!(said(&binary(0x20, 0x99, b"abc")), Ok(Some((Header::Local, 19))));
        assert_eq!(said(&binary(0x21, 0x12, &V4)), Err(Malformed::Protocol));
        assert_eq!(said(&binary(0x21, 0, b"")), Err(Malformed::Protocol));
        assert_eq!(said(&binary(0x21, 0x21, &V4)), Err(Malformed::Addresses));
        assert_eq!(said(&binary(0x11, 0x11, &V4)), Err(Malformed::Command));
        assert_eq!(said(&binary(0x21, 0x11, &[0; 521])), Err(Malformed::Short));
        let v4 = Protocols::parse("ipv4").unwrap();
        assert_eq!(parse(&binary(0x21, 0x21, &[0; 36]), v4), Err(Malformed::Disabled(Family::V6)));
    }

    proptest! {
        #[test]
        fn a_header_that_is_cut_anywhere_is_not_there_yet(cut in 0usize..28) {
            prop_assert_eq!(said(&binary(0x21, 0x11, &V4)[..cut]), Ok(None));
            let line = b"PROXY TCP4 192.0.2.7 192.0.2.25 5678 25\r\n";
            prop_assert_eq!(said(&line[..cut]), Ok(None));
        }
    }
}
