//! The ways to ask a system for the addresses of its interfaces, behind one trait.
//!
//! A method only reports what the system says; which of it is an own address is decided in [`crate::interfaces`], in
//! one place for all. What a kernel answers is bytes, and they are read by safe code that is compiled on every
//! platform, with the layout as a value: answers of other systems are replayed anywhere ([`replay`]). No answer may
//! make this panic or grow: a damaged one is kept up to the damage, with a warning.

mod getifaddrs;
mod if_inet6;
mod ioctl;
mod kernel;
pub mod layout;
mod procnet;
pub mod records;
pub mod replay;

use std::fmt;
use std::net::IpAddr;

use nix::errno::Errno;

use crate::Family;
use crate::address::strerror;
use crate::platform::{PLATFORM, Platform};
use crate::presence::Unready;

pub use ioctl::{Siocgif, Siocglif};
pub use kernel::{Kernel, Questions};
pub use procnet::Procnet;

/// A way to ask the system for its interfaces.
pub trait Discover {
    /// What the answers of this method mean.
    fn capabilities(&self) -> Capabilities;

    /// Every address of a family, in the system's order.
    ///
    /// # Errors
    /// The system refused; nothing can be said about this family then.
    fn list(&self, family: Family) -> Result<Listing, DiscoverError>;
}

/// What a method can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Interfaces that are down are marked, and left out; otherwise they stay in.
    pub reports_down: bool,
    /// How the prefix length of an IPv6 address is known.
    pub v6_prefix: V6Prefix,
    /// The zone of a link-local address comes with it.
    pub keeps_scope: bool,
}

/// How a method knows the prefix length of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum V6Prefix {
    /// The system tells.
    Real,
    /// It does not; the address alone is the network.
    Assume128,
    /// There are no IPv6 addresses from this method.
    None,
}

/// What a method found in one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Addresses in the system's order.
    pub found: Vec<RawInterface>,
    /// Why there may be fewer than the system has.
    pub warnings: Vec<Warning>,
}

/// One address as a method found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawInterface {
    /// The interface's name.
    pub name: String,
    /// The interface is up; always true where the method cannot tell.
    pub up: bool,
    /// The address.
    pub address: IpAddr,
    /// Its zone; 0 and `None` are the same.
    pub scope: Option<u32>,
    /// Its netmask, if there is one.
    pub mask: Option<IpAddr>,
}

/// A method by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// getifaddrs(3).
    Getifaddrs,
    /// SIOCGLIFCONF and SIOCGLIFNETMASK.
    Siocglif,
    /// SIOCGIFCONF for IPv4, /proc/net/if_inet6 for IPv6.
    Procnet,
    /// SIOCGIFCONF alone: no IPv6 netmasks, and on many systems no IPv6.
    Siocgif,
}

impl Method {
    /// All methods, best first.
    pub const ALL: [Self; 4] = [Self::Getifaddrs, Self::Siocglif, Self::Procnet, Self::Siocgif];

    /// The method's name on a command line and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Getifaddrs => "getifaddrs",
            Self::Siocglif => "siocglif",
            Self::Procnet => "procnet",
            Self::Siocgif => "siocgif",
        }
    }

    /// The method that has this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// The method on this platform, if it has it.
    #[must_use]
    pub fn here(self) -> Option<Box<dyn Discover>> {
        match self {
            _ if !PLATFORM.methods.contains(&self) => None,
            Self::Getifaddrs => getifaddrs::here(),
            _ => self.asking(Box::new(kernel::Live::of(self)?), PLATFORM),
        }
    }

    /// The method as `platform` has it, with the answers of this kernel. `None` for getifaddrs: there a library asks,
    /// and not we.
    #[must_use]
    pub fn asking(self, kernel: Box<dyn Kernel>, platform: &Platform) -> Option<Box<dyn Discover>> {
        match self {
            Self::Getifaddrs => None,
            Self::Siocglif => Some(Box::new(Siocglif::new(kernel))),
            Self::Procnet => Some(Box::new(Procnet::new(kernel))),
            Self::Siocgif => Some(Box::new(Siocgif::new(kernel, platform.v6_of_siocgif))),
        }
    }

    /// The methods that this platform has, the default first.
    #[must_use]
    pub fn all_here() -> Vec<Self> {
        PLATFORM.methods.iter().copied().filter(|method| method.here().is_some()).collect()
    }
}

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The default method of this platform.
///
/// # Errors
/// It has none, which only a platform without an entry of its own can say.
pub fn default_here() -> Result<Box<dyn Discover>, DiscoverError> {
    let first = PLATFORM.methods.iter().find_map(|method| method.here());
    first.ok_or(DiscoverError { place: "platform", call: "no method to list interfaces", error: Errno::ENOSYS })
}

/// The IPv6 addresses that are on an interface and cannot be used, as Linux tells; on other platforms none is known.
pub(crate) fn unready_addresses() -> Vec<(std::net::Ipv6Addr, Unready)> {
    // name: of the kernel.
    std::fs::read(if_inet6::PATH).map(|text| if_inet6::unready(&text)).unwrap_or_default()
}

/// Something that was left out, and the mail system goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// An address without netmask, which is not used.
    NullNetmask(Family),
    /// /proc/net/if_inet6 cannot be opened.
    CannotOpen(Errno),
    /// A line of /proc/net/if_inet6 is none; earlier lines count.
    UnexpectedLine,
    /// The answer to this request is damaged; records before the damage count.
    UnexpectedRecord(&'static str, Family),
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FILE: &str = if_inet6::PATH;
        match self {
            Self::NullNetmask(family) => {
                let number = match family {
                    Family::V4 => nix::libc::AF_INET,
                    Family::V6 => nix::libc::AF_INET6,
                };
                write!(out, "ignoring interface with null netmask, address family {number}")
            }
            Self::CannotOpen(error) => {
                write!(out, "can't open {FILE} ({}) - skipping IPv6 configuration", strerror(*error))
            }
            Self::UnexpectedLine => write!(out, "unexpected data in {FILE} - skipping IPv6 configuration"),
            Self::UnexpectedRecord(request, family) => {
                write!(out, "unexpected data from ioctl {request} - skipping {family} configuration")
            }
        }
    }
}

/// The system did not list its interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoverError {
    pub(crate) place: &'static str,
    pub(crate) call: &'static str,
    pub(crate) error: Errno,
}

impl fmt::Display for DiscoverError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, call, error } = self;
        write!(out, "inet_addr_local[{place}]: {call}: {}", strerror(*error))
    }
}

impl std::error::Error for DiscoverError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_name_of_its_own_and_is_found_by_it() {
        for method in Method::ALL {
            assert_eq!(Method::named(method.name()), Some(method));
        }
        assert_eq!(Method::named("Getifaddrs"), None);
    }

    #[test]
    fn this_platform_has_its_default_method() {
        assert_eq!(Method::all_here().first(), PLATFORM.methods.first());
        assert!(default_here().is_ok());
    }

    #[test]
    fn failures_are_the_sentences_that_operators_know() {
        let error = DiscoverError { place: "siocgif", call: "ioctl SIOCGIFCONF", error: Errno::EINVAL };
        assert_eq!(error.to_string(), "inet_addr_local[siocgif]: ioctl SIOCGIFCONF: Invalid argument");
        let warning = Warning::CannotOpen(Errno::ENOENT).to_string();
        let text = "can't open /proc/net/if_inet6 (No such file or directory) - skipping IPv6 configuration";
        assert_eq!(warning, text);
        let text = "ignoring interface with null netmask, address family 2";
        assert_eq!(Warning::NullNetmask(Family::V4).to_string(), text);
    }
}
