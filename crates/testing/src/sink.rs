//! An SMTP server that keeps what it receives, on loopback; it can be told to refuse.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certificates::Identity;
use crate::port::Port;

/// A running sink. It ends with the process; dropped, it takes no further connection.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    state: Arc<State>,
    _port: Option<Port>,
}

/// One received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Address of the client.
    pub client: IpAddr,
    /// Argument of HELO or EHLO.
    pub helo: String,
    /// What the client has logged in with before: the arguments of AUTH.
    pub login: Option<String>,
    /// Argument of MAIL, from the colon on.
    pub sender: String,
    /// Arguments of RCPT, from the colon on.
    pub recipients: Vec<String>,
    /// It came by TLS: the name that the client asked for, if it asked for one.
    pub tls: Option<Option<String>>,
    /// Header and body with `\n` line ends, dots undone; empty when the sink only counts.
    pub text: String,
}

#[derive(Debug)]
struct State {
    received: Mutex<Vec<Received>>,
    count: AtomicUsize,
    recipients: AtomicUsize,
    keep: bool,
    closed: AtomicBool,
    /// What it greets with.
    greeting: Mutex<String>,
    /// It announces SIZE.
    asks_for_size: AtomicBool,
    /// It announces 8BITMIME.
    takes_8bit: AtomicBool,
    /// It announces SMTPUTF8.
    takes_utf8: AtomicBool,
    /// It announces DSN.
    takes_dsn: AtomicBool,
    /// Reply to every RCPT after this many of a message, if not 250.
    refusal: Mutex<Option<(usize, String)>>,
    /// The mechanisms of AUTH, and what the lines of a login are answered with.
    login: Mutex<Option<(String, Vec<String>)>>,
    /// Lines of logins.
    logins: Mutex<Vec<String>>,
    /// It announces STARTTLS.
    tls: Mutex<Option<Arc<ServerConfig>>>,
}

impl Sink {
    /// On 127.0.0.1.
    pub fn v4() -> Sink {
        Sink::start(IpAddr::V4(Ipv4Addr::LOCALHOST), true)
    }

    /// On ::1.
    pub fn v6() -> Sink {
        Sink::start(IpAddr::V6(Ipv6Addr::LOCALHOST), true)
    }

    /// On 127.0.0.1, counting without keeping: for measurements.
    pub fn counting() -> Sink {
        Sink::start(IpAddr::V4(Ipv4Addr::LOCALHOST), false)
    }

    /// At a certain address, of the thread's own network.
    pub fn at(address: SocketAddr) -> Sink {
        Sink::serve_at(address, true, None)
    }

    fn start(ip: IpAddr, keep: bool) -> Sink {
        let port = Port::reserve();
        Sink::serve_at(SocketAddr::new(ip, port.number()), keep, Some(port))
    }

    /// On a socket that listens already; who waits in its queue is served.
    pub fn on(listener: TcpListener) -> Sink {
        Sink::serve(listener, true, None)
    }

