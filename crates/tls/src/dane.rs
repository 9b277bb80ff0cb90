//! DANE: which certificates a server may have, by the TLSA records of its zone (RFC 6698, RFC 7671, RFC 7672).
//!
//! Only what DNSSEC vouches for may come here. A record of the server's own certificate or key (usage 3) needs nothing
//! else: neither names nor dates count. One of an authority (usage 2) needs a chain to it, and one of the server's
//! names in the certificate. Authorities that this machine trusts play no part.

use std::rc::Rc;

use dns::Association;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

use crate::Digest;
use crate::certificate::{Certificate, parsed};
use crate::names::{Names, Wanted};
use crate::trust::{Anchors, Fault, Place, Role};

/// Certificate usages of RFC 7218.
mod usage {
    pub const DANE_TA: u8 = 2;
    pub const DANE_EE: u8 = 3;
}
/// The whole certificate, of the selectors.
const CERTIFICATE: u8 = 0;
/// The public key.
const PUBLIC_KEY: u8 = 1;
/// Itself, of the matching types.
const FULL: u8 = 0;
const SHA256: u8 = 1;
const SHA512: u8 = 2;
const PRIVATE: u8 = 255;
/// The usage, selector and matching type alone.
const NUMBERS: usize = 3;

/// Sets the records aside that no SMTP client may use (RFC 7672 3.1.3): gives the rest, and what the log is told of
/// those. `owner` is whose they are, at the end of all aliases.
pub fn supported(owner: &str, records: Vec<Association>) -> (Vec<Association>, Vec<String>) {
    let (mut kept, mut warnings) = (Vec::new(), Vec::new());
    for record in records {
        match record {
            _ if record.length <= NUMBERS => {
                warnings.push(format!("{owner}: truncated TLSA RR length == {}", record.length));
            }
            _ if !matches!(record.usage, usage::DANE_TA | usage::DANE_EE) => {
                warnings.push(format!("{owner} unsupported TLSA certificate usage: {record}"));
            }
            _ if record.matching_type == PRIVATE => {
                warnings.push(format!("{owner} reserved private-use matching type: {record}"));
            }
            _ => kept.push(record),
        }
    }
    (kept, warnings)
}

/// tls_dane_digests: the algorithms of matching types, the strongest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digests(Vec<(u8, Digest)>);

impl Digests {
    /// Reads the words of the list; what makes no sense is left out, and told by a warning each.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> (Self, Vec<String>) {
        let (mut known, mut warnings) = (Self(Vec::new()), Vec::new());
        for word in words {
            match known.one(word) {
                Ok(one) => known.0.push(one),
                Err(warning) => warnings.push(warning),
            }
        }
        (known, warnings)
    }

    fn one(&self, word: &str) -> Result<(u8, Digest), String> {
        let (name, number) = word.split_once('=').unwrap_or((word, ""));
        let number = match (number, name) {
            ("", "sha256") => SHA256,
            ("", "sha512") => SHA512,
            ("", _) => return Err(format!("tls_dane_digests: digest algorithm {name} needs an explicit number")),
            ("0" | "255", _) => return Err(format!("Reserved matching type number in tls_dane_digests: {word}")),
            (number, _) => {
                number.parse::<u8>().map_err(|_| format!("Invalid matching type number in tls_dane_digests: {word}"))?
            }
        };
        for (fixed, own) in [(SHA256, "sha256"), (SHA512, "sha512")] {
            if number == fixed && name != own {
                return Err(format!("tls_dane_digests: matching type {number} can only be {own}"));
            }
        }
        if self.0.iter().any(|(known, _)| *known == number) {
            return Err(format!("tls_dane_digests: matching type {number} specified more than once"));
        }
        let digest = Digest::named(name);
        digest
            .map(|digest| (number, digest))
            .ok_or_else(|| format!("tls_dane_digests: digest algorithm \"{name}\"({number}) unknown"))
    }

    /// The rank of a matching type, 0 the best, and its algorithm.
    fn of(&self, matching_type: u8) -> Option<(usize, Digest)> {
        let (rank, (_, digest)) = self.0.iter().enumerate().find(|(_, (number, _))| *number == matching_type)?;
        Some((rank, *digest))
    }
}

