//! The kernel as the methods of this folder ask it, so that an answer that was written down can stand in for it.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockType};
use sys::interfaces::{self, Answer, Request};

use super::layout::{Layout, Order, Pointer};
use super::{Method, if_inet6};
use crate::Family;
use crate::address::errno;
use crate::platform::PLATFORM;

/// Most of /proc/net/if_inet6 that is read: a quarter of a million addresses.
/// told: who asks, by an error.
const MOST_TEXT: u64 = 16 << 20;

/// What a method asks.
pub trait Kernel {
    /// How the answers are laid out.
    fn layout(&self) -> Layout;

    /// A socket of this family, to ask with.
    ///
    /// # Errors
    /// The kernel refuses, most often because it lacks the family.
    fn open(&self, family: Family) -> Result<Box<dyn Questions + '_>, Errno>;

    /// The text of /proc/net/if_inet6.
    ///
    /// # Errors
    /// It cannot be opened.
    fn if_inet6(&self) -> Result<Vec<u8>, Errno>;
}

/// What is asked through one socket.
pub trait Questions {
    /// The records of all interfaces, in at most `capacity` bytes.
    ///
    /// # Errors
    /// Those of ioctl(2).
    fn configuration(&self, capacity: usize) -> Result<Answer, Errno>;

    /// The record with the netmask in the place of the address.
    ///
    /// # Errors
    /// Those of ioctl(2).
    fn netmask(&self, record: &[u8]) -> Result<Vec<u8>, Errno>;
}

/// The kernel of this machine.
pub(super) struct Live {
    request: Request,
    layout: Layout,
}

impl Live {
    /// Ready for `method`, if this platform has the requests that it makes.
    pub(super) fn of(method: Method) -> Option<Self> {
        let request = if method == Method::Siocglif { Request::Lifconf } else { Request::Ifconf };
        let layout = match request {
            Request::Ifconf => Layout::ifconf(&PLATFORM.structures, Order::NATIVE, Pointer::NATIVE),
            Request::Lifconf => Layout::lifconf(&PLATFORM.structures, Order::NATIVE, Pointer::NATIVE),
        };
        interfaces::has(request).then_some(Self { request, layout })
    }
}

impl Kernel for Live {
    fn layout(&self) -> Layout {
        self.layout
    }

    fn open(&self, family: Family) -> Result<Box<dyn Questions + '_>, Errno> {
        let (domain, number) = match family {
            Family::V4 => (AddressFamily::Inet, nix::libc::AF_INET),
            Family::V6 => (AddressFamily::Inet6, nix::libc::AF_INET6),
        };
        let socket = sys::descriptor::new_socket(domain, SockType::Datagram).map_err(errno)?;
        let family = u16::try_from(number).map_err(|_| Errno::EAFNOSUPPORT)?;
        Ok(Box::new(Socket { socket, request: self.request, family }))
    }

    fn if_inet6(&self) -> Result<Vec<u8>, Errno> {
        let mut text = Vec::new();
        let read = File::open(if_inet6::PATH).and_then(|file| file.take(MOST_TEXT + 1).read_to_end(&mut text));
        if read.map_err(errno)? as u64 > MOST_TEXT { Err(Errno::EFBIG) } else { Ok(text) }
    }
}

struct Socket {
    socket: OwnedFd,
    request: Request,
    family: u16,
}

impl Questions for Socket {
    fn configuration(&self, capacity: usize) -> Result<Answer, Errno> {
        interfaces::configuration(self.socket.as_fd(), self.request, self.family, capacity).map_err(errno)
    }

    fn netmask(&self, record: &[u8]) -> Result<Vec<u8>, Errno> {
        interfaces::netmask(self.socket.as_fd(), self.request, record).map_err(errno)
    }
}
