//! smtpd_tls_*: what main.cf says of TLS with clients, and what is wrong with it.

use std::path::Path;
use std::time::Duration;

use config::{Config, ConfigError, param};
use ipc::tlsmgr::Files;

use crate::files::{self, Configured};
use crate::fingerprint::Digest;
use crate::groups::Groups;
use crate::loglevel::LogLevel;
use crate::suites::{Grades, Suites};
use crate::trust::Anchors;
use crate::versions::Versions;

/// What main.cf says.
pub(crate) struct Settings {
    /// What is wrong with it was logged: TLS is not to be had.
    pub(crate) disabled: bool,
    /// What is logged. smtpd_tls_loglevel
    pub(crate) log: LogLevel,
    /// The certificates; `None` where there are only those of tls_server_sni_maps.
    pub(crate) files: Option<Files>,
    /// tls_server_sni_maps
    pub(crate) name_maps: String,
    /// smtpd_tls_protocols, smtpd_tls_mandatory_protocols
    pub(crate) versions: Versions,
    /// The suites of TLS 1.2 and 1.3, or the warning why there are none.
    pub(crate) suites: Result<Suites, String>,
    /// tls_eecdh_auto_curves
    pub(crate) groups: Groups,
    /// smtpd_tls_ask_ccert, smtpd_tls_req_ccert
    pub(crate) asks: bool,
    /// smtpd_tls_req_ccert
    pub(crate) requires: bool,
    /// smtpd_tls_enable_rpk
    pub(crate) raw_keys: bool,
    /// smtpd_tls_ccert_verifydepth
    pub(crate) depth: usize,
    /// smtpd_tls_CAfile, smtpd_tls_CApath, tls_append_default_CA
    pub(crate) anchors: Anchors,
    /// smtpd_tls_fingerprint_digest
    pub(crate) digest: Digest,
    /// The notice that the digest is the default of an old level, for the first fingerprint.
    pub(crate) old_digest: Option<String>,
    /// smtpd_tls_session_cache_timeout
    pub(crate) session_lifetime: Duration,
    /// Sessions can be resumed.
    pub(crate) tickets: bool,
    /// tls_preempt_cipherlist
    pub(crate) own_order: bool,
}

