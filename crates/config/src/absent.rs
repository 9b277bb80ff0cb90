//! Addresses that are asked for and are not there (yet): no reason to serve nobody at the others.
//!
//! An interface may get its address later, a name its record, and an IPv6 address is used only when the link knows no
//! other owner. What is wrong in itself, and stays so, is an error instead.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use net::presence::Unready;
use net::{Interface, Shown};

/// The addresses that inet_interfaces stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Those that are there, with their networks.
    pub found: Vec<Interface>,
    /// Those that are not.
    pub absent: Vec<Absent>,
    /// Those of `absent` that are on an interface already, while the link is asked about them.
    pub tentative: Vec<Interface>,
}

impl Own {
    /// Those on an interface, whether a socket can be bound to them by now or not.
    pub fn on_interfaces(self) -> Vec<Interface> {
        self.found.into_iter().chain(self.tentative).collect()
    }

    /// The sentence about them when some are asked for and none is on an interface.
    pub fn nothing(&self) -> Option<String> {
        let is_nothing = self.found.is_empty() && self.tentative.is_empty();
        self.absent.first().filter(|_| is_nothing).map(Absent::to_string)
    }

    /// Those that are not there too, each a network of its own.
    pub fn all(self) -> Vec<Interface> {
        let claimed = self.absent.iter().filter_map(|absent| absent.address);
        let claimed =
            claimed.map(|address| Interface { address, scope: None, prefix: if address.is_ipv4() { 32 } else { 128 } });
        let claimed: Vec<Interface> = claimed.collect();
        self.found.into_iter().chain(claimed).collect()
    }
}

/// Something that stands for an address, and has none that can be used. Display is the sentence about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Absent {
    /// What it is asked for by.
    pub source: Source,
    /// A name, or the address.
    pub item: String,
    /// The address, when it is known.
    pub address: Option<IpAddr>,
    /// What is the matter.
    pub why: Why,
}

/// Where an address is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A parameter.
    Parameter(&'static str),
    /// The name of a service in master.cf, with file and line.
    Service(String),
}

/// Why an address is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The name is not found, or has no address of an enabled family.
    NoSuchName,
    /// It is on no interface that is up.
    NoInterface,
    /// No interface that is up has any.
    NoInterfaces,
    /// The kernel asks the link whether somebody else has it.
    Tentative,
    /// Somebody else on the link has it.
    Duplicate,
}

impl From<Unready> for Why {
    fn from(unready: Unready) -> Why {
        match unready {
            Unready::Tentative => Why::Tentative,
            Unready::Duplicate => Why::Duplicate,
        }
    }
}

impl Absent {
    /// An address that a socket could not be bound to.
    pub fn of_socket(source: Source, socket: SocketAddr) -> Absent {
        let address = socket.ip();
        let unready = net::presence::unready().into_iter().find(|(other, _)| IpAddr::V6(*other) == address);
        let why = unready.map_or(Why::NoInterface, |(_, unready)| unready.into());
        let item = match source {
            Source::Parameter(_) => Shown(address).to_string(),
            Source::Service(_) => format!("{} port {}", Shown(address), socket.port()),
        };
        Absent { source, item, address: Some(address), why }
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let item = &self.item;
        match (&self.source, self.why) {
            (_, Why::NoInterfaces) => return f.write_str("could not find any active network interfaces"),
            (Source::Parameter(name), Why::NoSuchName) => {
                return write!(f, "config variable {name}: host not found: {item}");
            }
            (Source::Service(place), Why::NoSuchName) => {
                return write!(f, "{place}: bad hostname or network address: {item}");
            }
            (Source::Service(_), Why::NoInterface) => {
                return write!(f, "bind {item}: Cannot assign requested address");
            }
            (Source::Parameter(name), _) => write!(f, "parameter {name}: ")?,
            (Source::Service(place), _) => write!(f, "{place}: ")?,
        }
        match self.why {
            Why::Tentative => write!(f, "{item} cannot be used yet: the link is asked whether somebody else has it"),
            Why::Duplicate => write!(f, "{item} cannot be used: somebody else on the link has it (duplicate address)"),
            _ => write!(f, "no local interface found for {item}"),
        }
    }
}
