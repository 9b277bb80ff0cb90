//! The client's end: a handshake with one server, and what it has shown.
//!
//! The handshake proves that the server has the key of its certificate, and nothing else. Whose the certificate is, is
//! judged when it is over, also where an earlier session goes on: no policy is met by what another one let pass.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc::tlsmgr::Files;
use rustls::client::{ResolvesClientCert, Resumption, Tls12Resumption};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, Connection, SignatureScheme, SupportedProtocolVersion, version};

use crate::chain::Pair;
use crate::credential::Credential;
use crate::facts::Facts;
use crate::groups::Groups;
use crate::handshake::{self, Carrier, HandshakeError};
use crate::judge::{Standard, Trust, Verdict};
use crate::keys::{Found, Identity, Keys};
use crate::loglevel::LogLevel;
use crate::session::Session;
use crate::suites::{BadCiphers, Grades, Suites};
use crate::trust::Role;
use crate::versions::Versions;
use crate::witness::{Observer, Witness, noted, watched};
use store::Store;

/// Policies whose sessions are remembered.
/// told: nobody; others begin with a whole handshake.
const MOST_REMEMBERED: usize = 1000;
/// Tickets of one policy.
/// told: nobody; the older ones are forgotten.
const MOST_TICKETS: usize = 8;

/// Servers that are known to have no raw keys.
/// told: nobody; they are asked once more.
const MOST_WITHOUT_KEYS: usize = 10_000;

/// TLS of one client process.
pub struct Client {
    certificates: Certificates,
    /// Without its certificates there is no TLS at all: they are named in the old way.
    needs_certificates: bool,
    remembered: RefCell<HashMap<String, Remembered>>,
    /// Servers that have not shown a public key in place of a certificate, as `Demand::peer` has them.
    without_keys: RefCell<HashSet<String>>,
}

/// Where our certificates are.
enum Certificates {
    /// With tlsmgr.
    OfTlsmgr(Keys),
    /// Here.
    Held(Identity),
}

/// Sessions that may be resumed: the library keeps them with the configuration that they began with.
struct Remembered {
    plan: Plan,
    identity: Identity,
    since: Instant,
    store: Arc<Store>,
}

/// How a handshake is to go, and who watches it. Where sessions may be resumed, handshakes share both; what is watched
/// is for the log alone.
#[derive(Clone)]
struct Plan {
    config: Arc<ClientConfig>,
    witness: Arc<Witness>,
}

/// What a session is to be.
pub struct Demand<'a> {
    /// `NAME[ADDRESS]:PORT`
    pub peer: &'a str,
    /// smtp_tls_protocols and its like.
    pub protocols: &'a str,
    /// smtp_tls_ciphers and its like.
    pub grade: &'a str,
    /// smtp_tls_exclude_ciphers and its like.
    pub exclude: &'a str,
    /// What grades mean.
    pub grades: &'a Grades,
    /// How keys may be exchanged.
    pub groups: &'a Groups,
    /// There is no mail without TLS: a grade that protects nothing is none then.
    pub mandatory: bool,
    /// The name that the server is asked for.
    pub sni: Option<&'a str>,
    /// It is asked for its public key in place of a certificate (RFC 7250). One that has none to show is met a second
    /// time, without this.
    pub raw_key: bool,
    /// What it has to show.
    pub standard: Standard<'a>,
    /// Nothing is sent to a server that does not show it.
    pub must_match: bool,
    /// What is the same where a session may be resumed, and for how long that may be. `None`: it is not remembered.
    pub resumable: Option<(&'a str, Duration)>,
    /// smtp_tls_loglevel
    pub log: LogLevel,
    /// `smtp`, `lmtp`.
    pub agent: &'static str,
}

/// A session that has begun.
#[derive(Debug)]
pub struct Connected {
    /// The session.
    pub session: Session,
    /// What it is.
    pub facts: Facts,
    /// What the server was found to be.
    pub verdict: Verdict,
}

