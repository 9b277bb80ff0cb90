//! An SMTP or LMTP server on loopback that offers TLS, and gets wrong what it is told to get wrong.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion, version};

use crate::certificates::Identity;
use crate::port::Port;

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its certificate; without one it offers no STARTTLS.
    pub identity: Option<Identity>,
    /// Keywords before TLS, in addition to STARTTLS.
    pub offers: Vec<&'static str>,
    /// Keywords under TLS.
    pub offers_under_tls: Vec<&'static str>,
    /// What becomes of STARTTLS.
    pub starttls: Starttls,
    /// TLS before the greeting.
    pub wrapped: bool,
    /// No EHLO.
    pub old: bool,
    /// Only TLS 1.2.
    pub only_12: bool,
    /// Behind the reply to EHLO under TLS.
    pub early: Option<&'static str>,
    /// Replies to commands that begin so.
    pub replies: Vec<(&'static str, &'static str)>,
}

/// What becomes of STARTTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starttls {
    /// A session.
    Begins,
    /// It is refused.
    Refused(&'static str),
    /// 220, and the connection is closed.
    Closes,
    /// 220, and then no TLS.
    Garbage,
    /// 220, and then nothing.
    Hangs,
    /// A session, which is closed at once.
    ClosesAfter,
    /// A session; this stands behind the 220, in the clear.
    Stuffed(&'static str),
}

impl Script {
    /// A good server with this certificate.
    pub fn new(identity: &Identity) -> Script {
        Script { identity: Some(identity.clone()), ..Script::plain() }
    }

    /// A server without TLS.
    pub fn plain() -> Script {
        Script {
            identity: None,
            offers: vec!["PIPELINING", "8BITMIME", "DSN"],
            offers_under_tls: vec!["PIPELINING", "8BITMIME", "DSN"],
            starttls: Starttls::Begins,
            wrapped: false,
            old: false,
            only_12: false,
            early: None,
            replies: Vec::new(),
        }
    }

    /// The same, with another outcome of STARTTLS.
    pub fn with(self, starttls: Starttls) -> Script {
        Script { starttls, ..self }
    }

    /// The same, which knows a keyword under TLS.
    pub fn offering_under_tls(mut self, keyword: &'static str) -> Script {
        self.offers_under_tls.push(keyword);
        self
    }

    /// Starts it on 127.0.0.1.
    pub fn start(self) -> TlsServer {
        let port = Port::reserve();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("server on {address}: {e}"));
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let (told, script) = (heard.clone(), Arc::new(self));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (told, script) = (told.clone(), script.clone());
                std::thread::spawn(move || {
                    // A client that hangs up in the middle is the client's business.
                    let _ = script.serve(stream, &told);
                });
            }
        });
        TlsServer { address, heard, _port: port }
    }
}

/// A running server. It ends with the process.
#[derive(Debug)]
pub struct TlsServer {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    _port: Port,
}

impl TlsServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// It as a next hop without a DNS look-up: `[127.0.0.1]:2525`.
    pub fn next_hop(&self) -> String {
        format!("[{}]:{}", self.address.ip(), self.address.port())
    }

    /// What it has heard until now: commands, lines of messages, and `# TLS VERSION NAME` for a session and the name
    /// that was asked for.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A connection, in the clear or not.
enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer),
            Wire::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Wire {
    fn say(&mut self, reply: &str) -> io::Result<()> {
        let bytes = format!("{}\r\n", reply.replace('|', "\r\n"));
        match self {
            Wire::Plain(stream) => stream.write_all(bytes.as_bytes()),
            Wire::Tls(stream) => stream.write_all(bytes.as_bytes()).and_then(|()| stream.flush()),
        }
    }
}

