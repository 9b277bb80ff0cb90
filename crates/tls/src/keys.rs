//! Our certificates, and signatures by their keys, which are tlsmgr's alone.
//!
//! A handshake runs in a thread while it is heavy; a signature is asked for there, and waited for there. The asking is
//! done by a task of the loop, over the same connections as everything else that is asked of tlsmgr.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc::Pool;
use ipc::tlsmgr::{Certificates, Files, KeyId, Reply, Request, TicketKeys, Tlsmgr};
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use tokio::sync::mpsc;

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
    pool: Rc<Pool<Tlsmgr>>,
    desk: mpsc::UnboundedSender<Wish>,
    wishes: Cell<Option<mpsc::UnboundedReceiver<Wish>>>,
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

/// Something to be signed.
struct Wish {
    key: KeyId,
    origin: Arc<Request>,
    scheme: SignatureScheme,
    message: Vec<u8>,
    answer: std::sync::mpsc::SyncSender<Result<Vec<u8>, String>>,
}

impl Keys {
    /// The certificates in `files`; the service's socket is at `path`, normally `private/tlsmgr`.
    pub fn new(path: impl Into<PathBuf>, timeout: Duration, files: Option<Files>) -> Keys {
        let (desk, wishes) = mpsc::unbounded_channel();
        let pool = Rc::new(Pool::new(path, timeout.min(PATIENCE)));
        Keys { pool, desk, wishes: Cell::new(Some(wishes)), files, known: RefCell::default() }
    }

    /// The certificates as they are now; an empty list where no files are named.
    pub async fn current(&self) -> Found {
        self.serve();
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
        self.serve();
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
        let key = RemoteKey { key: pair.key, origin: Arc::clone(origin), schemes, desk: self.desk.clone() };
        Some(Arc::new(CertifiedKey::new(chain, Arc::new(key))))
    }

    /// Starts the task that asks for signatures; it ends with this.
    fn serve(&self) {
        let Some(mut wishes) = self.wishes.take() else { return };
        let pool = Rc::clone(&self.pool);
        tokio::task::spawn_local(async move {
            while let Some(wish) = wishes.recv().await {
                let pool = Rc::clone(&pool);
                tokio::task::spawn_local(async move { sign(&pool, wish).await });
            }
        });
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

async fn sign(pool: &Pool<Tlsmgr>, wish: Wish) {
    let Wish { key, origin, scheme, message, answer } = wish;
    let request = Request::Sign { key, scheme: scheme.into(), message };
    let mut signature = signed(pool.call(&request).await);
    // A tlsmgr that has come since, by a reload or after a crash, has read no keys yet: they are asked for again.
    if signature.is_err() && pool.call(&origin).await.is_ok() {
        signature = signed(pool.call(&request).await);
    }
    // Whoever has waited too long is gone.
    let _ = answer.send(signature);
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
    desk: mpsc::UnboundedSender<Wish>,
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
        Some(Box::new(RemoteSigner { key: self.key, origin, scheme, desk: self.desk.clone() }))
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
    desk: mpsc::UnboundedSender<Wish>,
}

impl std::fmt::Debug for RemoteSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RemoteSigner({:?})", self.key)
    }
}

impl Signer for RemoteSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        let failed = |why: &str| Error::General(format!("no signature by tlsmgr: {why}"));
        if !is_aside() {
            return Err(failed("the handshake is not in a thread of its own"));
        }
        let (origin, message) = (Arc::clone(&self.origin), message.to_vec());
        let wish = Wish { key: self.key, origin, scheme: self.scheme, message, answer };
        self.desk.send(wish).map_err(|_| failed("the process ends"))?;
        // waits: in a thread of its own
        match answered.recv_timeout(PATIENCE) {
            Ok(Ok(signature)) => Ok(signature),
            Ok(Err(why)) => Err(failed(&why)),
            Err(_) => Err(failed("it does not answer")),
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
