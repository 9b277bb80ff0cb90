//! The bytes to and from a server, whatever carries them, and under TLS from the moment that it begins.

use std::io;
use std::net::IpAddr;

use tls::{Client, Connected, Demand, HandshakeError};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::coop::consume_budget;

/// A connected stream.
#[derive(Debug)]
pub struct Stream {
    carrier: Carrier,
    tls: Option<Box<Sealed>>,
}

/// What carries the bytes.
#[derive(Debug)]
enum Carrier {
    /// Over the network.
    Tcp(TcpStream),
    /// On this machine.
    Unix(UnixStream),
}

/// A TLS session, and its bytes on their way.
#[derive(Debug)]
struct Sealed {
    session: tls::Session,
    received: Vec<u8>,
    to_send: Vec<u8>,
}

/// Bytes read at once.
const READ_SIZE: usize = 4096;
/// Bytes read at once under TLS: a record.
const RECORD_SIZE: usize = 16 << 10;
/// Reads that follow each other without a wait, where nothing of what comes is for anybody but TLS.
/// told: who reads, by an error.
const MOST_READS: usize = 16;

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self { carrier: Carrier::Tcp(stream), tls: None }
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Self { carrier: Carrier::Unix(stream), tls: None }
    }
}

impl Stream {
    /// Our address on the network.
    pub fn own_address(&self) -> Option<IpAddr> {
        match &self.carrier {
            Carrier::Tcp(stream) => stream.local_addr().ok().map(|address| address.ip()),
            Carrier::Unix(_) => None,
        }
    }

    /// Begins TLS. What has been read before must be thrown away.
    ///
    /// # Errors
    /// There is no session, and the stream is of no use any more.
    pub async fn secure(
        &mut self,
        client: &Client,
        demand: &Demand<'_>,
        limit: std::time::Duration,
    ) -> Result<Connected, HandshakeError> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => client.connect(stream, demand, limit).await,
            Carrier::Unix(stream) => client.connect(stream, demand, limit).await,
        }
    }

    /// What comes from now on belongs to this session.
    pub fn seal(&mut self, session: tls::Session) {
        self.tls = Some(Box::new(Sealed { session, received: Vec::new(), to_send: Vec::new() }));
    }

    /// What ties other words to the TLS session (RFC 9266).
    pub fn binding(&self) -> Option<[u8; 32]> {
        self.tls.as_ref().and_then(|sealed| sealed.session.exporter_binding())
    }

    /// Reads what has come, and waits if nothing has; 0 at the end. A read that does not fill the buffer has emptied
    /// the socket, and tokio takes note of that: the next one waits, and does not find out with a system call.
    pub async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let Self { carrier, tls } = self;
        let Some(sealed) = tls else {
            buffer.reserve(READ_SIZE);
            return carrier.read(buffer).await;
        };
        loop {
            let opened = sealed.open(buffer)?;
            carrier.write(&mut sealed.to_send).await?;
            if let Some(count) = opened {
                return Ok(count);
            }
            sealed.received.reserve(RECORD_SIZE);
            if carrier.read(&mut sealed.received).await? == 0 {
                return Ok(0);
            }
        }
    }

    /// Reads what has come, without waiting. A peer under TLS that sends one record after the other with nothing in
    /// them is an error: others wait meanwhile.
    pub fn try_read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let Self { carrier, tls } = self;
        let Some(sealed) = tls else {
            buffer.reserve(READ_SIZE);
            return carrier.try_read(buffer);
        };
        for _ in 0..MOST_READS {
            if let Some(count) = sealed.open(buffer)? {
                return Ok(count);
            }
            sealed.received.reserve(RECORD_SIZE);
            if carrier.try_read(&mut sealed.received)? == 0 {
                return Ok(0);
            }
        }
        Err(io::Error::other("records without end and nothing in them"))
    }

    /// Writes everything.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.carrier.write_all(bytes).await,
            Some(sealed) => {
                sealed.session.send(bytes, &mut sealed.to_send);
                self.carrier.write(&mut sealed.to_send).await
            }
        }
    }

    /// Writes what fits now, and forgets the rest: these are the last words.
    pub fn write_some(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            None => self.carrier.write_some(bytes),
            Some(sealed) => {
                sealed.session.send(bytes, &mut sealed.to_send);
                sealed.session.close(&mut sealed.to_send);
                self.carrier.write_some(&sealed.to_send);
            }
        }
    }
}

impl Sealed {
    /// Opens what was received: the number of bytes, 0 at the end, `None` if more has to come.
    fn open(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let before = buffer.len();
        let goes_on = self.session.receive(&self.received, buffer).map_err(io::Error::other);
        self.received.clear();
        self.session.pending(&mut self.to_send);
        let count = buffer.len() - before;
        Ok(if goes_on? && count == 0 { None } else { Some(count) })
    }
}

impl Carrier {
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read_buf(buffer).await,
            Self::Unix(stream) => stream.read_buf(buffer).await,
        }
    }

    fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read_buf(buffer),
            Self::Unix(stream) => stream.try_read_buf(buffer),
        }
    }

    /// Writes everything, and keeps nothing.
    async fn write(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let written = self.write_all(bytes).await;
        bytes.clear();
        written
    }

    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // A server that takes everything at once leaves time to others.
            consume_budget().await;
            let written = match self {
                Self::Tcp(stream) => stream.try_write(bytes),
                Self::Unix(stream) => stream.try_write(bytes),
            };
            match written {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                // turns: counted above
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self {
                    Self::Tcp(stream) => stream.writable().await?,
                    Self::Unix(stream) => stream.writable().await?,
                },
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write_some(&self, bytes: &[u8]) {
        let _ = match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_takes_everything_at_once_leaves_time_to_others() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut stream = Stream::from(ours);
        // The first wait is for the loop, which learns of the socket.
        stream.write(b"x").await.unwrap();
        let other = tokio::spawn(async {});
        for _ in 0..150 {
            stream.write(b"x").await.unwrap();
        }
        assert!(other.is_finished());
    }
}
