//! Private keys and the certificates for them, as PEM files have them: the rules of smtpd_tls_chain_files, and those of
//! the older pairs of a certificate file and a key file.
//!
//! Only tlsmgr, and programs that a user runs with keys of his own, hold a [`PrivateKey`].

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use ipc::tlsmgr::KeyId;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use crate::certificate::{Certificate, Key};
use crate::facts::same_kind;
use crate::pem::{Object, Unreadable, objects};

/// A key.
#[derive(Clone)]
pub struct PrivateKey(pub(crate) Arc<dyn SigningKey>);

/// A secret is not shown.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

impl PrivateKey {
    /// Signs, in a scheme by its number. RFC 8446 4.2.3
    ///
    /// # Errors
    /// The key is of another kind.
    pub fn sign(&self, scheme: u16, message: &[u8]) -> Result<Vec<u8>, String> {
        let scheme = SignatureScheme::from(scheme);
        let signer = self.0.choose_scheme(&[scheme]).ok_or_else(|| format!("the key cannot sign by {scheme:?}"))?;
        signer.sign(message).map_err(|error| error.to_string())
    }

    /// A signature takes a good part of a millisecond.
    pub fn is_slow(&self) -> bool {
        self.0.algorithm() == SignatureAlgorithm::RSA
    }

    /// SubjectPublicKeyInfo.
    fn public(&self) -> Vec<u8> {
        self.0.public_key().map(|der| der.to_vec()).unwrap_or_default()
    }

    fn read(object: &Object) -> Option<PrivateKey> {
        let der = object.der.as_ref().ok()?.to_vec();
        let der = match object.kind.as_str() {
            "PRIVATE KEY" => PrivateKeyDer::Pkcs8(der.into()),
            "RSA PRIVATE KEY" => PrivateKeyDer::Pkcs1(der.into()),
            "EC PRIVATE KEY" => PrivateKeyDer::Sec1(der.into()),
            _ => return None,
        };
        any_supported_type(&der).ok().map(PrivateKey)
    }
}

/// A key with its certificates, the one for the key first.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The key.
    pub key: PrivateKey,
    /// The certificates.
    pub chain: Vec<Certificate>,
}

impl Pair {
    /// What the key is known by.
    pub fn id(&self) -> KeyId {
        let public = self.chain.first().map(|leaf| leaf.public_key.as_slice()).unwrap_or_default();
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, public).as_ref());
        KeyId(id)
    }
}

/// What was read, and warnings about it. Without pairs the warnings say why.
#[derive(Debug, Default)]
pub struct Loaded {
    /// One for each kind of key.
    pub pairs: Vec<Pair>,
    /// In their order.
    pub warnings: Vec<String>,
    /// Nothing can be used.
    pub failed: bool,
}

/// A file: its name, and its content or the reason why there is none.
pub type Source<'a> = (&'a str, Result<&'a [u8], &'a str>);

