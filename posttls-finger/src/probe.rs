//! From a destination to what its server shows: look-ups, connections one after the other, and the dialogue.

use std::collections::HashSet;
use std::io::Write;
use std::time::Duration;

use dns::Resolver;
use net::Protocols;
use smtp_client::{Destination, Endpoint, Finder, Level, LookupRules, Order, Server, Stream};
use smtp_protocol::Extensions;
use tls::{Certificate, Demand, Digest, hex};
use tokio::net::{TcpStream, UnixStream};

use crate::chat::{Broken, Chat};
use crate::engine::Engine;
use crate::options::Options;
use crate::shown;
use crate::terms::{Demands, Terms};

/// How long a session may be resumed.
const RESUMABLE: Duration = Duration::from_secs(3600);

/// What is to be found out.
pub(crate) struct Probe<'a> {
    pub options: &'a Options,
    pub engine: Engine,
    pub demands: Demands<'a>,
    pub destination: Destination,
    pub lookup: LookupRules,
    pub protocols: Protocols,
    pub resolver: Resolver,
    /// myhostname
    pub hostname: String,
}

/// What one session has shown.
#[derive(Default)]
struct Seen {
    /// What the server calls itself.
    name: String,
    certificates: Vec<Certificate>,
}

/// A server that answers.
struct Target {
    server: Server,
    terms: Terms,
    /// The key of its TLS sessions.
    key: String,
}

