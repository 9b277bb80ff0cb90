//! TLS of the SMTP client.

use crate::instance::Instance;
use crate::tls::options::Options;
use crate::tls::{is_any_set, random_source, set, tell, tell_to_reload};

/// Whether nobody has decided about it yet.
pub(super) fn is_default(instance: &Instance) -> bool {
    const DECISIVE: [&str; 7] = [
        "smtp_use_tls",
        "smtp_enforce_tls",
        "smtp_tls_enforce_peername",
        "smtp_tls_security_level",
        "smtp_tls_cert_file",
        "smtp_tls_dcert_file",
        "smtp_tls_eccert_file",
    ];
    !is_any_set(instance, &DECISIVE)
}

/// `enable-client`
pub(super) fn enable(instance: &Instance, words: &[String]) -> Result<(), String> {
    const USAGE: &str = "enable-client [-r devrandom]";
    let options = Options::parse(words, "r:", USAGE)?;
    if !options.operands.is_empty() {
        return Err(format!("usage: postfix tls {USAGE}"));
    }
    let value = |name: &str| instance.config.lookup(name).ok().flatten().unwrap_or_default();
    let kind = value("default_cache_db_type");
    if !is_default(instance) {
        tell(
            "*** Non-default SMTP client TLS settings detected, no changes made.\n\
              For opportunistic TLS in the Postfix SMTP client, the below settings\n\
              are typical:\n  smtp_tls_security_level = may\n  smtp_tls_loglevel = 1",
        );
        logging::info!("  smtp_tls_session_cache_database = {kind}:${{data_directory}}/smtp_scache");
        return Ok(());
    }
    let cache = format!("{kind}:{}/smtp_scache", instance.data.display());
    let (random, source) = random_source(instance, options.random);
    set(
        instance,
        &[
            ("smtp_tls_loglevel", "1".to_owned()),
            ("smtp_tls_security_level", "may".to_owned()),
            ("smtp_tls_session_cache_database", cache),
            (&random, source),
        ],
    )?;
    tell("Enabled opportunistic TLS in the Postfix SMTP client.");
    tell_to_reload();
    Ok(())
}
