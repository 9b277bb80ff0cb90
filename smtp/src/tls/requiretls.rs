//! REQUIRETLS (RFC 8689): how strictly a destination is held to it, and the texts for who does not keep it.

use lookup::{Maps, OpenError, OpenFlags};

use super::tables;

/// How strictly REQUIRETLS is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strictness {
    /// A verified server that supports it, or the mail is returned.
    Enforce,
    /// TLS at least.
    Starttls,
    /// Where it is possible.
    Opportunistic,
    /// Not at all.
    Disable,
}

impl Strictness {
    fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "enforce" => Self::Enforce,
            "opportunistic+starttls" => Self::Starttls,
            "opportunistic" => Self::Opportunistic,
            "disable" => Self::Disable,
            _ => return None,
        })
    }

    /// There must be TLS.
    pub fn needs_starttls(self) -> bool {
        matches!(self, Self::Enforce | Self::Starttls)
    }
}

/// smtp_requiretls_policy.
#[cfg_attr(test, derive(Clone))]
pub struct Rules {
    parameter: String,
    rules: Vec<Rule>,
}

#[cfg_attr(test, derive(Clone))]
enum Rule {
    Word(String),
    Table(Maps),
}

/// The setting, or a table of it, makes no sense; it was logged.
#[derive(Debug)]
pub struct BadRules;

impl Rules {
    /// Reads the parameter's value.
    ///
    /// # Errors
    /// A table that is none.
    pub fn open(config: &config::Config, parameter: &str, value: &str) -> Result<Self, OpenError> {
        let rule = |item: String| {
            if item.contains(':') {
                Maps::open(config, parameter, &item, OpenFlags::default()).map(Rule::Table)
            } else {
                Ok(Rule::Word(item))
            }
        };
        let rules = text::split_list(value).into_iter().map(|item| rule(item.to_owned())).collect::<Result<_, _>>()?;
        Ok(Self { parameter: parameter.to_owned(), rules })
    }

    /// A table whose file is not what was read.
    pub fn changed(&self) -> Option<&str> {
        self.rules.iter().find_map(|rule| match rule {
            Rule::Word(_) => None,
            Rule::Table(table) => table.changed(),
        })
    }

    /// What holds for a destination; for a socket of this machine that is myhostname.
    ///
    /// # Errors
    /// Words that are none, or a table that failed.
    pub fn find(&self, destination: &str) -> Result<Strictness, BadRules> {
        for rule in &self.rules {
            match rule {
                Rule::Word(word) => return self.read(word),
                Rule::Table(table) => {
                    if let Some(word) = tables::look_up(table, destination).map_err(|_| BadRules)? {
                        return self.read(&word);
                    }
                }
            }
        }
        Ok(Strictness::Enforce)
    }

    fn read(&self, word: &str) -> Result<Strictness, BadRules> {
        Strictness::parse(word.trim()).ok_or_else(|| {
            let word = text::printable(word.as_bytes());
            let parameter = &self.parameter;
            logging::warning!("{parameter}: unknown policy action: '{word}' -- ignoring the remainder of this policy");
            BadRules
        })
    }
}

/// What stands before every reason.
const REQUESTED: &str = "Sender requested REQUIRETLS, but";

/// The level compares no certificates. `host` is the server's name alone.
pub fn no_matching(level: &str, host: &str) -> String {
    format!(
        "{REQUESTED} my configured TLS security level '{level}' disables certificate matching. The last attempted server \
         was {host}"
    )
}

/// Somebody else answered; `is_trusted` if an authority knows him.
pub fn wrong_certificate(is_trusted: bool, host: &str) -> String {
    let word = if is_trusted { "matching" } else { "trusted" };
    format!("{REQUESTED} no {word} server certificate was found. The last attempted server was {host}")
}

/// There is no STARTTLS.
pub fn not_offered(host: &str) -> String {
    format!("{REQUESTED} TLS service was not offered by host {host}")
}

/// STARTTLS was refused.
pub fn refused(host: &str, reply: &str) -> String {
    format!("{REQUESTED} host {host} refused to start TLS: {reply}")
}

/// The server does not know REQUIRETLS, and this is the end.
pub fn unsupported(host: &str) -> String {
    format!("{REQUESTED} no server was found that supports REQUIRETLS. The last attempted server was {host}")
}

/// The server does not know REQUIRETLS, and mail goes there all the same.
pub fn without_support(host: &str) -> String {
    format!("{REQUESTED} REQUIRETLS support was not offered by host {host}")
}

/// [`BadRules`], of a server's name alone.
pub fn bad_rules(host: &str) -> String {
    format!("REQUIRETLS policy configuration error. The last attempted server was {host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(rules: &str, destination: &str) -> Option<Strictness> {
        crate::tls::open_requiretls(rules).find(destination).ok()
    }

    #[test]
    fn the_first_rule_that_knows_a_destination_counts() {
        let rules =
            "inline:{{mx1.dest.test=opportunistic},{dest.test=disable}}, cidr:{{127.0.1.0/24 opportunistic}}, enforce";
        assert_eq!(find(rules, "dest.test"), Some(Strictness::Disable));
        assert_eq!(find(rules, "127.0.1.10"), Some(Strictness::Opportunistic));
        assert_eq!(find(rules, "other.test"), Some(Strictness::Enforce));
        assert_eq!(find("inline:{{.dest.test=opportunistic+starttls}}", "mx1.dest.test"), Some(Strictness::Starttls));
        assert_eq!(find("inline:{{.dest.test=disable}}", "dest.test"), Some(Strictness::Enforce));
        assert_eq!(find("", "dest.test"), Some(Strictness::Enforce));
    }

    #[test]
    fn a_rule_that_is_none_stops_mail() {
        assert_eq!(find("opportunistic+tls", "dest.test"), None);
        assert_eq!(find("inline:{{dest.test=foo}}", "dest.test"), None);
        assert_eq!(find("fail:x", "dest.test"), None);
    }
}
