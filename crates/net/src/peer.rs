//! Who is at the other end: address, and a name that the address and the name service both vouch for.
//!
//! What is not vouched for is `unknown`, and must never reach a decision as if it were a name.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

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
    /// The other end of the connection, whatever XCLIENT says.
    pub remote: SocketAddr,
    /// The client's address; none after XCLIENT without one.
    pub address: Option<IpAddr>,
    /// The client's port, or `unknown`.
    pub port: String,
    /// The address that the client connected to.
    pub server_address: Option<IpAddr>,
    /// The port that the client connected to, or `unknown`.
    pub server_port: String,
    /// `name[address]`, for log lines and replies.
    pub label: String,
    /// The port is in the label. smtpd_client_port_logging
    pub shows_port: bool,
}

impl Peer {
    /// A client whose name is not asked for, or not known.
    pub fn nameless(remote: SocketAddr, local: SocketAddr) -> Peer {
        let unknown = UNKNOWN.to_owned();
        let mut peer = Peer {
            name: unknown.clone(),
            name_status: NameStatus::None,
            reverse_name: unknown,
            reverse_status: NameStatus::None,
            remote,
            address: Some(remote.ip()),
            port: remote.port().to_string(),
            server_address: Some(local.ip()),
            server_port: local.port().to_string(),
            label: String::new(),
            shows_port: false,
        };
        peer.relabel();
        peer
    }

    /// A client of whom a proxy has not said who it is.
    pub fn nobody(remote: SocketAddr, local: SocketAddr) -> Peer {
        let port = UNKNOWN.to_owned();
        let mut peer = Peer { address: None, port, ..Peer::nameless(remote, local) };
        peer.relabel();
        peer
    }

    /// Whoever has started the server, and talks to it without a network.
    pub fn local() -> Peer {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut peer = Peer { name: "localhost".to_owned(), ..Peer::nameless(nowhere, nowhere) };
        peer.name_status = NameStatus::Known;
        peer.relabel();
        peer
    }

    /// Brings the label in line with name and address.
    pub fn relabel(&mut self) {
        let port = if self.shows_port { format!(":{}", self.port) } else { String::new() };
        self.label = format!("{}[{}]{port}", self.name, self.address_text());
    }

    /// The client's address as log lines, replies and tables have it: without prefix and brackets, or `unknown`.
    pub fn address_text(&self) -> String {
        shown(self.address)
    }

    /// The address that the client connected to, in the same form.
    pub fn server_address_text(&self) -> String {
        shown(self.server_address)
    }

    /// The client's address in the form of RFC 5321: IPv6 addresses have a prefix.
    pub fn rfc_address(&self) -> String {
        self.address.map_or_else(|| UNKNOWN.to_owned(), crate::literal::rfc)
    }
}

fn shown(address: Option<IpAddr>) -> String {
    address.map_or_else(|| UNKNOWN.to_owned(), |address| crate::Shown(address).to_string())
}
