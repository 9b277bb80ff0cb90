//! Network patterns: `addr`, `addr/len`, `[addr]`, `[addr]/len`, `[addr/len]`.
//!
//! Shared by match lists (mynetworks) and cidr tables. A pattern never matches an address of the other family, and host
//! bits are an error, not something to be guessed away: both protect a list of trusted networks.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bstr::{BStr, BString, ByteSlice};

use crate::{Family, Shown, address};

/// A network: an address without host bits, and a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    network: IpAddr,
    length: u8,
}

impl Cidr {
    /// The network of `length` bits around `address`; host bits are cleared, a too long prefix is cut.
    #[must_use]
    pub fn around(address: IpAddr, length: u8) -> Self {
        let length = length.min(width(address));
        Self { network: masked(address, length), length }
    }

    /// Reads a pattern.
    ///
    /// # Errors
    /// Each error prints as the sentence of the manual's match list and cidr table warnings.
    pub fn parse(pattern: impl AsRef<[u8]>) -> Result<Self, CidrError> {
        let parts = Parts::split(pattern.as_ref())?;
        match parts.mask {
            None => {
                let network = address::parse(parts.network).ok_or_else(|| CidrError::Address(parts.shown().into()))?;
                Ok(Self { network, length: width(network) })
            }
            Some(mask) => Self::parse_network(&parts, mask),
        }
    }

    /// Whether `address` is in the network; always false for the other family.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Family::of(address) == Family::of(self.network) && masked(address, self.length) == self.network
    }

    /// The network address.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// The prefix length in bits.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    fn parse_network(parts: &Parts<'_>, mask: &[u8]) -> Result<Self, CidrError> {
        if mask.is_empty() || !mask.iter().all(u8::is_ascii_digit) {
            return Err(CidrError::MaskValue(parts.shown().into()));
        }
        let longest = if parts.network.contains(&b':') { 128 } else { 32 };
        let length = decimal(mask)
            .filter(|length| *length <= longest)
            .ok_or_else(|| CidrError::MaskLength(parts.shown().into()))?;
        let network = address::parse(parts.network).ok_or_else(|| CidrError::Network(parts.shown().into()))?;
        let cidr = Self::around(network, length);
        if cidr.network == network {
            Ok(cidr)
        } else {
            Err(CidrError::HostBits { pattern: parts.shown().into(), network: cidr })
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", Shown(self.network), self.length)
    }
}

/// A pattern cut at its brackets and slash.
struct Parts<'a> {
    network: &'a [u8],
    mask: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn split(pattern: &'a [u8]) -> Result<Self, CidrError> {
        let Some(rest) = pattern.strip_prefix(b"[") else {
            return Ok(Self::at_slash(pattern));
        };
        let Some((inside, tail)) = rest.split_once_str("]") else {
            return Err(CidrError::Unclosed(pattern.into()));
        };
        match tail.split_first() {
            None => Ok(Self::at_slash(inside)),
            Some((b'/', mask)) => Ok(Self { network: inside, mask: Some(mask) }),
            Some(_) => {
                let closed = &pattern[..inside.len() + 2];
                Err(CidrError::Garbage(closed.into()))
            }
        }
    }

    fn at_slash(text: &'a [u8]) -> Self {
        match text.split_once_str("/") {
            Some((network, mask)) => Self { network, mask: Some(mask) },
            None => Self { network: text, mask: None },
        }
    }

    /// The pattern as errors show it: without brackets.
    fn shown(&self) -> Vec<u8> {
        match self.mask {
            Some(mask) => [self.network, b"/", mask].concat(),
            None => self.network.to_vec(),
        }
    }
}

fn decimal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |sum, digit| sum.checked_mul(10)?.checked_add(digit - b'0'))
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

/// Why a pattern is no network. The text never has the brackets of the pattern, except where they are the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CidrError {
    /// The address has bits beyond the prefix.
    HostBits {
        /// The pattern.
        pattern: BString,
        /// The network that was probably meant.
        network: Cidr,
    },
    /// The prefix is longer than the family has bits.
    MaskLength(BString),
    /// The prefix is no decimal number.
    MaskValue(BString),
    /// The part before the slash is no address.
    Network(BString),
    /// A pattern without slash is no address.
    Address(BString),
    /// `[` without `]`.
    Unclosed(BString),
    /// Something other than `/` follows the `]`.
    Garbage(BString),
}

