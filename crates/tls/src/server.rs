//! The server's end: a handshake with one client, by smtpd's parameters, and what came of it.

mod settings;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use config::{Config, ConfigError, param};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{
    Accepted as Hello, Acceptor, CertificateType, ClientHello, NoServerSessionStorage, ResolvesServerCert,
};
use rustls::sign::CertifiedKey;
use rustls::{
    CipherSuite, Connection, DistinguishedName, HandshakeKind, ServerConfig, SupportedProtocolVersion, version,
};

use crate::credential::Credential;
use crate::facts::Facts;
use crate::fingerprint::Digest;
use crate::handshake::{self, Carrier, HandshakeError};
use crate::keys::{Found, Identity, Keys};
use crate::session::Session;
use crate::tickets::Tickets;
use crate::trust::Role;
use crate::witness::{Observer, Witness, noted, watched, watched_raw};
use crate::words::NO_CERTIFICATE;
use settings::Settings;

pub use settings::check_server_level;

/// TLS of one server process.
pub struct Server {
    settings: Settings,
    keys: Keys,
    tickets: Arc<Tickets>,
    /// How sessions may be protected; the suites, or why there are none.
    provider: Result<Arc<CryptoProvider>, String>,
    hints: Arc<[DistinguishedName]>,
    /// The notice about the digest has been given.
    is_told: Cell<bool>,
}

/// A session that has begun.
#[derive(Debug)]
pub struct Accepted {
    /// The session.
    pub session: Session,
    /// What it is.
    pub facts: Facts,
    /// The client's certificate or key, if it has sent one.
    pub credential: Option<Credential>,
    /// The certificate leads to an authority that is trusted.
    pub trusted: bool,
}

impl Server {
    /// Reads the parameters; what is wrong with them is logged, and TLS is not to be had then. `mandatory`: the level
    /// is encrypt, or TLS begins before the greeting. `socket` is that of tlsmgr.
    ///
    /// # Errors
    /// A value that no server could start with.
    pub fn read(config: &Config, mandatory: bool, socket: PathBuf, timeout: Duration) -> Result<Server, ConfigError> {
        let settings = Settings::read(config, mandatory)?;
        if settings.log.verbose {
            logging::info!("initializing the server-side TLS engine");
        }
        let provider = settings.suites.clone().map(|suites| {
            let mut provider = rustls::crypto::aws_lc_rs::default_provider();
            provider.cipher_suites = suites.0;
            provider.kx_groups = settings.groups.0.clone();
            Arc::new(provider)
        });
        let keys = Keys::new(socket, timeout, settings.files.clone());
        let tickets = Arc::new(Tickets::new(settings.session_lifetime, config.get(param::SERVICE_NAME)?));
        let hints = settings.anchors.subjects().map(DistinguishedName::in_sequence).collect();
        Ok(Server { keys, tickets, provider, hints, settings, is_told: Cell::default() })
    }

    /// Whether sessions can begin: the parameters make sense, and there is a certificate.
    pub async fn is_ready(&self) -> bool {
        !self.settings.disabled && !matches!(self.keys.current().await, Found::Unusable)
    }

    /// Whether clients are asked for certificates. smtpd_tls_ask_ccert, smtpd_tls_req_ccert
    pub fn asks_for_certificates(&self) -> bool {
        self.settings.asks
    }

    /// Whether clients without a certificate that is trusted are turned down. smtpd_tls_req_ccert
    pub fn requires_certificates(&self) -> bool {
        self.settings.requires
    }

    /// The digest of fingerprints. smtpd_tls_fingerprint_digest
    pub fn digest(&self) -> Digest {
        self.settings.digest
    }

