//! What one server has to show, by the level, the command line and DNS.

use std::rc::Rc;

use dns::Resolver;
use smtp_client::dane::{self, InsecureExchanger, Refusal, Ruling};
use smtp_client::{Destination, Endpoint, Level, Server};
use tls::dane::Worth;
use tls::{LogLevel, Matching, NameRule, Standard, unhex};

use crate::engine::Engine;
use crate::options::Options;

/// What a server has to show.
pub(crate) struct Terms {
    /// Never a level that DNS has to be asked about.
    pub level: Level,
    pub matching: Matching,
    /// The name that the server is asked for.
    pub sni: Option<String>,
}

/// What all servers of a destination have to show.
pub(crate) struct Demands<'a> {
    options: &'a Options,
    dane: dane::Rules,
    rules: Vec<NameRule>,
    fingerprints: Rc<[Vec<u8>]>,
    /// The destination without brackets and port.
    domain: String,
}

impl<'a> Demands<'a> {
    /// Reads them; fingerprints that make no sense are told.
    pub(crate) fn new(options: &'a Options, dane: dane::Rules, destination: &Destination) -> Self {
        let mut fingerprints = Vec::new();
        if options.level == Level::Fingerprint {
            for word in &options.matching {
                match unhex(word) {
                    Some(known) => fingerprints.push(known),
                    None => logging::warning!("malformed fingerprint value: {}", text::printable(word.as_bytes())),
                }
            }
        }
        let domain = match destination {
            Destination::Internet { host, .. } => host.clone(),
            Destination::Unix(_) => String::new(),
        };
        let rules = options.matching.iter().map(|word| NameRule::parse(word)).collect();
        Self { options, dane, rules, fingerprints: fingerprints.into(), domain }
    }

    /// What this server has to show.
    ///
    /// # Errors
    /// A sentence: DNS does not say.
    pub(crate) async fn of(&self, resolver: &Resolver, server: &Server) -> Result<Terms, String> {
        let level = self.options.level;
        let sni = self.options.servername.clone();
        if !matches!(level, Level::Dane | Level::DaneOnly) {
            return Ok(Terms { level, matching: self.matching(level, server), sni });
        }
        let only = level == Level::DaneOnly;
        let ruling = match self.ruling(resolver, server).await? {
            Ruling::Records(secured) => {
                if secured.half {
                    logging::info!("MX RRset insecure: log verified as trusted");
                }
                let worth = match secured.half {
                    true => Worth::Half,
                    false if only => Worth::Only,
                    false => Worth::Full,
                };
                let sni = Some(secured.base.clone());
                let proof = secured.proof(Rc::clone(&self.dane.digests), worth);
                return Ok(Terms { level, matching: Matching::Dane(Rc::new(proof)), sni });
            }
            other => other,
        };
        let is_insecure = server.origin.exchanger == Some(false);
        let (level, line) = match (ruling, self.options.insecure_exchanger) {
            // -M: less will do where the server may be anybody's.
            (Ruling::Encrypt, InsecureExchanger::Encrypt) if is_insecure => {
                (Level::Encrypt, "TLSA RRs found, MX RRset insecure: just encrypt")
            }
            (_, InsecureExchanger::May) if is_insecure => (Level::May, "MX RRset is insecure: try to encrypt"),
            (Ruling::Encrypt, _) => (Level::Secure, "no usable TLSA records found, resorting to \"secure\""),
            _ => (Level::Secure, "no TLSA records found, resorting to \"secure\""),
        };
        // With dane it is no surprise.
        if only || level != Level::Secure {
            logging::info!("{line}");
        }
        Ok(Terms { level, matching: self.matching(level, server), sni })
    }

    async fn ruling(&self, resolver: &Resolver, server: &Server) -> Result<Ruling, String> {
        let Endpoint::Internet(address) = &server.endpoint else { return Ok(Ruling::May) };
        let names = (self.options.destination.as_str(), self.domain.as_str());
        // Whoever asks for records alone is shown what the server has all the same.
        match self.dane.judge(resolver, names, (server, address.port()), false).await {
            Ok(ruling) => Ok(ruling),
            Err(Refusal::Because(reason)) => Err(reason),
            Err(Refusal::Misconfigured) => Ok(Ruling::May),
        }
    }

    fn matching(&self, level: Level, server: &Server) -> Matching {
        let by_default = match level {
            Level::None | Level::May | Level::Encrypt => return Matching::Anything,
            // Nothing to compare with: who vouches for the server is worth knowing all the same.
            Level::Fingerprint if self.fingerprints.is_empty() => return Matching::Anything,
            Level::Fingerprint if self.options.raw_keys => return Matching::Keys(Rc::clone(&self.fingerprints)),
            Level::Fingerprint => return Matching::Fingerprints(Rc::clone(&self.fingerprints)),
            Level::Verify => vec![NameRule::Hostname],
            Level::Secure => vec![NameRule::Nexthop, NameRule::DotNexthop],
            // DNS has the names.
            Level::Dane | Level::DaneOnly | Level::HalfDane => return Matching::Anything,
        };
        let rules = if self.rules.is_empty() { &by_default } else { &self.rules };
        let domain = if self.domain.is_empty() { &server.name } else { &self.domain };
        Matching::Names(rules.iter().filter_map(|rule| rule.wanted(&server.name, domain)).collect())
    }
}

impl Terms {
    /// How the certificates of the server are looked at.
    pub(crate) fn standard<'a>(&'a self, engine: &'a Engine) -> Standard<'a> {
        let (limit, digest) = (engine.depth, engine.digest);
        Standard { matching: &self.matching, anchors: &engine.anchors, limit, digest, failure: None }
    }

    /// The lines of the first connection, or with `again` those of another one, which tell of sessions.
    pub(crate) fn log(&self, log: LogLevel, again: bool) -> LogLevel {
        // Why a server is not what it has to be is always told; it may be connected to again all the same.
        let untrusted = log.untrusted || self.level.is_matching();
        match again {
            false => LogLevel { untrusted, ..log },
            true => LogLevel { untrusted, summary: true, cache: true, ..LogLevel::default() },
        }
    }
}