/// Whether a value of smtpd_tls_security_level is one.
///
/// # Errors
/// The text of the fatal error.
pub fn check_server_level(value: &str) -> Result<(), String> {
    let known = ["none", "may", "encrypt", "verify", "secure", "fingerprint"];
    if known.contains(&value.to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    Err(format!("Invalid TLS level \"{}\"", text::printable(value.as_bytes())))
}

impl Settings {
    /// Reads them, in the order in which what is wrong is told.
    pub(crate) fn read(config: &Config, mandatory: bool) -> Result<Settings, ConfigError> {
        let log = LogLevel::parse(&config.get(param::SMTPD_TLS_LOGLEVEL)?, param::SMTPD_TLS_LOGLEVEL.name());
        let mut problems = Problems::default();
        problems.look_at_library_file(config)?;
        let versions = problems.versions(config, mandatory)?;
        let digest = problems.digest(config)?;
        let anchors = problems.anchors(config)?;
        let (asked, required) = (config.get(param::SMTPD_TLS_ASK_CCERT)?, config.get(param::SMTPD_TLS_REQ_CCERT)?);
        if required && !mandatory {
            logging::warning!("Can't require client certs unless TLS is required");
        }
        let requires = required && mandatory;
        let asks = asked || requires;
        let name_maps = config.lookup(param::TLS_SERVER_SNI_MAPS.name())?.unwrap_or_default();
        let files = problems.files(config, asks)?;
        let session_lifetime = config.get(param::SMTPD_TLS_SESSION_CACHE_TIMEOUT)?;
        Ok(Settings {
            disabled: problems.disabled,
            log,
            files,
            name_maps,
            versions,
            suites: suites(config, mandatory, versions)?,
            groups: Groups::read(&config.get(param::TLS_EECDH_AUTO_CURVES)?),
            asks,
            requires,
            raw_keys: config.get(param::SMTPD_TLS_ENABLE_RPK)?,
            depth: usize::try_from(config.get(param::SMTPD_TLS_CCERT_VERIFYDEPTH)?).unwrap_or(0),
            anchors,
            digest,
            old_digest: old_digest(config)?,
            session_lifetime,
            tickets: tickets(config, session_lifetime)?,
            own_order: config.get(param::TLS_PREEMPT_CIPHERLIST)?,
        })
    }
}

fn old_digest(config: &Config) -> Result<Option<String>, ConfigError> {
    let (parameter, value) =
        (param::SMTPD_TLS_FINGERPRINT_DIGEST.name(), config.get(param::SMTPD_TLS_FINGERPRINT_DIGEST)?);
    let is_old = config.backwards_compatible_default(parameter).is_some();
    Ok(is_old.then(|| format!("{} {parameter}={value} to compute certificate fingerprints", config::OLD_DEFAULT)))
}

/// The suites that the parameters leave, or the warning why there are none: each session has to hear it.
fn suites(config: &Config, mandatory: bool, versions: Versions) -> Result<Result<Suites, String>, ConfigError> {
    let mut excluded = config.get(param::SMTPD_TLS_EXCLUDE_CIPHERS)?;
    let grade = if mandatory {
        excluded.extend(config.get(param::SMTPD_TLS_MANDATORY_EXCLUDE_CIPHERS)?);
        config.get(param::SMTPD_TLS_MANDATORY_CIPHERS)?
    } else {
        config.get(param::SMTPD_TLS_CIPHERS)?
    };
    let grades =
        Grades { high: config.get(param::TLS_HIGH_CIPHERLIST)?, medium: config.get(param::TLS_MEDIUM_CIPHERLIST)? };
    Ok(Suites::select(&grades, &grade, &excluded.join(","), versions.tls13).map_err(|error| error.to_string()))
}

/// Whether session tickets are given.
fn tickets(config: &Config, lifetime: Duration) -> Result<bool, ConfigError> {
    let cipher = config.get(param::TLS_SESSION_TICKET_CIPHER)?;
    // What they are sealed with here does not depend on it.
    let known = ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc"].contains(&cipher.to_ascii_lowercase().as_str());
    if !known && !cipher.is_empty() {
        let cipher = text::printable(cipher.as_bytes());
        logging::warning!("tls_session_ticket_cipher: invalid value: {cipher}; session tickets disabled");
    }
    Ok(known && !lifetime.is_zero() && !no_ticket_option(&config.get(param::TLS_SSL_OPTIONS)?))
}

/// Options of OpenSSL, of which one concerns this library; others that exist have no effect.
fn no_ticket_option(value: &str) -> bool {
    const KNOWN: [&str; 9] = [
        "ENABLE_MIDDLEBOX_COMPAT",
        "LEGACY_SERVER_CONNECT",
        "NO_RENEGOTIATION",
        "NO_SESSION_RESUMPTION_ON_RENEGOTIATION",
        "NO_TICKET",
        "PRIORITIZE_CHACHA",
        "NO_COMPRESSION",
        "NO_ENCRYPT_THEN_MAC",
        "TLSEXT_PADDING",
    ];
    let words: Vec<String> =
        value.split([',', ':', ' ', '\t']).filter(|word| !word.is_empty()).map(str::to_ascii_uppercase).collect();
    for word in &words {
        let is_number = word.strip_prefix("0X").is_some_and(|digits| u64::from_str_radix(digits, 16).is_ok());
        if !is_number && !KNOWN.contains(&word.as_str()) {
            let (word, value) = (text::printable(word.as_bytes()), text::printable(value.as_bytes()));
            logging::warning!("unknown tls_ssl_options value \"{word}\" in \"{value}\"");
        }
    }
    words.iter().any(|word| word == "NO_TICKET")
}

/// What keeps TLS from being had.
#[derive(Default)]
struct Problems {
    disabled: bool,
}

impl Problems {
    fn disable(&mut self, why: &str) {
        if !self.disabled {
            logging::warning!("{why}: disabling TLS support");
        }
        self.disabled = true;
    }

    /// tls_config_file means nothing to this library, but a mistake in it is one.
    fn look_at_library_file(&mut self, config: &Config) -> Result<(), ConfigError> {
        let file = config.get(param::TLS_CONFIG_FILE)?;
        if file.is_empty() || ["default", "none"].contains(&file.as_str()) {
            return Ok(());
        }
        let shown = text::printable(file.as_bytes());
        if !file.starts_with('/') {
            logging::warning!(
                "non-default tls_config_file = {shown} is not an absolute pathname, disabling TLS support"
            );
            self.disabled = true;
        } else if !Path::new(&file).exists() {
            logging::warning!(
                "error loading the 'global' settings from the {shown} OpenSSL configuration file, disabling TLS support"
            );
            self.disabled = true;
        }
        Ok(())
    }

    fn versions(&mut self, config: &Config, mandatory: bool) -> Result<Versions, ConfigError> {
        let list = if mandatory {
            config.get(param::SMTPD_TLS_MANDATORY_PROTOCOLS)?
        } else {
            config.get(param::SMTPD_TLS_PROTOCOLS)?
        };
        let parsed = Versions::parse(&list).unwrap_or_else(|bad| {
            self.disable(&format!("Invalid TLS protocol list \"{bad}\""));
            Versions { tls12: true, tls13: true, older: true }
        });
        if parsed.is_empty() {
            let list = text::printable(list.as_bytes());
            logging::warning!(
                "TLS protocol list \"{list}\" leaves nothing of TLS 1.2 and 1.3: no handshake can succeed"
            );
        }
        Ok(parsed)
    }

    fn digest(&mut self, config: &Config) -> Result<Digest, ConfigError> {
        let name = config.get(param::SMTPD_TLS_FINGERPRINT_DIGEST)?;
        Ok(Digest::named(&name).unwrap_or_else(|| {
            logging::warning!("Digest algorithm \"{}\" not found", text::printable(name.as_bytes()));
            logging::warning!("disabling TLS support");
            self.disabled = true;
            Digest::Sha256
        }))
    }

    fn anchors(&mut self, config: &Config) -> Result<Anchors, ConfigError> {
        let (file, path) = (config.get(param::SMTPD_TLS_CAFILE)?, config.get(param::SMTPD_TLS_CAPATH)?);
        let system = config.get(param::TLS_APPEND_DEFAULT_CA)?;
        let mut anchors = Anchors::default();
        if !file.is_empty()
            && let Err(error) = anchors.add_file(Path::new(&file))
        {
            let also = if path.is_empty() { String::new() } else { format!(", CApath=\"{path}\"") };
            let line =
                format!("cannot load Certification Authority data, CAfile=\"{file}\"{also}: disabling TLS support");
            logging::info!("{}", text::printable(line.as_bytes()));
            logging::warning!("TLS library problem: {}", text::printable(error.to_string().as_bytes()));
            self.disabled = true;
        }
        if !path.is_empty() {
            anchors.add_directory(Path::new(&path));
        }
        if system && !(file.is_empty() && path.is_empty()) {
            anchors.add_system();
        }
        Ok(anchors)
    }

    /// Which files have our certificates.
    fn files(&mut self, config: &Config, asks: bool) -> Result<Option<Files>, ConfigError> {
        let Configured { files, both, none } = files::of_server(config)?;
        if both {
            logging::warning!(
                "Both smtpd_tls_chain_files and one or more of the legacy  smtpd_tls_cert_file, \
                 smtpd_tls_eccert_file or smtpd_tls_dcert_file are non-empty; the legacy  parameters will be ignored"
            );
        } else if none && asks {
            logging::warning!("Need a server cert to request client certs");
        }
        if files.is_none() && (!none || asks) {
            logging::warning!("No server certs available. TLS won't be enabled");
            self.disabled = true;
        }
        Ok(files)
    }
}