/// Reads files with one key after the other, each with its certificates behind it. `list`: the files as warnings name
/// them all. `what` follows in the last warning: `disabling TLS support`.
pub fn chains(sources: &[Source<'_>], list: &str, what: &str) -> Loaded {
    let mut reading = Reading::default();
    let done = sources.iter().try_for_each(|(name, content)| match content {
        Ok(content) => reading.file(name, content),
        Err(why) => Err(vec![format!("error opening chain file: {name}: {why}")]),
    });
    let done = done.and_then(|()| reading.close());
    finish(reading, done, Some(format!("error loading private keys and certificates from: {list}: {what}")))
}

/// Reads a certificate file and its key file. `kind`: what the parameters call the key.
pub fn legacy(kind: &str, certificate: Source<'_>, key: Source<'_>) -> Loaded {
    if certificate.0 == key.0 {
        return one_file(certificate);
    }
    let mut reading = Reading::default();
    let what = |what: &str, file: &str| format!("cannot get {kind} {what} from file \"{file}\": disabling TLS support");
    let unreadable = |what: String, why: Option<&str>| {
        let library = why.map(|why| format!("TLS library problem: {why}"));
        Err([Some(what), library].into_iter().flatten().collect::<Vec<_>>())
    };
    let chain: Vec<Certificate> = certificate.1.map(certificates).unwrap_or_default();
    if chain.is_empty() {
        let done =
            unreadable(what("certificate", certificate.0), Some(certificate.1.err().unwrap_or("no certificate")));
        return finish(reading, done, None);
    }
    let found = key.1.map(|content| objects(content).iter().find_map(PrivateKey::read));
    let done = match found {
        Ok(Some(found)) if fits(&found, &chain) => {
            reading.pairs.push(Pair { key: found, chain });
            Ok(())
        }
        Ok(Some(found)) if !is_same_kind(&found, &chain) => {
            let (key, certificate) = (key.0, certificate.0);
            let what = format!("{kind} private key in {key} does not match public key in {certificate}");
            unreadable(format!("{what}: disabling TLS support"), None)
        }
        Ok(Some(_)) => unreadable(what("private key", key.0), Some("private key mismatch")),
        Ok(None) => unreadable(what("private key", key.0), Some("no private key that can be used")),
        Err(why) => unreadable(what("private key", key.0), Some(why)),
    };
    finish(reading, done, None)
}

/// One file has both, in any order; its first key counts.
fn one_file((name, content): Source<'_>) -> Loaded {
    let mut reading = Reading::default();
    let content = match content {
        Ok(content) => content,
        Err(why) => return finish(reading, Err(vec![format!("error opening chain file: {name}: {why}")]), None),
    };
    let all = objects(content);
    let is_key = |object: &Object| object.kind.ends_with("PRIVATE KEY") && object.kind != ENCRYPTED;
    let mut keys = all.iter().enumerate().filter(|(_, object)| is_key(object));
    let done = match keys.next() {
        None => Err(vec![format!("No private key found in {name}")]),
        Some((at, object)) => {
            for (other, _) in keys {
                let (first, second) = (at + 1, other + 1);
                reading.warnings.push(format!("ignoring 2nd key at index {second} in {name} after 1st at {first}"));
            }
            reading.add_key(name, at + 1, object).and_then(|()| {
                all.iter()
                    .enumerate()
                    .filter(|(_, object)| !is_key(object))
                    .try_for_each(|(at, object)| reading.add(name, at + 1, object))?;
                reading.close()
            })
        }
    };
    finish(
        reading,
        done,
        Some(format!("error loading private keys and certificates from: {name}: disabling TLS support")),
    )
}

fn finish(mut reading: Reading, done: Result<(), Vec<String>>, last: Option<String>) -> Loaded {
    let failed = done.is_err();
    if let Err(why) = done {
        reading.warnings.extend(why);
        reading.warnings.extend(last);
        reading.pairs.clear();
    }
    Loaded { pairs: reading.pairs, warnings: reading.warnings, failed }
}

fn certificates(content: &[u8]) -> Vec<Certificate> {
    let all = objects(content);
    let ders = all.iter().filter(|object| is_certificate(object)).filter_map(|object| object.der.as_ref().ok());
    ders.filter_map(|der| Certificate::read(der)).collect()
}

fn is_certificate(object: &Object) -> bool {
    matches!(object.kind.as_str(), "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE")
}

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// Whether the first certificate is for the key.
fn fits(key: &PrivateKey, chain: &[Certificate]) -> bool {
    chain.first().is_some_and(|leaf| leaf.public_key == key.public())
}

/// Whether the first certificate is for a key of this kind.
fn is_same_kind(key: &PrivateKey, chain: &[Certificate]) -> bool {
    let kind = key.0.algorithm();
    chain.first().is_some_and(|leaf| match leaf.key {
        Key::Rsa(_) => kind == SignatureAlgorithm::RSA,
        Key::Ec(_) => kind == SignatureAlgorithm::ECDSA,
        Key::Ed25519 => kind == SignatureAlgorithm::ED25519,
        Key::Ed448 | Key::Other => false,
    })
}

/// Files that are read one after the other.
#[derive(Default)]
struct Reading {
    pairs: Vec<Pair>,
    warnings: Vec<String>,
    open: Option<Open>,
}

/// A key whose certificates are being read.
struct Open {
    key: PrivateKey,
    chain: Vec<Certificate>,
    file: String,
    index: usize,
}

impl Reading {
    fn file(&mut self, name: &str, content: &[u8]) -> Result<(), Vec<String>> {
        let all = objects(content);
        if all.is_empty() {
            return Err(vec![format!("No PEM data in {name}")]);
        }
        all.iter().enumerate().try_for_each(|(at, object)| self.add(name, at + 1, object))
    }

    fn add(&mut self, name: &str, index: usize, object: &Object) -> Result<(), Vec<String>> {
        if object.der.as_ref().err() == Some(&Unreadable::Text) {
            return Err(vec![format!("TLS library problem: bad base64 decode in PEM object number {index} of {name}")]);
        }
        match object.kind.as_str() {
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "DSA PRIVATE KEY" => {
                self.add_key(name, index, object)
            }
            _ if is_certificate(object) => self.add_certificate(name, index, object),
            other => {
                let other = text::printable(other.as_bytes());
                self.warnings.push(format!("loading {name}: ignoring PEM type: {other}"));
                Ok(())
            }
        }
    }

    fn add_key(&mut self, name: &str, index: usize, object: &Object) -> Result<(), Vec<String>> {
        let key = PrivateKey::read(object)
            .ok_or_else(|| vec![format!("error loading private key (PEM object number {index}) from {name}")])?;
        if let Some(open) = &self.open {
            if open.chain.is_empty() {
                let (file, index) = (&open.file, open.index);
                let why = format!("key at index {index} in {file} not followed by a certificate");
                return Err(vec![format!("error loading certificate chain: {why}")]);
            }
            if !fits(&open.key, &open.chain) {
                let (file, index) = (&open.file, open.index);
                let why = format!("key at index {index} in {file} does not match the certificate");
                return Err(vec![
                    format!("error loading certificate chain: {why}"),
                    "TLS library problem: private key mismatch".to_owned(),
                ]);
            }
        }
        self.close()?;
        self.open = Some(Open { key, chain: Vec::new(), file: name.to_owned(), index });
        Ok(())
    }

    fn add_certificate(&mut self, name: &str, index: usize, object: &Object) -> Result<(), Vec<String>> {
        let Some(open) = &mut self.open else {
            return Err(vec![format!("error loading chain from {name}: key not first")]);
        };
        let certificate = object.der.as_ref().ok().and_then(|der| Certificate::read(der));
        let certificate = certificate
            .ok_or_else(|| vec![format!("error loading certificate (PEM object number {index}) from {name}")])?;
        open.chain.push(certificate);
        Ok(())
    }

    /// The end of a key's certificates.
    fn close(&mut self) -> Result<(), Vec<String>> {
        let Some(Open { key, chain, file, index }) = self.open.take() else {
            return Ok(());
        };
        let Some(leaf) = chain.first() else {
            return Err(vec![format!("No certs for key at index {index} in {file}")]);
        };
        let unfit = |why: &str| {
            let first = format!("key at index {index} in {file} does not match next certificate");
            Err(vec![first, format!("TLS library problem: {why}")])
        };
        if !fits(&key, &chain) {
            return unfit("private key mismatch");
        }
        let is_second = |pair: &Pair| pair.chain.first().is_some_and(|other| same_kind(&other.key, &leaf.key));
        if self.pairs.iter().any(is_second) {
            return unfit("not replacing certificate");
        }
        self.pairs.push(Pair { key, chain });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};

    /// A key and a certificate for it, as PEM.
    fn made(ed: bool) -> (String, String) {
        let key = KeyPair::generate_for(if ed { &PKCS_ED25519 } else { &PKCS_ECDSA_P256_SHA256 }).unwrap();
        let certificate = CertificateParams::new(vec!["mx.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        (key.serialize_pem(), certificate.pem())
    }

    fn read(files: &[(&str, &str)]) -> Loaded {
        let sources: Vec<Source<'_>> = files.iter().map(|(name, text)| (*name, Ok(text.as_bytes()))).collect();
        chains(&sources, "LIST", "disabling TLS support")
    }

    fn first_warning(files: &[(&str, &str)]) -> String {
        let loaded = read(files);
        assert!(loaded.failed && loaded.pairs.is_empty());
        assert_eq!(
            loaded.warnings.last().map(String::as_str),
            Some("error loading private keys and certificates from: LIST: disabling TLS support")
        );
        loaded.warnings[0].clone()
    }

    #[test]
    fn keys_of_several_kinds_go_with_their_certificates() {
        let ((key, certificate), (ed, ed_certificate)) = (made(false), made(true));
        let loaded = read(&[("k", &key), ("c", &certificate), ("both", &format!("{ed}{ed_certificate}"))]);
        assert_eq!((loaded.pairs.len(), loaded.failed), (2, false));
        assert!(loaded.pairs[0].key.sign(0x0403, b"x").is_ok());
        assert!(loaded.pairs[0].key.sign(0x0804, b"x").is_err());
        assert_ne!(loaded.pairs[0].id(), loaded.pairs[1].id());
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_postfix() {
        let ((key, certificate), (other, other_certificate)) = (made(false), made(false));
        let both = format!("{key}{certificate}");
        assert_eq!(first_warning(&[("b", &certificate)]), "error loading chain from b: key not first");
        assert_eq!(
            first_warning(&[("k", &key), ("c", &other_certificate)]),
            "key at index 1 in k does not match next certificate"
        );
        assert_eq!(
            first_warning(&[("k", &key), ("c", &other_certificate), ("l", &both)]),
            "error loading certificate chain: key at index 1 in k does not match the certificate"
        );
        assert_eq!(
            first_warning(&[("a", &both), ("b", &format!("{other}{other_certificate}"))]),
            "key at index 1 in b does not match next certificate"
        );
        assert_eq!(
            first_warning(&[("d", &format!("{key}{other}{certificate}"))]),
            "error loading certificate chain: key at index 1 in d not followed by a certificate"
        );
        assert_eq!(first_warning(&[("k", &key)]), "No certs for key at index 1 in k");
        assert_eq!(first_warning(&[("e", "junk")]), "No PEM data in e");
        let broken = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n";
        assert_eq!(
            first_warning(&[("f", &format!("{key}{broken}"))]),
            "error loading certificate (PEM object number 2) from f"
        );
        let missing = chains(&[("g", Err("No such file or directory"))], "g", "x");
        assert_eq!(missing.warnings[0], "error opening chain file: g: No such file or directory");
    }

    #[test]
    fn an_older_pair_may_be_one_file_in_any_order() {
        let ((key, certificate), (other, _)) = (made(false), made(false));
        let text = format!("{certificate}{key}{other}");
        let source: Source<'_> = ("d", Ok(text.as_bytes()));
        let loaded = legacy("RSA", source, source);
        assert_eq!((loaded.pairs.len(), loaded.failed), (1, false));
        assert_eq!(loaded.warnings, ["ignoring 2nd key at index 3 in d after 1st at 2"]);
        let alone: Source<'_> = ("c", Ok(certificate.as_bytes()));
        assert_eq!(legacy("RSA", alone, alone).warnings[0], "No private key found in c");
        let unfit = legacy("ECDSA", alone, ("k", Ok(other.as_bytes())));
        assert_eq!(unfit.warnings[0], "cannot get ECDSA private key from file \"k\": disabling TLS support");
        let strange = legacy("ECDSA", alone, ("k", Ok(made(true).0.as_bytes())));
        let why = "ECDSA private key in k does not match public key in c: disabling TLS support";
        assert!(strange.failed && strange.warnings == [why]);
    }
}