/// What a server has to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Its records, as [`supported`] leaves them.
    pub records: Vec<Association>,
    /// Which digests count.
    pub digests: Rc<Digests>,
    /// The names of its certificate, where an authority vouches for it.
    pub wanted: Vec<Wanted>,
    /// What the proof is worth.
    pub worth: Worth,
}

/// What it is worth to meet a record, and what is done where no record can be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// The server is verified; without records that make sense mail goes to anybody, by TLS.
    Full,
    /// The same, but the server may be another than that of the domain.
    Half,
    /// The server is verified, and without records that make sense nobody is.
    Only,
}

impl Proof {
    /// The records that count, and what the log is told of the others.
    pub fn matcher(&self, peer: &str) -> (Matcher, Vec<String>) {
        Matcher::new(&self.records, &self.digests, peer, self.worth != Worth::Only)
    }
}

/// The records that count for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    records: Vec<(Association, Option<Digest>)>,
}

/// A record that a server meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    record: Association,
    depth: usize,
    name: Option<String>,
}

impl Matcher {
    /// Takes those of `records` that make sense here: known selectors and digests of the right length, certificates and
    /// keys that can be read. Of those that say the same with different digests, the strongest digest alone counts (RFC
    /// 7671 9). `peer` and `is_optional`, whether mail may go without, are for the warnings of the log.
    pub fn new(records: &[Association], digests: &Digests, peer: &str, is_optional: bool) -> (Self, Vec<String>) {
        let (mut usable, mut warnings) = (Vec::new(), Vec::new());
        for record in records {
            match rank(record, digests) {
                Some(rank) => usable.push((record, rank)),
                None => warnings.push(format!("{peer}: unusable TLSA RR: {record}")),
            }
        }
        if usable.is_empty() && !records.is_empty() {
            let instead = if is_optional { ", fallback to unauthenticated TLS" } else { "" };
            warnings.push(format!("{peer}: all TLSA records unusable{instead}"));
        }
        let kind = |record: &Association| (record.usage, record.selector);
        let counts = |record: &Association, rank: &Rank| {
            rank.is_none_or(|(own, _)| {
                let ranks = usable.iter().filter(|(other, _)| kind(other) == kind(record));
                ranks.filter_map(|(_, rank)| *rank).all(|(other, _)| own <= other)
            })
        };
        let counting = usable.iter().filter(|(record, rank)| counts(record, rank));
        let records = counting.map(|(record, rank)| ((*record).clone(), rank.map(|(_, digest)| digest))).collect();
        (Self { records }, warnings)
    }

    /// No record makes sense: nothing can be verified.
    pub fn is_unusable(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether a server with this chain of certificates, its own first, meets a record. `wanted` are the names of which
    /// the certificate has to have one if an authority vouches for it; `limit` is smtp_tls_scert_verifydepth.
    ///
    /// # Errors
    /// What is wrong with the nearest miss.
    pub fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        wanted: &[Wanted],
        limit: usize,
        now: UnixTime,
    ) -> Result<Match, Fault> {
        let Some((leaf, others)) = chain.split_first().filter(|_| !self.is_unusable()) else {
            return Err(Fault::Unspecified);
        };
        if let Some(record) = self.matching(usage::DANE_EE, leaf) {
            return Ok(Match { record: record.clone(), depth: 0, name: None });
        }
        if !self.records.iter().any(|(record, _)| record.usage == usage::DANE_TA) {
            return Err(Fault::NoMatch(Place::Leaf));
        }
        let depth = self.anchors(leaf, others).verify(chain, Role::Server, limit, now)?;
        let names = Certificate::read(leaf).map(|certificate| Names::of(&certificate)).unwrap_or_default();
        let name = names.matching(wanted)?;
        let record = others.iter().find_map(|certificate| self.matching(usage::DANE_TA, certificate));
        // An authority that was not sent is in the record.
        let of_record = || self.of_authorities().find(|record| record.matching_type == FULL);
        let record = record.or_else(of_record).ok_or(Fault::Unspecified)?.clone();
        Ok(Match { record, depth, name: Some(name) })
    }