impl Connected {
    /// The line about it, at its beginning or when it is used again.
    pub fn log_summary(trust: Trust, facts: &Facts, peer: &str, how: &str) {
        logging::info!("{} TLS connection {how} to {peer}: {facts}", trust.word());
    }
}

impl Client {
    /// With the certificates in `files`; `socket` is that of tlsmgr.
    pub fn new(socket: impl Into<PathBuf>, timeout: Duration, files: Option<Files>) -> Client {
        let needs_certificates = matches!(files, Some(Files::Legacy(_)));
        let certificates = Certificates::OfTlsmgr(Keys::new(socket, timeout, files));
        Client::of(certificates, needs_certificates)
    }

    /// With certificates whose keys are in this process.
    pub fn with_pairs(pairs: Vec<Pair>) -> Client {
        let certified = |pair: Pair| {
            let chain = pair.chain.into_iter().map(|certificate| certificate.der.into()).collect();
            Arc::new(CertifiedKey::new(chain, pair.key.0))
        };
        let certificates = Certificates::Held(pairs.into_iter().map(certified).collect());
        Client::of(certificates, false)
    }

    fn of(certificates: Certificates, needs_certificates: bool) -> Client {
        Client { certificates, needs_certificates, remembered: RefCell::default(), without_keys: RefCell::default() }
    }

    /// Whether a server may be asked for its public key alone: not one that has been, and has not shown it.
    pub fn may_have_raw_key(&self, peer: &str) -> bool {
        !self.without_keys.borrow().contains(peer)
    }

    /// Whether a session under this key could be resumed, as far as servers have said so.
    pub fn may_resume(&self, key: &str) -> bool {
        self.remembered.borrow().get(key).is_some_and(|known| known.store.was_used())
    }

    /// Our certificates, if there are any; `None` if there is no TLS without them.
    async fn identity(&self) -> Option<Identity> {
        let keys = match &self.certificates {
            Certificates::OfTlsmgr(keys) => keys,
            Certificates::Held(identity) => return Some(Arc::clone(identity)),
        };
        match keys.current().await {
            Found::Usable(identity) => Some(identity),
            _ if self.needs_certificates => None,
            // A session without our certificate is better than none; the server may see it otherwise.
            _ => Some(Identity::default()),
        }
    }

    /// Whether sessions can begin.
    pub async fn is_ready(&self) -> bool {
        self.identity().await.is_some()
    }

    /// Takes a server through the handshake, and judges it; what there is to say is logged.
    ///
    /// # Errors
    /// There is no session.
    pub async fn connect(
        &self,
        stream: &mut impl Carrier,
        demand: &Demand<'_>,
        limit: Duration,
    ) -> Result<Connected, HandshakeError> {
        if demand.log.verbose {
            logging::info!("setting up TLS connection to {}", demand.peer);
        }
        let result = tokio::time::timeout(limit, self.handshake(stream, demand)).await;
        let result = result.unwrap_or(Err(HandshakeError::TimedOut));
        match result {
            Err(HandshakeError::Lost | HandshakeError::Io(_) | HandshakeError::Protocol(_)) if demand.raw_key => {
                if demand.log.verbose {
                    logging::info!("{}: no raw public key, asking for a certificate", demand.peer);
                }
                let mut without_keys = self.without_keys.borrow_mut();
                if without_keys.len() >= MOST_WITHOUT_KEYS {
                    without_keys.clear();
                }
                without_keys.insert(demand.peer.to_owned());
                Err(HandshakeError::NoRawKey)
            }
            Err(error) => {
                error.log("SSL_connect error to", demand.peer);
                Err(error)
            }
            connected => connected,
        }
    }

