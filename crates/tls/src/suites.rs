//! Cipher suites: their names in OpenSSL, and what grades and exclusions leave of them.
//!
//! Suites of TLS 1.3 are never left out: no parameter of Postfix reaches them.

use std::fmt;

use rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;
use rustls::{CipherSuite, SupportedCipherSuite};

/// What is known of a suite.
#[derive(Debug)]
pub(crate) struct Suite {
    suite: CipherSuite,
    /// OpenSSL's name.
    pub(crate) name: &'static str,
    /// Bits of its key.
    pub(crate) bits: u16,
    /// Words that stand for it, beside its name, in lists of OpenSSL.
    aliases: &'static [&'static str],
}

const ECDHE: [&str; 9] =
    ["ALL", "DEFAULT", "HIGH", "TLSv1.2", "ECDHE", "EECDH", "kECDHE", "kEECDH", "COMPLEMENTOFDEFAULT"];

const SUITES: [Suite; 9] = [
    suite(CipherSuite::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384", 256, &[]),
    suite(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256", 256, &[]),
    suite(CipherSuite::TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256", 128, &[]),
    suite(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        256,
        &["ECDSA", "aECDSA", "AES", "AES256", "AESGCM", "FIPS"],
    ),
    suite(
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "ECDHE-RSA-AES256-GCM-SHA384",
        256,
        &["aRSA", "AES", "AES256", "AESGCM", "FIPS"],
    ),
    suite(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        256,
        &["ECDSA", "aECDSA", "CHACHA20"],
    ),
    suite(
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        "ECDHE-RSA-CHACHA20-POLY1305",
        256,
        &["aRSA", "CHACHA20"],
    ),
    suite(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        128,
        &["ECDSA", "aECDSA", "AES", "AES128", "AESGCM", "FIPS"],
    ),
    suite(
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "ECDHE-RSA-AES128-GCM-SHA256",
        128,
        &["aRSA", "AES", "AES128", "AESGCM", "FIPS"],
    ),
];

const fn suite(suite: CipherSuite, name: &'static str, bits: u16, aliases: &'static [&'static str]) -> Suite {
    Suite { suite, name, bits, aliases }
}

impl Suite {
    /// What is known of a suite that this crate may negotiate.
    pub(crate) fn of(suite: CipherSuite) -> Option<&'static Suite> {
        SUITES.iter().find(|known| known.suite == suite)
    }

    fn is_of_tls13(&self) -> bool {
        self.aliases.is_empty()
    }

    /// Whether an item of a list means this suite, among others: each of its words does.
    fn is_meant_by(&self, item: &str) -> bool {
        let means = |word| self.name == word || self.aliases.contains(&word) || ECDHE.contains(&word);
        item.split('+').all(means)
    }
}

/// Why the cipher parameters of a session cannot be used. Display is the text of a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadCiphers {
    /// No such grade.
    Grade(String),
    /// An item of the exclusions begins with what only lists of OpenSSL may have.
    Exclusion(String),
    /// Nothing is left.
    Nothing(String),
}

impl fmt::Display for BadCiphers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, word, after) = match self {
            Self::Grade(grade) => ("invalid cipher grade: \"", grade, "\""),
            Self::Exclusion(item) => ("invalid unary '!+-@' in cipher exclusion: ", item, ""),
            Self::Nothing(grade) => ("error setting cipher grade: \"", grade, "\""),
        };
        write!(f, "{before}{}{after}", text::printable(word.as_bytes()))
    }
}

impl std::error::Error for BadCiphers {}

/// What grades mean, as lists in OpenSSL's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grades {
    /// tls_high_cipherlist
    pub high: String,
    /// tls_medium_cipherlist
    pub medium: String,
}

impl Default for Grades {
    fn default() -> Self {
        Self { high: "HIGH:@STRENGTH".to_owned(), medium: "HIGH:MEDIUM:@STRENGTH".to_owned() }
    }
}

/// The suites of a session, in our order of preference.
#[derive(Clone, Debug, PartialEq)]
pub struct Suites(pub(crate) Vec<SupportedCipherSuite>);