impl Script {
    fn serve(&self, stream: TcpStream, told: &Mutex<Vec<String>>) -> io::Result<()> {
        let tell = |line: String| told.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        stream.set_nodelay(true)?;
        let mut wire = BufReader::new(Wire::Plain(stream));
        if self.wrapped {
            wire = BufReader::new(self.secure(wire.into_inner(), &tell)?);
        }
        wire.get_mut().say("220 sink.test ESMTP")?;
        let mut in_data = false;
        loop {
            let mut line = String::new();
            if wire.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_owned();
            tell(line.clone());
            if in_data {
                in_data = line != ".";
                if !in_data {
                    wire.get_mut().say(self.scripted(".").unwrap_or("250 2.0.0 Ok: queued as FAKE"))?;
                }
                continue;
            }
            let command = line.to_ascii_uppercase();
            if command == "STARTTLS" && matches!(wire.get_ref(), Wire::Plain(_)) {
                match self.start_tls(wire, &tell)? {
                    Some(secured) => wire = secured,
                    None => return Ok(()),
                }
                continue;
            }
            let reply = self.reply(&command, matches!(wire.get_ref(), Wire::Tls(_)));
            if reply == "!" {
                return Ok(());
            }
            wire.get_mut().say(&reply)?;
            in_data = command == "DATA" && reply.starts_with("354");
            if command == "QUIT" {
                return Ok(());
            }
        }
    }

    fn scripted(&self, command: &str) -> Option<&'static str> {
        self.replies.iter().find(|(start, _)| command.starts_with(start)).map(|(_, reply)| *reply)
    }

    fn reply(&self, command: &str, under_tls: bool) -> String {
        if let Some(reply) = self.scripted(command) {
            return reply.to_owned();
        }
        match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" if self.old => "502 5.5.1 what?".to_owned(),
            "EHLO" | "LHLO" => {
                let mut words = if under_tls { self.offers_under_tls.clone() } else { self.offers.clone() };
                if self.identity.is_some() && !under_tls {
                    words.push("STARTTLS");
                }
                let lines: Vec<String> = words.iter().map(|word| format!("250-{word}|")).collect();
                let early = self.early.filter(|_| under_tls).map(|early| format!("|{early}")).unwrap_or_default();
                format!("250-sink.test|{}250 ENHANCEDSTATUSCODES{early}", lines.concat())
            }
            "DATA" => "354 go".to_owned(),
            "QUIT" => "221 2.0.0 bye".to_owned(),
            _ => "250 2.1.0 Ok".to_owned(),
        }
    }

    fn start_tls(&self, mut wire: BufReader<Wire>, tell: &dyn Fn(String)) -> io::Result<Option<BufReader<Wire>>> {
        match self.starttls {
            Starttls::Refused(reply) => {
                wire.get_mut().say(reply)?;
                return Ok(Some(wire));
            }
            Starttls::Stuffed(more) => wire.get_mut().say(&format!("220 2.0.0 go|{more}"))?,
            _ => wire.get_mut().say("220 2.0.0 go")?,
        }
        match self.starttls {
            Starttls::Closes => return Ok(None),
            Starttls::Garbage => {
                wire.get_mut().say("this is no TLS, whatever you have heard")?;
                return Ok(None);
            }
            Starttls::Hangs => {
                let _ = wire.read_to_end(&mut Vec::new());
                return Ok(None);
            }
            _ => {}
        }
        let secured = self.secure(wire.into_inner(), tell)?;
        Ok((self.starttls != Starttls::ClosesAfter).then(|| BufReader::new(secured)))
    }

    fn secure(&self, wire: Wire, tell: &dyn Fn(String)) -> io::Result<Wire> {
        let (Wire::Plain(mut stream), Some(identity)) = (wire, &self.identity) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let (chain, key) = identity.for_rustls();
        let versions: &[&SupportedProtocolVersion] =
            if self.only_12 { &[&version::TLS12] } else { &[&version::TLS13, &version::TLS12] };
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_protocol_versions(versions).map_err(io::Error::other)?;
        let config = builder.with_no_client_auth().with_single_cert(chain, key).map_err(io::Error::other)?;
        let mut session = ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
        session.complete_io(&mut stream)?;
        let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("?").to_owned();
        tell(format!("# TLS {version} {}", session.server_name().unwrap_or("-")));
        Ok(Wire::Tls(Box::new(StreamOwned::new(session, stream))))
    }
}
