//! smtpd_upstream_proxy_protocol: what the proxy in front of the server says of the client.
//!
//! The header is read to its end and not a byte further: what follows may be the beginning of a TLS handshake.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use net::Protocols;
use net::haproxy::{self, Header, LONGEST};
use nix::sys::socket::{MsgFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Reads the header: the two ends of the client's connection, or nothing where nobody can say whose it is, which is
/// logged. `ends` are those of the connection to the proxy, client first. smtpd_upstream_proxy_timeout
pub async fn ends(
    stream: &TcpStream,
    ends: (SocketAddr, SocketAddr),
    protocols: Protocols,
    limit: Duration,
) -> Option<(SocketAddr, SocketAddr)> {
    let mut said = Vec::new();
    let result = match tokio::time::timeout(limit, header(stream, protocols, &mut said)).await {
        Ok(result) => result,
        Err(_) => Err("timeout error".to_owned()),
    };
    match result {
        Ok(Header::Local) => Some(ends),
        Ok(Header::Proxied { client, server }) => Some((client, server)),
        Err(why) if said.is_empty() => {
            logging::warning!("haproxy read: {why}");
            None
        }
        Err(why) => {
            logging::warning!("haproxy read: {why}: {}", text::c_escape(&said));
            None
        }
    }
}

async fn header(stream: &TcpStream, protocols: Protocols, said: &mut Vec<u8>) -> Result<Header, String> {
    let lost = |error: io::Error| text::system_error(&error);
    // told: haproxy::parse says that a header is longer.
    let mut buffer = [0; LONGEST];
    loop {
        // turns: a header is short
        stream.readable().await.map_err(lost)?;
        let room = &mut buffer[said.len()..];
        let look = || Ok(recv(stream.as_raw_fd(), room, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT)?);
        let there = match stream.try_io(Interest::READABLE, look) {
            Ok(0) => return Err("EOF".to_owned()),
            Ok(there) => said.len() + there,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(lost(error)),
        };
        let found = haproxy::parse(&buffer[..there], protocols);
        let end = found.as_ref().ok().and_then(|found| found.map(|(_, end)| end)).unwrap_or(there);
        // They are there, as was just seen.
        let taken = stream.try_read(&mut buffer[said.len()..end]).map_err(lost)?;
        said.extend_from_slice(&buffer[said.len()..said.len() + taken]);
        match found {
            Ok(Some((header, _))) => return Ok(header),
            Ok(None) => {}
            Err(malformed) => {
                // What is left unread would take the reply with it.
                let _ = stream.try_read(&mut [0; 4096]);
                return Err(malformed.to_string());
            }
        }
    }
}
