//! One server of a destination, and how it is named in texts.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use lookup::MatchList;
use net::{Family, Shown};

/// A server that a message can be given to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name, or its address when the nexthop was one.
    pub name: String,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Mail exchanger preference, or priority of an SRV record; 0 when there is neither.
    pub preference: u16,
    /// Its place among those of its preference, drawn by the weights of SRV records; 0 where there are none.
    pub turn: u16,
    /// What is known of the way to it.
    pub origin: Origin,
}

/// What DNS says of a server beside its address: whether that is true, which DANE is built on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Whether the MX or SRV records that name it were validated; `None` when there are none, as the destination is the
    /// host.
    pub exchanger: Option<bool>,
    /// Whether its address was validated, with all aliases that led there.
    pub address: bool,
    /// The name that its own is an alias for.
    pub canonical: Option<String>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// On the network.
    Internet(SocketAddr),
    /// On this machine.
    Unix(PathBuf),
}

impl Server {
    /// A server that no answer of DNS has led to.
    pub fn new(name: &str, endpoint: Endpoint, preference: u16) -> Self {
        Self { name: name.to_owned(), endpoint, preference, turn: 0, origin: Origin::default() }
    }

    /// `NAME[ADDRESS]`, as texts about what a server said have it.
    pub fn host(&self) -> String {
        match &self.endpoint {
            Endpoint::Internet(address) => format!("{}[{}]", self.name, Shown(address.ip())),
            Endpoint::Unix(path) => format!("{}[{}]", self.name, path.display()),
        }
    }

    /// `NAME[ADDRESS]:PORT`, as `relay=` and texts about connections have it.
    pub fn relay(&self) -> String {
        format!("{}{}", self.name, self.endpoint)
    }

    /// The same, as lines about TLS have it: in lower case.
    pub fn peer(&self) -> String {
        self.relay().to_ascii_lowercase()
    }

    /// Whether the list names it.
    pub fn is_in(&self, list: &MatchList) -> bool {
        let address = match &self.endpoint {
            Endpoint::Internet(address) => Shown(address.ip()).to_string(),
            Endpoint::Unix(_) => return false,
        };
        // A list that cannot be asked is logged by itself.
        !list.is_empty() && list.matches_host(self.name.as_bytes(), address.as_bytes()).unwrap_or(false)
    }

    /// Its address family.
    pub fn family(&self) -> Option<Family> {
        match &self.endpoint {
            Endpoint::Internet(address) => Some(Family::of(address.ip())),
            Endpoint::Unix(_) => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet(address) => write!(f, "[{}]:{}", Shown(address.ip()), address.port()),
            Self::Unix(path) => write!(f, "[{}]", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_with_bare_addresses_in_brackets() {
        let server = |endpoint| Server::new("m.test", endpoint, 0);
        let v6 = server(Endpoint::Internet("[2001:db8:1::11]:25".parse().unwrap()));
        assert_eq!(v6.host(), "m.test[2001:db8:1::11]");
        assert_eq!(v6.relay(), "m.test[2001:db8:1::11]:25");
        assert_eq!(server(Endpoint::Unix("private/x".into())).relay(), "m.test[private/x]");
        let endpoint = Endpoint::Internet("192.0.2.1:25".parse().unwrap());
        assert_eq!(Server::new("MX.Test", endpoint, 0).peer(), "mx.test[192.0.2.1]:25");
    }
}