impl Suites {
    /// How many there are.
    // tests: the laws of crates/fuzzing
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What a grade (smtpd_tls_ciphers and its like) and exclusions leave. `low` and `export` are `medium`; `null` has
    /// nothing of TLS 1.2. `tls13`: the session may use TLS 1.3, which none of this touches.
    ///
    /// # Errors
    /// A word that makes no sense, or nothing is left.
    pub fn select(grades: &Grades, grade: &str, exclusions: &str, tls13: bool) -> Result<Suites, BadCiphers> {
        let list = match grade.to_ascii_lowercase().as_str() {
            "high" => &grades.high,
            "medium" | "low" | "export" => &grades.medium,
            "null" => "",
            _ => return Err(BadCiphers::Grade(grade.to_owned())),
        };
        let items: Vec<&str> = words(exclusions).collect();
        if let Some(item) = items.iter().find(|item| item.starts_with(['!', '+', '-', '@'])) {
            return Err(BadCiphers::Exclusion((*item).to_owned()));
        }
        let is_excluded = |suite: &Suite| items.iter().any(|item| suite.is_meant_by(item));
        let of_tls13 = SUITES.iter().filter(|suite| suite.is_of_tls13());
        let is_empty = is_empty_elsewhere(list) || items.contains(&"ALL");
        if is_empty && !grade.eq_ignore_ascii_case("null") {
            return Err(BadCiphers::Nothing(grade.to_owned()));
        }
        let left = of_tls13.chain(listed(list).into_iter().filter(|suite| !is_excluded(suite)));
        let left: Vec<_> = left.filter(|suite| tls13 || !suite.is_of_tls13()).collect();
        if left.is_empty() {
            return Err(BadCiphers::Nothing(grade.to_owned()));
        }
        let known = |suite: &Suite| ALL_CIPHER_SUITES.iter().copied().find(|one| one.suite() == suite.suite);
        Ok(Suites(left.into_iter().filter_map(known).collect()))
    }
}

/// Words that stand for suites in OpenSSL, of which this library may have none.
const ELSEWHERE: &[&str] = &[
    "ALL",
    "COMPLEMENTOFALL",
    "DEFAULT",
    "COMPLEMENTOFDEFAULT",
    "HIGH",
    "MEDIUM",
    "LOW",
    "FIPS",
    "aNULL",
    "eNULL",
    "NULL",
    "kRSA",
    "aRSA",
    "RSA",
    "kDHE",
    "kEDH",
    "DHE",
    "EDH",
    "DH",
    "ADH",
    "kECDHE",
    "kEECDH",
    "ECDHE",
    "EECDH",
    "AECDH",
    "aECDSA",
    "ECDSA",
    "TLSv1.2",
    "TLSv1.0",
    "TLSv1",
    "SSLv3",
    "AES",
    "AES128",
    "AES256",
    "AESGCM",
    "AESCCM",
    "CHACHA20",
    "CAMELLIA",
    "ARIA",
    "PSK",
    "SHA1",
    "SHA256",
    "SHA384",
    "SHA",
    "AESCCM8",
    "ARIA128",
    "ARIA256",
    "CAMELLIA128",
    "CAMELLIA256",
    "CBC",
    "MD5",
    "aDSS",
    "DSS",
    "kPSK",
    "kRSAPSK",
    "kECDHEPSK",
    "kDHEPSK",
    "aPSK",
    "SRP",
    "kSRP",
    "aSRP",
    "SUITEB128",
    "SUITEB128ONLY",
    "SUITEB128C2",
    "SUITEB192",
];

/// Whether a list names nothing in OpenSSL either: there it is no list, whatever TLS 1.3 has.
fn is_empty_elsewhere(list: &str) -> bool {
    let is_order = |word: &str| word.starts_with(['!', '-', '+', '@']);
    let is_known = |word: &str| word.contains('-') || word.split('+').all(|word| ELSEWHERE.contains(&word));
    let names_some = |word: &str| !is_order(word) && is_known(word);
    let is_taken_away = |word: &str| matches!(word, "!ALL" | "-ALL");
    let mut some = false;
    for word in words(list) {
        some = (some || names_some(word)) && !is_taken_away(word);
    }
    !some
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ':', ';', ' ', '\t', '\r', '\n']).filter(|it| !it.is_empty())
}