    /// Takes a client through the handshake, which may take as long as `limit`; the reason why not is logged. `client`:
    /// what log lines call it.
    ///
    /// # Errors
    /// There is no session.
    pub async fn accept(
        &self,
        stream: &mut impl Carrier,
        client: &str,
        limit: Duration,
    ) -> Result<Accepted, HandshakeError> {
        if self.settings.log.verbose {
            logging::info!("setting up TLS connection from {client}");
        }
        let result = tokio::time::timeout(limit, self.handshake(stream, client)).await;
        let result = result.unwrap_or(Err(HandshakeError::TimedOut));
        if let Err(error) = &result {
            error.log("SSL_accept error from", client);
        }
        result
    }

    async fn handshake(&self, stream: &mut impl Carrier, client: &str) -> Result<Accepted, HandshakeError> {
        let provider = self.provider.clone().map_err(|why| HandshakeError::Refused(format!("{client}: {why}")))?;
        self.renew_tickets().await;
        let Found::Usable(default) = self.keys.current().await else {
            return Err(HandshakeError::Refused(format!("{client}: no certificate")));
        };
        let hello = hello(stream).await?;
        let name = hello.client_hello().server_name().map(str::to_owned);
        let (identity, matched) = match name {
            Some(name) if !self.settings.name_maps.is_empty() => self.by_name(&name, default, client).await?,
            _ => (default, None),
        };
        let witness = Arc::new(Witness::default());
        let kinds = self.kinds(&hello.client_hello());
        let config = self.config(provider, identity, kinds, &witness, client)?;
        // Key exchange and signature.
        let begun = handshake::aside(move || hello.into_connection(Arc::new(config))).await?;
        let connection = match begun {
            Ok(connection) => Connection::Server(connection),
            Err((error, mut alert)) => {
                let mut wire = Vec::new();
                let _ = alert.write_all(&mut wire);
                match &error {
                    // The library sends that access is denied.
                    rustls::Error::General(text) if text == NO_CERTIFICATE => wire = HANDSHAKE_FAILURE.to_vec(),
                    _ if wire.is_empty() => wire = INTERNAL_ERROR.to_vec(),
                    _ => {}
                }
                let _ = handshake::write(stream, &wire).await;
                return Err(HandshakeError::of(&error));
            }
        };
        // A client that has to say its hello again has no signature yet.
        let heavy = connection.handshake_kind() == Some(HandshakeKind::FullWithHelloRetryRequest);
        let connection = handshake::complete(stream, connection, heavy).await?;
        Ok(self.report(connection, &witness, matched.as_deref(), client))
    }

    async fn renew_tickets(&self) {
        if self.settings.tickets
            && self.tickets.are_due()
            && let Some(keys) = self.keys.ticket_keys().await
        {
            self.tickets.renew(keys);
        }
    }

    /// The certificates for the name that a client asks for, and the name if it is known. tls_server_sni_maps
    async fn by_name(
        &self,
        name: &str,
        default: Identity,
        client: &str,
    ) -> Result<(Identity, Option<String>), HandshakeError> {
        match self.keys.of_server_name(&self.settings.name_maps, &name.to_ascii_lowercase()).await {
            Found::Usable(identity) => Ok((identity, Some(name.to_owned()))),
            Found::NoSuchName => {
                if self.settings.log.summary {
                    let name = text::printable(name.as_bytes());
                    logging::info!("TLS SNI {name} from {client} not matched, using default chain");
                }
                Ok((default, None))
            }
            Found::Unusable => Err(HandshakeError::Protocol("no certificate for the server name".to_owned())),
        }
    }

    /// What the two ends show: a client that asks for our public key gets it, and one that has a certificate or key to
    /// show may send the key where smtpd_tls_enable_rpk says so.
    fn kinds(&self, hello: &ClientHello<'_>) -> Kinds {
        // The library has raw keys for TLS 1.3 alone.
        if !self.settings.versions.tls13 || !hello.cipher_suites().iter().any(is_of_tls13) {
            return Kinds::default();
        }
        let raw = CertificateType::RawPublicKey;
        let ours = hello.server_cert_types().is_some_and(|types| types.contains(&raw));
        let types = hello.client_cert_types().unwrap_or_default();
        let alone = types.contains(&raw) && !types.contains(&CertificateType::X509);
        // Of a client that is asked for nothing it does not matter what it would have.
        let theirs = types.contains(&raw) && self.settings.raw_keys || alone && !self.settings.asks;
        Kinds { ours, theirs }
    }

