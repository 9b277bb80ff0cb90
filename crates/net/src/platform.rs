//! What differs between platforms, in one table: how interfaces are found, and what to know about listening.
//!
//! A row is all that a port needs here; nothing else in the mail system asks which platform it is on in order to find
//! an address. All rows are compiled everywhere, and [`PLATFORM`] is the one that this program runs on.

use crate::discover::layout::{Ifreq, Structures};
use crate::discover::{Method, V6Prefix};

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Platform {
    /// Its name in documents, and in the fixtures of `cargo xtask porting`.
    pub name: &'static str,
    /// The first version that has IPv6, as an operator knows it.
    pub since: &'static str,
    /// What Rust calls it (`target_os`); empty for a platform that Rust does not build for.
    pub os: &'static [&'static str],
    /// Whether the mail system uses IPv6 here. Where it does not, `inet_protocols` knows `ipv4` and `all`, which are
    /// the same.
    pub ipv6: bool,
    /// The methods that it has, the default first.
    pub methods: &'static [Method],
    /// What SIOCGIFCONF tells about IPv6.
    pub v6_of_siocgif: V6Prefix,
    /// How its answers are laid out.
    pub structures: Structures,
    /// What to know about listening.
    pub wildcards: Wildcards,
}

/// Whether `::` and `0.0.0.0` can be listened on at the same port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wildcards {
    /// As two sockets, with IPV6_V6ONLY on the first.
    V6Only,
    /// As two sockets, and IPV6_V6ONLY is not set: the system has no such option, or it does not work.
    Plain,
}

impl Platform {
    /// The method that is used when nobody asks for another one.
    #[must_use]
    pub fn default_method(&self) -> Method {
        // cannot fail: a test holds every row to having a method; the last resort is the oldest request there is.
        self.methods.first().copied().unwrap_or(Method::Siocgif)
    }

    /// How it knows the prefix length of an IPv6 address by its default method.
    #[must_use]
    pub fn v6_prefix(&self) -> V6Prefix {
        match self.default_method() {
            Method::Siocgif => self.v6_of_siocgif,
            Method::Getifaddrs | Method::Siocglif | Method::Procnet => V6Prefix::Real,
        }
    }
}

/// The platform of this program.
pub static PLATFORM: &Platform = of(std::env::consts::OS);

/// The row of a `target_os`; the last one for those that the table does not name.
#[must_use]
pub const fn of(os: &str) -> &'static Platform {
    let mut row = 0;
    while row < PLATFORMS.len() {
        let mut name = 0;
        while name < PLATFORMS[row].os.len() {
            if same(PLATFORMS[row].os[name].as_bytes(), os.as_bytes()) {
                return &PLATFORMS[row];
            }
            name += 1;
        }
        row += 1;
    }
    &PLATFORMS[PLATFORMS.len() - 1]
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    let mut at = 0;
    while at < left.len() && at < right.len() && left[at] == right[at] {
        at += 1;
    }
    at == left.len() && at == right.len()
}

/// 4.4BSD and its heirs: an address begins with its length, and a record is as long as its address.
const fn bsd(inet6: u16) -> Structures {
    Structures { length_byte: true, inet6, ifreq: Ifreq::Variable }
}

