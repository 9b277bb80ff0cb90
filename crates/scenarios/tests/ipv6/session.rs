//! One SMTP session from a certain address: what was sent, and the last line of each reply.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};

/// How long a server may be silent.
pub const SILENCE: Duration = Duration::from_secs(15);
/// How long one that is expected to be silent is waited for.
#[allow(dead_code, reason = "one of the tests that use this file has no need of it")]
pub const SHORT: Duration = Duration::from_secs(5);

/// The last line of the greeting and of the reply to each line sent; `\n` in a line is an end of line. `REFUSED`:
/// nobody listens; `<EOF>`: the connection is closed; `<NO REPLY>`: nothing comes.
pub fn dialog(to: &str, port: u16, from: &str, lines: &[String], silence: impl Fn(usize) -> Duration) -> Vec<String> {
    let mut replies = Vec::new();
    let stream = match open(to, port, from) {
        Ok(stream) => stream,
        Err(nix::Error::ECONNREFUSED) => return vec!["REFUSED".to_owned()],
        Err(error) => return vec![format!("connect: {error}")],
    };
    let Ok(mut writer) = stream.try_clone() else { return vec!["no second handle".to_owned()] };
    let mut reader = BufReader::new(stream);
    for (number, line) in std::iter::once(None).chain(lines.iter().map(Some)).enumerate() {
        if let Some(line) = line
            && writer.write_all(format!("{}\r\n", line.replace("\\n", "\r\n")).as_bytes()).is_err()
        {
            replies.push("<EOF>".to_owned());
            break;
        }
        let _ = reader.get_ref().set_read_timeout(Some(silence(number)));
        match last_line(&mut reader) {
            Ok(reply) => replies.push(reply),
            Err(end) => {
                replies.push(end.to_owned());
                break;
            }
        }
    }
    replies
}

fn last_line(reader: &mut BufReader<TcpStream>) -> Result<String, &'static str> {
    loop {
        let mut line = Vec::new();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) => return Err("<EOF>"),
            Ok(_) if line.get(3) == Some(&b'-') => {}
            Ok(_) => return Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err("<NO REPLY>");
            }
            Err(_) => return Err("<EOF>"),
        }
    }
}

fn open(to: &str, port: u16, from: &str) -> nix::Result<TcpStream> {
    let to = address(to, port);
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    if !from.is_empty() {
        bind(socket.as_raw_fd(), &SockaddrStorage::from(address(from, 0)))?;
    }
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to))?;
    Ok(TcpStream::from(socket))
}

/// An address, perhaps with a zone.
fn address(text: &str, port: u16) -> SocketAddr {
    let (address, zone) = text.split_once('%').unwrap_or((text, ""));
    if zone.is_empty() {
        let ip: IpAddr = address.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        return SocketAddr::new(ip, port);
    }
    let ip: Ipv6Addr = address.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    let index = nix::net::if_::if_nametoindex(zone).unwrap_or_else(|e| panic!("{text}: {e}"));
    SocketAddr::V6(SocketAddrV6::new(ip, port, 0, index))
}
