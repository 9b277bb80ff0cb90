//! Whose certificates are trusted, whether a chain leads to one of them, and Postfix's words for why not.
//!
//! Only webpki says yes. When it says no, the chain is walked once more, to tell the reason in the words that
//! administrators know from their logs; nothing that this finds makes a chain good.

mod steps;

pub use steps::own_steps;

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::{self, PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use crate::certificate::{one_line, parsed};

/// Files of one directory that are read.
/// told: the log.
const MOST_FILES: usize = 20_000;
/// The longest file of trusted certificates that is read.
/// told: an error.
const LARGEST_FILE: u64 = 16 << 20;

/// The certificates that are trusted.
#[derive(Default)]
pub struct Anchors {
    anchors: Vec<TrustAnchor<'static>>,
    /// The certificates behind `anchors`, in the same order.
    certificates: Vec<CertificateDer<'static>>,
    /// Certificates between, which need not come with the chain: only what signs itself ends one, as for OpenSSL.
    between: Vec<CertificateDer<'static>>,
    /// Trusted whatever name they go by: a trust anchor file may hold bare keys.
    keys: Vec<SubjectPublicKeyInfoDer<'static>>,
    /// They come from a trust anchor file (smtp_tls_trust_anchor_file, tafile).
    pinned: bool,
}

/// What a certificate is to be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The other side is a server.
    Server,
    /// The other side is a client.
    Client,
}

/// What is wrong with a certificate or with the chain that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It was signed with its own key.
    SelfSigned,
    /// The chain ends with a certificate of this issuer, which is not trusted.
    UntrustedIssuer {
        /// The issuer's name, with slashes; not yet fit for a log.
        issuer: String,
        /// The issuer's own certificate came along.
        sent: bool,
    },
    /// The issuer of a certificate of smtp_tls_CAfile or smtpd_tls_CAfile is missing.
    NoIssuer,
    /// More authorities than smtp_tls_scert_verifydepth or smtpd_tls_ccert_verifydepth allow.
    TooLong(usize),
    /// It is no certificate for such a use.
    Purpose(Role),
    /// A validity period is over.
    Expired(Place),
    /// A validity period has not begun.
    NotYetValid(Place),
    /// No name is the right one.
    HostMismatch,
    /// No address is the right one.
    AddressMismatch,
    /// No fingerprint, trust anchor or TLSA record is about it.
    NoMatch(Place),
    /// A public key without a certificate, which nobody vouches for.
    RawKey,
    /// There is nothing that it could be compared with, or it makes no sense.
    Unspecified,
    /// An external policy says that it must not be trusted.
    External(String),
}

/// Which certificate of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The peer's own.
    Leaf,
    /// An authority's.
    Authority,
}

/// Files of trusted certificates cannot be used.
#[derive(Debug)]
pub struct LoadError {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), text::system_error(&self.error))
    }
}

impl std::error::Error for LoadError {}

