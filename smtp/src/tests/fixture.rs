//! What the tests of this program share: settings, jobs, and an SMTP server that follows a script.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use delivery::{Job, Recipient, Request};
use ipc::bounce::Message;
use lookup::{DomainList, Maps, MatchList, ParentStyle};
use net::{Interface, Protocols};
use queue::SendOptions;
use queue::record::{self, Type};
use smtp_client::{LookupRules, Order, Preference, Protocol, Services};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::outgoing::Outgoing;
use crate::quirks::Quirks;
use crate::settings::{BindRules, Dialogue, FamilyRules, Limits, Reuse, Settings};
use crate::tls::{Engine, Level, Offer, Rules};

/// [`settings`], as several share them.
pub fn shared() -> Rc<Settings> {
    Rc::new(settings())
}

/// Settings with short time limits, for a machine that is 127.0.0.1 and ::1.
pub fn settings() -> Settings {
    let second = Duration::from_secs(1);
    Settings {
        outgoing: Rc::new(Outgoing::none()),
        notices: Rc::default(),
        best_mx: None,
        protocol: Protocol::Smtp,
        hostname: "mx.example.test".to_owned(),
        hello_name: "mx.example.test".to_owned(),
        protocols: Protocols::BOTH,
        own: [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].map(loopback).into(),
        proxies: Vec::new(),
        services: Services::default(),
        relayhost: String::new(),
        fallback: Vec::new(),
        order: Order { preference: Preference::Any, randomize: false, limit: 5, balance: true },
        session_limit: 2,
        families: FamilyRules { attempt_delay: Some(Duration::from_millis(50)), appeal: true },
        lookup: LookupRules {
            exchangers: true,
            dns: true,
            dnssec: false,
            native: false,
            searching: dns::Searching::default(),
            srv_fallback: false,
            ignore_srv_error: false,
            ignore_mx_error: false,
            defer_without_address: false,
            canonical: false,
        },
        unix_sockets: daemon::UnixSockets::default(),
        bind: BindRules { v4: String::new(), v6: String::new(), enforce: false, window: 0 },
        dialogue: Dialogue {
            never_ehlo: false,
            always_ehlo: true,
            skip_5xx_greeting: true,
            skip_quit_response: true,
            line_limit: Some(998),
            mime_limits: message::mime::Limits { nesting: 102, boundary: 2048 },
            convert: true,
            quote_envelope: true,
            send_xforward: false,
            probes_data: false,
            debug_peers: MatchList::open(lookup::Settings::default(), "test", "", ParentStyle::Dotted).unwrap(),
        },
        quirks: Rc::new(Quirks::none()),
        record_filter: Maps::none("smtp_dns_reply_filter"),
        verbose: false,
        limits: limits(second),
        reuse: Reuse {
            on_demand: true,
            destinations: DomainList::open(lookup::Settings::default(), "test", "", ParentStyle::Dotted).unwrap(),
            idle: second * 2,
            age: second * 300,
            uses: 0,
        },
        sasl: None,
        tls: rules(),
        tls_client: Rc::new(::tls::Client::new("nowhere", second, None)),
    }
}

fn loopback(address: IpAddr) -> Interface {
    Interface { address, scope: None, prefix: 8 }
}

/// No TLS.
fn rules() -> Rules {
    let offer = || Offer { protocols: ">=TLSv1".to_owned(), grade: "medium".to_owned(), exclude: String::new() };
    Rules {
        agent: "smtp",
        level: Level::None,
        old_default: None,
        dane: smtp_client::dane::Rules::default(),
        policies: Maps::none("smtp_tls_policy_maps"),
        per_site: Maps::none("smtp_tls_per_site"),
        optional: offer(),
        mandatory: offer(),
        verify_match: vec!["hostname".to_owned()],
        secure_match: vec!["nexthop".to_owned(), "dot-nexthop".to_owned()],
        fingerprints: Vec::new(),
        servername: String::new(),
        anchors: Rc::default(),
        tafiles: Vec::new(),
        shelf: Rc::default(),
        raw_keys: false,
        reuse: false,
        requiretls: None,
        may_be_waived: true,
        sts_patterns: true,
        engine: Engine {
            grades: tls::Grades::default(),
            groups: tls::Groups::default(),
            works: true,
            wrapper: false,
            note_offer: false,
            block_early: false,
            depth: 9,
            digest: ::tls::Digest::Sha256,
            log: ::tls::LogLevel::default(),
            resumable: None,
        },
        reporting: None,
        minimal_backoff: Duration::from_secs(300),
        log_feature: false,
    }
}

fn limits(each: Duration) -> Limits {
    Limits {
        connect: each,
        hello: each,
        mail: each,
        rcpt: each,
        data_init: each,
        data_transfer: each,
        xforward: each,
        data_done: each,
        rset: each,
        quit: each,
        starttls: each,
        whole: false,
        rate: 500,
    }
}

