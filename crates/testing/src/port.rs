//! TCP ports that no other test of this machine takes at the same time.
//!
//! The kernel's own choice (port 0) comes from the range of outgoing connections and would be taken again by one of
//! them between choice and use; these ports come from below that range, and a socket with an abstract name holds each:
//! its name belongs to the network, as the port does, and whatever user or directory a test has.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// A port on 127.0.0.1 and ::1, free when it was reserved, ours until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// Holds the name.
    _reservation: UnixDatagram,
}

const FIRST: u16 = 12_000;
const COUNT: u16 = 18_000;

impl Port {
    /// Reserves a port.
    pub fn reserve() -> Port {
        let start = std::process::id() as u16;
        for step in 0..COUNT {
            let number = FIRST + start.wrapping_mul(31).wrapping_add(step) % COUNT;
            let name = SocketAddr::from_abstract_name(format!("postfix-rs-port-{number}"));
            if let Ok(reservation) = name.and_then(|name| UnixDatagram::bind_addr(&name))
                && is_free(number)
            {
                return Port { number, _reservation: reservation };
            }
        }
        panic!("all ports from {FIRST} to {} are in use", FIRST + COUNT);
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_reserved_ports_differ() {
        let (a, b) = (Port::reserve(), Port::reserve());
        assert_ne!(a.number(), b.number());
    }
}
