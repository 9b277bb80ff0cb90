//! Fake cleanup and trivial-rewrite, a server between them, and a client to talk to it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use config::Config;
use daemon::{StartError, UnixSockets};
use dns::{Hosts, ResolvConf, Resolver};
use ipc::channel::{Channel, Server};
use ipc::{anvil, cleanup, rewrite};
use net::Protocols;
use smtp_protocol::{Reply, ReplyParser};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::spawn_local;

use crate::session::Session;
use crate::settings::Settings;
use crate::tests::name_server;
use crate::worker::Smtpd;

/// What the fake cleanup was given: the records of finished messages, and how many were given up.
#[derive(Debug, Default)]
pub struct Mail {
    pub finished: Vec<Vec<u8>>,
    pub aborted: usize,
    /// What anvil was told; it answers with how often it was told the same.
    pub counted: Vec<anvil::Request>,
    /// What the next message is answered.
    pub outcome: Option<cleanup::Outcome>,
}

/// A server with its fakes.
pub struct TestServer {
    pub mail: Rc<RefCell<Mail>>,
    address: SocketAddr,
    directory: PathBuf,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Settings of the tests' server; later ones win.
const MAIN_CF: &str = "\
compatibility_level = 3.11
service_name = smtp
myhostname = mx.example.test
mydomain = example.test
myorigin = $myhostname
mydestination = $myhostname, localhost, example.test
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps = inline:{bob=1, alice=1}
virtual_mailbox_maps = inline:{ok@vmb.test=1}
recipient_delimiter = +
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
smtpd_forbid_unauth_pipelining = no
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions =
";

/// Runs `test` with a server whose main.cf ends with `settings`.
pub fn with_server<F: Future<Output = ()>>(settings: &str, test: impl FnOnce(TestServer) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        let server = start(settings).await;
        tokio::time::timeout(Duration::from_secs(20), test(server)).await.expect("the test takes too long");
    });
}

/// The error of a server that does not start.
pub fn start_error(settings: &str) -> String {
    let config = Config::parse(format!("{MAIN_CF}{settings}").as_bytes(), Path::new("/proc/self/none"), &[]).unwrap();
    let settings = Settings::read(&config).map_err(StartError::from);
    match settings
        .and_then(|_| Smtpd::new(&config, Duration::from_secs(5), Path::new(""), || Ok(UnixSockets::default())))
    {
        Ok(_) => "it starts".to_owned(),
        Err(error) => error.to_string(),
    }
}

async fn start(settings: &str) -> TestServer {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("smtpd-test-{}-{number}", std::process::id()));
    for name in ["public", "private"] {
        std::fs::create_dir_all(directory.join(name)).unwrap();
    }
    let mail = Rc::new(RefCell::new(Mail::default()));
    spawn_local(serve_cleanup(UnixListener::bind(directory.join("public/cleanup")).unwrap(), Rc::clone(&mail)));
    spawn_local(serve_rewrite(UnixListener::bind(directory.join("private/rewrite")).unwrap()));
    // A socket that nobody listens on is an anvil that is not there.
    if !settings.contains("# no anvil") {
        spawn_local(serve_anvil(UnixListener::bind(directory.join("private/anvil")).unwrap(), Rc::clone(&mail)));
    }
    let config = Config::parse(format!("{MAIN_CF}{settings}").as_bytes(), Path::new("/proc/self/none"), &[]).unwrap();
    let mut worker = Smtpd::new(&config, Duration::from_secs(5), &directory, || Ok(UnixSockets::default())).unwrap();
    let conf = ResolvConf { servers: vec![name_server::serve()], attempts: 1, ..ResolvConf::default() };
    worker.resolver = Resolver::new(conf, Hosts::default(), Protocols { v4: true, v6: true });
    let (worker, settings) = (Rc::new(worker), Rc::new(Settings::read(&config).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        while let Ok((stream, remote)) = listener.accept().await {
            let local = stream.local_addr().unwrap();
            spawn_local(Session::run(Rc::clone(&worker), Rc::clone(&settings), stream, remote, local));
        }
    });
    TestServer { mail, address, directory }
}

async fn serve_cleanup(listener: UnixListener, mail: Rc<RefCell<Mail>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let mail = Rc::clone(&mail);
        spawn_local(async move {
            let mut channel: Server<cleanup::Cleanup> = Channel::new(stream);
            let mut records = Vec::new();
            while let Ok(Some(request)) = channel.receive_unlimited().await {
                match request {
                    cleanup::Request::Open { .. } => {
                        records.clear();
                        channel.send(&cleanup::Reply::Opened { queue_id: id() }).await.unwrap();
                    }
                    cleanup::Request::Records(more) => records.extend(more),
                    cleanup::Request::Filter(_) => {}
                    cleanup::Request::Whole { .. } => panic!("no place was given"),
                    cleanup::Request::Finish { .. } => {
                        mail.borrow_mut().finished.push(std::mem::take(&mut records));
                        let outcome = mail.borrow_mut().outcome.take();
                        let outcome = outcome.unwrap_or(cleanup::Outcome::Accepted(id()));
                        channel.send(&cleanup::Reply::Done { outcome, next: None }).await.unwrap();
                    }
                    cleanup::Request::Abort => mail.borrow_mut().aborted += 1,
                }
            }
        });
    }
}

