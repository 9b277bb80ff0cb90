//! Which files hold our certificates and keys, by the parameters of main.cf: the same for a process that uses them
//! and for tlsmgr, which alone reads them.

use config::param::{self, twin};
use config::{Config, Parameter, Reader, ValueError};
use ipc::tlsmgr::{Files, Legacy};

/// The files of one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// The files; `None` without any.
    pub files: Option<Files>,
    /// The new parameter hides the older ones.
    pub both: bool,
    /// smtpd_tls_cert_file is `none`: servers without a certificate of their own.
    pub none: bool,
}

/// Those of smtpd.
///
/// # Errors
/// A value that makes no sense.
pub fn of_server(config: &Config) -> Result<Configured, ValueError> {
    let from = Reader::from(config);
    let legacy = [
        pair(from, "RSA", param::SMTPD_TLS_CERT_FILE, param::SMTPD_TLS_KEY_FILE)?,
        pair(from, "DSA", param::SMTPD_TLS_DCERT_FILE, param::SMTPD_TLS_DKEY_FILE)?,
        pair(from, "ECDSA", param::SMTPD_TLS_ECCERT_FILE, param::SMTPD_TLS_ECKEY_FILE)?,
    ];
    Ok(configured(from.get(param::SMTPD_TLS_CHAIN_FILES)?, legacy.into()))
}

/// Those of smtp, or of lmtp.
///
/// # Errors
/// A value that makes no sense.
pub fn of_client(from: Reader<'_>) -> Result<Configured, ValueError> {
    let legacy = [
        pair(from, "RSA", twin::TLS_CERT_FILE, twin::TLS_KEY_FILE)?,
        pair(from, "DSA", twin::TLS_DCERT_FILE, twin::TLS_DKEY_FILE)?,
        pair(from, "ECDSA", twin::TLS_ECCERT_FILE, twin::TLS_ECKEY_FILE)?,
    ];
    Ok(configured(from.get(twin::TLS_CHAIN_FILES)?, legacy.into()))
}

fn pair(
    from: Reader<'_>,
    kind: &str,
    certificate: impl Parameter<Value = String>,
    key: impl Parameter<Value = String>,
) -> Result<Legacy, ValueError> {
    Ok(Legacy { kind: kind.to_owned(), certificate: from.get(certificate)?, key: from.get(key)? })
}

fn configured(chains: Vec<String>, mut legacy: Vec<Legacy>) -> Configured {
    let is_none = |pair: &Legacy| pair.kind == "RSA" && pair.certificate.eq_ignore_ascii_case("none");
    let none = legacy.iter().any(is_none);
    legacy.retain(|pair| !pair.certificate.is_empty() && !is_none(pair));
    let both = !chains.is_empty() && (none || !legacy.is_empty());
    let files = match (chains.is_empty(), legacy.is_empty()) {
        (false, _) => Some(Files::Chains(chains)),
        (true, false) => Some(Files::Legacy(legacy)),
        (true, true) => None,
    };
    Configured { files, both, none }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Configured {
        of_server(&Config::parse(text.as_bytes(), std::path::Path::new("/c"), &[]).unwrap()).unwrap()
    }

    #[test]
    fn the_new_parameter_hides_the_older_ones_and_keys_default_to_their_certificates() {
        assert_eq!(server("").files, None);
        let Some(Files::Legacy(pairs)) = server("smtpd_tls_cert_file = /c\n").files else { panic!() };
        assert_eq!((pairs.len(), pairs[0].key.as_str()), (1, "/c"));
        let both = server("smtpd_tls_cert_file = /c\nsmtpd_tls_chain_files = /a, /b\n");
        assert!(both.both && both.files == Some(Files::Chains(vec!["/a".to_owned(), "/b".to_owned()])));
        let none = server("smtpd_tls_cert_file = None\n");
        assert!(none.none && none.files.is_none() && !none.both);
    }
}
