//! From main.cf to [`Rules`], and what is wrong with it: a mistake there takes TLS away, and the mail that needs it
//! waits.

use std::rc::Rc;
use std::time::Duration;

use config::param::{self, twin};
use config::{Agent, Reader, ValueError};
use daemon::StartError;
use dns::Searching;
use ipc::tlsmgr::{Files, Legacy};
use lookup::Maps;
use smtp_client::LookupRules;
use smtp_client::dane::{self, InsecureExchanger, Obstacle};
use tls::dane::Digests;
use tls::{Anchors, Digest, Grades, Groups, LogLevel};

use super::anchors::Shelf;
use super::level::Level;
use super::report::Reporting;
use super::requiretls;
use super::rules::Rules;
use super::terms::{Engine, Offer};
use crate::configure::{list, maps};

/// What is shorter counts as this.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(120);

/// Reads everything.
///
/// # Errors
/// A value that makes no sense.
pub fn rules(from: &Reader<'_>, lookup: LookupRules) -> Result<Rules, StartError> {
    let agent = if from.agent() == Agent::Lmtp { "lmtp" } else { "smtp" };
    let policies = maps(from, twin::TLS_POLICY_MAPS)?;
    let mut per_site = maps(from, twin::TLS_PER_SITE)?;
    if !per_site.is_empty() && !policies.is_empty() {
        let (old, new) = (per_site.title(), policies.title());
        logging::warning!("{old} ignored when {new} is not empty.");
        per_site = Maps::none("");
    }
    let level_name = from.name(&twin::TLS_SECURITY_LEVEL);
    let is_old = from.config.backwards_compatible_default(&level_name).is_some();
    let files = from.get(twin::TLS_TRUST_ANCHOR_FILE)?;
    let mut rules = Rules {
        agent,
        level: level(from)?,
        old_default: is_old.then(|| format!("{} {level_name}=(empty)", config::OLD_DEFAULT)),
        dane: dane::Rules { obstacle: obstacle(lookup), ..dane::Rules::default() },
        policies,
        per_site,
        optional: optional(from)?,
        mandatory: mandatory(from)?,
        verify_match: words(from.get(twin::TLS_VERIFY_CERT_MATCH)?),
        secure_match: words(from.get(twin::TLS_SECURE_CERT_MATCH)?),
        fingerprints: from.get(twin::TLS_FINGERPRINT_CERT_MATCH)?,
        servername: from.get(twin::TLS_SERVERNAME)?,
        anchors: Rc::default(),
        tafiles: files.into_iter().map(Into::into).collect(),
        shelf: Rc::default(),
        raw_keys: from.get(twin::TLS_ENABLE_RPK)?,
        reuse: from.get(twin::TLS_CONNECTION_REUSE)?,
        requiretls: requiretls(from)?,
        may_be_waived: from.get(param::TLS_REQUIRED_ENABLE)?,
        sts_patterns: from.get(twin::TLS_ENFORCE_STS_MX_PATTERNS)?,
        engine: engine(from)?,
        reporting: reporting(from)?,
        minimal_backoff: from.get(param::MINIMAL_BACKOFF_TIME)?,
        log_feature: from.config.modern_log() && from.get(twin::LOG_TLS_FEATURE_STATUS)?,
    };
    // Nothing is looked at, and nothing can be wrong, where nobody asks for it.
    if rules.may_need_tls() {
        look_at_digest(from, &mut rules.engine)?;
        rules.engine.groups = Groups::read(&from.get(param::TLS_EECDH_AUTO_CURVES)?);
        look_at_dane(from, &mut rules)?;
        rules.anchors = Rc::new(anchors(from, &mut rules.engine)?);
        let (_, tables) = list(from, twin::TLS_POLICY_MAPS)?;
        rules.shelf = Rc::new(Shelf::fill(&tables, &rules.tafiles));
        if rules.engine.log.verbose {
            logging::info!("initializing the client-side TLS engine");
        }
    }
    Ok(rules)
}

