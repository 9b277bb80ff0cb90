//! An SMTP client that says what it is told and shows every reply.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::tls_client::{Tls, TlsClient};
use crate::wait::PATIENCE;

/// One session.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<Transport>,
    greeting: Reply,
}

/// What carries a session.
#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Tls(Box<Tls>),
    /// Between the one and the other.
    Nothing,
}

impl Transport {
    fn socket(&self) -> io::Result<&TcpStream> {
        match self {
            Transport::Plain(stream) => Ok(stream),
            Transport::Tls(stream) => Ok(&stream.sock),
            Transport::Nothing => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(stream) => stream.read(buffer),
            Transport::Tls(stream) => stream.read(buffer),
            Transport::Nothing => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(stream) => stream.write(bytes),
            Transport::Tls(stream) => stream.write(bytes),
            Transport::Nothing => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Transport::Plain(stream) => stream.flush(),
            Transport::Tls(stream) => stream.flush(),
            Transport::Nothing => Ok(()),
        }
    }
}

/// One reply, all its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// The text of each line, without code and line end.
    pub lines: Vec<String>,
}

impl Reply {
    /// Code and text of the last line: `250 2.0.0 Ok: queued as 4ABC`.
    pub fn last(&self) -> String {
        format!("{} {}", self.code, self.lines.last().map_or("", String::as_str))
    }

    /// The queue id of a reply to end-of-data.
    pub fn queue_id(&self) -> Option<String> {
        self.lines.last()?.split_once("queued as ").map(|(_, id)| id.trim().to_owned())
    }
}

impl Client {
    /// Connects and reads the greeting.
    pub fn connect(address: SocketAddr) -> io::Result<Client> {
        Client::over(Transport::Plain(dial(address)?))
    }

    /// Connects, says these bytes before anybody has greeted, as a proxy does, and reads the greeting. Each piece goes
    /// out by itself.
    pub fn behind(address: SocketAddr, pieces: &[&[u8]]) -> io::Result<Client> {
        let mut stream = dial(address)?;
        stream.set_nodelay(true)?;
        pieces.iter().try_for_each(|piece| stream.write_all(piece))?;
        Client::over(Transport::Plain(stream))
    }

    /// Connects, makes a handshake and reads the greeting.
    pub fn connect_tls(address: SocketAddr, tls: &TlsClient) -> io::Result<Client> {
        Client::over(Transport::Tls(Box::new(tls.handshake(dial(address)?)?)))
    }

    /// The same behind a proxy: these bytes go out before the handshake begins.
    pub fn tls_behind(address: SocketAddr, header: &[u8], tls: &TlsClient) -> io::Result<Client> {
        let mut stream = dial(address)?;
        stream.write_all(header)?;
        Client::over(Transport::Tls(Box::new(tls.handshake(stream)?)))
    }

    fn over(transport: Transport) -> io::Result<Client> {
        let mut stream = BufReader::new(transport);
        let greeting = read_reply(&mut stream)?;
        Ok(Client { stream, greeting })
    }

    /// STARTTLS, and the handshake; the reply, if it is another one.
    pub fn starttls(&mut self, tls: &TlsClient) -> io::Result<Result<(), Reply>> {
        let reply = self.command("STARTTLS")?;
        if reply.code != 220 {
            return Ok(Err(reply));
        }
        self.handshake(tls).map(Ok)
    }

    /// A handshake: the server has said that it may begin.
    pub fn handshake(&mut self, tls: &TlsClient) -> io::Result<()> {
        match std::mem::replace(self.stream.get_mut(), Transport::Nothing) {
            Transport::Plain(stream) => {
                self.stream = BufReader::new(Transport::Tls(Box::new(tls.handshake(stream)?)));
                Ok(())
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// What is known of the session under TLS.
    pub fn tls(&self) -> Option<&rustls::ClientConnection> {
        match self.stream.get_ref() {
            Transport::Tls(stream) => Some(&stream.conn),
            _ => None,
        }
    }

    /// Connects and says EHLO.
    pub fn greet(address: SocketAddr) -> io::Result<Client> {
        let mut client = Client::connect(address)?;
        client.command("EHLO client.test")?;
        Ok(client)
    }

    /// What the server said first.
    pub fn greeting(&self) -> &Reply {
        &self.greeting
    }

    /// Sends a line, reads the reply.
    pub fn command(&mut self, line: &str) -> io::Result<Reply> {
        self.write(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads one reply.
    pub fn reply(&mut self) -> io::Result<Reply> {
        read_reply(&mut self.stream)
    }

    /// Waits longer, or not as long, for replies.
    pub fn patience(&self, patience: Duration) -> io::Result<()> {
        self.stream.get_ref().socket()?.set_read_timeout(Some(patience))
    }

    /// One message in one pipelined envelope: the reply to end-of-data, or the first refusal before it.
    ///
    /// `text` is header and body with `\n` line ends; dots are doubled here.
    pub fn send(&mut self, sender: &str, recipients: &[&str], text: &str) -> io::Result<Reply> {
        let mut envelope = format!("MAIL FROM:<{sender}>\r\n");
        for recipient in recipients {
            envelope.push_str(&format!("RCPT TO:<{recipient}>\r\n"));
        }
        envelope.push_str("DATA\r\n");
        self.write(envelope.as_bytes())?;
        let mut refusal = None;
        for _ in 0..recipients.len() + 1 {
            let reply = self.reply()?;
            if reply.code >= 400 {
                refusal.get_or_insert(reply);
            }
        }
        let data = self.reply()?;
        if data.code != 354 {
            return Ok(refusal.unwrap_or(data));
        }
        self.write(wire_form(text).as_bytes())?;
        self.reply()
    }
}

/// A message as it travels after DATA: CRLF line ends, leading dots doubled, the final dot (RFC 5321 4.5.2).
pub fn wire_form(text: &str) -> String {
    let mut wire = String::with_capacity(text.len() + text.len() / 16 + 8);
    for line in text.lines() {
        if line.starts_with('.') {
            wire.push('.');
        }
        wire.push_str(line);
        wire.push_str("\r\n");
    }
    wire.push_str(".\r\n");
    wire
}

fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn read_reply(stream: &mut BufReader<Transport>) -> io::Result<Reply> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("server hung up after {lines:?}")));
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let code = line.get(..3).and_then(|c| c.parse().ok());
        let Some(code) = code else { return Err(io::Error::other(format!("no SMTP reply: {line:?}"))) };
        lines.push(line.get(4..).unwrap_or("").to_owned());
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(Reply { code, lines });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_dots_are_doubled_on_the_wire() {
        assert_eq!(wire_form("a\n.b\n"), "a\r\n..b\r\n.\r\n");
    }

    #[test]
    fn the_queue_id_is_what_follows_queued_as() {
        let reply = Reply { code: 250, lines: vec!["2.0.0 Ok: queued as 4ABC".to_owned()] };
        assert_eq!(reply.queue_id().as_deref(), Some("4ABC"));
    }
}
