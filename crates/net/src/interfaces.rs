//! The addresses of this machine.
//!
//! How a system is asked differs ([`crate::discover`]); what counts as an own address does not: every address of an
//! enabled family on an interface that is up, link-local ones included, `0.0.0.0` and `::` excluded, IPv4 before IPv6,
//! otherwise in the system's order, duplicates kept.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use crate::discover::{self, Capabilities, Discover, DiscoverError, RawInterface, V6Prefix, Warning};
use crate::{Cidr, Family, Protocols};

/// One address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interface {
    /// The address.
    pub address: IpAddr,
    /// The zone of a link-local IPv6 address, for binding and connecting; never shown.
    pub scope: Option<u32>,
    /// The prefix length in bits.
    pub prefix: u8,
}

impl Interface {
    /// The address with a port, and with its zone: what a socket is bound to.
    #[must_use]
    pub fn socket_address(&self, port: u16) -> SocketAddr {
        match self.address {
            IpAddr::V4(address) => SocketAddr::from((address, port)),
            IpAddr::V6(address) => SocketAddrV6::new(address, port, 0, self.scope.unwrap_or(0)).into(),
        }
    }

    /// The network that the interface is in.
    #[must_use]
    pub fn network(&self) -> Cidr {
        Cidr::around(self.address, self.prefix)
    }

    /// The netmask as an address (`255.255.255.0`, `ffff:ffff::`).
    #[must_use]
    pub fn mask(&self) -> IpAddr {
        let ones = match self.address {
            IpAddr::V4(_) => IpAddr::from([0xff; 4]),
            IpAddr::V6(_) => IpAddr::from([0xff; 16]),
        };
        Cidr::around(ones, self.prefix).network()
    }
}

/// The addresses of all interfaces that are up, asked in the way of this platform.
///
/// # Errors
/// The system refused to list them.
pub fn list(protocols: Protocols) -> Result<Vec<Interface>, DiscoverError> {
    list_with(discover::default_here()?.as_ref(), protocols).map(|(interfaces, _)| interfaces)
}

/// As [`list`], asked by `method`, and the warnings for what was left out.
///
/// # Errors
/// The system refused to list them.
pub fn list_with(method: &dyn Discover, protocols: Protocols) -> Result<(Vec<Interface>, Vec<Warning>), DiscoverError> {
    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    for family in protocols.families() {
        let (more, why) = list_family(method, family)?;
        found.extend(more);
        warnings.extend(why);
    }
    Ok((found, warnings))
}

/// The addresses of one family.
///
/// # Errors
/// The system refused to list them.
pub fn list_family(method: &dyn Discover, family: Family) -> Result<(Vec<Interface>, Vec<Warning>), DiscoverError> {
    let listing = method.list(family)?;
    let (found, mut warnings) = filter(&listing.found, method.capabilities(), family);
    warnings.extend(listing.warnings);
    Ok((found, warnings))
}

/// What of a method's findings is an own address: the rules, the same for all methods.
#[must_use]
pub fn filter(raw: &[RawInterface], capabilities: Capabilities, family: Family) -> (Vec<Interface>, Vec<Warning>) {
    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    for entry in raw.iter().filter(|entry| Family::of(entry.address) == family) {
        if (capabilities.reports_down && !entry.up) || entry.address.is_unspecified() {
            continue;
        }
        let scope = entry.scope.filter(|scope| *scope != 0 && capabilities.keeps_scope);
        match prefix(entry, capabilities.v6_prefix) {
            Some(prefix) => found.push(Interface { address: entry.address, scope, prefix }),
            None => warnings.push(Warning::NullNetmask(family)),
        }
    }
    (found, warnings)
}

/// Whether `address` is one of `own`: family and address bytes alone, so a v4-mapped address is never own.
#[must_use]
pub fn is_own(own: &[Interface], address: IpAddr) -> bool {
    own.iter().any(|interface| interface.address == address)
}