/// The suites of TLS 1.2 that a list in OpenSSL's form has, in its order: words add, `-` takes away, `!` for good, `+`
/// moves to the end, `@STRENGTH` sorts.
fn listed(list: &str) -> Vec<&'static Suite> {
    let (mut active, mut banned): (Vec<&Suite>, Vec<&str>) = (Vec::new(), Vec::new());
    for word in words(list) {
        if word == "@STRENGTH" {
            active.sort_by_key(|suite| std::cmp::Reverse(suite.bits));
        } else if let Some(word) = word.strip_prefix('!') {
            banned.push(word);
            active.retain(|suite| !suite.is_meant_by(word));
        } else if let Some(word) = word.strip_prefix('-') {
            active.retain(|suite| !suite.is_meant_by(word));
        } else if let Some(word) = word.strip_prefix('+') {
            active.sort_by_key(|suite| suite.is_meant_by(word));
        } else {
            let is_new = |suite: &&Suite| {
                suite.is_meant_by(word)
                    && !suite.is_of_tls13()
                    && !banned.iter().any(|word| suite.is_meant_by(word))
                    && !active.iter().any(|known| known.suite == suite.suite)
            };
            let new: Vec<_> = SUITES.iter().filter(is_new).collect();
            active.extend(new);
        }
    }
    active
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(grade: &str, exclusions: &str) -> Vec<&'static str> {
        let suites = Suites::select(&Grades::default(), grade, exclusions, true).unwrap();
        let names = suites.0.iter().map(|one| Suite::of(one.suite()).unwrap());
        names.filter(|suite| !suite.is_of_tls13()).map(|suite| suite.name).collect()
    }

    #[test]
    fn everything_that_the_library_has_is_known() {
        for suite in ALL_CIPHER_SUITES {
            assert!(Suite::of(suite.suite()).is_some(), "{suite:?}");
        }
        assert_eq!(names("medium", "").len(), 6);
        assert_eq!(names("EXPORT", "RC4, 3DES aNULL:MD5").len(), 6);
        assert!(names("null", "").is_empty());
    }

    #[test]
    fn an_exclusion_takes_what_its_words_have_in_common() {
        assert_eq!(names("high", "AES256, aECDSA"), ["ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-AES128-GCM-SHA256"]);
        assert_eq!(names("high", "aRSA+CHACHA20").len(), 5);
        assert_eq!(names("high", "ECDHE-RSA-AES128-GCM-SHA256").len(), 5);
        // As in OpenSSL these are about other suites.
        assert_eq!(names("high", "kRSA RSA SHA256 SHA384 AEAD MEDIUM DHE").len(), 6);
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        let failed = |grade: &str, exclusions: &str, tls13| {
            Suites::select(&Grades::default(), grade, exclusions, tls13)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        assert_eq!(failed("bogus", "", true), "invalid cipher grade: \"bogus\"");
        assert_eq!(failed("medium", "!AES", true), "invalid unary '!+-@' in cipher exclusion: !AES");
        assert_eq!(failed("medium", "ALL", false), "error setting cipher grade: \"medium\"");
        assert_eq!(failed("medium", "ALL", true), "error setting cipher grade: \"medium\"");
        assert_eq!(failed("medium", "AESGCM, CHACHA20", true), "");
        assert_eq!(failed("null", "", true), "");
        for list in ["", "foo", "foo:bar", "!foo", "-foo", "@STRENGTH", "ALL:!ALL", "RC4"] {
            let grades = Grades { medium: list.to_owned(), ..Grades::default() };
            let nothing = BadCiphers::Nothing("medium".to_owned());
            assert_eq!(Suites::select(&grades, "medium", "", true), Err(nothing), "{list}");
        }
        for list in ["aNULL", "AES128-SHA", "ECDHE-RSA-AES128-SHA256", "foo:HIGH", "SHA384", "SUITEB128"] {
            let grades = Grades { medium: list.to_owned(), ..Grades::default() };
            assert!(Suites::select(&grades, "medium", "", true).is_ok(), "{list}");
        }
    }

    #[test]
    fn a_list_of_a_grade_says_what_there_is_and_in_which_order() {
        let names = |list: &str| listed(list).iter().map(|suite| suite.name).collect::<Vec<_>>();
        let default = "aNULL:-aNULL:HIGH:MEDIUM:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:+RC4:@STRENGTH";
        assert_eq!(names(default), names("HIGH:@STRENGTH"));
        assert_eq!(names(default).len(), 6);
        let two = "ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384";
        assert_eq!(names(two), ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]);
        assert_eq!(
            names("ALL:!CHACHA20:CHACHA20:-AES256:+ECDSA"),
            ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"]
        );
        assert_eq!(names("ECDHE+AESGCM+aRSA:RC4:@SECLEVEL=1").len(), 2);
        assert!(names("AES128-SHA:TLS_AES_128_GCM_SHA256").is_empty());
    }
}