    fn config(
        &self,
        provider: Arc<CryptoProvider>,
        identity: Identity,
        kinds: Kinds,
        witness: &Arc<Witness>,
        client: &str,
    ) -> Result<ServerConfig, HandshakeError> {
        let observer = Observer {
            raw: kinds.theirs,
            provider: Arc::clone(&provider),
            witness: Arc::clone(witness),
            asks: self.settings.asks,
            hints: Arc::clone(&self.hints),
        };
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&self.versions());
        let builder = builder.map_err(|error| HandshakeError::of(&error))?;
        let shown = |pair| if kinds.ours { watched_raw(pair, witness) } else { Some(watched(pair, witness)) };
        let chooser = Chooser { pairs: identity.iter().filter_map(|pair| shown(pair)).collect(), raw: kinds.ours };
        let mut config = builder.with_client_cert_verifier(Arc::new(observer)).with_cert_resolver(Arc::new(chooser));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = usize::from(self.settings.tickets);
        if self.settings.tickets {
            config.ticketer = match self.settings.log.cache {
                true => self.tickets.told(client),
                false => Arc::clone(&self.tickets) as _,
            };
        }
        // tls_preempt_cipherlist
        config.ignore_client_order = self.settings.own_order;
        Ok(config)
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let allowed = self.settings.versions;
        let known = [(allowed.tls13, &version::TLS13), (allowed.tls12, &version::TLS12)];
        let mut versions: Vec<_> = known.iter().filter(|(allowed, _)| *allowed).map(|(_, version)| *version).collect();
        if versions.is_empty() {
            // Only older ones are asked for: no client can have what is left, and it hears why.
            versions.push(&version::TLS13);
        }
        versions
    }

    fn report(&self, connection: Connection, witness: &Witness, name: Option<&str>, client: &str) -> Accepted {
        let ours = noted(&witness.ours).and_then(|(scheme, der)| Some(Credential::read(&der)?.signature(scheme)));
        let chain = connection.peer_certificates().unwrap_or_default();
        let credential = chain.first().and_then(|der| Credential::read(der));
        let theirs = noted(&witness.theirs).and_then(|scheme| Some(credential.as_ref()?.signature(scheme)));
        let facts = Facts::of(&connection, ours, theirs);
        let trusted = match &credential {
            Some(Credential::Certificate(_)) => self.judge(chain, &facts, client),
            // Nobody has signed it.
            Some(Credential::RawKey(_)) | None => false,
        };
        if let Some(credential) = &credential {
            if let Some(notice) = self.settings.old_digest.as_ref().filter(|_| !self.is_told.replace(true)) {
                logging::info!("{notice}");
            }
            credential.odd_names().for_each(|odd| logging::warning!("tls_text_name: {client}: {odd}"));
            self.log_credential(credential, client);
        }
        let trust = match (&credential, trusted) {
            (None, _) => "Anonymous",
            (Some(_), true) => "Trusted",
            (Some(_), false) => "Untrusted",
        };
        if facts.resumed && self.settings.log.cache {
            logging::info!("{client}: Reusing old session (RFC 5077 session ticket)");
        }
        if self.settings.log.summary {
            let to = name.map_or_else(String::new, |name| format!(" to {}", text::printable(name.as_bytes())));
            logging::info!("{trust} TLS connection established from {client}{to}: {facts}");
        }
        Accepted { facts, credential, trusted, session: Session::new(connection) }
    }

    /// Whether a chain leads to an authority that is trusted; says why not where it is to be said.
    fn judge(&self, chain: &[CertificateDer<'static>], facts: &Facts, client: &str) -> bool {
        let now = UnixTime::now();
        let verdict = self.settings.anchors.verify(chain, Role::Client, self.settings.depth, now);
        if self.settings.log.verbose && !facts.resumed {
            for step in self.settings.anchors.steps(chain, verdict.as_ref().err(), now) {
                logging::info!("{client}: {step}");
            }
        }
        let Err(fault) = verdict else { return true };
        if self.settings.log.untrusted || self.settings.requires {
            if facts.resumed {
                let what = "re-using session with untrusted certificate, look for details earlier in the log";
                logging::info!("{client}: {what}");
            } else {
                logging::info!("{}", fault.line(client, Role::Client));
            }
        }
        false
    }

    fn log_credential(&self, credential: &Credential, client: &str) {
        let shown = |text: &str| text::printable(text.as_bytes());
        if self.settings.log.verbose {
            match credential {
                Credential::Certificate(certificate) => {
                    logging::info!("subject={}", shown(&certificate.subject));
                    logging::info!("issuer={}", shown(&certificate.issuer));
                }
                Credential::RawKey(_) => logging::info!("{client}: verify=0 raw public key"),
            }
        }
        if self.settings.log.peercert {
            logging::info!("{}", credential.peer_line(client, self.settings.digest));
        }
    }
}