fn prefix(entry: &RawInterface, v6: V6Prefix) -> Option<u8> {
    if entry.address.is_ipv6() && v6 == V6Prefix::Assume128 {
        return Some(128);
    }
    let ones = match entry.mask? {
        IpAddr::V4(mask) => u32::from(mask).leading_ones(),
        IpAddr::V6(mask) => u128::from(mask).leading_ones(),
    };
    u8::try_from(ones).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::Listing;

    struct Static(Vec<RawInterface>, Capabilities);

    impl Discover for Static {
        fn capabilities(&self) -> Capabilities {
            self.1
        }
        fn list(&self, _: Family) -> Result<Listing, DiscoverError> {
            Ok(Listing { found: self.0.clone(), warnings: Vec::new() })
        }
    }

    const REAL: Capabilities = Capabilities { reports_down: true, v6_prefix: V6Prefix::Real, keeps_scope: true };

    fn entry(address: &str, mask: &str, up: bool) -> RawInterface {
        RawInterface {
            name: "e0".to_owned(),
            up,
            address: address.parse().unwrap(),
            scope: None,
            mask: mask.parse().ok(),
        }
    }

    fn shown(method: &Static, protocols: Protocols) -> Vec<String> {
        let (found, _) = list_with(method, protocols).unwrap();
        found.iter().map(|it| format!("{}/{}", it.address, it.prefix)).collect()
    }

    #[test]
    fn own_addresses_are_v4_first_up_and_not_unspecified_and_duplicates_stay() {
        let entries = vec![
            entry("2001:db8:1::25", "ffff:ffff:ffff:ffff::", true),
            entry("10.1.2.3", "255.255.255.0", true),
            entry("10.9.9.9", "255.255.255.0", false),
            entry("0.0.0.0", "0.0.0.0", true),
            entry("fe80::1", "ffff:ffff:ffff:ffff::", true),
            entry("10.1.2.3", "255.255.255.0", true),
        ];
        let method = Static(entries, REAL);
        assert_eq!(shown(&method, Protocols::BOTH), ["10.1.2.3/24", "10.1.2.3/24", "2001:db8:1::25/64", "fe80::1/64"]);
        assert_eq!(shown(&method, Protocols::V6), ["2001:db8:1::25/64", "fe80::1/64"]);
        assert!(shown(&method, Protocols::NONE).is_empty());
    }

    #[test]
    fn a_method_that_cannot_tell_keeps_down_interfaces_and_assumes_128() {
        let capabilities = Capabilities { v6_prefix: V6Prefix::Assume128, reports_down: false, keeps_scope: false };
        let entries = vec![entry("2001:db8::1", "", false), entry("10.0.0.1", "255.0.0.0", false)];
        let method = Static(entries, capabilities);
        assert_eq!(shown(&method, Protocols::BOTH), ["10.0.0.1/8", "2001:db8::1/128"]);
    }

    #[test]
    fn an_address_without_netmask_is_ignored_with_a_warning() {
        let method = Static(vec![entry("10.0.0.1", "", true)], REAL);
        let (found, ignored) = list_with(&method, Protocols::BOTH).unwrap();
        assert!(found.is_empty());
        let text = ignored[0].to_string();
        assert_eq!(text, "ignoring interface with null netmask, address family 2");
    }

    #[test]
    fn masks_and_networks_follow_the_prefix() {
        let method = Static(vec![entry("2001:db8:ffff::1", "ffff:ffff:e000::", true)], REAL);
        let (found, _) = list_with(&method, Protocols::BOTH).unwrap();
        assert_eq!(found[0].mask().to_string(), "ffff:ffff:e000::");
        assert_eq!(found[0].network().to_string(), "2001:db8:e000::/35");
    }

    #[test]
    fn this_machine_has_its_loopback_address_and_a_mapped_one_is_not_it() {
        let own = list(Protocols::BOTH).unwrap();
        assert!(is_own(&own, "127.0.0.1".parse().unwrap()));
        assert!(!is_own(&own, "::ffff:127.0.0.1".parse().unwrap()));
        assert!(!is_own(&own, "192.0.2.77".parse().unwrap()));
    }
}
