//! Where a message comes from, as the attributes of its envelope say it: for cleanup, for filters, and for the logs of
//! later hops.

use std::net::IpAddr;

use net::Peer;
use queue::record::encode_attribute;

/// The client as logs name it, under a protocol (`ESMTP`, `QMQP`) and with the name that it has given itself.
pub fn logged(out: &mut Vec<u8>, peer: &Peer, helo: Option<&str>, protocol: &str) {
    let mut attribute = |name: &str, value: &str| encode_attribute(out, name, value.as_bytes());
    attribute("log_client_name", &peer.name);
    attribute("log_client_address", &peer.rfc_address());
    attribute("log_client_port", &peer.port);
    attribute("log_message_origin", &peer.label);
    if let Some(helo) = helo {
        attribute("log_helo_name", helo);
    }
    attribute("log_protocol_name", protocol);
}

/// The value of `client_address_type`: the number of the address family.
pub fn family(peer: &Peer) -> String {
    let family = match peer.address {
        Some(IpAddr::V6(_)) => nix::libc::AF_INET6,
        Some(IpAddr::V4(_)) | None => nix::libc::AF_INET,
    };
    family.to_string()
}
