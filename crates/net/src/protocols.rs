//! The process-wide protocol set: what `inet_protocols` asks for and what the kernel has.
//!
//! Every list of addresses, name look-up, DNS record type and accepted socket is filtered by this one set. It must
//! never grow after the probe: a socket of a family that is not enabled is never treated as local.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockType};

use crate::address::{errno, strerror};
use crate::platform::{PLATFORM, Platform};

/// One address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4: always first in lists of our own.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The DNS type that gives addresses of this family.
    #[must_use]
    pub fn record_type(self) -> &'static str {
        match self {
            Self::V4 => "A",
            Self::V6 => "AAAA",
        }
    }

    fn domain(self) -> AddressFamily {
        match self {
            Self::V4 => AddressFamily::Inet,
            Self::V6 => AddressFamily::Inet6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// A set of families; may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocols {
    /// IPv4 is enabled.
    pub v4: bool,
    /// IPv6 is enabled.
    pub v6: bool,
}

impl Protocols {
    /// No family at all: nothing may be looked up, no inet service runs.
    pub const NONE: Self = Self { v4: false, v6: false };
    /// IPv4 alone.
    pub const V4: Self = Self { v4: true, v6: false };
    /// IPv6 alone.
    pub const V6: Self = Self { v4: false, v6: true };
    /// Both families.
    // tests: of many crates; programs ask the kernel.
    pub const BOTH: Self = Self { v4: true, v6: true };

    /// Reads the value of `inet_protocols`: the words `ipv4`, `ipv6` and `all`, case-sensitive, separated by blanks and
    /// commas; an empty value is the empty set.
    ///
    /// # Errors
    /// An unknown word.
    pub fn parse(value: &str) -> Result<Self, ProtocolsError> {
        Self::parse_as("inet_protocols", value)
    }

    /// As [`Protocols::parse`], for a program that names something else as the source of the value.
    ///
    /// # Errors
    /// An unknown word.
    pub fn parse_as(context: &str, value: &str) -> Result<Self, ProtocolsError> {
        Self::parse_on(PLATFORM, context, value)
    }

    /// As [`Protocols::parse_as`], on another platform: where the mail system has no IPv6, `ipv6` is no word, and `all`
    /// is IPv4.
    ///
    /// # Errors
    /// An unknown word.
    pub fn parse_on(platform: &Platform, context: &str, value: &str) -> Result<Self, ProtocolsError> {
        let mut set = Self::NONE;
        for word in words(value) {
            match word {
                "ipv4" => set.v4 = true,
                "ipv6" if platform.ipv6 => set.v6 = true,
                "all" => set = Self { v4: true, v6: platform.ipv6 },
                _ => {
                    return Err(ProtocolsError {
                        context: context.to_owned(),
                        word: word.to_owned(),
                        value: value.to_owned(),
                    });
                }
            }
        }
        Ok(set)
    }

    /// The set without the families that the kernel cannot create sockets for, and a warning for each of these.
    ///
    /// # Errors
    /// A socket could not be created for any other reason (out of descriptors).
    pub fn probe(self) -> Result<(Self, Vec<ProbeWarning>), ProbeError> {
        let socket = |family: Family| sys::descriptor::new_socket(family.domain(), SockType::Stream);
        self.probe_with(|family| socket(family).map(drop).map_err(errno))
    }

    fn probe_with(self, create: impl Fn(Family) -> Result<(), Errno>) -> Result<(Self, Vec<ProbeWarning>), ProbeError> {
        let mut set = self;
        let mut warnings = Vec::new();
        // IPv6 first: the order of the warnings.
        for family in [Family::V6, Family::V4] {
            if !set.has(family) {
                continue;
            }
            match create(family) {
                Ok(()) => {}
                Err(error @ (Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT)) => {
                    set = set.without(family);
                    warnings.push(ProbeWarning { family, error });
                }
                Err(error) => return Err(ProbeError(error)),
            }
        }
        Ok((set, warnings))
    }

    /// Whether `family` is enabled.
    #[must_use]
    pub fn has(self, family: Family) -> bool {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    /// Whether the family of `address` is enabled.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        self.has(Family::of(address))
    }

    /// Whether no family is enabled.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// The enabled families, IPv4 first.
    pub fn families(self) -> impl Iterator<Item = Family> {
        [Family::V4, Family::V6].into_iter().filter(move |family| self.has(*family))
    }

    /// An accepted socket of a family that is not enabled ends the program: treating it as anything else would make a
    /// stranger local.
    ///
    /// # Errors
    /// The family of `peer` is not enabled.
    pub fn accepts(self, peer: SocketAddr) -> Result<(), RefusedFamily> {
        if self.allows(peer.ip()) { Ok(()) } else { Err(RefusedFamily(Family::of(peer.ip()))) }
    }

    fn without(self, family: Family) -> Self {
        match family {
            Family::V4 => Self { v4: false, ..self },
            Family::V6 => Self { v6: false, ..self },
        }
    }
}

/// Items of a list that blanks and commas separate; empty items are nothing.
pub fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', '\t', '\r', '\n', ',']).filter(|word| !word.is_empty())
}

