//! The text of /proc/net/if_inet6: a line an address, as Linux has written it since 2.2.
//!
//! `20010db8000100000000000000000025 02 40 00 80 e0`: 32 hexadecimal digits of the address, then in hexadecimal the
//! number of the interface, the prefix length, the scope and the flags, then the name. The first line that is none ends
//! the reading; what was read before it counts.

use std::net::{IpAddr, Ipv6Addr};

use super::RawInterface;
use crate::Cidr;
use crate::presence::Unready;

pub(super) const PATH: &str = "/proc/net/if_inet6";

/// IFA_F_OPTIMISTIC, IFA_F_DADFAILED, IFA_F_TENTATIVE.
const OPTIMISTIC: u128 = 0x04;
const DUPLICATE: u128 = 0x08;
const TENTATIVE: u128 = 0x40;

/// The addresses, and whether every line was one.
pub(super) fn parse(text: &[u8]) -> (Vec<RawInterface>, bool) {
    let mut found = Vec::new();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.is_empty() {
        return (found, true);
    }
    for text in text.split(|byte| *byte == b'\n') {
        match line(text) {
            Some(entry) => found.push(entry),
            None => return (found, false),
        }
    }
    (found, true)
}

fn line(text: &[u8]) -> Option<RawInterface> {
    let mut fields = text.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let address = fields.next().filter(|digits| digits.len() == 32).and_then(hexadecimal)?;
    let index = u32::try_from(hexadecimal(fields.next()?)?).ok()?;
    let prefix = u8::try_from(hexadecimal(fields.next()?)?).ok().filter(|prefix| *prefix <= 128)?;
    let address = Ipv6Addr::from(address);
    Some(RawInterface {
        name: fields.nth(2).map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default(),
        up: true,
        address: IpAddr::V6(address),
        scope: address.is_unicast_link_local().then_some(index),
        mask: Some(Cidr::around(IpAddr::from([0xff; 16]), prefix).network()),
    })
}

/// The addresses whose flags say that they cannot be used. One that another interface has as well may be usable there.
pub(super) fn unready(text: &[u8]) -> Vec<(Ipv6Addr, Unready)> {
    let state = |text: &[u8]| {
        let entry = line(text)?;
        let flags =
            text.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).nth(4).and_then(hexadecimal)?;
        let IpAddr::V6(address) = entry.address else { return None };
        let state = match flags {
            flags if flags & DUPLICATE != 0 => Some(Unready::Duplicate),
            flags if flags & (TENTATIVE | OPTIMISTIC) == TENTATIVE => Some(Unready::Tentative),
            _ => None,
        };
        Some((address, state))
    };
    let all: Vec<_> = text.split(|byte| *byte == b'\n').filter_map(state).collect();
    let is_usable = |address: &Ipv6Addr| all.contains(&(*address, None));
    all.iter().filter(|(address, _)| !is_usable(address)).filter_map(|(it, state)| Some((*it, (*state)?))).collect()
}

fn hexadecimal(digits: &[u8]) -> Option<u128> {
    if digits.is_empty() || digits.len() > 32 {
        return None;
    }
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | u128::from(char::from(*digit).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TWO: &[u8] = b"00000000000000000000000000000001 01 80 10 80       lo\n\
                         fe800000000000000000000000ff0001 1a 40 20 80       e0\n";

    #[test]
    fn a_line_gives_address_prefix_zone_and_name() {
        let (found, whole) = parse(TWO);
        assert!(whole);
        assert_eq!((found[0].address.to_string().as_str(), found[0].scope), ("::1", None));
        assert_eq!((found[1].address.to_string().as_str(), found[1].scope), ("fe80::ff:1", Some(26)));
        assert_eq!(found[1].mask.unwrap().to_string(), "ffff:ffff:ffff:ffff::");
        assert_eq!(found[1].name, "e0");
    }

    #[test]
    fn the_flags_say_which_address_cannot_be_used() {
        let text = b"20010db8000000000000000000000001 05 40 00 82       v0\n\
                     20010db8000000000000000000000002 05 40 00 c0       v0\n\
                     20010db8000000000000000000000003 05 40 00 c8       v0\n\
                     20010db8000000000000000000000004 05 40 00 44       v0\n\
                     20010db8000000000000000000000003 06 40 00 80       v1\n\
                     20010db8000000000000000000000005 06 40 00 88       v1\n\
                     what is this\n";
        let address = |last: u16| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
        assert_eq!(unready(text), [(address(2), Unready::Tentative), (address(5), Unready::Duplicate)]);
        assert_eq!(unready(TWO), []);
    }

    #[test]
    fn the_first_bad_line_ends_the_reading_and_earlier_ones_stay() {
        for bad in [
            "0000000000000000000000000000001 01 80 10 80 lo",
            "000000000000000000000000000000001 01 80 10 80 lo",
            "0000000000000000000000000000000g 01 80 10 80 lo",
            "00000000000000000000000000000001",
            "00000000000000000000000000000001 01",
            "00000000000000000000000000000001 01 81 10 80 lo",
            "00000000000000000000000000000001 01 -1 10 80 lo",
            "00000000000000000000000000000001 01 180 10 80 lo",
            "",
        ] {
            let text = [TWO, bad.as_bytes(), b"\n", TWO].concat();
            let (found, whole) = parse(&text);
            assert_eq!((found.len(), whole), (2, false), "{bad}");
        }
        assert_eq!(parse(b""), (Vec::new(), true));
    }

    #[test]
    fn what_is_not_needed_may_be_missing() {
        let (found, whole) = parse(b"00000000000000000000000000000001 01 0");
        assert!(whole);
        assert_eq!(found[0].mask.unwrap().to_string(), "::");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_none_gives_more_addresses_than_lines(text in prop::collection::vec(any::<u8>(), 0..400)) {
            let (found, _) = parse(&text);
            prop_assert!(found.len() <= text.split(|byte| *byte == b'\n').count());
        }

        #[test]
        fn an_address_that_is_written_is_read(address: u128, prefix in 0u8..=128, index: u32) {
            let text = format!("{address:032x} {index:02x} {prefix:02x} 00 80 {:>8}\n", "e0");
            let (found, whole) = parse(text.as_bytes());
            prop_assert!(whole);
            prop_assert_eq!(found[0].address, IpAddr::V6(Ipv6Addr::from(address)));
            let IpAddr::V6(mask) = found[0].mask.unwrap() else { panic!("a mask of IPv6") };
            prop_assert_eq!(u128::from(mask).count_ones(), u32::from(prefix));
        }
    }
}
