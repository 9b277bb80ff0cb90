//! Parsing, printing and unmapping of numeric addresses.
//!
//! The printed form is what C's `inet_ntop` gives, because tables, logs and mynetworks are compared with it as text; it
//! never has a zone or brackets.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use nix::errno::Errno;

use crate::{Family, Protocols};

/// An address as `inet_ntop` prints it: lower case, the longest run of zeros compressed, a dotted tail for
/// `::ffff:a.b.c.d` and `::a.b.c.d`.
///
/// The standard library differs in the last form: it prints `::a00:2` for `::10.0.0.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown(pub IpAddr);

impl fmt::Display for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(address) if has_dotted_tail(address) => {
                let [.., a, b, c, d] = address.octets();
                write!(out, "::{a}.{b}.{c}.{d}")
            }
            address => write!(out, "{address}"),
        }
    }
}

/// `::a.b.c.d` whose zero run is exactly the first 96 bits.
fn has_dotted_tail(address: Ipv6Addr) -> bool {
    let groups = address.segments();
    groups[..6].iter().all(|group| *group == 0) && groups[6] != 0
}

/// The address backwards, as names of DNS lists begin: octets of IPv4, nibbles of IPv6, between dots (RFC 5782 2.1,
/// 2.4).
#[must_use]
pub fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".")
        }
    }
}

/// Reads a numeric address strictly: no leading zeros in octets, no short forms, no zone, no brackets.
#[must_use]
pub fn parse(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The peer as the rest of the program sees it: an IPv4 client that arrives on a dual-stack socket as `::ffff:a.b.c.d`
/// becomes plain IPv4, if IPv4 is enabled. Nothing ever matches IPv4 against IPv6, so this must be done once, at
/// accept.
#[must_use]
pub fn unmap(peer: SocketAddr, protocols: Protocols) -> SocketAddr {
    match peer {
        SocketAddr::V6(v6) if protocols.has(Family::V4) => match v6.ip().to_ipv4_mapped() {
            Some(address) => SocketAddr::new(IpAddr::V4(address), v6.port()),
            None => peer,
        },
        _ => peer,
    }
}

/// The system's words for an error.
pub use text::system_error as reason;

/// The number of an error of the system; what the standard library made up itself is a bad argument.
pub(crate) fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw)
}

/// [`reason`] of an error number: the C library's words, not those of nix, which differ now and then.
pub(crate) fn strerror(error: Errno) -> String {
    reason(&error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Shown(text.parse().unwrap()).to_string()
    }

    #[test]
    fn names_of_dns_lists_begin_with_the_address_backwards() {
        assert_eq!(reversed("10.1.2.3".parse().unwrap()), "3.2.1.10");
        assert_eq!(
            reversed("2001:db8:1::25".parse().unwrap()),
            "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"
        );
    }

    #[test]
    fn addresses_print_as_inet_ntop_prints_them() {
        for (input, expected) in [
            ("::10.0.0.2", "::10.0.0.2"),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
            ("::1", "::1"),
            ("::", "::"),
            ("::2:0", "::0.2.0.0"),
            ("2001:DB8:1:0:0:0:0:25", "2001:db8:1::25"),
            ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1:2:3:4:5"),
            ("10.1.2.3", "10.1.2.3"),
        ] {
            assert_eq!(shown(input), expected);
        }
    }

    #[test]
    fn a_mapped_peer_becomes_plain_ipv4_only_if_ipv4_is_enabled() {
        let mapped: SocketAddr = "[::ffff:10.1.2.3]:25".parse().unwrap();
        assert_eq!(unmap(mapped, Protocols::BOTH).to_string(), "10.1.2.3:25");
        assert_eq!(unmap(mapped, Protocols::V6).to_string(), "[::ffff:10.1.2.3]:25");
        let plain: SocketAddr = "[2001:db8::1]:25".parse().unwrap();
        assert_eq!(unmap(plain, Protocols::BOTH), plain);
    }

    #[test]
    fn parsing_is_strict() {
        for bad in ["10.258", "0x0a.1.2.3", "010.0.0.1", "fe80::1%lo", "[::1]", "", " ::1"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b"::1"), Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    }

    #[test]
    fn reasons_have_no_error_number() {
        let error = io::Error::from_raw_os_error(nix::libc::ECONNREFUSED);
        assert_eq!(reason(&error), "Connection refused");
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_reads_back_as_the_same_address(bits: u128) {
            let address = IpAddr::V6(Ipv6Addr::from(bits));
            proptest::prop_assert_eq!(parse(Shown(address).to_string().as_bytes()), Some(address));
            let short = IpAddr::V6(Ipv6Addr::from(bits & 0xffff_ffff));
            proptest::prop_assert_eq!(parse(Shown(short).to_string().as_bytes()), Some(short));
        }
    }
}
