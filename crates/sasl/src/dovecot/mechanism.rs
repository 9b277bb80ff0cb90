//! Mechanisms that the server has, by their properties, and what the site demands of them.

use std::fmt;

/// A property of a mechanism: a bit.
type Properties = u8;

const PLAINTEXT: Properties = 1;
const ANONYMOUS: Properties = 2;
const DICTIONARY: Properties = 4;
const ACTIVE: Properties = 8;
const FORWARD_SECRECY: Properties = 16;
const MUTUAL: Properties = 32;
const PRIVATE: Properties = 64;

/// A mechanism of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mechanism {
    /// As the server writes it: letters, digits, `-` and `_`.
    pub name: String,
    properties: Properties,
}

impl Mechanism {
    /// The fields behind `MECH`. None where the first is no name of a mechanism (RFC 4422 3.1), in any case.
    pub fn parse<'a>(mut fields: impl Iterator<Item = &'a [u8]>) -> Option<Mechanism> {
        let name = fields.next().filter(|name| is_name(name))?;
        let properties = fields.map(property).fold(0, |all, one| all | one);
        // cannot fail: a name is ASCII.
        Some(Mechanism { name: String::from_utf8_lossy(name).into_owned(), properties })
    }

    /// It is not for clients.
    pub fn is_private(&self) -> bool {
        self.properties & PRIVATE != 0
    }
}

/// The longest name. RFC 4422 has 20 and programs have more.
/// told: nobody; the mechanism is not offered.
const NAME_LIMIT: usize = 64;

fn is_name(name: &[u8]) -> bool {
    let is_fine = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.len() <= NAME_LIMIT && name.iter().all(is_fine)
}

fn property(word: &[u8]) -> Properties {
    match word {
        b"plaintext" => PLAINTEXT,
        b"anonymous" => ANONYMOUS,
        b"dictionary" => DICTIONARY,
        b"active" => ACTIVE,
        b"forward-secrecy" => FORWARD_SECRECY,
        b"mutual-auth" => MUTUAL,
        b"private" => PRIVATE,
        _ => 0,
    }
}

/// What a site demands of mechanisms. smtpd_sasl_security_options
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    forbidden: Properties,
    needed: Properties,
}

/// A word that demands nothing. Display is the sentence of Postfix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownOption {
    word: String,
    value: String,
}

impl fmt::Display for UnknownOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown xsasl_dovecot_server_create value \"{}\" in \"{}\"", self.word, self.value)
    }
}

impl std::error::Error for UnknownOption {}

impl Demands {
    /// Reads the list. No words demand nothing.
    ///
    /// # Errors
    /// A word that is not known.
    pub fn parse(value: &str) -> Result<Demands, UnknownOption> {
        let mut demands = Demands::default();
        for word in text::split_list(value) {
            match word.to_ascii_lowercase().as_str() {
                "noplaintext" => demands.forbidden |= PLAINTEXT,
                "noanonymous" => demands.forbidden |= ANONYMOUS,
                "nodictionary" => demands.forbidden |= DICTIONARY,
                "noactive" => demands.forbidden |= ACTIVE,
                "forward_secrecy" => demands.needed |= FORWARD_SECRECY,
                "mutual_auth" => demands.needed |= MUTUAL,
                _ => return Err(UnknownOption { word: word.to_owned(), value: value.to_owned() }),
            }
        }
        Ok(demands)
    }

    /// Whether a mechanism meets them.
    pub fn allow(self, mechanism: &Mechanism) -> bool {
        mechanism.properties & self.forbidden == 0 && mechanism.properties & self.needed == self.needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(options: &str) -> Vec<String> {
        // What Dovecot 2.3 says of its mechanisms.
        let lines = [
            "PLAIN\tplaintext",
            "CRAM-MD5\tdictionary\tactive",
            "DIGEST-MD5\tdictionary\tactive\tmutual-auth",
            "SCRAM-SHA-256\tmutual-auth",
            "ANONYMOUS\tanonymous",
            "EXTERNAL",
        ];
        let demands = Demands::parse(options).unwrap();
        let all = lines.iter().map(|line| Mechanism::parse(line.as_bytes().split(|byte| *byte == b'\t')).unwrap());
        all.filter(|mechanism| demands.allow(mechanism)).map(|mechanism| mechanism.name).collect()
    }

    #[test]
    fn each_option_takes_away_what_it_names() {
        assert_eq!(offered("noanonymous"), ["PLAIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-256", "EXTERNAL"]);
        assert_eq!(offered("noplaintext, noanonymous"), ["CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-256", "EXTERNAL"]);
        assert_eq!(offered("noactive"), ["PLAIN", "SCRAM-SHA-256", "ANONYMOUS", "EXTERNAL"]);
        assert_eq!(offered("nodictionary"), ["PLAIN", "SCRAM-SHA-256", "ANONYMOUS", "EXTERNAL"]);
        assert_eq!(offered("mutual_auth"), ["DIGEST-MD5", "SCRAM-SHA-256"]);
        assert!(offered("forward_secrecy").is_empty());
        assert_eq!(offered("").len(), 6);
    }

    #[test]
    fn an_unknown_option_is_told_as_postfix_tells_it() {
        let error = Demands::parse("noanonymous, foo").unwrap_err();
        assert_eq!(error.to_string(), "unknown xsasl_dovecot_server_create value \"foo\" in \"noanonymous, foo\"");
    }
}
