//! How well a connection is to be protected, and what the log says became of that.

use std::fmt;

/// A TLS security level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Plain text.
    None,
    /// TLS if the server can, with any certificate.
    May,
    /// TLS, with any certificate.
    Encrypt,
    /// TLS with a server that the DNS vouches for, where it vouches for one.
    Dane,
    /// The same, and no mail where it does not.
    DaneOnly,
    /// What dane comes to where somebody may have put a wrong host into the DNS.
    HalfDane,
    /// TLS with a certificate or key that is known.
    Fingerprint,
    /// TLS with a server that an authority vouches for.
    Verify,
    /// The same, by the name of the destination.
    Secure,
}

impl Level {
    /// Reads smtp_tls_security_level or the first word of a policy. What dane comes to is no level to ask for.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "may" => Self::May,
            "encrypt" => Self::Encrypt,
            "dane" => Self::Dane,
            "dane-only" => Self::DaneOnly,
            "fingerprint" => Self::Fingerprint,
            "verify" => Self::Verify,
            "secure" => Self::Secure,
            _ => return None,
        })
    }

    /// Its name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::May => "may",
            Self::Encrypt => "encrypt",
            Self::Dane => "dane",
            Self::DaneOnly => "dane-only",
            Self::HalfDane => "halfdane",
            Self::Fingerprint => "fingerprint",
            Self::Verify => "verify",
            Self::Secure => "secure",
        }
    }

    /// TLS is used where the server has it.
    pub fn may_have_tls(self) -> bool {
        self != Self::None
    }

    /// Mail does not go without TLS.
    pub fn is_mandatory(self) -> bool {
        !matches!(self, Self::None | Self::May)
    }

    /// The certificate has to be a certain one.
    pub fn is_matching(self) -> bool {
        self.is_mandatory() && self != Self::Encrypt
    }

    /// By authorities and names.
    pub fn is_by_name(self) -> bool {
        matches!(self, Self::Verify | Self::Secure)
    }
}

/// One part of `tls=`: what was asked for, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// What was asked for.
    pub wanted: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is not known.
    Open,
    /// Just that.
    Met,
    /// Something less, which will do.
    Less(&'static str),
    /// Not that, and nothing else will do.
    Missed(Option<&'static str>),
}

impl Feature {
    /// Nothing is known yet.
    pub fn open(wanted: &'static str) -> Self {
        Self { wanted, outcome: Outcome::Open }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted;
        match self.outcome {
            Outcome::Open => write!(f, "{wanted}?"),
            Outcome::Met => f.write_str(wanted),
            Outcome::Less(actual) => write!(f, "{wanted}:{actual}"),
            Outcome::Missed(None) => write!(f, "!{wanted}"),
            Outcome::Missed(Some(actual)) => write!(f, "!{wanted}:{actual}"),
        }
    }
}

/// The value of `tls=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// The level.
    pub level: Feature,
    /// REQUIRETLS, where the message has it and somebody looks at it.
    pub requiretls: Option<Feature>,
}

impl Features {
    /// Nothing is known, not even what to ask for.
    pub fn unknown() -> Self {
        Self { level: Feature::open("unknown"), requiretls: None }
    }

    /// Nothing has become of a level yet.
    pub fn open(level: Level) -> Self {
        Self { level: Feature::open(level.name()), requiretls: None }
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.level.fmt(f)?;
        self.requiretls.iter().try_for_each(|feature| write!(f, "/{feature}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_names_in_any_case_but_what_dane_comes_to_has_none() {
        assert_eq!(Level::parse("ENCRYPT"), Some(Level::Encrypt));
        for word in ["half-dane", "halfdane", "bogus", ""] {
            assert_eq!(Level::parse(word), None, "{word}");
        }
    }

    #[test]
    fn the_log_says_what_became_of_what_was_asked_for() {
        let text = |wanted, outcome| Feature { wanted, outcome }.to_string();
        assert_eq!(text("may", Outcome::Less("none")), "may:none");
        assert_eq!(text("verify", Outcome::Missed(None)), "!verify");
        let level = Feature { wanted: "secure", outcome: Outcome::Missed(None) };
        let requiretls = Some(Feature { wanted: "requiretls", outcome: Outcome::Missed(Some("nostarttls")) });
        assert_eq!(Features { level, requiretls }.to_string(), "!secure/!requiretls:nostarttls");
        assert_eq!(Features::unknown().to_string(), "unknown?");
    }
}
