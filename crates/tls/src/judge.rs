//! What a server has shown is judged when the handshake is over: whoever it is, the handshake itself goes through, so
//! that the log can say who it was.

use std::rc::Rc;

use rustls_pki_types::{CertificateDer, UnixTime};

use crate::certificate::Certificate;
use crate::credential::Credential;
use crate::dane::{Proof, Worth};
use crate::fingerprint::Digest;
use crate::names::{Names, Wanted};
use crate::trust::{Anchors, Fault, Place, Role, own_steps};

/// What a server has to show.
#[derive(Clone)]
pub enum Matching {
    /// Anything.
    Anything,
    /// A certificate that an authority vouches for, with one of these names.
    Names(Vec<Wanted>),
    /// A certificate or key with one of these fingerprints.
    Fingerprints(Rc<[Vec<u8>]>),
    /// A key with one of these fingerprints: those of certificates would match no more when a server begins to show its
    /// key alone.
    Keys(Rc<[Vec<u8>]>),
    /// What TLSA records ask for.
    Dane(Rc<Proof>),
}

impl Matching {
    /// What of it can never be shown.
    pub fn warnings(&self, peer: &str, digest: Digest) -> Vec<String> {
        match self {
            Self::Names(names) if names.is_empty() => vec![format!("{peer}: could not configure peer name checks")],
            Self::Fingerprints(known) | Self::Keys(known) => {
                let length = digest.of(b"").len();
                let selectors: &[u8] = if matches!(self, Self::Keys(_)) { &[1] } else { &[1, 0] };
                let unusable = |one: &Vec<u8>| {
                    let one = hex(one);
                    selectors.iter().map(move |selector| format!("{peer}: unusable TLSA RR: 3 {selector} 255 {one}"))
                };
                let mut told: Vec<String> = known.iter().filter(|one| one.len() != length).flat_map(unusable).collect();
                if known.iter().all(|one| one.len() != length) {
                    told.push(format!("{peer}: all fingerprints unusable"));
                }
                told
            }
            Self::Dane(proof) => proof.matcher(peer).1,
            Self::Anything | Self::Names(_) => Vec::new(),
        }
    }
}

/// How the judge is to look at a server.
pub struct Standard<'a> {
    /// What it has to show.
    pub matching: &'a Matching,
    /// Whom we believe.
    pub anchors: &'a Anchors,
    /// smtp_tls_scert_verifydepth.
    pub limit: usize,
    /// smtp_tls_fingerprint_digest.
    pub digest: Digest,
    /// An external policy that says no.
    pub failure: Option<&'static str>,
}

/// The first word of a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nobody we know vouches for it.
    Untrusted,
    /// Somebody does.
    Trusted,
    /// It is what was asked for.
    Verified,
}

impl Trust {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Untrusted => "Untrusted",
            Self::Trusted => "Trusted",
            Self::Verified => "Verified",
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The first word of the summary.
    pub trust: Trust,
    /// What is wrong, also where nobody asked.
    pub fault: Option<Fault>,
    /// What matched, for the log.
    pub matched: Vec<String>,
    /// Nothing could be compared, and that is no reason to keep mail back.
    pub excused: bool,
}

impl Verdict {
    fn good(trust: Trust, matched: Vec<String>) -> Self {
        Self { trust, fault: None, matched, excused: false }
    }

    fn bad(trust: Trust, fault: Fault) -> Self {
        Self { trust, fault: Some(fault), matched: Vec::new(), excused: false }
    }
}

