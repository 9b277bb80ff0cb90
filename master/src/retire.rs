//! Sockets that nobody listens to any more after a reload: no client that has connected to one is lost.
//!
//! What has a new owner gets no further client: new ones come to the socket that serves its address now. It stays open
//! for the time that a handshake takes. Then a last worker, with the old settings, serves those who wait in its queue,
//! if there are any, and it is closed. An address that is served no longer is closed at once, after those who wait in
//! its queue. Where the service is one process, which has been told to serve them, it is closed when nobody waits or
//! that one has ended.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::accepted::Accepted;
use crate::listener::{Listener, Place};
use crate::service::{Service, ServiceId};
use crate::supervisor::Supervisor;
use crate::timer::Event;

/// How long a connection may take from its first packet on until it is in the queue.
const HANDSHAKE: Duration = Duration::from_millis(500);

impl Supervisor {
    /// Puts away the sockets of a service that goes on without them.
    pub(crate) fn retire(&mut self, service: &Old, listeners: Vec<Listener>, places: &[Place]) {
        if listeners.is_empty() {
            return;
        }
        let (entry, share) = (service.entry.clone(), service.share);
        let id = self.next();
        self.services.insert(id, Service::new(entry, String::new(), share, listeners));
        self.put_away(id, service.accepted.clone(), places);
    }

    /// Puts away a service with its sockets; `places` are those that are served from now on.
    pub(crate) fn put_away(&mut self, id: ServiceId, accepted: Accepted, places: &[Place]) {
        let Some(service) = self.services.get_mut(&id) else { return };
        // It never serves again; nothing finds it by name.
        service.identity.clear();
        service.wakeup_generation += 1;
        service.accepted = Some(Accepted { alone: true, ..accepted });
        let (later, now): (Vec<_>, Vec<_>) =
            service.listeners.drain(..).partition(|listener| is_covered(&listener.place, places));
        service.listeners = now;
        self.serve_last(id);
        if !later.is_empty() {
            self.close_later(id, later);
        }
        self.forget_if_gone(id);
    }

    /// Leaves these sockets open for those who have begun to connect, and for nobody else.
    fn close_later(&mut self, id: ServiceId, listeners: Vec<Listener>) {
        let Some(service) = self.services.get_mut(&id) else { return };
        if let Err(error) = listeners.iter().map(drop_new_handshakes).fold(Ok(()), Result::and) {
            let (name, error) = (&service.entry.name, net::reason(&error));
            logging::repeated!(
                "service {name}: a client may be lost that connects while an old socket is closed: \
                 no filter for it: {error}"
            );
        }
        service.listeners.extend(listeners);
        self.timers.after(HANDSHAKE, Event::Close(id));
    }

    /// Closes the sockets of a service that was put away; those who wait in their queues are served.
    pub(crate) fn close(&mut self, id: ServiceId) {
        self.serve_last(id);
        self.forget_if_gone(id);
    }

    fn serve_last(&mut self, id: ServiceId) {
        let Some(service) = self.services.get_mut(&id) else { return };
        let listeners = std::mem::take(&mut service.listeners);
        if !listeners.iter().any(has_client) {
            return;
        }
        // One that is one process is never two.
        let may_start = service.entry.max_proc != Some(1) || service.workers.is_empty();
        service.listeners = listeners;
        let has_started = may_start && self.start_worker(id);
        self.drain(id);
        let Some(service) = self.services.get_mut(&id) else { return };
        let listeners = std::mem::take(&mut service.listeners);
        if !has_started {
            self.close_later(id, listeners);
        }
    }

    /// Forgets a service that was put away, when nothing is left of it.
    pub(crate) fn forget_if_gone(&mut self, id: ServiceId) {
        let gone =
            |service: &Service| service.is_put_away() && service.listeners.is_empty() && service.workers.is_empty();
        if self.services.get(&id).is_some_and(gone) {
            self.services.remove(&id);
        }
    }
}

/// What a service was before a reload.
pub(crate) struct Old {
    pub entry: config::master_cf::ServiceEntry,
    pub share: crate::service::Share,
    /// The main.cf that was in force.
    pub accepted: Accepted,
}

/// Whether a client of this place will find another socket there.
fn is_covered(place: &Place, places: &[Place]) -> bool {
    let Place::Inet(old) = place else { return false };
    places.iter().any(|new| matches!(new, Place::Inet(new) if overlap(old, new)))
}

fn overlap(old: &SocketAddr, new: &SocketAddr) -> bool {
    let wide = |address: &SocketAddr| address.ip().is_unspecified();
    old.port() == new.port() && old.is_ipv4() == new.is_ipv4() && (old.ip() == new.ip() || wide(old) || wide(new))
}

fn has_client(listener: &Listener) -> bool {
    let mut poll_fd = [PollFd::new(listener.socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut poll_fd, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// From now on the kernel passes over the first packet of a connection to this socket, as if the network had lost it:
/// the client sends it again, and then the other socket is the only one. What has begun before goes on.
///
/// # Errors
/// EPERM: on newer kernels (6.18 is one) a filter of a TCP socket takes CAP_NET_ADMIN.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn drop_new_handshakes(listener: &Listener) -> std::io::Result<()> {
    if matches!(listener.place, Place::Path(_)) {
        return Ok(());
    }
    use socket2::{SockFilter, SockRef};
    // Load the flags of the TCP header; with SYN among them: nothing of the packet, else all of it.
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    let program = [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_SET, 0, 1, 0x02),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    SockRef::from(&listener.socket).attach_filter(&program)
}

/// Without such a filter a client can come between the last look into the queue and the end of the socket.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn drop_new_handshakes(_listener: &Listener) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::Inet(text.parse().unwrap())
    }

    #[test]
    fn an_address_is_covered_by_itself_and_by_a_wildcard_of_its_family() {
        let places = [place("0.0.0.0:25"), place("[::1]:25")];
        assert!(is_covered(&place("127.0.0.1:25"), &places));
        assert!(is_covered(&place("[::]:25"), &places));
        assert!(!is_covered(&place("[2001:db8::1]:25"), &places));
        assert!(!is_covered(&place("127.0.0.1:26"), &places));
        assert!(!is_covered(&Place::Path("public/pickup".into()), &places));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_that_takes_nothing_keeps_whom_it_has() {
        use std::net::{TcpListener, TcpStream};
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let listener = Listener { place: Place::Inet(address), socket: socket.try_clone().unwrap().into() };
        let _early = TcpStream::connect(address).unwrap();
        match drop_new_handshakes(&listener) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return eprintln!("left out: this kernel gives such a filter to CAP_NET_ADMIN alone");
            }
            result => result.unwrap(),
        }
        let late = TcpStream::connect_timeout(&address, Duration::from_millis(100));
        assert_eq!(late.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        socket.accept().unwrap();
        assert!(!has_client(&listener));
    }
}