    fn serve_at(address: SocketAddr, keep: bool, port: Option<Port>) -> Sink {
        let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("sink on {address}: {e}"));
        Sink::serve(listener, keep, port)
    }

    fn serve(listener: TcpListener, keep: bool, port: Option<Port>) -> Sink {
        let address = listener.local_addr().unwrap_or_else(|e| panic!("sink: {e}"));
        let state = Arc::new(State {
            received: Mutex::default(),
            count: AtomicUsize::new(0),
            recipients: AtomicUsize::new(0),
            keep,
            closed: AtomicBool::new(false),
            greeting: Mutex::new("220 sink.test ESMTP".to_owned()),
            asks_for_size: AtomicBool::new(false),
            takes_8bit: AtomicBool::new(true),
            takes_utf8: AtomicBool::new(false),
            takes_dsn: AtomicBool::new(false),
            refusal: Mutex::default(),
            login: Mutex::default(),
            logins: Mutex::default(),
            tls: Mutex::default(),
        });
        let serving = state.clone();
        std::thread::spawn(move || accept(&listener, &serving));
        Sink { address, state, _port: port }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// It as a next hop without a DNS look-up: `[127.0.0.1]:2525`.
    pub fn next_hop(&self) -> String {
        match self.address.ip() {
            IpAddr::V4(ip) => format!("[{ip}]:{}", self.address.port()),
            IpAddr::V6(ip) => format!("[ipv6:{ip}]:{}", self.address.port()),
        }
    }

    /// Answers every RCPT with this from now on; None: accepts again.
    pub fn refuse(&self, reply: Option<&str>) {
        *self.state.refusal.lock().unwrap_or_else(PoisonError::into_inner) = reply.map(|text| (0, text.to_owned()));
    }

    /// Announces STARTTLS from now on, and has this certificate.
    pub fn offer_tls(self, identity: &Identity) -> Sink {
        let (chain, key) = identity.for_rustls();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
        let config = config.unwrap_or_else(|e| panic!("sink: {e}"));
        *self.state.tls.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(config));
        self
    }

    /// Greets with this line from now on.
    pub fn greet(&self, line: &str) {
        line.clone_into(&mut self.state.greeting.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// From now on it announces SMTPUTF8 and DSN.
    pub fn take_utf8(self) -> Sink {
        self.state.takes_utf8.store(true, Ordering::Release);
        self.state.takes_dsn.store(true, Ordering::Release);
        self
    }

    /// From now on it announces SIZE.
    pub fn ask_for_size(&self) {
        self.state.asks_for_size.store(true, Ordering::Release);
    }

    /// Announces 8BITMIME no longer.
    pub fn take_7bit_alone(&self) {
        self.state.takes_8bit.store(false, Ordering::Release);
    }

    /// Takes so many recipients of a message, and answers each further RCPT with this.
    pub fn refuse_beyond(&self, count: usize, reply: &str) {
        *self.state.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some((count, reply.to_owned()));
    }

    /// Offers AUTH with these mechanisms from now on, and answers the lines of a login with these replies in turn, the
    /// last of them as often as there are more lines.
    pub fn offer_login(&self, mechanisms: &str, replies: &[&str]) {
        let replies = replies.iter().map(|&reply| reply.to_owned()).collect();
        *self.state.login.lock().unwrap_or_else(PoisonError::into_inner) = Some((mechanisms.to_owned(), replies));
    }

    /// The lines of the logins, in their order.
    pub fn logins(&self) -> Vec<String> {
        self.state.logins.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many messages it has acknowledged.
    pub fn count(&self) -> usize {
        self.state.count.load(Ordering::Acquire)
    }

    /// How many recipients those messages had together.
    pub fn recipients(&self) -> usize {
        self.state.recipients.load(Ordering::Acquire)
    }

    /// What it has acknowledged.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::Release);
        // Wakes the thread that waits in accept.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming().flatten() {
        if state.closed.load(Ordering::Acquire) {
            return;
        }
        let state = state.clone();
        std::thread::spawn(move || {
            // A client that hangs up in the middle is the client's business.
            let _ = serve(stream, &state);
        });
    }
}

/// A connection, in the clear or not.
enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl io::Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer),
            Wire::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Wire {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.write_all(bytes),
            Wire::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// The rest of it by TLS, and the name that the client asks for.
    fn secured(self, config: Arc<ServerConfig>) -> io::Result<(Wire, Option<String>)> {
        let Wire::Plain(mut stream) = self else { return Err(io::ErrorKind::InvalidInput.into()) };
        let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
        session.complete_io(&mut stream)?;
        let name = session.server_name().map(str::to_owned);
        Ok((Wire::Tls(Box::new(StreamOwned::new(session, stream))), name))
    }
}

fn serve(stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let client = stream.peer_addr()?.ip();
    let (helo, sender, text) = (String::new(), String::new(), String::new());
    let mut empty = Received { client, helo, login: None, sender, recipients: Vec::new(), tls: None, text };
    let (mut mail, mut input) = (empty.clone(), BufReader::new(Wire::Plain(stream)));
    let greeting = state.greeting.lock().unwrap_or_else(PoisonError::into_inner).clone();
    input.get_mut().send(format!("{greeting}\r\n").as_bytes())?;
    let (mut line, mut replies) = (String::new(), Vec::new());
    loop {
        // Replies to pipelined commands leave together.
        if !replies.is_empty() && input.buffer().is_empty() {
            input.get_mut().send(&std::mem::take(&mut replies))?;
        }
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let (verb, rest) = line.trim_end().split_once([' ', ':']).unwrap_or((line.trim_end(), ""));
        let argument = rest.split_once(':').map_or(rest, |(_, path)| path).to_owned();
        let config = state.tls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let reply = match (verb.to_ascii_uppercase().as_str(), config.filter(|_| empty.tls.is_none())) {
            ("EHLO" | "HELO" | "LHLO", config) => {
                mail.helo = rest.to_owned();
                hello(state, config.is_some())
            }
            ("STARTTLS", Some(config)) => {
                input.get_mut().send(b"220 2.0.0 Ready to start TLS\r\n")?;
                let (wire, name) = input.into_inner().secured(config)?;
                (input, empty.tls) = (BufReader::new(wire), Some(name));
                continue;
            }
            ("AUTH", _) => {
                input.get_mut().send(&std::mem::take(&mut replies))?;
                let reply = login(line.trim_end(), &mut input, state)?;
                mail.login = reply.starts_with('2').then(|| rest.to_owned());
                reply
            }
            ("MAIL", _) => {
                mail = Received { helo: mail.helo.clone(), login: mail.login, sender: argument, ..empty.clone() };
                "250 2.1.0 Ok".to_owned()
            }
            ("RCPT", _) => recipient(&mut mail, argument, state),
            ("DATA", _) if mail.recipients.is_empty() => "554 5.5.1 Error: no valid recipients".to_owned(),
            ("DATA", _) => {
                replies.extend_from_slice(b"354 End data with <CR><LF>.<CR><LF>\r\n");
                input.get_mut().send(&std::mem::take(&mut replies))?;
                mail.text = read_data(&mut input, state.keep)?;
                keep(&mail, state);
                "250 2.0.0 Ok".to_owned()
            }
            ("QUIT", _) => {
                replies.extend_from_slice(b"221 2.0.0 Bye\r\n");
                return input.get_mut().send(&replies);
            }
            _ => "250 2.0.0 Ok".to_owned(),
        };
        replies.extend_from_slice(format!("{reply}\r\n").as_bytes());
    }
}

