//! Whether an address is there to be used, and word from the system when that may have changed.
//!
//! An IPv6 address is on its interface before it can be used: the kernel first asks the link whether somebody else has
//! it (RFC 4862 5.4). What the system sends about changes is not looked into: that something came is all that counts,
//! and whether an address can be used is decided by using it.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockType, SockaddrStorage};

use crate::Family;
use crate::discover::unready_addresses;

/// Why an address that is on an interface cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// The kernel still asks the link whether somebody else has it.
    Tentative,
    /// Somebody else on the link has it.
    Duplicate,
}

/// The IPv6 addresses of this machine that cannot be used, where the platform tells: on Linux.
#[must_use]
pub fn unready() -> Vec<(Ipv6Addr, Unready)> {
    unready_addresses()
}

/// Whether a socket can have this address, whatever its port.
#[must_use]
pub fn can_bind(mut address: SocketAddr) -> bool {
    address.set_port(0);
    let domain = match Family::of(address.ip()) {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    let Ok(socket) = sys::descriptor::new_socket(domain, SockType::Stream) else { return false };
    nix::sys::socket::bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &SockaddrStorage::from(address)).is_ok()
}

/// Whether a socket could not have this address for the reason that it is not there (yet).
#[must_use]
pub fn is_absence(error: &io::Error, address: SocketAddr) -> bool {
    let link_local = matches!(address, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local());
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EADDRNOTAVAIL) => true,
        // The interface of its zone is not there, or no zone is known.
        Some(Errno::ENODEV | Errno::ENXIO | Errno::EINVAL) => link_local,
        _ => false,
    }
}

/// Word from the system that addresses or interfaces have changed.
#[derive(Debug)]
pub struct Changes(OwnedFd);

impl Changes {
    /// Begins to listen.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2); `Unsupported` where the system has no such word: then one has to look now and
    /// then.
    pub fn open() -> io::Result<Self> {
        let socket = open()?;
        sys::descriptor::set_nonblocking(socket.as_fd(), true)?;
        Ok(Self(socket))
    }

    /// Takes what has come; whether anything had.
    pub fn take(&self) -> bool {
        let mut bytes = [0; 4096];
        let mut any = false;
        // More may come while this reads; it then is readable again.
        for _ in 0..1000 {
            match nix::unistd::read(&self.0, &mut bytes) {
                Err(Errno::EINTR) => {}
                // So much has changed that the system does not remember it.
                Err(Errno::ENOBUFS) => any = true,
                Ok(count) if count > 0 => any = true,
                Ok(_) | Err(_) => break,
            }
        }
        any
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A socket that the system sends word to: rtnetlink(7) of links and of the addresses of both families, route(4) of
/// everything.
fn open() -> io::Result<OwnedFd> {
    cfg_select! {
        any(target_os = "linux", target_os = "android") => {
            use nix::libc::{RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_LINK};
            use nix::sys::socket::{NetlinkAddr, SockFlag, SockProtocol, bind, socket};
            let groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
            let (flags, protocol) = (SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute);
            let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
            bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &NetlinkAddr::new(0, groups.unsigned_abs()))?;
            Ok(socket)
        }
        any(
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd",
            target_os = "dragonfly",
            target_vendor = "apple",
        ) => {
            sys::descriptor::new_socket(AddressFamily::Route, SockType::Raw)
        }
        _ => {
            Err(Errno::EOPNOTSUPP.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_machine_can_be_bound_and_a_strange_one_is_absent() {
        assert!(can_bind("127.0.0.1:25".parse().unwrap()));
        let strange: SocketAddr = "192.0.2.77:0".parse().unwrap();
        assert!(!can_bind(strange));
        let error = std::net::TcpListener::bind(strange).unwrap_err();
        assert!(is_absence(&error, strange));
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert!(!is_absence(&std::net::TcpListener::bind(address).unwrap_err(), address));
    }

    #[test]
    fn an_address_without_its_zone_is_absent_only_if_it_needs_one() {
        let invalid = io::Error::from_raw_os_error(Errno::EINVAL as i32);
        assert!(is_absence(&invalid, "[fe80::1]:25".parse().unwrap()));
        assert!(!is_absence(&invalid, "[::ffff:192.0.2.1]:25".parse().unwrap()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_listens_for_changes_hears_nothing_when_nothing_changes() {
        let changes = Changes::open().unwrap();
        // Of what others do to this machine's interfaces there may be word; it does not last.
        while changes.take() {}
        assert!(!changes.take());
    }
}
