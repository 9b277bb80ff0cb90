//! Our certificates, and signatures by their keys, which are tlsmgr's alone.
//!
//! A handshake runs in a thread while it is heavy; a signature is asked for there, and waited for there, over a
//! connection that the thread keeps.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc::tlsmgr::{Certificates, Files, KeyId, Reply, Request, TicketKeys, Tlsmgr};
use ipc::{Caller, IpcError, Pool};
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use crate::certificate::{Certificate, Key};
use crate::handshake::is_aside;

/// How long what is known of certificates is believed: then tlsmgr is asked whether they have changed.
const FRESH: Duration = Duration::from_secs(1);
/// How long tlsmgr may take for a signature.
const PATIENCE: Duration = Duration::from_secs(30);

/// Some certificates with the keys that go with them, each key of another kind.
pub type Identity = Arc<[Arc<CertifiedKey>]>;

/// What there is of certificates.
#[derive(Clone, Debug)]
pub enum Found {
    /// These.
    Usable(Identity),
    /// They cannot be used, which was logged.
    Unusable,
    /// There are none for this server name.
    NoSuchName,
}

/// The certificates of one end of TLS in one process.
pub struct Keys {
    pool: Pool<Tlsmgr>,
    /// Where threads ask for signatures.
    path: Arc<Path>,
    /// None: this end needs no certificates.
    files: Option<Files>,
    known: RefCell<Known>,
}

#[derive(Default)]
struct Known {
    serial: u64,
    identity: Option<Identity>,
    asked: Option<Instant>,
    /// Warnings that were logged last.
    warned: Vec<String>,
}

thread_local! {
    /// The connection of a thread, and where it leads.
    static CALLER: RefCell<Option<(Arc<Path>, Caller<Tlsmgr>)>> = const { RefCell::new(None) };
}

/// Asks tlsmgr, from a thread that may wait.
fn ask(path: &Arc<Path>, request: &Request) -> Result<Reply, IpcError> {
    CALLER.with_borrow_mut(|caller| {
        let fits = caller.as_ref().is_some_and(|(known, _)| known == path);
        if !fits {
            *caller = Some((Arc::clone(path), Caller::new(path, PATIENCE)));
        }
        match caller {
            Some((_, caller)) => caller.call(request),
            None => Err(IpcError::Closed),
        }
    })
}

impl Keys {
    /// The certificates in `files`; the service's socket is at `path`, normally `private/tlsmgr`.
    pub fn new(path: impl Into<PathBuf>, timeout: Duration, files: Option<Files>) -> Keys {
        let path = path.into();
        let pool = Pool::new(&path, timeout.min(PATIENCE));
        Keys { pool, path: path.into(), files, known: RefCell::default() }
    }

    /// The certificates as they are now; an empty list where no files are named.
    pub async fn current(&self) -> Found {
        let Some(files) = &self.files else { return Found::Usable(Identity::default()) };
        let known = {
            let known = self.known.borrow();
            if known.asked.is_some_and(|asked| asked.elapsed() < FRESH) {
                return known.identity.clone().map_or(Found::Unusable, Found::Usable);
            }
            known.serial
        };
        let reply = self.pool.call(&Request::Certificates { files: files.clone(), known }).await;
        let mut known = self.known.borrow_mut();
        known.asked = Some(Instant::now());
        match reply {
            Ok(Reply::Unchanged) => {}
            Ok(Reply::Certificates(found)) => {
                known.warn(found.warnings.clone());
                known.serial = found.serial;
                let origin = Request::Certificates { files: files.clone(), known: 0 };
                known.identity = Some(self.identity(found, origin));
            }
            Ok(Reply::Unusable(warnings)) => {
                known.warn(warnings);
                (known.identity, known.serial) = (None, 0);
            }
            Ok(other) => known.warn(vec![format!("service tlsmgr: unexpected answer {other:?}")]),
            // What was known is still better than nothing.
            Err(error) => known.warn(vec![format!("problem talking to service tlsmgr: {error}")]),
        }
        known.identity.clone().map_or(Found::Unusable, Found::Usable)
    }

    /// The certificates for a server name, in lower case. tls_server_sni_maps
    pub async fn of_server_name(&self, maps: &str, name: &str) -> Found {
        let request = Request::ServerName { maps: maps.to_owned(), name: name.to_owned() };
        match self.pool.call(&request).await {
            Ok(Reply::Certificates(found)) => {
                found.warnings.iter().for_each(|warning| logging::warning!("{warning}"));
                Found::Usable(self.identity(found, request))
            }
            Ok(Reply::NoSuchName) => Found::NoSuchName,
            Ok(Reply::Unusable(warnings)) => {
                warnings.iter().for_each(|warning| logging::warning!("{warning}"));
                Found::Unusable
            }
            Ok(other) => {
                logging::warning!("service tlsmgr: unexpected answer {other:?}");
                Found::Unusable
            }
            Err(error) => {
                logging::warning!("problem talking to service tlsmgr: {error}");
                Found::Unusable
            }
        }
    }