/// A word that is no protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolsError {
    context: String,
    word: String,
    value: String,
}

impl fmt::Display for ProtocolsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { context, word, value } = self;
        write!(out, "unknown {context} value \"{word}\" in \"{value}\"")
    }
}

impl std::error::Error for ProtocolsError {}

/// A family that was asked for and that the kernel lacks. The caller puts the context before the text (`inet_protocols:
/// `, or the name of a test program).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeWarning {
    /// The family that is now off.
    pub family: Family,
    /// What the kernel said.
    pub error: Errno,
}

impl fmt::Display for ProbeWarning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "disabling {} name/address support: {}", self.family, strerror(self.error))
    }
}

/// No socket could be created, and not for lack of the family: `socket: Too many open files`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeError(pub Errno);

impl fmt::Display for ProbeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "socket: {}", strerror(self.0))
    }
}

impl std::error::Error for ProbeError {}

/// A socket of a family that is not enabled; the caller adds `with "inet_protocols = VALUE"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedFamily(pub Family);

impl fmt::Display for RefusedFamily {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("cannot handle socket type ")?;
        out.write_str(match self.0 {
            Family::V4 => "AF_INET",
            Family::V6 => "AF_INET6",
        })
    }
}

impl std::error::Error for RefusedFamily {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_the_union_of_the_words() {
        for (value, expected) in [
            ("ipv4", Protocols::V4),
            ("ipv6", Protocols::V6),
            ("all", Protocols::BOTH),
            ("ipv4, ipv6", Protocols::BOTH),
            ("ipv6,ipv4", Protocols::BOTH),
            ("ipv4\tall", Protocols::BOTH),
            ("ipv4,,ipv4", Protocols::V4),
            ("", Protocols::NONE),
            (" ,\n", Protocols::NONE),
        ] {
            assert_eq!(Protocols::parse(value), Ok(expected), "{value}");
        }
    }

    #[test]
    fn an_unknown_word_is_named_with_the_whole_value() {
        let text = |value: &str| Protocols::parse(value).unwrap_err().to_string();
        assert_eq!(text("ipv4, bogus"), r#"unknown inet_protocols value "bogus" in "ipv4, bogus""#);
        for bad in ["IPv4", "ALL", "none", "4", "ipv4:ipv6"] {
            assert_eq!(text(bad), format!("unknown inet_protocols value \"{bad}\" in \"{bad}\""));
        }
        let other = Protocols::parse_as("inet_addr_local", "bogus").unwrap_err().to_string();
        assert_eq!(other, r#"unknown inet_addr_local value "bogus" in "bogus""#);
    }

    #[test]
    fn a_platform_without_ipv6_knows_ipv4_and_all_which_are_the_same() {
        let other = crate::platform::of("no such system");
        assert_eq!(Protocols::parse_on(other, "inet_protocols", "all ipv4"), Ok(Protocols::V4));
        assert!(Protocols::parse_on(other, "inet_protocols", "ipv6").is_err());
    }

    #[test]
    fn a_kernel_without_ipv6_leaves_ipv4_and_a_warning() {
        let no_v6 = |family| match family {
            Family::V6 => Err(Errno::EAFNOSUPPORT),
            Family::V4 => Ok(()),
        };
        let (set, warnings) = Protocols::BOTH.probe_with(no_v6).unwrap();
        assert_eq!(set, Protocols::V4);
        let texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["disabling IPv6 name/address support: Address family not supported by protocol"]);
        assert_eq!(Protocols::V6.probe_with(no_v6).unwrap().0, Protocols::NONE);
        assert_eq!(Protocols::V4.probe_with(no_v6).unwrap(), (Protocols::V4, vec![]));
    }

    #[test]
    fn without_any_family_ipv6_is_named_first() {
        let none = |_| Err(Errno::EPROTONOSUPPORT);
        let (set, warnings) = Protocols::BOTH.probe_with(none).unwrap();
        assert!(set.is_empty());
        let families: Vec<_> = warnings.iter().map(|warning| warning.family).collect();
        assert_eq!(families, [Family::V6, Family::V4]);
    }

    #[test]
    fn out_of_descriptors_is_an_error_and_not_a_missing_family() {
        let full = |_| Err(Errno::EMFILE);
        let error = Protocols::BOTH.probe_with(full).unwrap_err();
        assert_eq!(error.to_string(), "socket: Too many open files");
    }

    #[test]
    fn a_socket_of_a_disabled_family_is_refused() {
        let peer: SocketAddr = "[::1]:1".parse().unwrap();
        assert!(Protocols::V6.accepts(peer).is_ok());
        let error = Protocols::V4.accepts(peer).unwrap_err();
        assert_eq!(error.to_string(), "cannot handle socket type AF_INET6");
    }
}
