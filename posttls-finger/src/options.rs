//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use net::Family;
use smtp_client::dane::InsecureExchanger;
use smtp_client::{Level, Preference, Protocol};

/// What stands on standard error where the command line cannot be understood.
pub(crate) const USAGE: &str = "usage: posttls-finger [-cCfRSvwx] [-a family] [-t conn_tmout] [-T cmd_tmout] [-L logopts] \\
\t[-h host_lookup] [-l level] [-M insecure_mx_policy] [-d mdalg] [-g grade] [-p protocols] \\
\t[-A tafile] [-F CAfile.pem] [-P CApath/] [-s servername] \\
\t[ [-H chainfiles] | [-k certfile [-K keyfile]] ] \\
\t[-m count] [-r delay] [-o name=value] destination [match ...]";

const LETTERS: &str = "a:A:cCd:fF:g:h:H:k:K:l:L:m:M:o:p:P:r:Rs:St:T:vwxX";

/// The command line.
#[derive(Debug)]
pub(crate) struct Options {
    pub preference: Preference,
    pub trust_anchors: Vec<PathBuf>,
    /// The dialogue is shown.
    pub chat: bool,
    /// The certificates are shown.
    pub certificates: bool,
    pub digest: Option<String>,
    pub insecure_host: bool,
    pub authority_file: String,
    pub authority_directory: String,
    pub grade: String,
    pub dns: bool,
    pub native: bool,
    /// Files with a key and its certificates each.
    pub chains: Vec<String>,
    pub certificate: Option<String>,
    pub key: Option<String>,
    pub level: Level,
    pub log: String,
    pub reconnects: u32,
    pub insecure_exchanger: InsecureExchanger,
    /// Servers are those of SRV records.
    pub by_records: bool,
    pub overrides: Vec<(String, String)>,
    pub protocols: String,
    /// Zero: no second connection.
    pub delay: Duration,
    pub servername: Option<String>,
    pub protocol: Protocol,
    pub connect_limit: Duration,
    pub command_limit: Duration,
    pub verbose: bool,
    pub wrapper: bool,
    /// Servers are asked for their public key in place of a certificate.
    pub raw_keys: bool,
    pub destination: String,
    pub matching: Vec<String>,
}

/// Why the command line cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It has another form.
    Usage,
    /// A sentence.
    Because(String),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            preference: Preference::Any,
            trust_anchors: Vec::new(),
            chat: true,
            certificates: false,
            digest: None,
            insecure_host: false,
            authority_file: String::new(),
            authority_directory: String::new(),
            grade: "medium".to_owned(),
            dns: true,
            native: false,
            chains: Vec::new(),
            certificate: None,
            key: None,
            level: Level::Dane,
            log: "routine,certmatch".to_owned(),
            reconnects: 5,
            insecure_exchanger: InsecureExchanger::Dane,
            by_records: false,
            overrides: Vec::new(),
            protocols: ">=TLSv1".to_owned(),
            delay: Duration::ZERO,
            servername: None,
            protocol: Protocol::Smtp,
            connect_limit: Duration::from_secs(30),
            command_limit: Duration::from_secs(30),
            verbose: false,
            wrapper: false,
            raw_keys: false,
            destination: String::new(),
            matching: Vec::new(),
        }
    }
}

