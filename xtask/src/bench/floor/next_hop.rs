//! A session with the next hop: a pipelined envelope, the content, and the answer that counts.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;

use mio::net::TcpStream;

use super::client::read;
use super::spool::Stored;

/// One session, and what it carries.
pub struct Courier {
    stream: TcpStream,
    inbox: Vec<u8>,
    load: Option<Stored>,
    content_sent: bool,
}

const ENVELOPE: &[u8] = b"MAIL FROM:<bench@client.test>\r\nRCPT TO:<bench@other.test>\r\nDATA\r\n";

impl Courier {
    /// Connects and says hello, before there is anything to carry.
    pub fn connect(address: SocketAddr) -> io::Result<Courier> {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut replies = io::BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        io::BufRead::read_line(&mut replies, &mut line)?;
        stream.write_all(b"HELO floor.test\r\n")?;
        while !line.starts_with("250 ") {
            line.clear();
            io::BufRead::read_line(&mut replies, &mut line)?;
        }
        stream.set_nonblocking(true)?;
        Ok(Courier { stream: TcpStream::from_std(stream), inbox: Vec::new(), load: None, content_sent: false })
    }

    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Begins with a message.
    pub fn carry(&mut self, stored: Stored) -> io::Result<()> {
        self.load = Some(stored);
        self.stream.write_all(ENVELOPE)
    }

    /// Reads replies; the message, once the next hop has it.
    pub fn turn(&mut self) -> io::Result<Option<Stored>> {
        read(&mut self.stream, &mut self.inbox)?;
        let has_line = |inbox: &[u8], start: &[u8]| {
            inbox.ends_with(b"\n") && inbox.split(|byte| *byte == b'\n').any(|line| line.starts_with(start))
        };
        if !self.content_sent
            && has_line(&self.inbox, b"354")
            && let Some(stored) = &self.load
        {
            let mut content = vec![0; stored.size];
            stored.file.read_exact_at(&mut content, 0)?;
            self.stream.write_all(&content)?;
            self.inbox.clear();
            self.content_sent = true;
        } else if self.content_sent && has_line(&self.inbox, b"250") {
            self.inbox.clear();
            self.content_sent = false;
            return Ok(self.load.take());
        }
        Ok(None)
    }
}
