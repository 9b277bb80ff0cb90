//! Listening sockets: where they are, how they are made.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use config::Config;
use config::master_cf::{ServiceEntry, ServiceKind};
use net::{EndpointError, Family, HostPort, Protocols, Shown};
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

/// Where an entry wants its sockets, and its canonical name. The error is the text behind `FILE: line N: `, or a whole
/// text for what is not the fault of the line.
pub(crate) fn places(
    entry: &ServiceEntry,
    config: &Config,
    protocols: Protocols,
) -> Result<(Vec<Place>, String), String> {
    if entry.kind != ServiceKind::Inet {
        let path = path(entry);
        let canonical = path.display().to_string();
        return Ok((vec![Place::Path(path)], canonical));
    }
    let at_line = |text: String| format!("{}: line {}: {text}", master_cf(config).display(), entry.line);
    let hint =
        || net::brackets::in_endpoint(&entry.name).map(|right| format!(", write \"{right}\"")).unwrap_or_default();
    let endpoint = HostPort::parse_service(&entry.name)
        .map_err(|error| at_line(format!("{error} in \"{}\"{}", entry.name, hint())))?;
    let port = match net::ports::of(&endpoint) {
        // The sentence about it has an address in it.
        Err(EndpointError::UnknownService(_)) => Ok(0),
        other => other.map_err(|error| at_line(format!("{error} in \"{}\"", entry.name))),
    }?;
    let addresses = match &endpoint.host {
        Some(host) => resolve(host, port, protocols)
            .ok_or_else(|| at_line(format!("bad hostname or network address: {}{}", entry.name, hint())))?,
        None => own(config, port, protocols).map_err(|error| match error {
            OwnError::Empty => at_line(
                "service definition requires valid host name or address, or non-empty inet_interfaces setting"
                    .to_owned(),
            ),
            OwnError::Config(text) => text,
        })?,
    };
    if let (0, Some(address), Some(name)) = (port, addresses.first(), &endpoint.port) {
        return Err(format!("{}:{name}: Servname not supported for ai_socktype", Shown(address.ip())));
    }
    let canonical = match &endpoint.host {
        Some(host) => format!("[{host}]:{port}"),
        None => port.to_string(),
    };
    Ok((addresses.into_iter().map(Place::Inet).collect(), canonical))
}

/// The master.cf that belongs to a main.cf.
pub(crate) fn master_cf(config: &Config) -> PathBuf {
    config.directory().join("master.cf")
}

/// Makes a socket at its place, where it takes no client yet. The error is the text behind `fatal: `.
pub(crate) fn bind(place: Place, kind: ServiceKind, owner: &Identity) -> Result<Listener, String> {
    let socket = match &place {
        Place::Inet(address) => bind_inet(*address),
        Place::Path(path) => as_owner(owner, || match kind {
            ServiceKind::Fifo => open_fifo(path),
            ServiceKind::UnixDgram => bind_unix(path, Type::DGRAM),
            _ => bind_unix(path, Type::STREAM),
        }),
    };
    match socket {
        Ok(socket) => Ok(Listener { place, socket }),
        Err(error) => Err(format!("bind {place}: {}", net::reason(&error))),
    }
}

impl Listener {
    /// Takes clients from now on. The error is the text behind `fatal: `.
    pub(crate) fn listen(&self, kind: ServiceKind, backlog: i32) -> Result<(), String> {
        if matches!(kind, ServiceKind::Fifo | ServiceKind::UnixDgram) {
            return Ok(());
        }
        let listening = SockRef::from(&self.socket).listen(backlog);
        listening.map_err(|error| format!("listen {}: {}", self.place, net::reason(&error)))
    }
}

enum OwnError {
    Empty,
    Config(String),
}

/// The addresses of inet_interfaces; `all` is one wildcard a family.
fn own(config: &Config, port: u16, protocols: Protocols) -> Result<Vec<SocketAddr>, OwnError> {
    let text = |error: config::ValueError| OwnError::Config(error.to_string());
    let value = config.get(config::param::INET_INTERFACES).map_err(text)?;
    // inet_interfaces
    if value == "all" {
        return Ok(protocols
            .families()
            .map(|family| match family {
                Family::V4 => SocketAddr::from(([0, 0, 0, 0], port)),
                Family::V6 => SocketAddr::from(([0u16; 8], port)),
            })
            .collect());
    }
    let own = config.own_addresses().map_err(|error| OwnError::Config(error.to_string()))?;
    if own.is_empty() {
        return Err(OwnError::Empty);
    }
    Ok(own.iter().map(|interface| interface.socket_address(port)).collect())
}

fn resolve(host: &str, port: u16, protocols: Protocols) -> Option<Vec<SocketAddr>> {
    // waits: at start and reload, for names in master.cf
    let mut addresses: Vec<_> =
        (host, port).to_socket_addrs().ok()?.filter(|address| protocols.allows(address.ip())).collect();
    addresses.sort();
    addresses.dedup();
    (!addresses.is_empty()).then_some(addresses)
}

fn bind_inet(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() && net::PLATFORM.wildcards == net::platform::Wildcards::V6Only {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    #[cfg(not(any(target_os = "solaris", target_os = "illumos")))]
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path, kind: Type) -> io::Result<OwnedFd> {
    remove(path)?;
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    // name: with the rights of mail_owner, whose directory it is.
    // The directory decides who can reach it: private is 0700, public is 0710.
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
            bind(place, ServiceKind::Unix, &Identity::current()).unwrap_or_else(|error| panic!("{error}"));
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
    fn an_address_that_is_not_ours_is_named() {
        let place = Place::Inet("[2001:db8::1]:0".parse().unwrap());
        let error = bind(place, ServiceKind::Inet, &Identity::current()).err().unwrap();
        assert!(error.starts_with("bind 2001:db8::1 port 0: "), "{error}");
    }

    #[test]
    fn an_endpoint_without_brackets_or_port_is_shown_as_it_should_be() {
        let config = Config::parse(b"", Path::new("/c"), &[]).unwrap();
        let refused = |name: &str| {
            let line = format!("{name} inet n - n - - smtpd\n");
            let services =
                config::master_cf::MasterCf::parse(line.as_bytes(), Path::new("/c/master.cf"), &config).unwrap();
            places(&services.services[0], &config, Protocols::BOTH).unwrap_err()
        };
        assert_eq!(
            refused("2001:db8:1::25"),
            "/c/master.cf: line 1: valid hostname or network address required in \"2001:db8:1::25\", write \
             \"[2001:db8:1::25]:port\""
        );
        assert_eq!(refused("[::1]"), "/c/master.cf: line 1: missing service information in \"[::1]\"");
    }
}