/// A job for a message with these lines, to these recipients, with the cache flags set.
pub fn job(nexthop: &str, recipients: &[&str], lines: &[&str]) -> Job {
    let mut bytes = Vec::new();
    // Offset 0 stands for "no record to mark".
    record::encode(&mut bytes, Type::SENDER, b"alice@example.test");
    let mut list = Vec::new();
    for address in recipients {
        let offset = bytes.len() as u64;
        record::encode(&mut bytes, Type::RECIPIENT, address.as_bytes());
        list.push(Recipient { address: address.as_bytes().to_vec(), offset, ..Recipient::default() });
    }
    let data_offset = bytes.len() as u64;
    for line in lines {
        record::encode(&mut bytes, Type::LINE, line.as_bytes());
    }
    record::encode(&mut bytes, Type::EXTRACTED, b"");
    let mut file = tempfile();
    file.write_all(&bytes).unwrap();
    let id = queue::QueueId::parse(b"4CCEE552165").unwrap();
    let request = Request {
        more_follows: true,
        data_offset,
        size: lines.iter().map(|line| line.len() as u64 + 1).sum(),
        nexthop: nexthop.as_bytes().to_vec(),
        message: Message { sender: b"alice@example.test".to_vec(), ..Message::new(id.clone()) },
        recipients: list,
        ..Request::new(id)
    };
    Job::new(request, file, Rc::new(delivery::Settings::default()))
}

/// The same job, when no more mail for its nexthop waits.
pub fn with_nothing_behind(job: Job) -> Job {
    let mut request = job.request().clone();
    request.more_follows = false;
    let file = job.file().try_clone().unwrap();
    Job::new(request, file, Rc::new(delivery::Settings::default()))
}

/// The same job for a message with these `send_options`.
pub fn with_send_options(job: Job, send_options: SendOptions) -> Job {
    let mut request = job.request().clone();
    request.message.send_options = send_options;
    let file = job.file().try_clone().unwrap();
    Job::new(request, file, Rc::new(delivery::Settings::default()))
}

/// The same job for a message of this sender.
pub fn with_sender(job: Job, sender: &str) -> Job {
    let mut request = job.request().clone();
    request.message.sender = sender.as_bytes().to_vec();
    let file = job.file().try_clone().unwrap();
    Job::new(request, file, Rc::new(delivery::Settings::default()))
}

/// A file for reading and writing that has no name any more.
fn tempfile() -> std::fs::File {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("smtp-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

/// What a scripted server does instead of the usual, by the start of the command.
pub type Script = &'static [(&'static str, &'static str)];

/// A server on loopback. Each line that it gets comes out of the receiver, with the number of its connection.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it heard.
    pub heard: mpsc::UnboundedReceiver<(usize, String)>,
}

impl Server {
    /// Starts a server that answers by the script: the reply to the first entry whose text a command starts with (in
    /// capital letters), else the usual. `GREETING` is the pseudo command at the start, `.` the end of data. `!` closes
    /// the connection, `~` says nothing, `|` separates lines.
    pub async fn start(ip: IpAddr, script: Script) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heard) = mpsc::unbounded_channel();
        tokio::task::spawn_local(async move {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::task::spawn_local(serve(stream, script, number, tell.clone()));
            }
        });
        Self { address, heard }
    }

    /// On 127.0.0.1.
    pub async fn v4(script: Script) -> Self {
        Self::start(Ipv4Addr::LOCALHOST.into(), script).await
    }

    /// It as a nexthop.
    pub fn nexthop(&self) -> String {
        format!("[{}]:{}", self.address.ip(), self.address.port())
    }

    /// Everything it heard until now.
    pub fn lines(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).map(|(_, line)| line).collect()
    }

    /// How many connections spoke to it until now.
    pub fn connections(&mut self) -> usize {
        let numbers = std::iter::from_fn(|| self.heard.try_recv().ok()).map(|(number, _)| number);
        numbers.collect::<std::collections::HashSet<_>>().len()
    }
}

async fn serve(
    stream: tokio::net::TcpStream,
    script: Script,
    number: usize,
    tell: mpsc::UnboundedSender<(usize, String)>,
) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut command = "GREETING".to_owned();
    loop {
        let scripted =
            script.iter().find(|(start, _)| command.to_uppercase().starts_with(start)).map(|(_, text)| *text);
        let reply = scripted.unwrap_or_else(|| usual(&command));
        match reply {
            "!" => return,
            "~" => {}
            reply => {
                let (said, hangs_up) = reply.strip_suffix('!').map_or((reply, false), |said| (said, true));
                let wire = format!("{}\r\n", said.replace('|', "\r\n"));
                if write.write_all(wire.as_bytes()).await.is_err() || hangs_up {
                    return;
                }
            }
        }
        let in_data = command == "DATA" && reply.starts_with("354");
        loop {
            let Ok(Some(line)) = lines.next_line().await else { return };
            let _ = tell.send((number, line.clone()));
            if !in_data || line == "." {
                command = line;
                break;
            }
        }
        if command == "QUIT" {
            return;
        }
    }
}

fn usual(command: &str) -> &'static str {
    let word = command.split([' ', ':']).next().unwrap_or_default().to_uppercase();
    match word.as_str() {
        "GREETING" => "220 sink.test ESMTP",
        "EHLO" | "LHLO" => "250-sink.test|250-PIPELINING|250-SIZE 10000|250-ENHANCEDSTATUSCODES|250 8BITMIME",
        "DATA" => "354 go",
        "." => "250 2.0.0 Ok: queued as ABC123",
        _ => "250 2.1.0 Ok",
    }
}
