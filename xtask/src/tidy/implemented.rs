//! What the parameter table says to be implemented is read by some program, and what a program reads is implemented: an
//! operator is told by it what of his settings has no effect.

use std::collections::HashSet;

use super::Complaints;
use super::source::Source;
use crate::failure::Outcome;
use crate::workspace;

const TABLE: &str = "crates/config/parameters";

/// Where parameters that are not there yet are read all the same: to refuse what they ask for, to judge their values,
/// or to hand them to a service that is not there.
const REFUSES: [&str; 11] = [
    "cleanup/src/withheld",
    "crates/command/src/start.rs",
    "crates/config/src/",
    "crates/lookup/src/open.rs",
    "crates/smtp-server/src/settings.rs",
    "postqueue/src/flush.rs",
    "sendmail/src/submit.rs",
    "smtp/src/configure.rs",
    "smtpd/src/old_defaults.rs",
    "smtpd/src/settings.rs",
    "smtpd/src/missing/",
];

/// Parameters that work without being read: each with the reason.
const UNREAD: [(&str, &str); 31] = [
    ("berkeley_db_create_buffer_size", "there is no Berkeley DB"),
    ("berkeley_db_read_buffer_size", "there is no Berkeley DB"),
    ("connection_cache_protocol_timeout", "connections are kept where they are used"),
    ("connection_cache_service_name", "connections are kept where they are used"),
    ("connection_cache_status_update_time", "connections are kept where they are used"),
    ("cyrus_sasl_config_path", "there is no Cyrus library"),
    ("debug_peer_level", "there is one level"),
    ("default_delivery_status_filter", "other parameters refer to it"),
    ("dns_ncache_ttl_fix_enable", "the resolver is our own"),
    ("error_service_name", "C Postfix does not heed it either"),
    ("fault_injection_code", "nothing can be made to fail"),
    ("html_directory", "for people"),
    ("lmtp_sasl_path", "the mechanisms are our own"),
    ("mail_release_date", "other parameters refer to it"),
    ("mailq_path", "for installers"),
    ("manpage_directory", "for people"),
    ("maps_rbl_domains", "its restriction is gone"),
    ("meta_directory", "for installers"),
    ("multi_instance_name", "other parameters refer to it"),
    ("newaliases_path", "for installers"),
    ("non_bdb_migration_service_name", "no service makes index files"),
    ("openssl_path", "no openssl is run"),
    ("process_id_directory", "for scripts"),
    ("qmgr_fudge_factor", "of an old scheduler"),
    ("readme_directory", "for people"),
    ("reject_tempfail_action", "other parameters refer to it"),
    ("sample_directory", "for people"),
    ("shlib_directory", "for installers"),
    ("smtp_sasl_path", "the mechanisms are our own"),
    ("smtpd_sasl_local_domain", "Dovecot's protocol has no place for it"),
    ("smtpd_service_name", "postscreen asks for it"),
];

pub(super) fn check(sources: &[Source], complaints: &mut Complaints) -> Outcome {
    let (mut read, mut refused) = (HashSet::new(), HashSet::new());
    for source in sources.iter().filter(|source| !is_generated(&source.path)) {
        let names = if REFUSES.iter().any(|place| source.path.starts_with(place)) { &mut refused } else { &mut read };
        for line in source.lines.iter().filter(|line| !line.test) {
            names.extend(words(&line.text).map(str::to_ascii_lowercase));
        }
    }
    for path in workspace::files()?.iter().filter(|p| p.starts_with(TABLE) && p.ends_with(".toml")) {
        let table = workspace::read_toml(&workspace::root().join(path))?;
        let entries = table.get("parameter").and_then(toml::Value::as_array);
        for entry in entries.into_iter().flatten() {
            if let Some(what) = wrong(entry, &read, &refused) {
                complaints.add(path, 1, what);
            }
        }
    }
    Ok(())
}

fn wrong(entry: &toml::Value, read: &HashSet<String>, refused: &HashSet<String>) -> Option<String> {
    let flag = |key: &str| entry.get(key).and_then(toml::Value::as_bool).unwrap_or_default();
    let name = entry.get("name")?.as_str()?;
    // As `smtpd_tls_CAfile`, whose constant is SMTPD_TLS_CAFILE.
    let name = name.to_ascii_lowercase();
    let name = name.as_str();
    let constant = name.strip_prefix('2').map_or(name.to_owned(), |rest| format!("double_{rest}"));
    let pair = entry.get("twin").and_then(toml::Value::as_str).unwrap_or(name);
    let pair = pair.strip_prefix("smtp_").or(pair.strip_prefix("lmtp_")).map(|rest| format!("{TWIN}{rest}"));
    let is_in = |names: &HashSet<String>| {
        names.contains(name) || names.contains(&constant) || pair.as_ref().is_some_and(|pair| names.contains(pair))
    };
    // `local_destination_recipient_limit` is read by its end.
    let of_transport =
        name.ends_with("_destination_recipient_limit") || name.ends_with("_destination_concurrency_limit");
    let may_be_unread = of_transport || UNREAD.iter().any(|(known, _)| *known == name);
    match flag("implemented") {
        true if !(is_in(read) || is_in(refused) || may_be_unread) => {
            Some(format!("`{name}` is said to be implemented, and no program reads it"))
        }
        false if !flag("legacy") && is_in(read) => {
            Some(format!("`{name}` is said not to be implemented, and a program reads it"))
        }
        _ => None,
    }
}

/// Before the name of a constant that is a pair of parameters, of smtp and of lmtp.
const TWIN: &str = "twin::";

/// The names in a line: constants of parameters and of pairs of them, and names in quotes.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('"').skip(1).step_by(2);
    let named = |prefix: &'static str| {
        line.match_indices(prefix).map(move |(at, _)| {
            let rest = &line[at + prefix.len()..];
            let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            (&line[at..at + prefix.len() + length], &rest[..length])
        })
    };
    quoted.chain(named("param::").map(|(_, name)| name)).chain(named(TWIN).map(|(whole, _)| whole))
}

fn is_generated(path: &str) -> bool {
    ["crates/config/src/param.rs", "crates/config/src/table.rs"].contains(&path)
        || path.starts_with("xtask/")
        || path.starts_with("postconf/")
        || path.starts_with("crates/config/src/report/")
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn names_are_those_of_constants_and_those_in_quotes() {
        let line = r#"    config.get(param::DOUBLE_BOUNCE_SENDER)?, maps("virtual_mailbox_maps", x)"#;
        assert_eq!(words(line).collect::<Vec<_>>(), ["virtual_mailbox_maps", "DOUBLE_BOUNCE_SENDER"]);
        assert_eq!(words("x: u8 = twin::HELO_NAME,").collect::<Vec<_>>(), ["twin::HELO_NAME"]);
    }
}
