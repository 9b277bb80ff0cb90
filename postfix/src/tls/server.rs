//! TLS of the SMTP server, and new keys and certificates for it.

use std::path::PathBuf;

use crate::instance::Instance;
use crate::tls::key::{Key, Kind};
use crate::tls::options::Options;
use crate::tls::{certificate, deployed, is_any_set, random_source, set, store, tell, tell_to_reload};

/// Whether nobody has decided about it yet.
pub(super) fn is_default(instance: &Instance) -> bool {
    const DECISIVE: [&str; 6] = [
        "smtpd_use_tls",
        "smtpd_enforce_tls",
        "smtpd_tls_security_level",
        "smtpd_tls_cert_file",
        "smtpd_tls_dcert_file",
        "smtpd_tls_eccert_file",
    ];
    !is_any_set(instance, &DECISIVE)
}

/// `enable-server`
pub(super) fn enable(instance: &Instance, words: &[String]) -> Result<(), String> {
    const USAGE: &str = "enable-server [-a algorithm] [-b bits ] [-r devrandom] [hostname ...]";
    let options = Options::parse(words, "a:b:r:", USAGE)?;
    if !is_default(instance) {
        tell(
            "*** Non-default SMTP server TLS settings detected, no changes made.\n\
              For opportunistic TLS in the Postfix SMTP server, the below settings\n\
              are typical:\n  smtpd_tls_security_level = may\n  smtpd_tls_loglevel = 1\n\
              You can use \"postfix tls new-server-cert\" to create a new certificate.\n\
              Or, \"postfix tls new-server-key\" to also force a new private key.\n\
              If you publish DANE TLSA records, see:\n  https://tools.ietf.org/html/rfc7671#section-8\n  \
              https://tools.ietf.org/html/rfc7671#section-5.1\n  https://tools.ietf.org/html/rfc7671#section-5.2\n  \
              https://community.letsencrypt.org/t/please-avoid-3-0-1-and-3-0-2-dane-tlsa-records-with-le-certificates/7022",
        );
        return Ok(());
    }
    let kind = kind(options.algorithm.as_deref(), "private")?;
    let made = Pair::make(instance, kind, options.bits.as_deref(), None, options.operands)?;
    let (random, source) = random_source(instance, options.random);
    let mut settings = deployed::settings(kind, &made.certificate, &made.key).to_vec();
    settings.extend([
        ("smtpd_tls_loglevel", "1".to_owned()),
        ("smtpd_tls_received_header", "yes".to_owned()),
        ("smtpd_tls_security_level", "may".to_owned()),
        (&*random, source),
    ]);
    deployed::warn_of_chain_files(instance);
    set(instance, &settings)?;
    tell("Enabled opportunistic TLS in the Postfix SMTP server\nNew TLS private key and certificate deployed.");
    tell_to_reload();
    tell_of_request(&made, "");
    tell(
        "To generate TLSA records run:\n  # postfix tls output-server-tlsa [-h <hostname>] \n\
          (If you have DANE TLSA RRs, update them as soon as possible to match\nthe newly deployed keys).",
    );
    Ok(())
}

/// `new-server-key`
pub(super) fn new_key(instance: &Instance, words: &[String]) -> Result<(), String> {
    create(instance, words, "new-server-key [-a algorithm] [-b bits ] [hostname ...]", |_| None)
}

/// `new-server-cert`: for the key that is in use, if there is one.
pub(super) fn new_certificate(instance: &Instance, words: &[String]) -> Result<(), String> {
    create(instance, words, "new-server-cert [-a algorithm] [-b bits ] [hostname ...]", |kind| {
        deployed::key(instance, kind)
    })
}

fn create(
    instance: &Instance,
    words: &[String],
    usage: &str,
    known: impl FnOnce(Kind) -> Option<Key>,
) -> Result<(), String> {
    let options = Options::parse(words, "a:b:", usage)?;
    let kind = kind(options.algorithm.as_deref(), "public")?;
    let known = known(kind);
    let is_new = known.is_none();
    let made = Pair::make(instance, kind, options.bits.as_deref(), known, options.operands)?;
    let (certificate, key) = (made.certificate.display(), made.key.display());
    tell("New private key and self-signed certificate created. To deploy run:");
    logging::info!("  # postfix tls deploy-server-cert {certificate} {key}");
    tell_of_request(&made, ", and deploy as above");
    tell("To generate TLSA records run:");
    logging::info!("  # postfix tls output-server-tlsa [-h <hostname>] {key}");
    if is_new {
        tell("(deploy after updating the DNS and waiting for stale RRs to expire).");
    }
    Ok(())
}

fn tell_of_request(made: &Pair, more: &str) {
    tell("To generate a CSR run:");
    logging::info!("  # postfix tls output-server-csr -k {} [<hostname> ...]", made.key.display());
    logging::info!("Save the signed certificate chain in {}{more}.", made.certificate.display());
}

fn kind(word: Option<&str>, what: &str) -> Result<Kind, String> {
    let word = word.unwrap_or("rsa");
    Kind::named(word).ok_or_else(|| format!("Unsupported {what} key algorithm: {word}"))
}

/// The files of a key and its certificate.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    /// Makes both; without a `known` key a new one.
    fn make(
        instance: &Instance,
        kind: Kind,
        bits: Option<&str>,
        known: Option<Key>,
        names: Vec<String>,
    ) -> Result<Self, String> {
        let private = known.map_or_else(|| Key::generate(kind, bits), Ok)?;
        let text = certificate::self_signed(&private, &deployed::names(instance, names))?;
        let (certificate, key) = store::names(instance.config.directory(), kind);
        store::create(&key, "private key", 0o600, &private.to_pem())?;
        if let Err(why) = store::create(&certificate, "certificate", 0o644, &text) {
            // A key without its certificate is of no use to anybody.
            let _ = std::fs::remove_file(&key);
            return Err(why);
        }
        Ok(Self { certificate, key })
    }
}
