//! One question to one server: a datagram, or a connection where the answer does not fit.
//!
//! The socket is connected: what others send does not reach it. What is not the answer to this question is passed over,
//! and takes nothing of the time that the answer has.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::message::{Answer, Heard, Question};

/// The largest datagram there is.
/// told: nobody; there is no larger one.
const LARGEST_DATAGRAM: usize = 65_535;

/// Asks a server, and again by TCP if the answer does not fit a datagram. `None`: there is no answer.
pub(crate) async fn ask(server: SocketAddr, question: &Question, limit: Duration, tcp_alone: bool) -> Option<Answer> {
    if !tcp_alone {
        debug!("{question}: asking {server}");
        let answer = told(timeout_at(Instant::now() + limit, by_datagram(server, question)).await, server, question)?;
        if !answer.is_truncated() {
            return Some(answer);
        }
    }
    debug!("{question}: asking {server} over TCP");
    told(timeout_at(Instant::now() + limit, by_connection(server, question)).await, server, question)
}

/// The answer, if there is one; an event tells what came.
fn told(heard: Result<io::Result<Answer>, Elapsed>, server: SocketAddr, question: &Question) -> Option<Answer> {
    match heard {
        Ok(Ok(answer)) => {
            let cut = if answer.is_truncated() { ", cut to fit a datagram" } else { "" };
            debug!("{question}: {server} answers {}, records: {}{cut}", answer.code(), answer.count());
            Some(answer)
        }
        Ok(Err(error)) => {
            debug!("{question}: no answer from {server}: {}", net::reason(&error));
            None
        }
        Err(_) => {
            debug!("{question}: no answer from {server} in time");
            None
        }
    }
}

async fn by_datagram(server: SocketAddr, question: &Question) -> io::Result<Answer> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(&question.wire()).await?;
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match Answer::read(buffer.get(..length).unwrap_or_default().to_vec(), question) {
            Heard::Answer(answer) => return Ok(answer),
            Heard::Foreign => {}
            Heard::Garbage => return Err(malformed()),
        }
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed answer")
}

/// RFC 1035 4.2.2: a length before each message.
async fn by_connection(server: SocketAddr, question: &Question) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server).await?;
    let wire = question.wire();
    let mut message = Vec::with_capacity(2 + wire.len());
    // cannot fail: a question is one name and some words
    message.extend_from_slice(&u16::try_from(wire.len()).unwrap_or(u16::MAX).to_be_bytes());
    message.extend_from_slice(&wire);
    stream.write_all(&message).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    match Answer::read(answer, question) {
        Heard::Answer(answer) => Ok(answer),
        Heard::Foreign | Heard::Garbage => Err(malformed()),
    }
}