async fn serve_anvil(listener: UnixListener, mail: Rc<RefCell<Mail>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let mail = Rc::clone(&mail);
        spawn_local(async move {
            let mut channel: Server<anvil::Anvil> = Channel::new(stream);
            while let Ok(Some(request)) = channel.receive_unlimited().await {
                mail.borrow_mut().counted.push(request.clone());
                let told = |what| mail.borrow().counted.iter().filter(|other| **other == what).count() as u32;
                let rate = told(request.clone());
                let anvil::Request::Count { identity, .. } = request else { continue };
                let connections = rate.saturating_sub(told(anvil::Request::Release { identity }));
                channel.send(&anvil::Counts { connections, rate }).await.unwrap();
            }
        });
    }
}

async fn serve_rewrite(listener: UnixListener) {
    while let Ok((stream, _)) = listener.accept().await {
        spawn_local(async move {
            let mut channel: Server<rewrite::Rewrite> = Channel::new(stream);
            while let Ok(Some(request)) = channel.receive_unlimited().await {
                let reply = match request {
                    rewrite::Request::Rewrite { address, .. } => rewrite::Reply::Rewritten(completed(&address)),
                    rewrite::Request::Resolve { address, .. } => rewrite::Reply::Resolved(resolved(&address)),
                };
                channel.send(&reply).await.unwrap();
            }
        });
    }
}

fn completed(address: &[u8]) -> Vec<u8> {
    match address::domain(address) {
        Some(_) => address.to_vec(),
        None => [address, b"@mx.example.test"].concat(),
    }
}

fn resolved(address: &[u8]) -> rewrite::Resolved {
    let domain = address::domain(address).unwrap_or_default();
    let class = match domain {
        b"mx.example.test" | b"localhost" | b"example.test" => rewrite::Class::Local,
        b"ok.test" | b"bounce.test" | b"retry.test" => rewrite::Class::Relay,
        b"vmb.test" => rewrite::Class::VirtualMailbox,
        b"alias.test" => rewrite::Class::VirtualAlias,
        _ => rewrite::Class::Default,
    };
    let (transport, nexthop) = match domain {
        b"bounce.test" => ("error", "5.1.1 no such user here"),
        b"retry.test" => ("retry", "4.3.2 come back"),
        _ => ("smtp", ""),
    };
    let literal = domain.starts_with(b"[") && net::literal::mailhost(domain).is_some();
    rewrite::Resolved {
        transport: transport.to_owned(),
        nexthop: nexthop.as_bytes().to_vec(),
        recipient: address.to_vec(),
        class,
        routed: address.contains(&b'%'),
        bad_syntax: !literal && !net::hostname::is_valid(domain.strip_suffix(b".").unwrap_or(domain)),
        failed: false,
    }
}

/// A client that waits for every reply.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects and takes the greeting.
    pub async fn connect(server: &TestServer) -> (Client, Reply) {
        let stream = BufReader::new(TcpStream::connect(server.address).await.unwrap());
        let mut client = Client { stream };
        let greeting = client.reply().await.expect("a greeting");
        (client, greeting)
    }

    /// Connects, and speaks before the server has had a turn.
    pub fn connect_talking(server: &TestServer, bytes: &[u8]) -> Client {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        std::io::Write::write_all(&mut stream, bytes).unwrap();
        stream.set_nonblocking(true).unwrap();
        Client { stream: BufReader::new(TcpStream::from_std(stream).unwrap()) }
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        // A server that has ended the session is seen by the reply that does not come.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next reply; `None` at the end of the session.
    pub async fn reply(&mut self) -> Option<Reply> {
        let mut parser = ReplyParser::new();
        loop {
            let mut line = Vec::new();
            let count = self.stream.read_until(b'\n', &mut line).await.unwrap_or(0);
            if count == 0 {
                return None;
            }
            let line = line.strip_suffix(b"\r\n").expect("replies end in CR LF");
            if let Some(reply) = parser.line(line).expect("a reply") {
                return Some(reply);
            }
        }
    }

    /// Sends a line and takes the reply, verbatim; empty at the end of the session.
    pub async fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        let reply = self.reply().await;
        reply.map(|reply| String::from_utf8_lossy(&reply.verbatim()).into_owned()).unwrap_or_default()
    }

    /// Says all lines; all but the last must be answered positively. The last reply.
    pub async fn say_all(&mut self, lines: &[&str]) -> String {
        let mut last = String::new();
        for (at, line) in lines.iter().enumerate() {
            last = self.say(line).await;
            let fine = last.starts_with('2') || last.starts_with('3');
            assert!(fine || at + 1 == lines.len(), "{line}: {last}");
        }
        last
    }
}

fn id() -> queue::QueueId {
    queue::QueueId::parse(b"QUEUEID").unwrap()
}