/// smtp_tls_security_level, or the switches before it.
fn level(from: &Reader<'_>) -> Result<Level, StartError> {
    let word = from.get(twin::TLS_SECURITY_LEVEL)?;
    if word.is_empty() {
        let matches = from.get(twin::TLS_ENFORCE_PEERNAME)?;
        return Ok(match (from.get(twin::ENFORCE_TLS)?, from.get(twin::USE_TLS)?) {
            (true, _) if matches => Level::Verify,
            (true, _) => Level::Encrypt,
            (false, true) => Level::May,
            (false, false) => Level::None,
        });
    }
    let bad = || StartError::new(format!("Invalid TLS level \"{}\"", text::printable(word.as_bytes())));
    Level::parse(&word).ok_or_else(bad)
}

fn optional(from: &Reader<'_>) -> Result<Offer, ValueError> {
    Ok(Offer {
        protocols: from.get(twin::TLS_PROTOCOLS)?,
        grade: from.get(twin::TLS_CIPHERS)?,
        exclude: from.get(twin::TLS_EXCLUDE_CIPHERS)?.join(","),
    })
}

fn mandatory(from: &Reader<'_>) -> Result<Offer, ValueError> {
    let mut exclude = from.get(twin::TLS_EXCLUDE_CIPHERS)?;
    exclude.extend(from.get(twin::TLS_MANDATORY_EXCLUDE_CIPHERS)?);
    Ok(Offer {
        protocols: from.get(twin::TLS_MANDATORY_PROTOCOLS)?,
        grade: from.get(twin::TLS_MANDATORY_CIPHERS)?,
        exclude: exclude.join(","),
    })
}