impl Probe<'_> {
    /// Finds it out, and shows it.
    ///
    /// # Errors
    /// A sentence: the connection broke where nobody can tell what that means.
    pub(crate) async fn run(&self) -> Result<(), String> {
        let Some((target, mut stream)) = self.reach().await else { return Ok(()) };
        let options = self.options;
        let (mut met, mut left, mut again) = (HashSet::new(), options.reconnects, false);
        loop {
            let asks_for_key = self.asks_for_key(&target);
            let Some(seen) = self.session(stream, &target, again).await? else {
                // A server that has not shown its key is not asked for it again.
                if !asks_for_key || self.asks_for_key(&target) {
                    return Ok(());
                }
                logging::info!("{}: no raw public key, connecting again for the certificate", target.server.relay());
                let Some(another) = self.again(&target).await else { return Ok(()) };
                stream = another;
                continue;
            };
            if options.certificates && !again && !seen.certificates.is_empty() {
                let chain = shown::chain(&seen.certificates, self.engine.digest);
                // Whoever reads no more needs no more.
                let _ = std::io::stdout().write_all(chain.as_bytes());
            }
            if options.delay.is_zero() {
                return Ok(());
            }
            if !self.engine.client.may_resume(&target.key) {
                logging::info!("Server declined session caching. Done reconnecting.");
                return Ok(());
            }
            if !met.insert(seen.name) {
                logging::info!("Found a previously used server.  Done reconnecting.");
                return Ok(());
            }
            if left == 0 {
                logging::info!("Maximum reconnect count reached.");
                return Ok(());
            }
            left -= 1;
            logging::info!("Reconnecting after {} seconds", options.delay.as_secs());
            tokio::time::sleep(options.delay).await;
            let Some(another) = self.again(&target).await else { return Ok(()) };
            stream = another;
            again = true;
        }
    }

    /// Another connection with the same server; nothing if there is none, which was told.
    async fn again(&self, target: &Target) -> Option<Stream> {
        let connected = self.connect(&target.server).await;
        connected.map_err(|why| self.tell(Some(&target.server), &why)).ok()
    }

    /// Whether the server is asked for its public key alone. -x
    fn asks_for_key(&self, target: &Target) -> bool {
        let peer = target.server.peer();
        self.options.raw_keys && target.terms.level.may_take_raw_keys() && self.engine.client.may_have_raw_key(&peer)
    }

    /// The first server that can be connected to.
    async fn reach(&self) -> Option<(Target, Stream)> {
        for server in self.servers().await? {
            let reached = match self.demands.of(&self.resolver, &server).await {
                Ok(terms) => self.connect(&server).await.map(|stream| (terms, stream)),
                Err(why) => Err(why),
            };
            match reached {
                Ok((terms, stream)) => {
                    if self.options.chat {
                        logging::info!("Connected to {}", server.relay());
                    }
                    let key = self.key(&server, &terms);
                    return Some((Target { server, terms, key }, stream));
                }
                Err(why) => self.tell(Some(&server), &why),
            }
        }
        None
    }

    async fn servers(&self) -> Option<Vec<Server>> {
        let (host, lookup, port, service) = match &self.destination {
            Destination::Internet { host, lookup, port, service } => (host, *lookup, *port, service.as_deref()),
            Destination::Unix(path) => return Some(vec![Server::new(&self.hostname, Endpoint::Unix(path.clone()), 0)]),
        };
        let (rules, protocols) = (self.lookup, self.protocols);
        let finder = Finder { resolver: &self.resolver, rules, protocols, port, is_patient: true };
        match finder.find(host, lookup, service).await {
            Ok(found) => {
                let order = Order { preference: self.options.preference, randomize: true, limit: 0, balance: false };
                Some(order.apply(found.servers).0)
            }
            Err(none) => {
                logging::info!("Destination address lookup failed: {}", none.reason);
                None
            }
        }
    }

    async fn connect(&self, server: &Server) -> Result<Stream, String> {
        if self.options.verbose {
            logging::info!("trying: {}...", server.relay());
        }
        let attempt = async {
            std::io::Result::Ok(match &server.endpoint {
                Endpoint::Internet(address) => {
                    let stream = TcpStream::connect(address).await?;
                    // Commands are written whole: there is nothing to wait for.
                    stream.set_nodelay(true)?;
                    Stream::from(stream)
                }
                Endpoint::Unix(path) => Stream::from(UnixStream::connect(path).await?),
            })
        };
        let why = match tokio::time::timeout(self.options.connect_limit, attempt).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => net::reason(&error),
            Err(_) => "Connection timed out".to_owned(),
        };
        Err(format!("connect to {}: {why}", server.relay()))
    }

    fn tell(&self, server: Option<&Server>, why: &str) {
        let destination = text::printable(self.options.destination.as_bytes());
        let via = match server.map(|server| (&server.name, &server.endpoint)) {
            Some((name, Endpoint::Internet(address))) => format!(" via {name}:{}", address.port()),
            _ => String::new(),
        };
        logging::info!("Failed to establish session to {destination}{via}: {why}");
    }

    /// One session to its end; nothing if the server ended it, which was told.
    async fn session(&self, stream: Stream, target: &Target, again: bool) -> Result<Option<Seen>, String> {
        let (options, mut seen) = (self.options, Seen::default());
        let mut chat = Chat::new(stream, options.chat);
        let mut is_secure = options.wrapper && self.engine.works;
        if options.wrapper && !is_secure {
            return Ok(self.quit(chat).await.then_some(seen));
        }
        if is_secure && !self.secure(&mut chat, target, &mut seen, again).await {
            return Ok(None);
        }
        match chat.answer(options.connect_limit).await {
            Ok(greeting) if greeting.is_positive() => {}
            Ok(greeting) => {
                logging::info!("SMTP service not available: {}", greeting.text);
                return Ok(None);
            }
            Err(broken) => {
                logging::info!("{broken} while reading server greeting");
                return Ok(None);
            }
        }
        // Of another connection it is known what is said at its beginning.
        chat.is_shown &= !again;
        let Some(offers_tls) = self.hello(&mut chat, &mut seen).await else { return Ok(None) };
        let is_wanted = target.terms.level != Level::None && self.engine.works;
        if !is_secure && offers_tls && is_wanted {
            let answer = chat.ask("STARTTLS", options.command_limit).await;
            let answer = answer.map_err(|broken| format!("{broken} while sending STARTTLS"))?;
            if !answer.is_positive() {
                logging::info!("STARTTLS rejected: {}", answer.text);
                return Ok(None);
            }
            is_secure = self.secure(&mut chat, target, &mut seen, again).await;
            if !is_secure {
                return Ok(None);
            }
            // Whatever comes of it, there is something to say goodbye to.
            self.hello(&mut chat, &mut seen).await;
        }
        chat.is_shown = options.chat;
        self.quit(chat).await;
        Ok(Some(seen))
    }

    /// Whether the server offers TLS; nothing if it wants no hello, which was told.
    async fn hello(&self, chat: &mut Chat, seen: &mut Seen) -> Option<bool> {
        let word = if self.options.protocol == smtp_client::Protocol::Lmtp { "LHLO" } else { "EHLO" };
        match chat.ask(&format!("{word} {}", self.hostname), self.options.command_limit).await {
            Ok(answer) => match answer.reply.as_ref().filter(|_| answer.is_positive()) {
                Some(reply) => {
                    let first = reply.lines().next().unwrap_or_default();
                    let name = first.split(|byte| *byte == b' ').next().unwrap_or_default();
                    seen.name = String::from_utf8_lossy(name).to_ascii_lowercase();
                    Some(Extensions::parse(reply, |_| false).starttls)
                }
                None => {
                    logging::info!("{word} rejected: {}", answer.text);
                    None
                }
            },
            Err(broken) => {
                logging::info!("{broken} while sending {word}");
                None
            }
        }
    }

    /// Says goodbye; whether the server heard it.
    async fn quit(&self, mut chat: Chat) -> bool {
        match chat.ask("QUIT", self.options.command_limit).await {
            Ok(_) => true,
            Err(broken @ (Broken::Lost | Broken::TimedOut | Broken::Endless)) => {
                logging::warning!("{broken} while sending QUIT command");
                false
            }
        }
    }

    /// Whether TLS has begun; if not it was told why.
    async fn secure(&self, chat: &mut Chat, target: &Target, seen: &mut Seen, again: bool) -> bool {
        let (options, terms) = (self.options, &target.terms);
        let peer = target.server.peer();
        let demand = Demand {
            peer: &peer,
            protocols: &options.protocols,
            grade: &options.grade,
            exclude: "",
            mandatory: terms.level.is_mandatory(),
            sni: terms.sni.as_deref(),
            grades: &self.engine.grades,
            groups: &self.engine.groups,
            raw_key: self.asks_for_key(target),
            standard: terms.standard(&self.engine),
            must_match: false,
            resumable: (!options.delay.is_zero()).then_some((target.key.as_str(), RESUMABLE)),
            log: terms.log(self.engine.log, again),
            agent: "memory",
        };
        chat.forget();
        let Ok(connected) = chat.stream.secure(&self.engine.client, &demand, options.command_limit).await else {
            return false;
        };
        seen.certificates = connected.session.peer_chain();
        chat.stream.seal(connected.session);
        true
    }

    /// What is the same where a session may be resumed.
    fn key(&self, server: &Server, terms: &Terms) -> String {
        let Options { protocols, grade, destination, matching, raw_keys, .. } = self.options;
        let words = format!(
            "{protocols:?} {grade:?} {destination:?} {matching:?} {:?} {:?} {raw_keys}",
            terms.level, terms.sni
        );
        format!("{}&{}", server.endpoint, hex(&Digest::Sha256.of(words.as_bytes())))
    }
}