/// The first word of a client.
async fn hello(stream: &mut impl Carrier) -> Result<Hello, HandshakeError> {
    let mut acceptor = Acceptor::default();
    let (mut buffer, mut is_first) = (Vec::new(), true);
    loop {
        match acceptor.accept() {
            Ok(Some(hello)) => return Ok(hello),
            Ok(None) => {}
            Err((error, mut alert)) => {
                let mut wire = Vec::new();
                let _ = alert.write_all(&mut wire);
                let _ = handshake::write(stream, &wire).await;
                return Err(HandshakeError::of(&error));
            }
        }
        buffer.clear();
        handshake::read(stream, &mut buffer).await?;
        if is_first && let Some(version) = too_old(&buffer) {
            let _ = handshake::write(stream, &PROTOCOL_VERSION).await;
            return Err(HandshakeError::Protocol(format!("unsupported protocol: the client offers {version} at most")));
        }
        is_first = false;
        let mut rest = buffer.as_slice();
        while !rest.is_empty() {
            acceptor.read_tls(&mut rest)?;
        }
    }
}

/// The fatal alert protocol_version, in a record. RFC 8446 6, RFC 5246 7.2.2
const PROTOCOL_VERSION: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];
/// The alert that there is nothing in common, as the first word of the server.
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];
/// The alert that the fault is ours, as the first word of the server.
const INTERNAL_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// What a client offers that has nothing newer than TLS 1.1: it is told so in the one word that it understands. Newer
/// ones call themselves 1.2 here, whatever they offer. RFC 8446 4.1.2
fn too_old(record: &[u8]) -> Option<&'static str> {
    match record {
        [22, 3, _, _, _, 1, _, _, _, 3, minor, ..] if *minor < 3 => Some(match minor {
            0 => "SSLv3",
            1 => "TLSv1",
            _ => "TLSv1.1",
        }),
        _ => None,
    }
}

/// Whether the two ends show a public key in place of a certificate. RFC 7250
#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
    ours: bool,
    theirs: bool,
}

fn is_of_tls13(suite: &CipherSuite) -> bool {
    rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES.iter().any(|known| known.tls13().is_some() && known.suite() == *suite)
}

/// Which of our certificates a client gets: the first one that fits what it likes best.
#[derive(Debug)]
struct Chooser {
    pairs: Vec<Arc<CertifiedKey>>,
    /// Public keys stand in their place.
    raw: bool,
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |scheme| self.pairs.iter().find(|pair| pair.key.choose_scheme(&[scheme]).is_some());
        hello.signature_schemes().iter().find_map(|scheme| fits(*scheme)).cloned()
    }

    fn only_raw_public_keys(&self) -> bool {
        self.raw
    }
}