impl Options {
    /// Reads the command line.
    pub(crate) fn parse(program: &str, arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Refusal> {
        let mut parsed = Self::default();
        let mut walk = text::Options::new(LETTERS, arguments);
        while let Some((letter, value)) = walk.next_or_usage(program, USAGE).map_err(|_| Refusal::Usage)? {
            let value = String::from_utf8(value).map_err(|_| bad(letter, "not UTF-8"))?;
            parsed.option(letter, value)?;
        }
        let mut operands = walk.operands().into_iter().map(|operand| operand.to_string_lossy().into_owned());
        parsed.destination = operands.next().ok_or(Refusal::Usage)?;
        parsed.matching = operands.collect();
        let because = |sentence: &str| Err(Refusal::Because(sentence.to_owned()));
        if !parsed.chains.is_empty() && (parsed.certificate.is_some() || parsed.key.is_some()) {
            return because("When the '-H' option is used, neither the '-k', nor the '-K' options may be used");
        }
        if parsed.wrapper && parsed.level == Level::None {
            return because("SSL wrapper mode requires that TLS not be disabled");
        }
        Ok(parsed)
    }

    fn option(&mut self, letter: u8, value: String) -> Result<(), Refusal> {
        match letter {
            b'a' => self.preference = family(&value).ok_or_else(|| bad(letter, &value))?,
            b'A' => self.trust_anchors.push(value.into()),
            b'c' => self.chat = false,
            b'C' => self.certificates = true,
            b'd' => self.digest = Some(value),
            b'f' => self.insecure_host = true,
            b'F' => self.authority_file = value,
            b'g' => self.grade = value,
            b'h' => self.host_lookup(&value)?,
            b'H' => self.chains.extend(words(&value).map(str::to_owned)),
            b'k' => self.certificate = Some(value),
            b'K' => self.key = Some(value),
            b'l' => {
                let invalid =
                    || Refusal::Because(format!("Invalid TLS level \"{}\"", text::printable(value.as_bytes())));
                self.level = Level::parse(&value).ok_or_else(invalid)?;
            }
            b'L' => self.log = value,
            b'm' => self.reconnects = value.parse().map_err(|_| bad(letter, &value))?,
            b'M' => self.insecure_exchanger = InsecureExchanger::parse(&value).ok_or_else(|| bad(letter, &value))?,
            b'o' => {
                let (name, value) = value.split_once('=').ok_or(Refusal::Usage)?;
                self.overrides.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            b'p' => self.protocols = value,
            b'P' => self.authority_directory = value,
            b'r' => self.delay = seconds(&value).ok_or_else(|| bad(letter, &value))?,
            b's' => self.servername = Some(value),
            b'S' => self.protocol = Protocol::Lmtp,
            b't' => self.connect_limit = limit(&value).ok_or_else(|| bad(letter, &value))?,
            b'T' => self.command_limit = limit(&value).ok_or_else(|| bad(letter, &value))?,
            b'v' => self.verbose = true,
            b'w' => self.wrapper = true,
            b'R' => self.by_records = true,
            b'x' => self.raw_keys = true,
            b'X' => logging::warning!("-X: there is no tlsproxy here, TLS is spoken without it"),
            _ => return Err(Refusal::Usage),
        }
        Ok(())
    }

    fn host_lookup(&mut self, value: &str) -> Result<(), Refusal> {
        (self.dns, self.native) = (false, false);
        for word in words(value) {
            match word.to_ascii_lowercase().as_str() {
                "dns" => self.dns = true,
                "native" => self.native = true,
                _ => {
                    let (word, value) = (text::printable(word.as_bytes()), text::printable(value.as_bytes()));
                    return Err(Refusal::Because(format!("unknown -h option value \"{word}\" in \"{value}\"")));
                }
            }
        }
        if self.dns || self.native { Ok(()) } else { Err(bad(b'h', value)) }
    }
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split([',', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty())
}

fn bad(letter: u8, value: &str) -> Refusal {
    let value = text::printable(value.as_bytes());
    Refusal::Because(format!("bad '-{}' option value: {value}", char::from(letter)))
}

fn family(word: &str) -> Option<Preference> {
    match word {
        "ipv4" => Some(Preference::First(Family::V4)),
        "ipv6" => Some(Preference::First(Family::V6)),
        "any" => Some(Preference::Any),
        _ => None,
    }
}

fn seconds(value: &str) -> Option<Duration> {
    // A number of 32 bits: what is longer overflows the clock.
    value.parse().ok().map(|seconds: u32| Duration::from_secs(seconds.into()))
}

fn limit(value: &str) -> Option<Duration> {
    seconds(value).filter(|limit| !limit.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Options, Refusal> {
        Options::parse("posttls-finger", line.iter().map(OsString::from))
    }

    fn refusal(line: &[&str]) -> String {
        match parse(line) {
            Err(Refusal::Because(sentence)) => sentence,
            Err(Refusal::Usage) => "usage".to_owned(),
            Ok(_) => String::new(),
        }
    }

    #[test]
    fn a_destination_alone_is_held_to_dane() {
        let options = parse(&["d.test", "a.test", "b.test"]).unwrap();
        assert_eq!((options.level, options.destination.as_str()), (Level::Dane, "d.test"));
        assert_eq!(options.matching, ["a.test", "b.test"]);
        assert!(options.chat && options.dns && !options.native && options.delay.is_zero());
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (line, expected) in [
            (&["-l", "half-dane", "x"][..], "Invalid TLS level \"half-dane\""),
            (&["-h", "dns, foo", "x"], "unknown -h option value \"foo\" in \"dns, foo\""),
            (&["-h", "", "x"], "bad '-h' option value: "),
            (&["-a", "foo", "x"], "bad '-a' option value: foo"),
            (&["-M", "verify", "x"], "bad '-M' option value: verify"),
            (&["-t", "0", "x"], "bad '-t' option value: 0"),
            (&["-T", "-1", "x"], "bad '-T' option value: -1"),
            (&["-r", "99999999999", "x"], "bad '-r' option value: 99999999999"),
            (&["-w", "-l", "none", "x"], "SSL wrapper mode requires that TLS not be disabled"),
            (&["-o", "foo", "x"], "usage"),
            (&["-Z", "x"], "usage"),
            (&["-c"], "usage"),
        ] {
            assert_eq!(refusal(line), expected, "{line:?}");
        }
        assert!(refusal(&["-H", "a", "-K", "b", "x"]).starts_with("When the '-H' option is used"));
    }

    #[test]
    fn lists_of_files_grow_and_the_last_value_of_anything_else_counts() {
        let options =
            parse(&["-H", "a,b", "-H", "c d", "-A", "x", "-A", "y", "-h", "native", "-h", "dns", "z"]).unwrap();
        assert_eq!(options.chains, ["a", "b", "c", "d"]);
        assert_eq!(options.trust_anchors.len(), 2);
        assert!(options.dns && !options.native);
    }
}
