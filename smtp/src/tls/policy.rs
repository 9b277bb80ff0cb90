//! What a table (smtp_tls_policy_maps) says of one destination: a level and attributes. Text in, policy or error out.
//!
//! A policy that makes no sense never becomes a weaker one: its mail waits.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::level::Level;
use attribute::{is_separator, next_attribute, pair, take_word};

mod attribute;

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The level.
    pub level: Level,
    /// Versions in place of smtp_tls_protocols or smtp_tls_mandatory_protocols.
    pub protocols: Option<String>,
    /// A grade in place of smtp_tls_ciphers or smtp_tls_mandatory_ciphers.
    pub ciphers: Option<String>,
    /// In place of all exclusions.
    pub exclude: Option<String>,
    /// Names or fingerprints; empty: those of main.cf.
    pub matches: Vec<String>,
    /// Trust anchor files; empty: those of main.cf.
    pub tafiles: Vec<PathBuf>,
    /// The name that the server is asked for.
    pub servername: Option<ServerName>,
    /// In place of smtp_tls_enable_rpk.
    pub raw_keys: Option<bool>,
    /// In place of smtp_tls_connection_reuse.
    pub reuse: Option<bool>,
    /// What a plug-in says of the policy that it has found.
    pub external: Option<External>,
    /// Attributes without meaning at this level.
    pub ignored: Vec<String>,
}

/// The name that a server is asked for (SNI).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerName {
    /// That of the MX host.
    Hostname,
    /// That of the next-hop destination.
    Nexthop,
    /// This one.
    Name(String),
}

/// A policy that a plug-in has found (MTA-STS), and that it is to be reported by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct External {
    /// `policy_type=sts`; else none was found.
    pub is_sts: bool,
    /// policy_domain
    pub domain: Option<String>,
    /// policy_string: its lines.
    pub lines: Vec<String>,
    /// mx_host_pattern
    pub patterns: Vec<String>,
    /// policy_failure
    pub failure: Option<&'static str>,
}

/// What makes no sense in a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// Not even a level.
    Empty,
    /// No such level.
    Level(String),
    /// No attribute: the text, and what is wrong with it.
    Pair(String, String),
    /// An attribute that is none.
    Name(String),
    /// It must not be empty.
    EmptyValue(String),
    /// It must be there once.
    Twice(String),
    /// It has no meaning at this level.
    WrongLevel(String, &'static str),
    /// No yes and no no.
    BadValue(String, String),
    /// Not one of its values.
    Unexpected(&'static str, String),
    /// Not of its form.
    Malformed(&'static str, String),
    /// No host name.
    ServerName(String),
    /// Attributes of a plug-in without its policy_type.
    NoType,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| text::printable(text.as_bytes());
        match self {
            Self::Empty => f.write_str("invalid empty policy"),
            Self::Level(word) => write!(f, "invalid security level \"{}\"", shown(word)),
            Self::Pair(text, why) => write!(f, "malformed attribute/value pair \"{}\": {}", shown(text), shown(why)),
            Self::Name(name) => write!(f, "invalid attribute name: \"{}\"", shown(name)),
            Self::EmptyValue(name) => write!(f, "attribute \"{name}\" has empty value"),
            Self::Twice(name) => write!(f, "attribute \"{name}\" is specified multiple times"),
            Self::WrongLevel(name, level) => {
                write!(f, "attribute \"{name}\" invalid at security level \"{level}\"")
            }
            Self::BadValue(name, value) => write!(f, "attribute \"{name}\" has bad value: \"{}\"", shown(value)),
            Self::Unexpected(name, value) => {
                write!(f, "attribute \"{name}\" has an unexpected value: \"{}\"", shown(value))
            }
            Self::Malformed(name, value) => {
                write!(f, "attribute \"{name}\" has a malformed value: \"{}\"", shown(value))
            }
            Self::ServerName(name) => write!(f, "\"servername={}\" specifies an invalid hostname", shown(name)),
            Self::NoType => f.write_str(
                "built-in policy has unexpected attribute policy_ttl, policy_domain, policy_string, mx_host_pattern or \
                 policy_failure",
            ),
        }
    }
}

impl std::error::Error for PolicyError {}

/// Values of policy_failure.
const FAILURES: [&str; 4] =
    ["sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid", "validation-failure"];

impl FromStr for Entry {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let mut rest = text.trim_start_matches(is_separator);
        let word = take_word(&mut rest);
        if word.is_empty() {
            return Err(PolicyError::Empty);
        }
        let level = Level::parse(word).ok_or_else(|| PolicyError::Level(word.to_owned()))?;
        let mut reader = Reader { entry: Entry::of(level), external: External::default(), types: 0, others: false };
        while let Some(attribute) = next_attribute(&mut rest) {
            match level {
                Level::None => reader.entry.ignored.push(attribute.to_owned()),
                _ => reader.add(&pair(attribute)?)?,
            }
        }
        reader.end()
    }
}

