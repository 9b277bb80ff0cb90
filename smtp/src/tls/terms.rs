//! What a connection has to be, and whether one that is there will do.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tls::{Anchors, Digest, Grades, Groups, LogLevel, Matching};

use super::level::{Feature, Features, Level};
use super::policy::External;
use super::report::Audience;
use super::requiretls::Strictness;

/// How TLS sessions are made, whatever the destination.
#[derive(Clone)]
pub struct Engine {
    /// False if something that it needs is out of order, which was logged.
    pub works: bool,
    /// smtp_tls_wrappermode
    pub wrapper: bool,
    /// smtp_tls_note_starttls_offer
    pub note_offer: bool,
    /// smtp_tls_block_early_mail_reply
    pub block_early: bool,
    /// smtp_tls_scert_verifydepth
    pub depth: usize,
    /// smtp_tls_fingerprint_digest
    pub digest: Digest,
    /// tls_high_cipherlist, tls_medium_cipherlist
    pub grades: Grades,
    /// tls_eecdh_auto_curves
    pub groups: Groups,
    /// smtp_tls_loglevel
    pub log: LogLevel,
    /// smtp_tls_session_cache_database, smtp_tls_session_cache_timeout: how long a session may be resumed.
    pub resumable: Option<Duration>,
}

/// Versions and ciphers, as they are written; they are read when a session is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Offer {
    /// smtp_tls_protocols
    pub protocols: String,
    /// smtp_tls_ciphers
    pub grade: String,
    /// smtp_tls_exclude_ciphers
    pub exclude: String,
}

/// What a connection to a server has to be.
#[derive(Clone)]
pub struct Policy {
    /// The level.
    pub level: Level,
    /// Versions and ciphers.
    pub offer: Offer,
    /// What the server has to show.
    pub matching: Matching,
    /// Words of the match list that are no names.
    pub misnamed: Vec<String>,
    /// Whom we believe.
    pub anchors: Rc<Anchors>,
    /// The name that the server is asked for.
    pub sni: Option<String>,
    /// The server is asked for its public key, and for a certificate if it has none to show.
    pub raw_keys: bool,
    /// The connection may carry more than one delivery.
    pub reuse: bool,
    /// How strictly REQUIRETLS is taken, if the message has it.
    pub requiretls: Option<Strictness>,
    /// What a plug-in found.
    pub external: Option<External>,
    /// Who hears what becomes of TLS.
    pub audience: Option<Rc<Audience>>,
    /// TLS was tried and has failed, or is of no use here.
    pub in_the_clear: bool,
    /// What it was before DNS was asked about the server, if it was.
    pub before: Option<Rc<Policy>>,
}

/// What `tls=` calls REQUIRETLS.
pub const REQUIRETLS: &str = "requiretls";

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("level", &self.level).field("offer", &self.offer).finish_non_exhaustive()
    }
}

impl Policy {
    /// The policy of a second connection, without TLS.
    pub fn in_the_clear(&self) -> Self {
        Self { in_the_clear: true, ..self.clone() }
    }

    /// Whether it may come to that.
    pub fn may_be_in_the_clear(&self) -> bool {
        self.level == Level::May && !self.requiretls.is_some_and(Strictness::needs_starttls)
    }

    /// Nothing is known of the connection.
    pub fn open(&self) -> Features {
        Features { requiretls: self.requiretls.map(|_| Feature::open(REQUIRETLS)), ..Features::open(self.level) }
    }

    /// DNS was asked about the server, for one next-hop destination.
    pub fn is_of_dane(&self) -> bool {
        self.before.is_some()
    }

    /// Whether a connection that was made for another delivery will do for this one: what it has to be must be the
    /// same to the last letter. DNS has not been asked for `other`.
    pub fn is_like(&self, other: &Self) -> bool {
        match &self.before {
            Some(before) => self.in_the_clear == other.in_the_clear && before.is_same(other),
            None => self.is_same(other),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let names = match (&self.matching, &other.matching) {
            (Matching::Anything, Matching::Anything) => true,
            (Matching::Names(one), Matching::Names(other)) => one == other,
            (Matching::Fingerprints(one), Matching::Fingerprints(other))
            | (Matching::Keys(one), Matching::Keys(other)) => one == other,
            _ => false,
        };
        names
            && self.level == other.level
            && self.in_the_clear == other.in_the_clear
            && self.offer == other.offer
            && self.sni == other.sni
            && self.raw_keys == other.raw_keys
            && self.reuse == other.reuse
            && self.external == other.external
            && self.requiretls == other.requiretls
            && Rc::ptr_eq(&self.anchors, &other.anchors)
    }
}