    /// The keys of session tickets.
    pub async fn ticket_keys(&self) -> Option<TicketKeys> {
        match self.pool.call(&Request::TicketKeys).await {
            Ok(Reply::TicketKeys(keys)) => Some(keys),
            Ok(_) => None,
            Err(error) => {
                logging::repeated!("problem talking to service tlsmgr: {error}");
                None
            }
        }
    }

    /// Keys that were sent as public halves only. `origin`: by what they were asked for.
    fn identity(&self, found: Certificates, origin: Request) -> Identity {
        let origin = Arc::new(origin);
        found.pairs.into_iter().filter_map(|pair| self.certified(pair, &origin)).collect()
    }

    fn certified(&self, pair: ipc::tlsmgr::Pair, origin: &Arc<Request>) -> Option<Arc<CertifiedKey>> {
        let chain: Vec<CertificateDer<'static>> = pair.chain.into_iter().map(|der| der.0.into()).collect();
        let schemes = schemes(&Certificate::read(chain.first()?)?.key)?;
        let key = RemoteKey { key: pair.key, origin: Arc::clone(origin), schemes, path: Arc::clone(&self.path) };
        Some(Arc::new(CertifiedKey::new(chain, Arc::new(key))))
    }
}

impl Known {
    /// Logs warnings, unless they are those that were logged last.
    fn warn(&mut self, warnings: Vec<String>) {
        if warnings != self.warned {
            warnings.iter().for_each(|warning| logging::warning!("{warning}"));
            self.warned = warnings;
        }
    }
}

fn signed(reply: Result<Reply, impl std::fmt::Display>) -> Result<Vec<u8>, String> {
    match reply {
        Ok(Reply::Signature(signature)) => Ok(signature),
        Ok(Reply::Unsigned(why)) => Err(why),
        Ok(_) => Err("unexpected answer".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The schemes by which a kind of key can sign.
fn schemes(key: &Key) -> Option<&'static [SignatureScheme]> {
    use SignatureScheme::*;
    Some(match key {
        Key::Rsa(_) => {
            &[RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512]
        }
        Key::Ec(curve) => match curve.as_str() {
            "prime256v1" => &[ECDSA_NISTP256_SHA256],
            "secp384r1" => &[ECDSA_NISTP384_SHA384],
            "secp521r1" => &[ECDSA_NISTP521_SHA512],
            _ => return None,
        },
        Key::Ed25519 => &[ED25519],
        Key::Ed448 | Key::Other => return None,
    })
}

/// A key that is somewhere else.
struct RemoteKey {
    key: KeyId,
    /// By what it is asked for.
    origin: Arc<Request>,
    schemes: &'static [SignatureScheme],
    path: Arc<Path>,
}

impl std::fmt::Debug for RemoteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RemoteKey({:?})", self.key)
    }
}

impl SigningKey for RemoteKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = *offered.iter().find(|scheme| self.schemes.contains(scheme))?;
        let origin = Arc::clone(&self.origin);
        Some(Box::new(RemoteSigner { key: self.key, origin, scheme, path: Arc::clone(&self.path) }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.schemes.first() {
            Some(SignatureScheme::ED25519) => SignatureAlgorithm::ED25519,
            Some(SignatureScheme::RSA_PSS_SHA256) => SignatureAlgorithm::RSA,
            _ => SignatureAlgorithm::ECDSA,
        }
    }
}

struct RemoteSigner {
    key: KeyId,
    origin: Arc<Request>,
    scheme: SignatureScheme,
    path: Arc<Path>,
}

impl std::fmt::Debug for RemoteSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RemoteSigner({:?})", self.key)
    }
}

impl Signer for RemoteSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |why: &str| Error::General(format!("no signature by tlsmgr: {why}"));
        if !is_aside() {
            return Err(failed("the handshake is not in a thread of its own"));
        }
        let request = Request::Sign { key: self.key, scheme: self.scheme.into(), message: message.to_vec() };
        // waits: in a thread of its own
        let mut signature = signed(ask(&self.path, &request));
        // A tlsmgr that has come since, by a reload or after a crash, has read no keys yet: they are asked for again.
        if signature.is_err() && ask(&self.path, &self.origin).is_ok() {
            signature = signed(ask(&self.path, &request));
        }
        signature.map_err(|why| failed(&why))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
