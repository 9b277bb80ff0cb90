//! How well a connection is to be protected.

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

    /// A public key without a certificate can be as good. smtp_tls_enable_rpk
    pub fn may_take_raw_keys(self) -> bool {
        matches!(self, Self::May | Self::Encrypt | Self::Fingerprint)
    }

    /// By authorities and names.
    pub fn is_by_name(self) -> bool {
        matches!(self, Self::Verify | Self::Secure)
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
}
