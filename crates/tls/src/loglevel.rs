//! What is logged of TLS: smtpd_tls_loglevel and its like.

/// Kinds of lines. Those of a library's own states and of packets (levels 3 and 4) are not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogLevel {
    /// One line a session.
    pub summary: bool,
    /// Why a certificate is not trusted, also where nobody asks for trust.
    pub untrusted: bool,
    /// Names and fingerprints of the peer's certificate.
    pub peercert: bool,
    /// What matched.
    pub certmatch: bool,
    /// Steps of a session.
    pub verbose: bool,
    /// Sessions that are resumed.
    pub cache: bool,
    /// TLSA records.
    pub dane: bool,
}

impl LogLevel {
    /// Reads a value: a number, or words. A word that is not known is logged, and nothing else is then.
    pub fn parse(value: &str, parameter: &str) -> LogLevel {
        let mut level = LogLevel::default();
        for word in value.split([',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()) {
            if !level.add(&word.to_ascii_lowercase()) {
                let (word, value) = (text::printable(word.as_bytes()), text::printable(value.as_bytes()));
                logging::warning!("unknown {parameter} value \"{word}\" in \"{value}\"");
                return LogLevel::default();
            }
        }
        level
    }

    fn add(&mut self, word: &str) -> bool {
        match word {
            "0" | "none" | "ssl-debug" | "ssl-handshake-packet-dump" | "ssl-session-packet-dump" => {}
            "1" | "routine" | "summary" => self.summary = true,
            "2" | "3" | "4" | "debug" | "ssl-expert" | "ssl-developer" => {
                let all = LogLevel { untrusted: self.untrusted, ..LogLevel::everything() };
                *self = all;
            }
            "untrusted" => self.untrusted = true,
            "peercert" => self.peercert = true,
            "certmatch" => self.certmatch = true,
            "verbose" => self.verbose = true,
            "cache" => self.cache = true,
            "dane" => self.dane = true,
            _ => return false,
        }
        true
    }

    fn everything() -> LogLevel {
        LogLevel {
            summary: true,
            untrusted: true,
            peercert: true,
            certmatch: true,
            verbose: true,
            cache: true,
            dane: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_are_the_same_things() {
        let parse = |value: &str| LogLevel::parse(value, "smtpd_tls_loglevel");
        assert_eq!(parse("1"), LogLevel { summary: true, ..LogLevel::default() });
        assert_eq!(parse("1"), parse("Summary"));
        assert_eq!(parse("2"), parse("debug"));
        assert!(parse("4").verbose && parse("2").dane && !parse("2").untrusted);
        assert!(parse("routine,certmatch").certmatch);
        assert_eq!(parse("1 bogus"), LogLevel::default());
    }
}
