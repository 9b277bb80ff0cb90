//! The client's name, from the name service, and whether a list names the client.
//!
//! A name is only believed when a forward lookup in the client's own address family lists the address; anything else is
//! `unknown`.

use std::net::{IpAddr, SocketAddr};

use dns::Resolver;
use lookup::{MatchList, TableError};
use net::peer::{NameStatus, Peer};

/// Finds the client's name and verifies it.
pub async fn look_up(resolver: &Resolver, remote: SocketAddr, local: SocketAddr) -> Peer {
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
    if let Err(error) = net::hostname::check(name.as_bytes()) {
        logging::warning!("{error}");
        return peer;
    }
    peer.reverse_name.clone_from(&name);
    peer.reverse_status = NameStatus::Known;
    verify(&mut peer, resolver, name).await;
    peer
}

async fn verify(peer: &mut Peer, resolver: &Resolver, name: String) {
    let address = peer.remote.ip();
    match resolver.native_addresses(&name, net::Family::of(address)).await {
        Ok(found) if found.contains(&address) => {
            peer.name = name;
            peer.relabel();
            peer.name_status = NameStatus::Known;
        }
        Ok(_) => logging::warning!("hostname {name} does not resolve to address {address}"),
        Err(error) => {
            let reason = error.system_text();
            logging::warning!("hostname {name} does not resolve to address {address}: {reason}");
            if error.is_temporary() {
                peer.name_status = NameStatus::Temporary;
            }
        }
    }
}

/// Whether the list names the client.
///
/// # Errors
/// A table of the list cannot be asked; logged.
pub fn is_in(peer: &Peer, list: &MatchList) -> Result<bool, TableError> {
    list.matches_host(peer.name.as_bytes(), peer.address_text().as_bytes())
}
