//! getifaddrs(3): the library asks the kernel in whatever way is right there. Linux, the BSDs, macOS, illumos.
//!
//! It tells everything: every family, real netmasks, zones, and which interfaces are down.

use std::net::IpAddr;

use nix::sys::socket::SockaddrStorage;

use super::{Capabilities, Discover, DiscoverError, Listing, RawInterface, V6Prefix};
use crate::Family;

/// The method, where the library has it.
pub(super) fn here() -> Option<Box<dyn Discover>> {
    cfg_select! {
        any(
            target_os = "linux",
            target_os = "android",
            target_os = "freebsd",
            target_os = "dragonfly",
            target_os = "netbsd",
            target_os = "openbsd",
            target_vendor = "apple",
            target_os = "illumos",
            target_os = "solaris",
            target_os = "hurd",
        ) => {
            fn entries() -> nix::Result<Vec<Entry>> {
                let found = nix::ifaddrs::getifaddrs()?;
                Ok(found
                    .map(|entry| Entry {
                        name: entry.interface_name,
                        up: entry.flags.contains(nix::net::if_::InterfaceFlags::IFF_UP),
                        address: entry.address,
                        mask: entry.netmask,
                    })
                    .collect())
            }
            Some(Box::new(Getifaddrs(entries)))
        }
        _ => {
            None
        }
    }
}

/// What the library tells of one address.
struct Entry {
    name: String,
    up: bool,
    address: Option<SockaddrStorage>,
    mask: Option<SockaddrStorage>,
}

/// The call to the library.
struct Getifaddrs(fn() -> nix::Result<Vec<Entry>>);

impl Discover for Getifaddrs {
    fn capabilities(&self) -> Capabilities {
        Capabilities { reports_down: true, v6_prefix: V6Prefix::Real, keeps_scope: true }
    }

    fn list(&self, family: Family) -> Result<Listing, DiscoverError> {
        const NAME: &str = "getifaddrs";
        let entries = (self.0)().map_err(|error| DiscoverError { place: NAME, call: NAME, error })?;
        let found = entries.into_iter().filter_map(raw).filter(|entry| Family::of(entry.address) == family);
        Ok(Listing { found: found.collect(), warnings: Vec::new() })
    }
}

fn raw(entry: Entry) -> Option<RawInterface> {
    let (address, scope) = numeric(entry.address.as_ref()?)?;
    let mask = entry.mask.as_ref().and_then(numeric).map(|(mask, _)| mask);
    Some(RawInterface { name: entry.name, up: entry.up, address, scope, mask })
}

fn numeric(address: &SockaddrStorage) -> Option<(IpAddr, Option<u32>)> {
    if let Some(v4) = address.as_sockaddr_in() {
        Some((IpAddr::V4(v4.ip()), None))
    } else {
        address.as_sockaddr_in6().map(|v6| (IpAddr::V6(v6.ip()), Some(v6.scope_id())))
    }
}
