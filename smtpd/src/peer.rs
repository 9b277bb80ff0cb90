//! Who is at the other end: address, and a name that the address and the name service both vouch for.
//!
//! A name is only believed when a forward lookup in the client's own address family lists the address;
//! anything else is `unknown`, and must never reach a decision as if it were a name.

use std::net::{IpAddr, SocketAddr};

use dns::Resolver;
use lookup::{MatchList, TableError};

/// The name of a client that has none.
pub const UNKNOWN: &str = "unknown";

/// How a lookup of the client's name ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameStatus {
    /// There is a name.
    Known,
    /// Perhaps later.
    Temporary,
    /// There is none.
    None,
}

/// The two ends of a session.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The verified name, or `unknown`.
    pub name: String,
    /// Why `name` is what it is.
    pub name_status: NameStatus,
    /// The name that the address has, verified or not, or `unknown`.
    pub reverse_name: String,
    /// Why `reverse_name` is what it is.
    pub reverse_status: NameStatus,
    /// The client's address and port.
    pub remote: SocketAddr,
    /// Our own address and port.
    pub local: SocketAddr,
    /// `name[address]`, for log lines and replies.
    pub label: String,
}

impl Peer {
    /// A client whose name is not asked for, or not known.
    pub fn nameless(remote: SocketAddr, local: SocketAddr) -> Peer {
        let unknown = UNKNOWN.to_owned();
        let label = label(&unknown, remote.ip());
        Peer {
            name: unknown.clone(),
            name_status: NameStatus::None,
            reverse_name: unknown,
            reverse_status: NameStatus::None,
            remote,
            local,
            label,
        }
    }

    /// Finds the client's name and verifies it.
    pub async fn lookup(resolver: &Resolver, remote: SocketAddr, local: SocketAddr) -> Peer {
        let mut peer = Peer::nameless(remote, local);
        let address = remote.ip();
        let name = match resolver.native_name(address).await {
            Ok(name) => name,
            Err(error) => {
                let status = if error.is_temporary() { NameStatus::Temporary } else { NameStatus::None };
                (peer.name_status, peer.reverse_status) = (status, status);
                return peer;
            }
        };
        if name.parse::<IpAddr>().is_ok() {
            logging::warning!("numeric hostname: {}", text::printable(name.as_bytes()));
            return peer;
        }
        if !net::hostname::is_valid(name.as_bytes()) {
            return peer;
        }
        peer.reverse_name.clone_from(&name);
        peer.reverse_status = NameStatus::Known;
        peer.verify(resolver, name).await;
        peer
    }

    async fn verify(&mut self, resolver: &Resolver, name: String) {
        let address = self.remote.ip();
        match resolver.native_addresses(&name, net::Family::of(address)).await {
            Ok(found) if found.contains(&address) => {
                self.label = label(&name, address);
                self.name = name;
                self.name_status = NameStatus::Known;
            }
            Ok(_) => logging::warning!("hostname {name} does not resolve to address {address}"),
            Err(error) => {
                let reason = error.system_text();
                logging::warning!("hostname {name} does not resolve to address {address}: {reason}");
                if error.is_temporary() {
                    self.name_status = NameStatus::Temporary;
                }
            }
        }
    }

    /// Whether the list names the client.
    ///
    /// # Errors
    /// A table of the list cannot be asked; logged.
    pub fn is_in(&self, list: &MatchList) -> Result<bool, TableError> {
        list.matches_host(self.name.as_bytes(), self.remote.ip().to_string().as_bytes())
    }

    /// The client's address in the form of RFC 5321: IPv6 addresses have a prefix.
    pub fn rfc_address(&self) -> String {
        net::literal::rfc(self.remote.ip())
    }
}

fn label(name: &str, address: IpAddr) -> String {
    format!("{name}[{address}]")
}