/// The table. The last row stands for every platform that has none of its own.
pub static PLATFORMS: [Platform; 9] = [
    Platform {
        name: "AIX",
        since: "5.1",
        os: &["aix"],
        ipv6: true,
        methods: &[Method::Siocgif],
        v6_of_siocgif: V6Prefix::Assume128,
        structures: bsd(24),
        wildcards: Wildcards::Plain,
    },
    Platform {
        name: "Darwin",
        since: "7.3",
        os: &["macos", "ios", "tvos", "watchos", "visionos"],
        ipv6: true,
        methods: &[Method::Getifaddrs, Method::Siocgif],
        v6_of_siocgif: V6Prefix::None,
        structures: bsd(30),
        wildcards: Wildcards::V6Only,
    },
    Platform {
        name: "FreeBSD",
        since: "4",
        os: &["freebsd", "dragonfly"],
        ipv6: true,
        methods: &[Method::Getifaddrs],
        v6_of_siocgif: V6Prefix::None,
        structures: bsd(28),
        wildcards: Wildcards::V6Only,
    },
    Platform {
        name: "Linux",
        since: "2.4",
        os: &["linux", "android"],
        ipv6: true,
        methods: &[Method::Getifaddrs, Method::Procnet, Method::Siocgif],
        v6_of_siocgif: V6Prefix::None,
        structures: Structures { length_byte: false, inet6: 10, ifreq: Ifreq::Fixed(32, 40) },
        wildcards: Wildcards::V6Only,
    },
    Platform {
        name: "NetBSD",
        since: "1.5",
        os: &["netbsd"],
        ipv6: true,
        methods: &[Method::Getifaddrs],
        v6_of_siocgif: V6Prefix::None,
        structures: Structures { ifreq: Ifreq::Fixed(144, 144), ..bsd(24) },
        wildcards: Wildcards::V6Only,
    },
    Platform {
        name: "OpenBSD",
        since: "2",
        os: &["openbsd"],
        ipv6: true,
        methods: &[Method::Getifaddrs],
        v6_of_siocgif: V6Prefix::None,
        structures: bsd(24),
        wildcards: Wildcards::V6Only,
    },
    Platform {
        name: "Solaris, illumos",
        since: "8",
        os: &["solaris", "illumos"],
        ipv6: true,
        methods: &[Method::Siocglif, Method::Getifaddrs],
        v6_of_siocgif: V6Prefix::None,
        structures: Structures { length_byte: false, inet6: 26, ifreq: Ifreq::Fixed(32, 32) },
        wildcards: Wildcards::V6Only,
    },
    Platform {
        name: "Tru64",
        since: "V5.1",
        os: &[],
        ipv6: true,
        methods: &[Method::Siocgif],
        v6_of_siocgif: V6Prefix::Assume128,
        structures: bsd(26),
        wildcards: Wildcards::V6Only,
    },
    Platform {
        name: "anything else",
        since: "never",
        os: &[],
        ipv6: false,
        methods: &[Method::Siocgif],
        v6_of_siocgif: V6Prefix::None,
        structures: Structures { length_byte: false, inet6: 26, ifreq: Ifreq::Fixed(32, 40) },
        wildcards: Wildcards::Plain,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_has_the_documented_method_and_limits() {
        let rows = [
            ("AIX", Method::Siocgif, V6Prefix::Assume128),
            ("Darwin", Method::Getifaddrs, V6Prefix::Real),
            ("FreeBSD", Method::Getifaddrs, V6Prefix::Real),
            ("Linux", Method::Getifaddrs, V6Prefix::Real),
            ("NetBSD", Method::Getifaddrs, V6Prefix::Real),
            ("OpenBSD", Method::Getifaddrs, V6Prefix::Real),
            ("Solaris, illumos", Method::Siocglif, V6Prefix::Real),
            ("Tru64", Method::Siocgif, V6Prefix::Assume128),
            ("anything else", Method::Siocgif, V6Prefix::None),
        ];
        let table = PLATFORMS.iter().map(|row| (row.name, row.default_method(), row.v6_prefix()));
        assert_eq!(table.collect::<Vec<_>>(), rows);
        assert!(PLATFORMS.iter().all(|row| !row.methods.is_empty()));
    }

    #[test]
    fn a_system_finds_its_row_and_an_unknown_one_the_last() {
        assert_eq!(of("illumos").name, "Solaris, illumos");
        assert_eq!(of("dragonfly").name, "FreeBSD");
        for unknown in ["haiku", "linuxx", "linu", ""] {
            assert_eq!(of(unknown).name, "anything else", "{unknown}");
        }
        assert_eq!(PLATFORM, of(std::env::consts::OS));
    }

    #[test]
    fn no_system_stands_in_two_rows() {
        let mut systems: Vec<_> = PLATFORMS.iter().flat_map(|row| row.os).collect();
        let all = systems.len();
        systems.sort();
        systems.dedup();
        assert_eq!(systems.len(), all);
    }
}
