//! Parameters whose value is one of a few words, or a list of them, and a few others whose text must have a form. A
//! word that is none is an error of every program that asks for the parameter, in Postfix's text; nothing is passed
//! over.

use std::path::Path;

use crate::error::ValueError;
use crate::level::Level;

/// How many words a value has, and how a wrong one is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A list; its words are told apart by case.
    List,
    /// One word, upper or lower case. The text has `NAME` and `VALUE` in it.
    One(&'static str),
    /// One word, in lower case.
    Exact(&'static str),
}

use Form::{Exact, List, One};

const CLASSES: &[&str] = &["envelope_sender", "envelope_recipient", "header_sender", "header_recipient"];
const DELIVERIES: &[&str] = &["command", "file", "forward"];
const LOCKS: &[&str] = &["flock", "fcntl", "dotlock"];
const EXPANSIONS: &[&str] = &["alias", "forward", "include"];
const PREFERENCES: &[&str] = &["any", "ipv4", "ipv6"];
const LOOKUPS: &[&str] = &["dns", "native"];
const ACTIONS: &[&str] = &["defer", "defer_if_permit"];
const TARGETS: &[&str] = &["rcpt", "data"];
const TARGET: &str = "bad protocol stage: \"NAME = VALUE\"";
const CONFIGURATION: &str = "bad configuration: NAME = VALUE";
const TLS_LEVELS: &[&str] =
    &["", "none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure", "half-dane"];
const SERVER_TLS_LEVELS: &[&str] = &["", "none", "may", "encrypt", "fingerprint", "verify", "secure"];
const TLS_LEVEL: &str = "Invalid TLS level \"VALUE\"";
const FACILITIES: &[&str] = &[
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "security", "syslog", "user", "uucp",
    "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// By name.
const WORDS: &[(&str, &[&str], Form)] = &[
    ("allow_mail_to_commands", EXPANSIONS, List),
    ("allow_mail_to_files", EXPANSIONS, List),
    ("canonical_classes", CLASSES, List),
    ("header_from_format", &["standard", "obsolete"], One("invalid setting: \"NAME = VALUE\"")),
    ("info_log_address_format", &["external", "internal"], One("invalid parameter setting \"NAME = VALUE\"")),
    ("internal_mail_filter_classes", &["bounce", "notify"], List),
    ("lmtp_address_preference", PREFERENCES, One("bad NAME value: VALUE")),
    ("lmtp_address_verify_target", TARGETS, Exact(TARGET)),
    ("lmtp_dns_resolver_options", &["res_defnames", "res_dnsrch"], List),
    ("lmtp_dns_support_level", SUPPORT, One("invalid NAME: \"VALUE\"")),
    ("lmtp_host_lookup", LOOKUPS, List),
    ("lmtp_tls_security_level", TLS_LEVELS, One(TLS_LEVEL)),
    ("mailbox_delivery_lock", LOCKS, List),
    ("maillog_format", &["postfix", "json"], Exact("invalid NAME value: VALUE")),
    ("masquerade_classes", CLASSES, List),
    ("non_empty_end_of_header_action", &["fix_quietly", "add_header", "reject"], One("bad NAME value: 'VALUE'")),
    ("notify_classes", &["bounce", "2bounce", "data", "delay", "policy", "protocol", "resource", "software"], List),
    ("prepend_delivered_header", DELIVERIES, List),
    ("propagate_unmatched_extensions", &["canonical", "virtual", "alias", "forward", "include", "generic"], List),
    (
        "receive_override_options",
        &["no_unknown_recipient_checks", "no_address_mappings", "no_header_body_checks", "no_milters"],
        List,
    ),
    ("recipient_canonical_classes", &["envelope_recipient", "header_recipient"], List),
    ("reject_tempfail_action", ACTIONS, One(CONFIGURATION)),
    ("sender_canonical_classes", &["envelope_sender", "header_sender"], List),
    ("sendmail_fix_line_endings", &["always", "strict", "never"], Exact("invalid NAME value: VALUE")),
    ("smtp_address_preference", PREFERENCES, One("bad NAME value: VALUE")),
    ("smtp_address_verify_target", TARGETS, Exact(TARGET)),
    ("smtp_dns_resolver_options", &["res_defnames", "res_dnsrch"], List),
    ("smtp_dns_support_level", SUPPORT, One("invalid NAME: \"VALUE\"")),
    ("smtp_host_lookup", LOOKUPS, List),
    ("smtp_tls_security_level", TLS_LEVELS, One(TLS_LEVEL)),
    (
        "smtpd_forbid_bare_newline",
        &["no", "note", "yes", "normalize", "reject"],
        One("bad parameter value: 'NAME = VALUE'"),
    ),
    ("smtpd_tls_security_level", SERVER_TLS_LEVELS, One(TLS_LEVEL)),
    ("smtpd_upstream_proxy_protocol", &["", "haproxy"], Exact("unsupported NAME value: VALUE")),
    (
        "smtputf8_autodetect_classes",
        &["all", "sendmail", "smtpd", "qmqpd", "forward", "bounce", "notify", "verify"],
        List,
    ),
    ("syslog_facility", FACILITIES, Exact("parameter NAME: unrecognized value: VALUE")),
    ("unknown_address_tempfail_action", ACTIONS, One(CONFIGURATION)),
    ("unknown_helo_hostname_tempfail_action", ACTIONS, One(CONFIGURATION)),
    ("unverified_recipient_tempfail_action", ACTIONS, One(CONFIGURATION)),
    ("unverified_sender_tempfail_action", ACTIONS, One(CONFIGURATION)),
    ("virtual_mailbox_lock", LOCKS, List),
];

const SUPPORT: &[&str] = &["", "disabled", "enabled", "dnssec"];

/// The expanded value of a parameter as programs compare it: one word of a few is in lower case. `directory` is where
/// main.cf is, for texts that name it.
pub(crate) fn checked(name: &str, text: String, directory: &Path) -> Result<String, ValueError> {
    let wrong = |why: String| Err(ValueError::Meaning(why));
    let of_file = |why: String| ValueError::Meaning(format!("file {}: {why}", directory.join("main.cf").display()));
    match name {
        "myhostname" | "mydomain" if !text.is_empty() && !net::hostname::is_valid(text.as_bytes()) => {
            return Err(of_file(format!("parameter {name}: bad parameter value: {text}")));
        }
        "myorigin" if text.contains([' ', ',', '\t', '\r', '\n']) => {
            return wrong(format!("myorigin parameter setting must not contain multiple values: {text}"));
        }
        "compatibility_level" if Level::parse(&text).is_none() => {
            return wrong(format!("malformed compatibility level syntax: \"{text}\""));
        }
        _ => {}
    }
    let Ok(at) = WORDS.binary_search_by(|(known, ..)| (*known).cmp(name)) else { return Ok(text) };
    let (_, words, form) = WORDS[at];
    let told = |sentence: &str| sentence.replace("NAME", name).replace("VALUE", &text);
    match form {
        List => match text::split_list(&text).into_iter().find(|word| !words.contains(word)) {
            // Postfix has one name for the three.
            Some(word) => {
                let name = if name.ends_with("canonical_classes") { "canonical_classes" } else { name };
                wrong(format!("unknown {name} value \"{word}\" in \"{text}\""))
            }
            None => Ok(text),
        },
        One(sentence) => match words.iter().find(|word| word.eq_ignore_ascii_case(&text)) {
            Some(word) => Ok((*word).to_owned()),
            None => wrong(told(sentence)),
        },
        Exact(_) if words.contains(&text.as_str()) => Ok(text),
        Exact(sentence) if name == "syslog_facility" => Err(of_file(told(sentence))),
        Exact(sentence) => wrong(told(sentence)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str) -> Result<String, String> {
        checked(name, value.to_owned(), Path::new("/etc/postfix")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_table_is_sorted_and_its_defaults_are_words() {
        assert!(WORDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let config = crate::Config::parse(b"", Path::new("/etc/postfix"), &[]).unwrap();
        for (name, ..) in WORDS {
            let value = config.lookup(name).unwrap().unwrap();
            assert_eq!(check(name, &value), Ok(value.clone()), "{name}");
        }
    }

    /// As Postfix 3.11 tells them.
    #[test]
    fn a_word_that_is_none_is_an_error_in_the_text_of_postfix() {
        for (name, value, why) in [
            ("notify_classes", "resource # x", "unknown notify_classes value \"#\" in \"resource # x\""),
            ("notify_classes", "BOUNCE", "unknown notify_classes value \"BOUNCE\" in \"BOUNCE\""),
            ("sender_canonical_classes", "a", "unknown canonical_classes value \"a\" in \"a\""),
            ("smtp_address_verify_target", "foo", "bad protocol stage: \"smtp_address_verify_target = foo\""),
            ("smtp_address_preference", "ipv5", "bad smtp_address_preference value: ipv5"),
            ("smtp_tls_security_level", "high", "Invalid TLS level \"high\""),
            ("smtp_dns_support_level", "x", "invalid smtp_dns_support_level: \"x\""),
            ("sendmail_fix_line_endings", "ALWAYS", "invalid sendmail_fix_line_endings value: ALWAYS"),
            ("smtpd_forbid_bare_newline", "x", "bad parameter value: 'smtpd_forbid_bare_newline = x'"),
            (
                "syslog_facility",
                "MAIL",
                "file /etc/postfix/main.cf: parameter syslog_facility: unrecognized value: MAIL",
            ),
            ("myhostname", "%(x)s", "file /etc/postfix/main.cf: parameter myhostname: bad parameter value: %(x)s"),
            ("mydomain", "1.2", "file /etc/postfix/main.cf: parameter mydomain: bad parameter value: 1.2"),
            ("myorigin", "a b", "myorigin parameter setting must not contain multiple values: a b"),
            ("compatibility_level", "3.6 # x", "malformed compatibility level syntax: \"3.6 # x\""),
        ] {
            assert_eq!(check(name, value), Err(why.to_owned()));
        }
    }

    #[test]
    fn one_word_may_be_written_in_any_case() {
        assert_eq!(check("smtpd_forbid_bare_newline", "Yes"), Ok("yes".to_owned()));
        assert_eq!(check("smtp_tls_security_level", ""), Ok(String::new()));
        assert_eq!(check("mydestination", "a # b"), Ok("a # b".to_owned()));
    }
}