/// Names may have colons between them, as in policies.
fn words(listed: Vec<String>) -> Vec<String> {
    let words = listed.iter().flat_map(|text| text.split(':')).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// requiretls_enable, smtp_requiretls_policy
fn requiretls(from: &Reader<'_>) -> Result<Option<requiretls::Rules>, StartError> {
    if !from.get(param::REQUIRETLS_ENABLE)? {
        return Ok(None);
    }
    let (name, value) = list(from, twin::REQUIRETLS_POLICY)?;
    Ok(Some(requiretls::Rules::open(from.config, &name, &value)?))
}

fn engine(from: &Reader<'_>) -> Result<Engine, ValueError> {
    let lifetime = from.get(twin::TLS_SESSION_CACHE_TIMEOUT)?;
    // Sessions are remembered in this process; where is of no importance.
    let is_on = !from.get(twin::TLS_SESSION_CACHE_DATABASE)?.is_empty() && !lifetime.is_zero();
    Ok(Engine {
        works: true,
        wrapper: from.get(twin::TLS_WRAPPERMODE)?,
        note_offer: from.get(twin::TLS_NOTE_STARTTLS_OFFER)?,
        block_early: from.get(twin::TLS_BLOCK_EARLY_MAIL_REPLY)?,
        depth: usize::try_from(from.get(twin::TLS_SCERT_VERIFYDEPTH)?).unwrap_or(0),
        digest: Digest::Sha256,
        grades: Grades { high: from.get(param::TLS_HIGH_CIPHERLIST)?, medium: from.get(param::TLS_MEDIUM_CIPHERLIST)? },
        // Those of main.cf are read where somebody asks for TLS.
        groups: Groups::default(),
        log: LogLevel::parse(&from.get(twin::TLS_LOGLEVEL)?, &from.name(&twin::TLS_LOGLEVEL)),
        resumable: is_on.then_some(lifetime.max(SHORTEST_LIFETIME)),
    })
}

/// smtp_tlsrpt_enable
fn reporting(from: &Reader<'_>) -> Result<Option<Reporting>, ValueError> {
    if !from.get(twin::TLSRPT_ENABLE)? {
        return Ok(None);
    }
    let socket = from.get(twin::TLSRPT_SOCKET_NAME)?;
    if socket.is_empty() {
        let name = from.name(&twin::TLSRPT_SOCKET_NAME);
        logging::warning!("TLSRPT support: parameter {name} has empty value -- TLSRPT support will be disabled");
        return Ok(None);
    }
    let level = from.get(twin::DNS_SUPPORT_LEVEL)?;
    if level == "disabled" || level.is_empty() && from.get(param::DISABLE_DNS_LOOKUPS)? {
        logging::warning!("Cannot enable TLSRPT support: DNS is disabled");
        return Ok(None);
    }
    let log = LogLevel::parse(&from.get(twin::TLS_LOGLEVEL)?, &from.name(&twin::TLS_LOGLEVEL));
    let skip_resumed = from.get(twin::TLSRPT_SKIP_REUSED_HANDSHAKES)?;
    Ok(Some(Reporting { socket: socket.into(), skip_resumed, shown: log.summary }))
}

/// Why DANE cannot be, if so.
fn obstacle(lookup: LookupRules) -> Option<Obstacle> {
    match lookup {
        _ if !lookup.dnssec || !lookup.dns => Some(Obstacle::NoDnssec),
        _ if lookup.ignore_mx_error => Some(Obstacle::IgnoredErrors),
        _ if lookup.searching != Searching::default() => Some(Obstacle::Searching),
        _ => None,
    }
}

fn look_at_dane(from: &Reader<'_>, rules: &mut Rules) -> Result<(), StartError> {
    let word = from.get(param::SMTP_TLS_DANE_INSECURE_MX_POLICY)?;
    let policy = InsecureExchanger::parse(&word).ok_or_else(|| {
        let word = text::printable(word.as_bytes());
        StartError::new(format!("invalid smtp_tls_dane_insecure_mx_policy: \"{word}\""))
    })?;
    let listed = from.get(param::TLS_DANE_DIGESTS)?;
    let (digests, warnings) = Digests::parse(listed.iter().map(String::as_str));
    warnings.iter().for_each(|warning| logging::warning!("{}", text::printable(warning.as_bytes())));
    rules.dane.insecure_exchanger = policy;
    rules.dane.insecure_host = from.get(twin::TLS_FORCE_INSECURE_HOST_TLSA_LOOKUP)?;
    rules.dane.shown = rules.engine.log.dane;
    rules.dane.digests = Rc::new(digests);
    Ok(())
}

fn look_at_digest(from: &Reader<'_>, engine: &mut Engine) -> Result<(), ValueError> {
    let (name, value) = (from.name(&twin::TLS_FINGERPRINT_DIGEST), from.get(twin::TLS_FINGERPRINT_DIGEST)?);
    match tls::engine::digest(&value) {
        Some(digest) => engine.digest = digest,
        None => engine.works = false,
    }
    // A default of an old level; it is used where fingerprints are.
    if from.config.backwards_compatible_default(&name).is_some() {
        logging::info!("{} {name}={value} to compute certificate fingerprints", config::OLD_DEFAULT);
    }
    Ok(())
}

fn anchors(from: &Reader<'_>, engine: &mut Engine) -> Result<Anchors, ValueError> {
    let (file, directory) = (from.get(twin::TLS_CAFILE)?, from.get(twin::TLS_CAPATH)?);
    Ok(tls::engine::anchors(&file, &directory, from.get(param::TLS_APPEND_DEFAULT_CA)?).unwrap_or_else(|some| {
        engine.works = false;
        some
    }))
}

/// The files of our certificates, if any.
///
/// # Errors
/// A value that makes no sense.
pub fn certificate_files(from: &Reader<'_>) -> Result<Option<Files>, ValueError> {
    let pair = |kind: &str, certificate, key| Legacy { kind: kind.to_owned(), certificate, key };
    let mut legacy = vec![
        pair("RSA", from.get(twin::TLS_CERT_FILE)?, from.get(twin::TLS_KEY_FILE)?),
        pair("DSA", from.get(twin::TLS_DCERT_FILE)?, from.get(twin::TLS_DKEY_FILE)?),
        pair("ECDSA", from.get(twin::TLS_ECCERT_FILE)?, from.get(twin::TLS_ECKEY_FILE)?),
    ];
    legacy.retain(|pair| !pair.certificate.is_empty() && !pair.certificate.eq_ignore_ascii_case("none"));
    let chains = from.get(twin::TLS_CHAIN_FILES)?;
    if chains.is_empty() {
        return Ok((!legacy.is_empty()).then_some(Files::Legacy(legacy)));
    }
    if !legacy.is_empty() {
        let agent = if from.agent() == Agent::Lmtp { "lmtp" } else { "smtp" };
        logging::warning!(
            "Both {agent}_tls_chain_files and one or more of the legacy  {agent}_tls_cert_file, {agent}_tls_eccert_file \
             or {agent}_tls_dcert_file are non-empty; the legacy  parameters will be ignored"
        );
    }
    Ok(Some(Files::Chains(chains)))
}
