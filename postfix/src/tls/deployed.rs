//! Certificates and keys that main.cf names: put there, and what is made of them.

use std::path::{Path, PathBuf};

use tls::Digest;

use crate::instance::Instance;
use crate::tls::key::{Key, Kind};
use crate::tls::options::Options;
use crate::tls::{certificate, set, store, tell, tell_to_reload};

/// The parameters of a kind: certificate file and key file.
fn parameters(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Rsa => ("smtpd_tls_cert_file", "smtpd_tls_key_file"),
        Kind::Ecdsa => ("smtpd_tls_eccert_file", "smtpd_tls_eckey_file"),
    }
}

/// The settings that a pair of files is.
pub(super) fn settings(kind: Kind, certificate: &Path, key: &Path) -> [(&'static str, String); 2] {
    let (first, second) = parameters(kind);
    [(first, certificate.display().to_string()), (second, key.display().to_string())]
}

/// The key file of a kind, if main.cf names one.
fn key_file(instance: &Instance, kind: Kind) -> Option<PathBuf> {
    let value = |name: &str| instance.config.lookup(name).ok().flatten().unwrap_or_default();
    let (certificate, key) = parameters(kind);
    if value(certificate).is_empty() || value(certificate).eq_ignore_ascii_case("none") {
        return None;
    }
    Some(place(instance, &value(key)))
}

/// A name is one in the configuration directory.
fn place(instance: &Instance, name: &str) -> PathBuf {
    instance.config.directory().join(name)
}

/// The key of a kind that main.cf names.
pub(super) fn key(instance: &Instance, kind: Kind) -> Option<Key> {
    read(&key_file(instance, kind)?).filter(|key| key.kind() == Some(kind))
}

fn read(path: &Path) -> Option<Key> {
    Key::read(&store::read(path).ok()?)
}

fn no_key(path: &Path) -> String {
    format!("no private key found in file: {}", path.display())
}

/// The host itself, unless others are named.
pub(super) fn names(instance: &Instance, given: Vec<String>) -> Vec<String> {
    if given.is_empty() { vec![own_name(instance)] } else { given }
}

fn own_name(instance: &Instance) -> String {
    instance.config.lookup("myhostname").ok().flatten().unwrap_or_default()
}

/// Whether the newer parameter hides what these commands deal with, which Postfix leaves to be found out.
pub(super) fn warn_of_chain_files(instance: &Instance) {
    if instance.config.lookup("smtpd_tls_chain_files").ok().flatten().is_some_and(|list| !list.is_empty()) {
        logging::warning!(
            "smtpd_tls_chain_files is set: smtpd_tls_cert_file and its like, which this command is about, have no effect"
        );
    }
}

/// `deploy-server-cert`
pub(super) fn deploy(instance: &Instance, words: &[String]) -> Result<(), String> {
    const USAGE: &str = "deploy-server-cert certfile keyfile";
    let options = Options::parse(words, "", USAGE)?;
    let [certificate, key] = options.operands.as_slice() else {
        return Err(format!("usage: postfix tls {USAGE}"));
    };
    let (certificate, key) = (place(instance, certificate), place(instance, key));
    let found = read(&key).ok_or_else(|| no_key(&key))?;
    let kind = found.kind().ok_or_else(|| no_key(&key))?;
    let public = public_key(&certificate).ok_or("error computing certificate public key digest")?;
    if public != found.public() {
        let (certificate, key) = (certificate.display(), key.display());
        return Err(format!("Certificate in {certificate} does not match key in {key}"));
    }
    warn_of_chain_files(instance);
    set(instance, &settings(kind, &certificate, &key))?;
    tell("New TLS private key and certificate deployed.");
    tell_to_reload();
    Ok(())
}

/// The public key of the first certificate in a file.
fn public_key(path: &Path) -> Option<Vec<u8>> {
    let text = store::read(path).ok()?;
    let object = tls::pem::objects(&text).into_iter().find(|object| object.kind == "CERTIFICATE")?;
    tls::Certificate::read(&object.der.ok()?).map(|certificate| certificate.public_key)
}

/// `output-server-csr`
pub(super) fn print_request(instance: &Instance, words: &[String]) -> Result<(), String> {
    let options = Options::parse(words, "k:", "output-server-csr [-k keyfile] [hostname ...]")?;
    if options.key.as_deref().is_none_or(|word| Kind::named(word).is_some()) {
        warn_of_chain_files(instance);
    }
    let path = match options.key.as_deref() {
        None => [Kind::Rsa, Kind::Ecdsa].into_iter().find_map(|kind| key_file(instance, kind)),
        Some(word) => match Kind::named(word) {
            Some(kind) => key_file(instance, kind),
            None => Some(place(instance, word)),
        },
    };
    let path = path.filter(|path| path.exists()).ok_or("No usable keyfile specified or configured")?;
    let key = read(&path).ok_or_else(|| no_key(&path))?;
    print!("{}", certificate::request(&key, &names(instance, options.operands))?);
    Ok(())
}

/// `output-server-tlsa`: records for the keys. RFC 6698, RFC 7672 3.1.1
pub(super) fn print_records(instance: &Instance, words: &[String]) -> Result<(), String> {
    let options = Options::parse(words, "h:", "output-server-tlsa [-h hostname] [keyfile ...]")?;
    let configured = |kind| key_file(instance, kind);
    let of_word = |word: &String| match Kind::named(word) {
        Some(kind) => configured(kind),
        None => Some(place(instance, word)),
    };
    if options.operands.iter().all(|word| Kind::named(word).is_some()) {
        warn_of_chain_files(instance);
    }
    let files: Vec<PathBuf> = match options.operands.is_empty() {
        true => [Kind::Rsa, Kind::Ecdsa].into_iter().filter_map(configured).collect(),
        false => options.operands.iter().filter_map(of_word).collect(),
    };
    if files.is_empty() {
        return Err("No usable keyfiles specified or configured".to_owned());
    }
    let host = options.host.unwrap_or_else(|| own_name(instance));
    for file in files {
        println!("; {}", file.display());
        let key = read(&file).filter(|key| key.kind().is_some()).ok_or_else(|| no_key(&file))?;
        let digest: String = Digest::Sha256.of(&key.public()).iter().map(|byte| format!("{byte:02x}")).collect();
        println!("_25._tcp.{host}. IN TLSA 3 1 1 {digest}");
    }
    Ok(())
}
