//! Listening sockets: where they are, how they are made.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use config::master_cf::{ServiceEntry, ServiceKind};
use config::{Config, Listening, param};
use net::Protocols;
use net::presence::is_absence;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, setegid, seteuid};
use socket2::{Domain, SockRef, Socket, Type};
use sys::identity::Identity;

/// A socket that clients connect to.
pub(crate) struct Listener {
    pub place: Place,
    pub socket: OwnedFd,
}

/// Where a socket is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// An address and port.
    Inet(SocketAddr),
    /// A path relative to the queue directory.
    Path(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => write!(f, "{} port {}", address.ip(), address.port()),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Listener {
    /// Anybody but this machine can connect.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(&self.place, Place::Inet(address) if !address.ip().is_loopback())
    }
}

/// The path of a service that has one.
pub(crate) fn path(entry: &ServiceEntry) -> PathBuf {
    Path::new(if entry.private { "private" } else { "public" }).join(&entry.name)
}

/// Where an entry wants its sockets.
pub(crate) struct Wanted {
    pub places: Vec<Place>,
    pub canonical: String,
    /// For an inet service: what names the addresses, and which are not there.
    pub listening: Option<Listening>,
}

/// Where an entry wants its sockets, as far as it is known. The error is the text behind `fatal: `.
pub(crate) fn wanted(entry: &ServiceEntry, config: &Config, protocols: Protocols) -> Result<Wanted, String> {
    if entry.kind != ServiceKind::Inet {
        let path = path(entry);
        let canonical = path.display().to_string();
        return Ok(Wanted { places: vec![Place::Path(path)], canonical, listening: None });
    }
    let listening = config.listening(entry, &master_cf(config), protocols)?;
    let places = listening.addresses.iter().copied().map(Place::Inet).collect();
    Ok(Wanted { places, canonical: listening.canonical.clone(), listening: Some(listening) })
}

/// The master.cf that belongs to a main.cf.
pub(crate) fn master_cf(config: &Config) -> PathBuf {
    config.directory().join("master.cf")
}

/// Why there is no socket at a place.
pub(crate) enum Unbound {
    /// Its address is not there.
    Absent(SocketAddr),
    /// Something else: the text behind `fatal: `.
    Failed(String),
}

/// Makes a socket at its place, where it takes no client yet.
pub(crate) fn bind(place: Place, kind: ServiceKind, owner: &Identity) -> Result<Listener, Unbound> {
    let socket = match &place {
        Place::Inet(address) => bind_inet(*address),
        Place::Path(path) => as_owner(owner, || match kind {
            ServiceKind::Fifo => open_fifo(path),
            ServiceKind::UnixDgram => bind_unix(path, Type::DGRAM),
            _ => bind_unix(path, Type::STREAM),
        }),
    };
    match (socket, &place) {
        (Ok(socket), _) => Ok(Listener { place, socket }),
        (Err(error), Place::Inet(address)) if is_absence(&error, *address) => Err(Unbound::Absent(*address)),
        (Err(error), _) => Err(Unbound::Failed(format!("bind {place}: {}", net::reason(&error)))),
    }
}

impl Listener {
    /// Takes clients from now on. The error is the text behind `fatal: `.
    pub(crate) fn listen(&self, entry: &ServiceEntry, config: &Config) -> Result<(), String> {
        if matches!(entry.kind, ServiceKind::Fifo | ServiceKind::UnixDgram) {
            return Ok(());
        }
        // default_process_limit
        let limit = config.get(param::DEFAULT_PROCESS_LIMIT).map_err(|error| error.to_string())?;
        let backlog = i32::try_from(limit.max(entry.max_proc.unwrap_or(0).into())).unwrap_or(100);
        let socket = SockRef::from(&self.socket);
        let window = config.read::<_, usize>(param::TCP_WINDOWSIZE).map_err(|error| error.to_string())?;
        if window > 0 && matches!(self.place, Place::Inet(_)) {
            // What a client hears of it is settled when it connects.
            let set = socket.set_recv_buffer_size(window).and_then(|()| socket.set_send_buffer_size(window));
            set.map_err(|error| format!("tcp_windowsize, {}: {}", self.place, net::reason(&error)))?;
        }
        let listening = socket.listen(backlog);
        listening.map_err(|error| format!("listen {}: {}", self.place, net::reason(&error)))
    }
}

fn bind_inet(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() && net::PLATFORM.wildcards == net::platform::Wildcards::V6Only {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    #[cfg(not(any(target_os = "solaris", target_os = "illumos")))]
    socket.set_reuse_port(true)?;
    // Connections have it from here. What daemons send is whole replies; the first one of a TLS session comes right
    // after session tickets, which the client is in no hurry to acknowledge, and would wait for that.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path, kind: Type) -> io::Result<OwnedFd> {
    remove(path)?;
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    // name: with the rights of mail_owner, whose directory it is. The directory decides who can reach it: private is
    // 0700, public is 0710.
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn open_fifo(path: &Path) -> io::Result<OwnedFd> {
    remove(path)?;
    nix::unistd::mkfifo(path, Mode::from_bits_truncate(0o622))?;
    // Open for writing too: the fifo never reports an end of file.
    let fd = nix::fcntl::open(path, OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty())?;
    // name: as for sockets.
    fs::set_permissions(path, fs::Permissions::from_mode(0o622))?;
    Ok(fd)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Does something in the file system with the rights of mail_owner, so that what it makes belongs to that user.
pub(crate) fn as_owner<T>(owner: &Identity, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    if !sys::identity::is_root() {
        return work();
    }
    setegid(Gid::from_raw(owner.gid))?;
    seteuid(Uid::from_raw(owner.uid))?;
    let result = work();
    seteuid(Uid::from_raw(0))?;
    setegid(Gid::from_raw(0))?;
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileTypeExt;

    #[test]
    fn an_old_socket_is_replaced_and_the_new_one_is_open_to_its_directory() {
        let path = std::env::temp_dir().join(format!("listener-{}", std::process::id()));
        for _ in 0..2 {
            let place = Place::Path(path.clone());
            assert!(bind(place, ServiceKind::Unix, &Identity::current()).is_ok());
        }
        let metadata = fs::metadata(&path).unwrap();
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o666);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn an_ipv6_wildcard_leaves_the_port_free_for_ipv4() {
        let v6 = bind_inet("[::1]:0".parse().unwrap()).unwrap();
        let port = Socket::from(v6).local_addr().unwrap().as_socket().unwrap().port();
        bind_inet(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    }

    #[test]
    fn what_is_sent_to_a_client_never_waits_until_the_client_has_acknowledged_something() {
        let listener = Socket::from(bind_inet("127.0.0.1:0".parse().unwrap()).unwrap());
        listener.listen(1).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap().as_socket().unwrap()).unwrap();
        assert!(std::net::TcpStream::from(listener.accept().unwrap().0).nodelay().unwrap());
    }

    #[test]
    fn an_address_that_is_not_there_is_no_failure_and_a_port_that_is_taken_is() {
        let bind = |text: &str| bind(Place::Inet(text.parse().unwrap()), ServiceKind::Inet, &Identity::current());
        assert!(matches!(bind("[2001:db8::1]:0"), Err(Unbound::Absent(_))));
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = other.local_addr().unwrap();
        let Err(Unbound::Failed(why)) = bind(&taken.to_string()) else { panic!("bound") };
        assert_eq!(why, format!("bind 127.0.0.1 port {}: Address already in use", taken.port()));
    }
}