fn hello(state: &State, offers_tls: bool) -> String {
    let size = if state.asks_for_size.load(Ordering::Acquire) { "250-SIZE 0\r\n" } else { "" };
    let eight = if state.takes_8bit.load(Ordering::Acquire) { "250-8BITMIME\r\n" } else { "" };
    let utf8 = if state.takes_utf8.load(Ordering::Acquire) { "250-SMTPUTF8\r\n" } else { "" };
    let dsn = if state.takes_dsn.load(Ordering::Acquire) { "250-DSN\r\n" } else { "" };
    let login = state.login.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let auth = login.map_or_else(String::new, |(mechanisms, _)| format!("250-AUTH {mechanisms}\r\n"));
    let tls = if offers_tls { "250-STARTTLS\r\n" } else { "" };
    format!("250-sink.test\r\n250-PIPELINING\r\n{tls}{size}{eight}{utf8}{dsn}{auth}250 ENHANCEDSTATUSCODES")
}

/// The lines of one login; the reply that ends it.
fn login(first: &str, input: &mut BufReader<Wire>, state: &State) -> io::Result<String> {
    let login = state.login.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some((_, replies)) = login else { return Ok("503 5.5.1 Error: authentication not enabled".to_owned()) };
    let keep = |line: &str| state.logins.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    keep(first);
    let last = replies.last().cloned().unwrap_or_default();
    for reply in replies.into_iter().chain(std::iter::repeat(last)) {
        if !reply.starts_with('3') {
            return Ok(reply);
        }
        input.get_mut().send(format!("{reply}\r\n").as_bytes())?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 || line.trim_end() == "QUIT" {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        keep(line.trim_end());
    }
    Ok("451 4.3.0 no more replies".to_owned())
}

fn recipient(mail: &mut Received, path: String, state: &State) -> String {
    let refusal = state.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((_, reply)) = refusal.filter(|(count, _)| mail.recipients.len() >= *count) {
        return reply;
    }
    mail.recipients.push(path);
    "250 2.1.5 Ok".to_owned()
}

fn keep(mail: &Received, state: &State) {
    if state.keep {
        state.received.lock().unwrap_or_else(PoisonError::into_inner).push(mail.clone());
    }
    state.recipients.fetch_add(mail.recipients.len(), Ordering::AcqRel);
    state.count.fetch_add(1, Ordering::AcqRel);
}

fn read_data(input: &mut impl BufRead, keep: bool) -> io::Result<String> {
    let (mut text, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let body = line.strip_suffix(b"\r\n").unwrap_or(&line);
        if body == b"." {
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        if keep {
            text.extend_from_slice(body.strip_prefix(b".").unwrap_or(body));
            text.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;

    #[test]
    fn the_sink_keeps_what_the_client_sends() {
        let sink = Sink::v6();
        let mut client = Client::greet(sink.address()).expect("connected");
        let reply = client.send("a@client.test", &["b@sink.test"], "Subject: x\n\n.dot\n").expect("sent");
        assert_eq!(reply.code, 250);
        let received = sink.received();
        assert_eq!(received[0].text, "Subject: x\n\n.dot\n");
        assert_eq!(received[0].recipients, ["<b@sink.test>"]);
        assert_eq!((sink.count(), sink.recipients()), (1, 1));
    }

    #[test]
    fn a_refusing_sink_accepts_nothing() {
        let sink = Sink::v4();
        sink.refuse(Some("450 4.2.0 later"));
        let mut client = Client::greet(sink.address()).expect("connected");
        assert_eq!(client.send("a@client.test", &["b@sink.test"], "x\n").expect("sent").code, 450);
        assert_eq!(sink.count(), 0);
    }
}
