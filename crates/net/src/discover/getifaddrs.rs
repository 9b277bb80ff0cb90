//! getifaddrs(3): the library asks the kernel in whatever way is right there. Linux, the BSDs, macOS, illumos.
//!
//! It tells everything: every family, real netmasks, zones, and which interfaces are down.

#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
    target_vendor = "apple",
    target_os = "illumos",
    target_os = "solaris",
    target_os = "hurd"
))]
mod present {
    use std::net::IpAddr;

    use nix::ifaddrs::{InterfaceAddress, getifaddrs};
    use nix::net::if_::InterfaceFlags;
    use nix::sys::socket::SockaddrStorage;

    use crate::Family;
    use crate::discover::{Capabilities, Discover, DiscoverError, Listing, RawInterface, V6Prefix};

    pub(in crate::discover) fn here() -> Option<Box<dyn Discover>> {
        Some(Box::new(Getifaddrs))
    }

    struct Getifaddrs;

    impl Discover for Getifaddrs {
        fn capabilities(&self) -> Capabilities {
            Capabilities { reports_down: true, v6_prefix: V6Prefix::Real, keeps_scope: true }
        }

        fn list(&self, family: Family) -> Result<Listing, DiscoverError> {
            const NAME: &str = "getifaddrs";
            let found = getifaddrs().map_err(|error| DiscoverError { place: NAME, call: NAME, error })?;
            let found = found.filter_map(raw).filter(|entry| Family::of(entry.address) == family);
            Ok(Listing { found: found.collect(), warnings: Vec::new() })
        }
    }

    fn raw(entry: InterfaceAddress) -> Option<RawInterface> {
        let (address, scope) = numeric(entry.address.as_ref()?)?;
        Some(RawInterface {
            name: entry.interface_name,
            up: entry.flags.contains(InterfaceFlags::IFF_UP),
            address,
            scope,
            mask: entry.netmask.as_ref().and_then(numeric).map(|(mask, _)| mask),
        })
    }

    fn numeric(address: &SockaddrStorage) -> Option<(IpAddr, Option<u32>)> {
        if let Some(v4) = address.as_sockaddr_in() {
            Some((IpAddr::V4(v4.ip()), None))
        } else {
            address.as_sockaddr_in6().map(|v6| (IpAddr::V6(v6.ip()), Some(v6.scope_id())))
        }
    }
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
    target_vendor = "apple",
    target_os = "illumos",
    target_os = "solaris",
    target_os = "hurd"
)))]
mod present {
    pub(in crate::discover) fn here() -> Option<Box<dyn crate::discover::Discover>> {
        None
    }
}

pub(super) use present::here;
