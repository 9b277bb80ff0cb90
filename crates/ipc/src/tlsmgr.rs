//! tlsmgr: certificates with their chains, signatures by keys that nobody else has, and the keys of session tickets.
//!
//! A process that talks to strangers knows certificates, and the numbers of their keys. What is to be signed in a
//! handshake it sends here. Every request may be made twice.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::bounds::Weigh;
use crate::channel::Service;

/// The service `private/tlsmgr`.
pub struct Tlsmgr;

impl Service for Tlsmgr {
    const NAME: &'static str = "tlsmgr";
    const VERSION: u16 = 2;
    type Request = Request;
    type Reply = Reply;
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The certificates that a configuration names.
    Certificates {
        /// Where they are.
        files: Files,
        /// What the client has got last; 0 for nothing.
        known: u64,
    },
    /// The certificates for a server name that a client asks for. tls_server_sni_maps
    ServerName {
        /// The value of tls_server_sni_maps.
        #[serde(with = "crate::bounds::text")]
        maps: String,
        /// The name, in lower case.
        #[serde(with = "crate::bounds::text")]
        name: String,
    },
    /// A signature for a handshake.
    Sign {
        /// Whose: [`Pair::key`].
        key: KeyId,
        /// How: the number of a SignatureScheme. RFC 8446 4.2.3
        scheme: u16,
        /// What: not hashed yet.
        #[serde(with = "crate::bounds::block")]
        message: Vec<u8>,
    },
    /// The keys of session tickets, for servers.
    TicketKeys,
}

/// The files of one end of TLS as main.cf and master.cf name them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Files {
    /// smtpd_tls_chain_files, smtp_tls_chain_files, lmtp_tls_chain_files.
    Chains(#[serde(with = "crate::bounds::list")] Vec<String>),
    /// Certificates and keys by the kind of key: `RSA`, `DSA`, `ECDSA`. smtpd_tls_cert_file and its like
    Legacy(#[serde(with = "crate::bounds::list")] Vec<Legacy>),
}

/// A certificate file and its key file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Legacy {
    /// What the parameters say of the key: `RSA`, `DSA`, `ECDSA`.
    #[serde(with = "crate::bounds::text")]
    pub kind: String,
    /// The certificate and its chain.
    #[serde(with = "crate::bounds::text")]
    pub certificate: String,
    /// The key; the same file, perhaps.
    #[serde(with = "crate::bounds::text")]
    pub key: String,
}

impl Weigh for Legacy {
    fn weight(&self) -> usize {
        self.kind.len() + self.certificate.len() + self.key.len()
    }
}

/// A key: the SHA-256 digest of its public half.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyId(pub [u8; 32]);

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // told: nobody; eight bytes tell keys apart.
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::Certificates`] and [`Request::ServerName`].
    Certificates(Certificates),
    /// To [`Request::Certificates`]: what is known is still so.
    Unchanged,
    /// To [`Request::ServerName`]: no certificates of its own.
    NoSuchName,
    /// To [`Request::Certificates`] and [`Request::ServerName`]: they cannot be used, for these reasons: warnings, in
    /// their order.
    Unusable(#[serde(with = "crate::bounds::list")] Vec<String>),
    /// To [`Request::Sign`].
    Signature(#[serde(with = "crate::bounds::bytes")] Vec<u8>),
    /// To [`Request::Sign`]: the reason why there is none.
    Unsigned(#[serde(with = "crate::bounds::text")] String),
    /// To [`Request::TicketKeys`].
    TicketKeys(TicketKeys),
}

/// Certificates that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// Another number for other certificates.
    pub serial: u64,
    /// One for each key, in the order of the files.
    #[serde(with = "crate::bounds::list")]
    pub pairs: Vec<Pair>,
    /// Warnings about the files, in their order.
    #[serde(with = "crate::bounds::list")]
    pub warnings: Vec<String>,
}

/// A key, and the certificates for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The key.
    pub key: KeyId,
    /// DER of its certificate, and of those above.
    #[serde(with = "crate::bounds::list")]
    pub chain: Vec<Der>,
}

impl Weigh for Pair {
    fn weight(&self) -> usize {
        self.chain.iter().map(Weigh::weight).sum::<usize>() + 32
    }
}

/// A certificate in DER form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Der(#[serde(with = "crate::bounds::bytes")] pub Vec<u8>);

impl Weigh for Der {
    fn weight(&self) -> usize {
        self.0.len()
    }
}

/// The keys of session tickets: all servers have the same.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketKeys {
    /// For new tickets.
    pub current: TicketKey,
    /// For tickets that were made before.
    pub previous: Option<TicketKey>,
}

/// One of them. Its secret is wiped out when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketKey {
    /// Stands in front of the tickets.
    pub name: [u8; 16],
    /// Of AES-256-GCM.
    pub secret: [u8; 32],
    /// Until when it is for new tickets, in seconds since 1970, for the log.
    pub until: u64,
    /// Seconds for which it is still for new tickets.
    pub makes: u32,
    /// Seconds for which tickets by it are still worth something.
    pub opens: u32,
}

impl Drop for TicketKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// Its secret is not shown.
impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKey({:x?} until {})", self.name, self.until)
    }
}

/// Secrets are not shown.
impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKeys(for {} s)", self.current.makes)
    }
}