    async fn handshake(&self, stream: &mut impl Carrier, demand: &Demand<'_>) -> Result<Connected, HandshakeError> {
        let plan = self.plan(demand, self.identity().await.unwrap_or_default())?;
        let warnings = demand.standard.matching.warnings(demand.peer, demand.standard.digest);
        warnings.iter().for_each(|warning| logging::warning!("{warning}"));
        let config = Arc::clone(&plan.config);
        let name = demand.sni.and_then(|name| ServerName::try_from(name.to_owned()).ok()).unwrap_or(nobody());
        let begin = move || ClientConnection::new(config, name);
        // The first step makes keys.
        let connection = handshake::aside(begin).await?.map_err(|error| HandshakeError::of(&error))?;
        let connection = handshake::complete(stream, Connection::Client(connection), true).await?;
        Ok(self.report(connection, &plan.witness, demand))
    }

    /// How the handshake is to go: as those before it whose sessions may be resumed, if there are any.
    fn plan(&self, demand: &Demand<'_>, identity: Identity) -> Result<Plan, HandshakeError> {
        let Some((key, lifetime)) = demand.resumable else { return demand.plan(&identity, Resumption::disabled()) };
        if demand.log.cache {
            logging::info!("looking for session {} in {} cache", text::printable(key.as_bytes()), demand.agent);
        }
        let mut remembered = self.remembered.borrow_mut();
        let is_same = |other: &Identity| Arc::ptr_eq(other, &identity) || other.is_empty() && identity.is_empty();
        let is_fresh = |it: &Remembered| it.since.elapsed() < lifetime && is_same(&it.identity);
        if let Some(known) = remembered.get(key).filter(|known| is_fresh(known)) {
            return Ok(known.plan.clone());
        }
        let store = Store::new(MOST_TICKETS);
        let resumption =
            Resumption::store(Arc::clone(&store) as Arc<_>).tls12_resumption(Tls12Resumption::SessionIdOrTickets);
        let plan = demand.plan(&identity, resumption)?;
        if remembered.len() >= MOST_REMEMBERED {
            remembered.retain(|_, entry| entry.since.elapsed() < lifetime);
        }
        if remembered.len() < MOST_REMEMBERED || remembered.contains_key(key) {
            remembered
                .insert(key.to_owned(), Remembered { plan: plan.clone(), identity, since: Instant::now(), store });
        }
        Ok(plan)
    }

    fn report(&self, connection: Connection, witness: &Witness, demand: &Demand<'_>) -> Connected {
        let ours = noted(&witness.ours).and_then(|(scheme, der)| Some(Credential::read(&der)?.signature(scheme)));
        let chain = connection.peer_certificates().unwrap_or_default();
        let credential = chain.first().and_then(|der| Credential::read(der));
        let theirs = noted(&witness.theirs).and_then(|scheme| Some(credential.as_ref()?.signature(scheme)));
        let facts = Facts::of(&connection, theirs, ours);
        let now = UnixTime::now();
        let verdict = demand.standard.judge(chain, now);
        if demand.log.verbose && !facts.resumed {
            if let Some(Credential::RawKey(_)) = credential {
                logging::info!("{}: verify={} raw public key", demand.peer, u8::from(verdict.fault.is_none()));
            }
            for step in demand.standard.steps(chain, &verdict, now) {
                logging::info!("{}: {step}", demand.peer);
            }
        }
        demand.log_verdict(&verdict, &facts);
        let odd_names = credential.iter().flat_map(|it| it.odd_names().rev());
        odd_names.for_each(|odd| logging::warning!("tls_text_name: {}: {odd}", demand.peer));
        let is_told = demand.log.peercert || demand.log.certmatch || demand.log.verbose;
        if let Some(credential) = credential.as_ref().filter(|_| is_told) {
            logging::info!("{}", credential.peer_line(demand.peer, demand.standard.digest));
        }
        self.remember(&verdict, &facts, demand);
        if demand.log.summary {
            Connected::log_summary(verdict.trust, &facts, demand.peer, "established");
        }
        Connected { facts, verdict, session: Session::new(connection) }
    }