    /// The authorities of the records: certificates that were sent, and what records hold themselves.
    fn anchors(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Anchors {
        let mut anchors = Anchors::pinned();
        let sent = others.iter().filter(|it| self.matching(usage::DANE_TA, it).is_some());
        let held = self.of_authorities().filter(|record| record.matching_type == FULL);
        let (certificates, keys): (Vec<_>, Vec<_>) = held.partition(|record| record.selector == CERTIFICATE);
        let certificates = certificates.into_iter().map(|record| CertificateDer::from(record.data.as_slice()));
        for certificate in sent.cloned().chain(certificates) {
            // The server's own is no authority, whatever a record says.
            if certificate != *leaf && may_sign(&certificate) {
                anchors.add(certificate);
            }
        }
        keys.into_iter().for_each(|record| anchors.add_key(&record.data));
        anchors
    }

    fn of_authorities(&self) -> impl Iterator<Item = &Association> {
        self.records.iter().map(|(record, _)| record).filter(|record| record.usage == usage::DANE_TA)
    }

    /// The record of a usage that a certificate meets.
    fn matching(&self, usage: u8, certificate: &CertificateDer<'_>) -> Option<&Association> {
        let of_usage = self.records.iter().filter(|(record, _)| record.usage == usage);
        let found = of_usage.filter(|(record, digest)| {
            let Some(selected) = selected(record.selector, certificate) else { return false };
            match digest {
                Some(digest) => digest.of(selected) == record.data,
                None => selected == record.data,
            }
        });
        found.map(|(record, _)| record).next()
    }
}

impl Match {
    /// What the log says of it, after the peer's name.
    pub fn told(&self) -> Vec<String> {
        let name = self.name.as_deref().map(|name| format!("matched peername: {}", text::printable(name.as_bytes())));
        let kind = if self.record.usage == usage::DANE_EE { "EE" } else { "TA" };
        let record = format!("Matched DANE {kind} certificate at depth {}: {}", self.depth, self.record);
        name.into_iter().chain([record]).collect()
    }
}

/// The rank and the algorithm of a digest; `None`: no digest.
type Rank = Option<(usize, Digest)>;

/// `None`: the record makes no sense.
fn rank(record: &Association, digests: &Digests) -> Option<Rank> {
    let data = record.data.as_slice();
    match (record.selector, record.matching_type) {
        (CERTIFICATE, FULL) => parsed(data).map(|_| None),
        (PUBLIC_KEY, FULL) => {
            let whole = SubjectPublicKeyInfo::from_der(data).is_ok_and(|(rest, _)| rest.is_empty());
            whole.then_some(None)
        }
        (CERTIFICATE | PUBLIC_KEY, number) => {
            let (rank, digest) = digests.of(number)?;
            (data.len() == digest.of(b"").len()).then_some(Some((rank, digest)))
        }
        _ => None,
    }
}

/// What a selector means of a certificate.
fn selected<'a>(selector: u8, certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    if selector == CERTIFICATE {
        return Some(certificate);
    }
    Some(parsed(certificate)?.tbs_certificate.subject_pki.raw)
}

/// Whether a certificate is that of an authority (RFC 5280 4.2.1.9); those without extensions do not say.
fn may_sign(certificate: &CertificateDer<'_>) -> bool {
    let Some(parsed) = parsed(certificate) else { return false };
    match parsed.basic_constraints() {
        Ok(Some(constraints)) => constraints.value.ca,
        Ok(None) => parsed.extensions().is_empty(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests;