impl fmt::Display for CidrError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |out: &mut fmt::Formatter<'_>, what: &str, pattern: &BStr| write!(out, "{what} \"{pattern}\"");
        match self {
            Self::HostBits { pattern, network } => {
                quoted(out, "non-null host address bits in", pattern.as_bstr())?;
                write!(out, ", perhaps you should use \"{network}\" instead")
            }
            Self::MaskLength(pattern) => quoted(out, "bad mask length in", pattern.as_bstr()),
            Self::MaskValue(pattern) => quoted(out, "bad mask value in", pattern.as_bstr()),
            Self::Network(pattern) => quoted(out, "bad network value in", pattern.as_bstr()),
            Self::Address(pattern) => quoted(out, "bad address pattern:", pattern.as_bstr()),
            Self::Unclosed(pattern) => quoted(out, "missing ']' character after", pattern.as_bstr()),
            Self::Garbage(pattern) => quoted(out, "garbage after", pattern.as_bstr()),
        }
    }
}

impl std::error::Error for CidrError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_pattern_has_its_sentence() {
        for (pattern, text) in [
            (
                "[2001:db8:1::1]/64",
                r#"non-null host address bits in "2001:db8:1::1/64", perhaps you should use "2001:db8:1::/64" instead"#,
            ),
            (
                "2001:DB8::1/32",
                r#"non-null host address bits in "2001:DB8::1/32", perhaps you should use "2001:db8::/32" instead"#,
            ),
            ("0.0.0.1/0", r#"non-null host address bits in "0.0.0.1/0", perhaps you should use "0.0.0.0/0" instead"#),
            ("[2001:db8:1::]/129", r#"bad mask length in "2001:db8:1::/129""#),
            ("[2001:db8:1::]/99999999999", r#"bad mask length in "2001:db8:1::/99999999999""#),
            ("10.0.0.0/33", r#"bad mask length in "10.0.0.0/33""#),
            ("[a/64]/64", r#"bad mask length in "a/64/64""#),
            ("[2001:db8:1::]/", r#"bad mask value in "2001:db8:1::/""#),
            ("[2001:db8:1::]/abc", r#"bad mask value in "2001:db8:1::/abc""#),
            ("10.0.0.0/-1", r#"bad mask value in "10.0.0.0/-1""#),
            ("10.0.0.0/8/8", r#"bad mask value in "10.0.0.0/8/8""#),
            ("10.0.0.0/255.0.0.0", r#"bad mask value in "10.0.0.0/255.0.0.0""#),
            ("[10.0.0.0/8]/8", r#"bad network value in "10.0.0.0/8/8""#),
            ("2001:zz::/64", r#"bad network value in "2001:zz::/64""#),
            ("10/8", r#"bad network value in "10/8""#),
            ("1.2.3.4.5/8", r#"bad network value in "1.2.3.4.5/8""#),
            ("[/8]", r#"bad network value in "/8""#),
            ("[2001:db8:1::", r#"missing ']' character after "[2001:db8:1::""#),
            ("[2001:db8:1::/64", r#"missing ']' character after "[2001:db8:1::/64""#),
            ("[2001:db8:1::]1", r#"garbage after "[2001:db8:1::]""#),
            ("1.2.3", r#"bad address pattern: "1.2.3""#),
            ("fe80::1%eth0", r#"bad address pattern: "fe80::1%eth0""#),
            ("[]", r#"bad address pattern: """#),
        ] {
            assert_eq!(Cidr::parse(pattern).unwrap_err().to_string(), text, "{pattern}");
        }
    }

    #[test]
    fn a_network_contains_its_own_family_alone() {
        for (pattern, address, expected) in [
            ("[::1]", "0:0:0:0:0:0:0:1", true),
            ("[::1/128]", "::1", true),
            ("[10.0.0.0]/8", "10.1.2.3", true),
            ("[10.0.0.0/8]", "10.1.2.3", true),
            ("10.0.0.0/008", "10.1.2.3", true),
            ("[::]/0", "10.1.2.3", false),
            ("[::]/0", "2001:db8::1", true),
            ("0.0.0.0/0", "2001:db8:1::25", false),
            ("[::ffff:10.0.0.0]/104", "10.1.2.3", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", false),
            ("[2001:db8:0:2::]/63", "2001:db8:0:3::1", true),
            ("[2001:db8:0:2::]/63", "2001:db8:0:4::1", false),
            ("[fe80::]/10", "fe80::1", true),
        ] {
            let cidr = Cidr::parse(pattern).unwrap();
            assert_eq!(cidr.contains(address.parse().unwrap()), expected, "{pattern} {address}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_network_contains_every_address_it_was_made_around(bits: u128, length in 0_u8..=128) {
            let address = IpAddr::V6(Ipv6Addr::from(bits));
            let cidr = Cidr::around(address, length);
            proptest::prop_assert!(cidr.contains(address));
            proptest::prop_assert_eq!(Cidr::parse(cidr.to_string()), Ok(cidr));
            let v4 = IpAddr::V4(Ipv4Addr::from(bits as u32));
            let cidr = Cidr::around(v4, length);
            proptest::prop_assert!(cidr.contains(v4));
            proptest::prop_assert_eq!(Cidr::parse(cidr.to_string()), Ok(cidr));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Cidr::parse(&bytes).map_err(|error| error.to_string());
        }
    }
}