impl Anchors {
    /// Whether nothing is trusted.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty() && self.keys.is_empty()
    }

    /// Trusts a public key, whatever name it goes by.
    pub(crate) fn add_key(&mut self, key: &[u8]) {
        self.keys.push(key.to_vec().into());
    }

    /// Trusts one certificate, as DER; false if it makes no sense.
    pub fn add<'a>(&mut self, certificate: impl Into<CertificateDer<'a>>) -> bool {
        let certificate = certificate.into();
        let Some(parsed) = parsed(&certificate) else { return false };
        if !self.pinned && parsed.subject() != parsed.issuer() {
            self.between.push(certificate.into_owned());
            return true;
        }
        let Ok(anchor) = webpki::anchor_from_trusted_cert(&certificate).map(|anchor| anchor.to_owned()) else {
            return false;
        };
        self.anchors.push(anchor);
        self.certificates.push(certificate.into_owned());
        true
    }

    /// The names of those that are trusted, as DER without the outermost header.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &[u8]> {
        self.anchors.iter().map(|anchor| anchor.subject.as_ref())
    }

    /// Trusts what smtp_tls_CAfile or smtpd_tls_CAfile names.
    ///
    /// # Errors
    /// It cannot be read, or there is no certificate in it.
    pub fn add_file(&mut self, path: &Path) -> Result<(), LoadError> {
        let failed = |error| LoadError { path: path.to_owned(), error };
        let content = Self::read(path).map_err(failed)?;
        if self.add_pem(&content) == 0 {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "no certificate found")));
        }
        Ok(())
    }

    /// Trusts the certificates of a directory whose files are named as OpenSSL names them, by hash and number. What
    /// cannot be read is not trusted; a directory that is not there holds nothing.
    pub fn add_directory(&mut self, path: &Path) {
        let Ok(entries) = fs::read_dir(path) else { return };
        let hashed = entries.flatten().map(|entry| entry.path()).filter(|path| is_hashed(path));
        let mut files: Vec<_> = hashed.take(MOST_FILES + 1).collect();
        if files.len() > MOST_FILES {
            logging::warning!("{}: only {MOST_FILES} certificates are read", path.display());
            // told: the log
            files.truncate(MOST_FILES);
        }
        files.sort();
        for file in files {
            if let Ok(content) = sys::content::read(&file, LARGEST_FILE) {
                self.add_pem(&content);
            }
        }
    }

    /// tls_append_default_CA: trusts what this machine does.
    pub fn add_system(&mut self) {
        let bundles = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/cert.pem", "/etc/ssl/cert.pem"];
        for bundle in bundles {
            if self.add_file(Path::new(bundle)).is_ok() {
                return;
            }
        }
        self.add_directory(Path::new("/etc/ssl/certs"));
    }

    /// Nothing yet, but what trust anchor files hold.
    pub fn pinned() -> Self {
        Self { pinned: true, ..Self::default() }
    }

    /// The content of a trust anchor file, or of another file of trusted certificates.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub fn read(path: &Path) -> io::Result<Vec<u8>> {
        sys::content::read(path, LARGEST_FILE)
    }

    /// Trusts the certificates and public keys of a trust anchor file; false if there are none.
    pub fn pin(&mut self, content: &[u8]) -> bool {
        self.add_pem(content) + self.add_keys(content) > 0
    }

    /// Whether they come from a trust anchor file.
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    fn add_pem(&mut self, content: &[u8]) -> usize {
        let found = CertificateDer::pem_slice_iter(content).flatten();
        found.filter(|certificate| self.add(certificate.clone())).count()
    }

    fn add_keys(&mut self, content: &[u8]) -> usize {
        let before = self.keys.len();
        let mut rest = content;
        while let Ok(Some((kind, der))) = pem::from_buf(&mut rest) {
            if kind == SectionKind::PublicKey {
                self.keys.push(der.into());
            }
        }
        self.keys.len() - before
    }

    /// Whether a chain, the peer's certificate first, leads to a trusted certificate: the depth of that. `limit` is
    /// smtp_tls_scert_verifydepth or smtpd_tls_ccert_verifydepth.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        role: Role,
        limit: usize,
        now: UnixTime,
    ) -> Result<usize, Fault> {
        let Some((leaf, others)) = chain.split_first() else { return Err(Fault::Unspecified) };
        if self.certificates.iter().any(|trusted| trusted == leaf) {
            return inspect(leaf, Place::Leaf, Some(role), now).map(|()| 0);
        }
        let anchors = self.for_chain(chain);
        let others: Vec<_> = others.iter().chain(&self.between).cloned().collect();
        let parsed = EndEntityCert::try_from(leaf).map_err(|_| self.diagnose(chain, role, limit, now))?;
        let usage = match role {
            Role::Server => KeyUsage::server_auth(),
            Role::Client => KeyUsage::client_auth(),
        };
        // OpenSSL counts one authority more than the setting says.
        let is_good = |path: &VerifiedPath<'_>| {
            let is_short = path.intermediate_certificates().count() <= limit + 1;
            let is_current = self.is_current(path.anchor(), now);
            if is_short && is_current { Ok(()) } else { Err(webpki::Error::UnknownIssuer) }
        };
        let algorithms = webpki::ALL_VERIFICATION_ALGS;
        match parsed.verify_for_usage(algorithms, &anchors, &others, now, usage, None, Some(&is_good)) {
            Ok(path) => Ok(path.intermediate_certificates().count() + 1),
            Err(_) => Err(self.diagnose(chain, role, limit, now)),
        }
    }

    /// The anchors that a chain may lead to: a bare key stands for any name that the chain asks for.
    fn for_chain(&self, chain: &[CertificateDer<'_>]) -> Cow<'_, [TrustAnchor<'static>]> {
        if self.keys.is_empty() {
            return Cow::Borrowed(&self.anchors);
        }
        let mut anchors = self.anchors.clone();
        for certificate in chain {
            let Some(parsed) = parsed(certificate) else { continue };
            let Some(subject) = inside(parsed.issuer().as_raw()) else { continue };
            for key in &self.keys {
                let Some(key) = inside(key) else { continue };
                anchors.push(TrustAnchor {
                    subject: subject.to_vec().into(),
                    subject_public_key_info: key.to_vec().into(),
                    name_constraints: None,
                });
            }
        }
        Cow::Owned(anchors)
    }

    fn is_current(&self, anchor: &TrustAnchor<'_>, now: UnixTime) -> bool {
        let found = self.anchors.iter().position(|known| {
            known.subject == anchor.subject && known.subject_public_key_info == anchor.subject_public_key_info
        });
        let certificate = found.and_then(|at| self.certificates.get(at));
        certificate.is_none_or(|certificate| inspect(certificate, Place::Authority, None, now).is_ok())
    }

    /// Why a chain that is not good is not.
    fn diagnose(&self, chain: &[CertificateDer<'_>], role: Role, limit: usize, now: UnixTime) -> Fault {
        let parsed = self.parsed(chain);
        let Some(leaf) = parsed.first() else { return Fault::Unspecified };
        let (path, trusted) = self.path(leaf, &parsed);
        let Some(trusted) = trusted else {
            return self.untrusted(&path);
        };
        // OpenSSL counts one authority more than the setting says.
        if path.len() > limit + 2 {
            return Fault::TooLong(limit + 1);
        }
        let authorities = path.iter().skip(1).rev();
        let checks = [inspect(trusted, Place::Authority, None, now)]
            .into_iter()
            .chain(authorities.map(|it| validity(it, Place::Authority, now)))
            .chain([purpose(leaf, role), validity(leaf, Place::Leaf, now)]);
        checks.into_iter().find_map(Result::err).unwrap_or(Fault::Unspecified)
    }

    /// The certificates that came, and those that need not come; those that can be read.
    fn parsed<'a>(&'a self, chain: &'a [CertificateDer<'_>]) -> Vec<X509Certificate<'a>> {
        chain.iter().chain(&self.between).filter_map(|der| parsed(der)).collect()
    }

    /// From a certificate to its issuer's, and so on: as far as they are known, and the trusted one at the end.
    fn path<'p, 'a>(
        &'a self,
        leaf: &'p X509Certificate<'a>,
        known: &'p [X509Certificate<'a>],
    ) -> (Vec<&'p X509Certificate<'a>>, Option<&'a CertificateDer<'static>>) {
        let mut path = vec![leaf];
        loop {
            let last = path[path.len() - 1];
            if let Some(trusted) = self.certificate_of(last.issuer()) {
                return (path, Some(trusted));
            }
            let next = known.iter().find(|other| {
                other.subject() == last.issuer() && !path.iter().any(|step| step.as_raw() == other.as_raw())
            });
            match next {
                Some(next) => path.push(next),
                None => return (path, None),
            }
        }
    }

    fn untrusted(&self, path: &[&X509Certificate<'_>]) -> Fault {
        let place = if path.len() > 1 { Place::Authority } else { Place::Leaf };
        match path {
            _ if self.pinned => Fault::NoMatch(place),
            [only] if only.subject() == only.issuer() => Fault::SelfSigned,
            [_, .., last] if self.between.iter().any(|known| known.as_ref() == last.as_raw()) => Fault::NoIssuer,
            [.., last] => {
                let sent = last.subject() == last.issuer();
                Fault::UntrustedIssuer { issuer: one_line(last.issuer()), sent }
            }
            [] => Fault::Unspecified,
        }
    }

    fn certificate_of(&self, name: &X509Name<'_>) -> Option<&CertificateDer<'static>> {
        let subject = inside(name.as_raw())?;
        let at = self.anchors.iter().position(|anchor| anchor.subject.as_ref() == subject)?;
        self.certificates.get(at)
    }
}

/// What a certificate says about itself.
fn inspect(der: &CertificateDer<'_>, place: Place, role: Option<Role>, now: UnixTime) -> Result<(), Fault> {
    let certificate = parsed(der).ok_or(Fault::Unspecified)?;
    if let Some(role) = role {
        purpose(&certificate, role)?;
    }
    validity(&certificate, place, now)
}

fn validity(certificate: &X509Certificate<'_>, place: Place, now: UnixTime) -> Result<(), Fault> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let period = certificate.validity();
    if now < period.not_before.timestamp() {
        return Err(Fault::NotYetValid(place));
    }
    if now > period.not_after.timestamp() {
        return Err(Fault::Expired(place));
    }
    Ok(())
}

fn purpose(certificate: &X509Certificate<'_>, role: Role) -> Result<(), Fault> {
    let Ok(found) = certificate.extended_key_usage() else { return Err(Fault::Unspecified) };
    let is_good = found.is_none_or(|usage| match role {
        Role::Server => usage.value.server_auth || usage.value.any,
        Role::Client => usage.value.client_auth || usage.value.any,
    });
    if is_good { Ok(()) } else { Err(Fault::Purpose(role)) }
}

impl Fault {
    /// The line that the log has about a peer, who is `NAME[ADDRESS]`, with its port if it is a server.
    pub fn line(&self, peer: &str, role: Role) -> String {
        let peers = match role {
            Role::Server => "server",
            Role::Client => "client",
        };
        let failed = format!("certificate verification failed for {peer}");
        match self {
            Self::SelfSigned => format!("{failed}: self-signed certificate"),
            Self::UntrustedIssuer { issuer, .. } => {
                format!("{failed}: untrusted issuer {}", text::printable(issuer.as_bytes()))
            }
            Self::TooLong(limit) => format!("{failed}: certificate chain longer than limit({limit})"),
            Self::Purpose(role) => {
                let role = if *role == Role::Server { "server" } else { "client" };
                format!("{failed}: not designated for use as a {role} certificate")
            }
            Self::External(why) => format!("{failed}: external policy failure ({why})"),
            Self::Expired(Place::Authority) => format!("CA {failed}: certificate has expired"),
            Self::NotYetValid(Place::Authority) => format!("CA {failed}: certificate not yet valid"),
            Self::NoIssuer => format!("CA {failed}: num=2:unable to get issuer certificate"),
            Self::NoMatch(Place::Authority) => format!("CA {failed}: num=65:no matching DANE TLSA records"),
            Self::Expired(Place::Leaf) => format!("{peers} {failed}: certificate has expired"),
            Self::NotYetValid(Place::Leaf) => format!("{peers} {failed}: certificate not yet valid"),
            Self::NoMatch(Place::Leaf) => format!("{peers} {failed}: num=65:no matching DANE TLSA records"),
            Self::HostMismatch => format!("{peers} {failed}: num=62:hostname mismatch"),
            Self::AddressMismatch => format!("{peers} {failed}: num=64:IP address mismatch"),
            Self::RawKey => format!("{peers} {failed}: num=95:Raw public key untrusted, no trusted keys configured"),
            Self::Unspecified => format!("{peers} {failed}: num=1:unspecified certificate verification error"),
        }
    }
}

/// `0123abcd.0`
fn is_hashed(path: &Path) -> bool {
    let Some((hash, number)) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('.'))
    else {
        return false;
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && is_number
}

/// The contents of a DER value, without its tag and length.
fn inside(der: &[u8]) -> Option<&[u8]> {
    x509_parser::asn1_rs::Any::from_der(der).ok().map(|(_, any)| any.data)
}

#[cfg(test)]
mod tests;