impl Entry {
    /// A level without attributes.
    pub fn of(level: Level) -> Self {
        Self {
            level,
            protocols: None,
            ciphers: None,
            exclude: None,
            matches: Vec::new(),
            tafiles: Vec::new(),
            servername: None,
            raw_keys: None,
            reuse: None,
            external: None,
            ignored: Vec::new(),
        }
    }
}

struct Reader {
    entry: Entry,
    external: External,
    /// Times that policy_type was there.
    types: usize,
    /// Attributes of a plug-in were there.
    others: bool,
}

impl Reader {
    fn add(&mut self, (name, value): &(String, String)) -> Result<(), PolicyError> {
        let lower = name.to_ascii_lowercase();
        let entry = &mut self.entry;
        match lower.as_str() {
            "protocols" => once(&mut entry.protocols, name, value.clone()),
            "ciphers" => once(&mut entry.ciphers, name, filled(name, value)?.to_owned()),
            "exclude" => once(&mut entry.exclude, name, value.clone()),
            "match" => self.add_match(name, value),
            "tafile" => {
                if !entry.level.is_by_name() {
                    return Err(PolicyError::WrongLevel(name.clone(), entry.level.name()));
                }
                entry.tafiles.push(filled(name, value)?.into());
                Ok(())
            }
            "servername" => {
                let found = ServerName::parse(value).ok_or_else(|| PolicyError::ServerName(value.clone()))?;
                once(&mut entry.servername, name, found)
            }
            "connection_reuse" => once(&mut entry.reuse, name, yes_or_no(name, value)?),
            "enable_rpk" => once(&mut entry.raw_keys, name, yes_or_no(name, value)?),
            other => self.add_external(other, name, value),
        }
    }

    fn add_match(&mut self, name: &str, value: &str) -> Result<(), PolicyError> {
        let separator = match self.entry.level {
            Level::Fingerprint => '|',
            level if level.is_by_name() => ':',
            level => return Err(PolicyError::WrongLevel(name.to_owned(), level.name())),
        };
        let words = filled(name, value)?.split(separator).map(str::trim).filter(|word| !word.is_empty());
        self.entry.matches.extend(words.map(str::to_owned));
        Ok(())
    }

    fn add_external(&mut self, lower: &str, name: &str, value: &str) -> Result<(), PolicyError> {
        let external = &mut self.external;
        if lower == "policy_type" {
            external.is_sts = match value.to_ascii_lowercase().as_str() {
                "sts" => true,
                "no-policy-found" => false,
                _ => return Err(PolicyError::Unexpected("policy_type", value.to_owned())),
            };
            self.types += 1;
            return if self.types == 1 { Ok(()) } else { Err(PolicyError::Twice(name.to_owned())) };
        }
        match lower {
            "policy_ttl" if value.parse::<u32>().is_ok() => {}
            "policy_ttl" => return Err(PolicyError::Malformed("policy_ttl", value.to_owned())),
            "policy_domain" if net::hostname::is_valid(value.as_bytes()) => {
                once(&mut external.domain, name, value.to_owned())?;
            }
            "policy_domain" => return Err(PolicyError::Malformed("policy_domain", value.to_owned())),
            "policy_string" => external.lines.push(value.to_owned()),
            "mx_host_pattern" => external.patterns.push(value.to_owned()),
            "policy_failure" => {
                let known = FAILURES.into_iter().find(|known| known.eq_ignore_ascii_case(value));
                let known = known.ok_or_else(|| PolicyError::Unexpected("policy_failure", value.to_owned()))?;
                once(&mut external.failure, name, known)?;
            }
            _ => return Err(PolicyError::Name(name.to_owned())),
        }
        self.others = true;
        Ok(())
    }

