//! smtp_tls_per_site, the table of policies before smtp_tls_policy_maps: one word a destination or host.

use super::level::Level;

/// A word of the table, the weakest first where two are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// TLS if the server can.
    May,
    /// Plain text.
    None,
    /// TLS with any certificate.
    MustNoPeerMatch,
    /// TLS with a certificate of the right name.
    Must,
}

impl Site {
    /// Reads a word; `None` if it is none of them.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.trim().to_ascii_uppercase().as_str() {
            "NONE" => Self::None,
            "MAY" => Self::May,
            "MUST_NOPEERMATCH" => Self::MustNoPeerMatch,
            "MUST" => Self::Must,
            _ => return None,
        })
    }

    /// The level, where main.cf asks for `base`.
    pub fn level(self, base: Level) -> Level {
        match self {
            Self::None => Level::None,
            Self::May if base == Level::None => Level::May,
            Self::May => base,
            Self::MustNoPeerMatch => Level::Encrypt,
            Self::Must => Level::Verify,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stronger_of_two_words_counts_and_may_weakens_nothing() {
        let both = |one: &str, other: &str, base| Site::parse(one).max(Site::parse(other)).map(|site| site.level(base));
        assert_eq!(both("NONE", "MAY", Level::Verify), Some(Level::None));
        assert_eq!(both("MUST", "MUST_NOPEERMATCH", Level::None), Some(Level::Verify));
        assert_eq!(both("may", "", Level::None), Some(Level::May));
        assert_eq!(both("may", "", Level::Verify), Some(Level::Verify));
        assert_eq!(both("must_nopeermatch", "none", Level::Verify), Some(Level::Encrypt));
        assert_eq!(Site::parse("FOO"), None);
    }
}