impl Standard<'_> {
    /// Judges the certificates of a server, its own first.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Verdict {
        if let Some(failure) = self.failure {
            return Verdict::bad(Trust::Untrusted, Fault::External(failure.to_owned()));
        }
        match self.matching {
            Matching::Fingerprints(known) => self.by_fingerprint(chain, known, false),
            Matching::Keys(known) => self.by_fingerprint(chain, known, true),
            Matching::Dane(proof) => self.by_records(chain, proof, now),
            Matching::Anything => match self.verify(chain, now) {
                Ok(_) => Verdict::good(Trust::Trusted, Vec::new()),
                Err(fault) => Verdict::bad(Trust::Untrusted, fault),
            },
            Matching::Names(wanted) => match self.verify(chain, now) {
                Ok(depth) => self.by_name(chain, wanted, depth),
                Err(fault) => Verdict::bad(Trust::Untrusted, fault),
            },
        }
    }

    /// How the judge went along the chain, for whoever wants to follow it in the log. What fingerprints and records are
    /// compared with is the server's own certificate, and nobody looks behind it.
    pub fn steps(&self, chain: &[CertificateDer<'_>], verdict: &Verdict, now: UnixTime) -> Vec<String> {
        let fault = verdict.fault.as_ref();
        let is_alone = match self.matching {
            Matching::Anything | Matching::Names(_) => false,
            Matching::Fingerprints(_) | Matching::Keys(_) => true,
            Matching::Dane(_) => !verdict.excused,
        };
        match fault {
            Some(Fault::External(_)) => self.anchors.steps(chain, fault, now),
            _ if !is_alone => self.anchors.steps(chain, fault, now),
            Some(Fault::Unspecified) => Vec::new(),
            Some(Fault::NoMatch(Place::Authority)) => Anchors::default().steps(chain, fault, now),
            _ => own_steps(chain, fault),
        }
    }

    fn verify(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<usize, Fault> {
        if let Some(Credential::RawKey(_)) = chain.first().and_then(|der| Credential::read(der)) {
            return Err(Fault::RawKey);
        }
        self.anchors.verify(chain, Role::Server, self.limit, now)
    }

    fn by_name(&self, chain: &[CertificateDer<'_>], wanted: &[Wanted], depth: usize) -> Verdict {
        let names = chain.first().and_then(|der| Certificate::read(der)).map(|it| Names::of(&it)).unwrap_or_default();
        match names.matching(wanted) {
            Ok(name) => {
                let anchor = self.anchors.is_pinned().then(|| format!("Matched trust anchor at depth {depth}"));
                let matched = [Some(format!("matched peername: {}", text::printable(name.as_bytes()))), anchor];
                Verdict::good(Trust::Verified, matched.into_iter().flatten().collect())
            }
            Err(Fault::HostMismatch) => Verdict::bad(Trust::Trusted, Fault::HostMismatch),
            Err(fault) => Verdict::bad(Trust::Untrusted, fault),
        }
    }

    fn by_records(&self, chain: &[CertificateDer<'_>], proof: &Proof, now: UnixTime) -> Verdict {
        let (matcher, _) = proof.matcher("");
        if matcher.is_unusable() && proof.worth != Worth::Only {
            // Names are compared all the same, as far as the summary and the log go.
            let named = Standard { matching: &Matching::Names(proof.wanted.clone()), ..*self };
            let verdict = named.judge(chain, now);
            let trust = if verdict.fault.is_some() { Trust::Untrusted } else { Trust::Trusted };
            return Verdict { trust, matched: Vec::new(), excused: true, ..verdict };
        }
        let trust = if proof.worth == Worth::Half { Trust::Trusted } else { Trust::Verified };
        match matcher.judge(chain, &proof.wanted, self.limit, now) {
            Ok(found) => Verdict::good(trust, found.told()),
            Err(Fault::HostMismatch) => Verdict::bad(Trust::Trusted, Fault::HostMismatch),
            Err(fault) => Verdict::bad(Trust::Untrusted, fault),
        }
    }

    fn by_fingerprint(&self, chain: &[CertificateDer<'_>], known: &[Vec<u8>], keys_alone: bool) -> Verdict {
        let length = self.digest.of(b"").len();
        if !known.iter().any(|one| one.len() == length) {
            return Verdict::bad(Trust::Untrusted, Fault::Unspecified);
        }
        let has = match chain.first().and_then(|der| Credential::read(der)) {
            Some(Credential::Certificate(leaf)) if keys_alone => vec![self.digest.of(&leaf.public_key)],
            Some(Credential::Certificate(leaf)) => vec![self.digest.of(&leaf.der), self.digest.of(&leaf.public_key)],
            Some(Credential::RawKey(leaf)) => vec![self.digest.of(&leaf.public_key)],
            None => return Verdict::bad(Trust::Untrusted, Fault::Unspecified),
        };
        match has.iter().find(|digest| known.contains(digest)) {
            Some(digest) => {
                let matched = vec![format!("Matched fingerprint: {}", hex(digest))];
                Verdict::good(Trust::Verified, matched)
            }
            None => Verdict::bad(Trust::Untrusted, Fault::NoMatch(Place::Leaf)),
        }
    }
}

/// Upper case, without colons.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Reads a fingerprint: pairs of digits, with colons between them or none.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = if text.contains(':') {
        let pairs = text.split(':');
        if pairs.clone().any(|pair| pair.len() != 2) {
            return None;
        }
        pairs.flat_map(str::bytes).collect()
    } else {
        text.bytes().collect()
    };
    if digits.is_empty() || digits.len() % 2 == 1 {
        return None;
    }
    let value = |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.chunks_exact(2).map(|pair| Some(value(pair.first()?)? << 4 | value(pair.last()?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dane::Digests;
    use dns::Association;
    use rcgen::{CertificateParams, KeyPair};

    fn shown() -> CertificateDer<'static> {
        let parameters = CertificateParams::new(vec!["mx1.dest.test".to_owned()]).unwrap();
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn verdict(matching: &Matching, anchors: &Anchors, shown: &CertificateDer<'static>) -> Verdict {
        let standard = Standard { matching, anchors, limit: 9, digest: Digest::Sha256, failure: None };
        standard.judge(std::slice::from_ref(shown), UnixTime::now())
    }

    fn prints(list: &[&str]) -> Matching {
        Matching::Fingerprints(list.iter().filter_map(|text| unhex(text)).collect())
    }

    #[test]
    fn a_fingerprint_is_that_of_the_certificate_or_of_its_key() {
        let shown = shown();
        let certificate = Certificate::read(&shown).unwrap();
        let none = Anchors::default();
        for print in [certificate.fingerprint(Digest::Sha256), certificate.key_fingerprint(Digest::Sha256)] {
            let lower = print.to_lowercase().replace(':', "");
            for text in [print.as_str(), &lower] {
                let verdict = verdict(&prints(&["00:11", text]), &none, &shown);
                assert_eq!((verdict.trust, verdict.fault), (Trust::Verified, None));
            }
        }
        let other = Digest::Sha256.fingerprint(b"other");
        assert_eq!(verdict(&prints(&[&other]), &none, &shown).fault, Some(Fault::NoMatch(Place::Leaf)));
        assert_eq!(verdict(&prints(&["0011"]), &none, &shown).fault, Some(Fault::Unspecified));
        assert_eq!(verdict(&prints(&[]), &none, &shown).fault, Some(Fault::Unspecified));
    }

    #[test]
    fn a_wrong_name_leaves_a_trusted_server_trusted_and_no_more() {
        let shown = shown();
        let mut anchors = Anchors::default();
        assert!(anchors.add(shown.clone()));
        let names = |name: &str| Matching::Names(Wanted::parse(name).into_iter().collect());
        assert_eq!(verdict(&names("mx1.dest.test"), &anchors, &shown).trust, Trust::Verified);
        let wrong = verdict(&names("other.test"), &anchors, &shown);
        assert_eq!((wrong.trust, wrong.fault), (Trust::Trusted, Some(Fault::HostMismatch)));
        let address = verdict(&names("192.0.2.1"), &anchors, &shown);
        assert_eq!((address.trust, address.fault), (Trust::Untrusted, Some(Fault::AddressMismatch)));
        let unknown = verdict(&names("mx1.dest.test"), &Anchors::default(), &shown);
        assert_eq!((unknown.trust, unknown.fault), (Trust::Untrusted, Some(Fault::SelfSigned)));
        assert_eq!(verdict(&Matching::Anything, &anchors, &shown).trust, Trust::Trusted);
    }

    #[test]
    fn records_that_make_no_sense_excuse_a_server_and_its_name_is_compared_for_the_log() {
        let shown = shown();
        let mut anchors = Anchors::default();
        assert!(anchors.add(shown.clone()));
        let proof = |name: &str, worth| {
            let record = Association { usage: 3, selector: 1, matching_type: 1, data: vec![0, 17], length: 5 };
            let digests = Rc::new(Digests::parse(["sha256"]).0);
            let wanted = Wanted::parse(name).into_iter().collect();
            Matching::Dane(Rc::new(Proof { records: vec![record], digests, wanted, worth }))
        };
        let right = verdict(&proof("mx1.dest.test", Worth::Full), &anchors, &shown);
        assert_eq!((right.trust, right.fault, right.excused), (Trust::Trusted, None, true));
        let wrong = verdict(&proof("other.test", Worth::Half), &anchors, &shown);
        assert_eq!((wrong.trust, wrong.fault, wrong.excused), (Trust::Untrusted, Some(Fault::HostMismatch), true));
        let only = verdict(&proof("mx1.dest.test", Worth::Only), &anchors, &shown);
        assert_eq!((only.fault, only.excused), (Some(Fault::Unspecified), false));
    }

    #[test]
    fn who_looks_at_the_server_alone_says_nothing_of_those_who_vouch_for_it() {
        let shown = shown();
        let mut anchors = Anchors::default();
        assert!(anchors.add(shown.clone()));
        let chain = [shown.clone(), shown.clone()];
        let steps = |print: &str| {
            let matching = prints(&[print]);
            let anchors = &anchors;
            let standard = Standard { matching: &matching, anchors, limit: 9, digest: Digest::Sha256, failure: None };
            let verdict = standard.judge(&chain, UnixTime::now());
            standard.steps(&chain, &verdict, UnixTime::now())
        };
        let subject = steps(&Digest::Sha256.fingerprint(&shown)).remove(0);
        assert!(subject.starts_with("depth=0 verify=1 subject=/CN="), "{subject}");
        assert_eq!(steps(&Digest::Sha256.fingerprint(&shown)).len(), 1);
        assert_eq!(steps(&Digest::Sha256.fingerprint(b"x")), [subject.replace("verify=1", "verify=0")]);
        assert!(steps("0011").is_empty());
    }

    #[test]
    fn a_policy_that_says_no_is_the_last_word() {
        let shown = shown();
        let mut anchors = Anchors::default();
        assert!(anchors.add(shown.clone()));
        let matching = Matching::Names(Wanted::parse("mx1.dest.test").into_iter().collect());
        let failure = Some("sts-policy-invalid");
        let standard = Standard { matching: &matching, anchors: &anchors, limit: 9, digest: Digest::Sha256, failure };
        assert_eq!(standard.judge(&[shown], UnixTime::now()).trust, Trust::Untrusted);
    }

    #[test]
    fn hex_digits_come_in_pairs() {
        assert_eq!(unhex("00:fF"), Some(vec![0, 255]));
        assert_eq!(unhex("00fF"), Some(vec![0, 255]));
        for bad in ["zz:zz", "", "0", "0:11", "00:1", "é0", "+1"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