    fn end(mut self) -> Result<Entry, PolicyError> {
        if self.types == 0 && self.others {
            return Err(PolicyError::NoType);
        }
        self.entry.external = (self.types > 0).then_some(self.external);
        Ok(self.entry)
    }
}

impl ServerName {
    /// Reads the attribute, or smtp_tls_servername; `None` if it is no host name.
    pub fn parse(value: &str) -> Option<Self> {
        match value.to_ascii_lowercase().as_str() {
            "hostname" => Some(Self::Hostname),
            "nexthop" => Some(Self::Nexthop),
            _ => is_server_name(value).then(|| Self::Name(value.to_owned())),
        }
    }
}

/// Whether a server can be asked for a name: addresses cannot be (RFC 6066 3).
pub fn is_server_name(name: &str) -> bool {
    net::hostname::is_valid(name.as_bytes()) && net::address::parse(name.as_bytes()).is_none()
}

fn filled<'a>(name: &str, value: &'a str) -> Result<&'a str, PolicyError> {
    if value.is_empty() { Err(PolicyError::EmptyValue(name.to_owned())) } else { Ok(value) }
}

fn yes_or_no(name: &str, value: &str) -> Result<bool, PolicyError> {
    match value.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(PolicyError::BadValue(name.to_owned(), value.to_owned())),
    }
}

fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), PolicyError> {
    if place.replace(value).is_some() { Err(PolicyError::Twice(name.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn failed(text: &str) -> String {
        text.parse::<Entry>().map_or_else(|error| error.to_string(), |entry| format!("{entry:?}"))
    }

    #[test]
    fn a_policy_is_a_level_with_attributes_in_either_form() {
        let secure: Entry =
            "secure match=mx1.dest.test:.example.net servername=hostname protocols=>=TLSv1.2 ciphers=high"
                .parse()
                .unwrap();
        assert_eq!(secure.matches, ["mx1.dest.test", ".example.net"]);
        assert_eq!(secure.servername, Some(ServerName::Hostname));
        assert_eq!((secure.protocols.as_deref(), secure.ciphers.as_deref()), (Some(">=TLSv1.2"), Some("high")));
        let braces: Entry = "SECURE, { match = a b } { servername = x.example } MATCH=c".parse().unwrap();
        assert_eq!(braces.matches, ["a b", "c"]);
        assert_eq!(braces.servername, Some(ServerName::Name("x.example".to_owned())));
        let fingerprint: Entry = "fingerprint match=AA:BB|CC:DD".parse().unwrap();
        assert_eq!(fingerprint.matches, ["AA:BB", "CC:DD"]);
        let other: Entry = "secure match=foo.test|mx1.dest.test".parse().unwrap();
        assert_eq!(other.matches, ["foo.test|mx1.dest.test"]);
        let protocols: Entry = "encrypt protocols=".parse().unwrap();
        assert_eq!(protocols.protocols.as_deref(), Some(""));
    }

    #[test]
    fn what_makes_no_sense_is_told_in_the_words_of_postfix() {
        for (text, expected) in [
            (",", "invalid empty policy"),
            ("bogus", "invalid security level \"bogus\""),
            ("half-dane", "invalid security level \"half-dane\""),
            ("encrypt foo", "malformed attribute/value pair \"foo\": missing '=' after attribute name"),
            (
                "secure { match = mx1.dest.test",
                "malformed attribute/value pair \"match = mx1.dest.test\": missing '}' in \"{ match = mx1.dest.test\"",
            ),
            ("may =x", "malformed attribute/value pair \"=x\": missing attribute name"),
            ("may { = y }", "malformed attribute/value pair \"= y\": missing attribute name"),
            ("may {}", "malformed attribute/value pair \"\": missing attribute name"),
            ("may {x=y}z", "malformed attribute/value pair \"x=y\": syntax error after '}' in \"{x=y}z\""),
            ("encrypt foo=bar", "invalid attribute name: \"foo\""),
            ("encrypt ciphers=", "attribute \"ciphers\" has empty value"),
            ("encrypt ciphers=high ciphers=medium", "attribute \"ciphers\" is specified multiple times"),
            ("encrypt match=foo", "attribute \"match\" invalid at security level \"encrypt\""),
            ("dane match=foo", "attribute \"match\" invalid at security level \"dane\""),
            ("may tafile=root.pem", "attribute \"tafile\" invalid at security level \"may\""),
            ("secure match=", "attribute \"match\" has empty value"),
            ("secure tafile=", "attribute \"tafile\" has empty value"),
            ("encrypt connection_reuse=maybe", "attribute \"connection_reuse\" has bad value: \"maybe\""),
            ("encrypt enable_rpk=maybe", "attribute \"enable_rpk\" has bad value: \"maybe\""),
            ("encrypt servername=-bad-", "\"servername=-bad-\" specifies an invalid hostname"),
            ("encrypt servername=", "\"servername=\" specifies an invalid hostname"),
            ("encrypt servername=127.0.0.1", "\"servername=127.0.0.1\" specifies an invalid hostname"),
        ] {
            assert_eq!(failed(text), expected, "{text}");
        }
    }

    #[test]
    fn attributes_without_tls_are_ignored() {
        for (text, ignored) in [
            ("none protocols=TLSv1.2", vec!["protocols=TLSv1.2"]),
            ("none foo", vec!["foo"]),
            ("none { x = y } z", vec!["{ x = y }", "z"]),
            ("none {x", vec!["{x"]),
            ("none {}", vec!["{}"]),
        ] {
            assert_eq!(text.parse::<Entry>().unwrap().ignored, ignored, "{text}");
        }
    }

    #[test]
    fn a_plug_in_says_what_it_has_found() {
        let sts: Entry = "secure match=mx1.dest.test servername=hostname { policy_type = sts } \
                          { policy_domain = dest.test } { policy_ttl = 86400 } { policy_string = mode: enforce } \
                          { policy_string = mx: mx1.dest.test } { mx_host_pattern = *.dest.test }"
            .parse()
            .unwrap();
        let external = sts.external.unwrap();
        assert!(external.is_sts);
        assert_eq!(external.lines, ["mode: enforce", "mx: mx1.dest.test"]);
        assert_eq!(external.patterns, ["*.dest.test"]);
        for (text, expected) in [
            (
                "secure policy_ttl=1",
                "built-in policy has unexpected attribute policy_ttl, policy_domain, policy_string, mx_host_pattern or \
                 policy_failure",
            ),
            ("secure policy_type=tlsa", "attribute \"policy_type\" has an unexpected value: \"tlsa\""),
            ("secure policy_type=sts policy_ttl=abc", "attribute \"policy_ttl\" has a malformed value: \"abc\""),
            ("secure policy_type=sts policy_domain=-x-", "attribute \"policy_domain\" has a malformed value: \"-x-\""),
            (
                "secure policy_type=sts policy_failure=foo",
                "attribute \"policy_failure\" has an unexpected value: \"foo\"",
            ),
            ("secure policy_type=sts policy_type=sts", "attribute \"policy_type\" is specified multiple times"),
        ] {
            assert_eq!(failed(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_policy_or_an_error_without_control_characters(text in "\\PC{0,60}|[a-z{}=, \\x00-\\x1f]{0,40}") {
            if let Err(error) = text.parse::<Entry>() {
                prop_assert!(!error.to_string().contains(char::is_control), "{error}");
            }
        }
    }
}