    /// A server that was not what it had to be is not resumed.
    fn remember(&self, verdict: &Verdict, facts: &Facts, demand: &Demand<'_>) {
        let Some((key, _)) = demand.resumable else { return };
        let shown = text::printable(key.as_bytes());
        if demand.must_match && verdict.fault.is_some() {
            self.remembered.borrow_mut().remove(key);
            return;
        }
        if demand.log.cache {
            if facts.resumed {
                logging::info!("reloaded session {shown} from {} cache", demand.agent);
                logging::info!("{}: Reusing old session", demand.peer);
            }
            logging::info!("save session {shown} to {} cache", demand.agent);
        }
    }
}

impl Demand<'_> {
    fn plan(&self, identity: &Identity, resumption: Resumption) -> Result<Plan, HandshakeError> {
        let refused = |why: String| HandshakeError::Refused(format!("{}: {why}", self.peer));
        let versions = Versions::parse(self.protocols)
            .map_err(|bad| refused(format!("Invalid TLS protocol list \"{bad}\": aborting TLS session")))?;
        if versions.is_empty() {
            let why = "the protocol list leaves only versions before TLS 1.2, which are not there";
            return Err(HandshakeError::Protocol(why.to_owned()));
        }
        let suites = Suites::select(self.grades, self.grade, self.exclude, versions.tls13);
        let suites = match suites {
            Ok(_) if self.mandatory && self.grade.eq_ignore_ascii_case("null") => {
                Err(BadCiphers::Nothing(self.grade.to_owned()))
            }
            other => other,
        };
        let suites = suites.map_err(|bad| refused(bad.to_string()))?;
        if self.log.verbose {
            logging::info!("{}: TLS cipher grade \"{}\"", self.peer, text::printable(self.grade.as_bytes()));
            if let Some(name) = self.sni {
                logging::info!("{}: SNI hostname: {}", self.peer, text::printable(name.as_bytes()));
            }
        }
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.cipher_suites = suites.0;
        provider.kx_groups = self.groups.0.clone();
        let (provider, witness) = (Arc::new(provider), Arc::default());
        let observer = Observer {
            raw: self.raw_key,
            provider: Arc::clone(&provider),
            witness: Arc::clone(&witness),
            asks: false,
            hints: Arc::new([]),
        };
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&spoken(versions));
        let builder = builder.map_err(|error| HandshakeError::of(&error))?;
        let pairs = identity.iter().map(|pair| watched(pair, &witness)).collect();
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(observer))
            .with_client_cert_resolver(Arc::new(Chooser { pairs }));
        config.enable_sni = self.sni.is_some();
        config.resumption = resumption;
        Ok(Plan { config: Arc::new(config), witness })
    }

    fn log_verdict(&self, verdict: &Verdict, facts: &Facts) {
        let peer = self.peer;
        if let Some(fault) = verdict.fault.as_ref().filter(|_| self.must_match || self.log.untrusted) {
            if facts.resumed {
                let what = "re-using session with untrusted peer credential, look for details earlier in the log";
                logging::info!("{peer}: {what}");
            } else {
                logging::info!("{}", fault.line(peer, Role::Server));
            }
        }
        for matched in verdict.matched.iter().filter(|_| self.log.certmatch) {
            logging::info!("{peer}: {matched}");
        }
    }
}

fn spoken(allowed: Versions) -> Vec<&'static SupportedProtocolVersion> {
    let known = [(allowed.tls13, &version::TLS13), (allowed.tls12, &version::TLS12)];
    known.iter().filter(|(allowed, _)| *allowed).map(|(_, version)| *version).collect()
}

/// A server without a name: nothing of it is sent.
fn nobody() -> ServerName<'static> {
    ServerName::from(std::net::IpAddr::from([127, 0, 0, 1]))
}

/// Our certificate for a server that asks for one: the first that fits.
#[derive(Debug)]
struct Chooser {
    pairs: Vec<Arc<CertifiedKey>>,
}

impl ResolvesClientCert for Chooser {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.pairs.iter().find(|pair| pair.key.choose_scheme(schemes).is_some()).cloned()
    }

    fn has_certs(&self) -> bool {
        !self.pairs.is_empty()
    }
}

mod store;
#[cfg(test)]
mod tests;
