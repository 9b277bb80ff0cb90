//! Domain names in other scripts, as DNS has them (UTS #46, RFC 5891).
//!
//! What a name may hold is Unicode's business, by the `idna` crate, which is stricter than Postfix's ICU in two things:
//! letters that run from right to left and others do not stand in one label, and a joiner stands where its script has
//! one. `_` may stand where a host name may have it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use crate::hostname;

/// Of the process, as its log is: the rules for names are those of the site and never those of one name.
static OLD_RULES: AtomicBool = AtomicBool::new(false);

/// enable_idna2003_compatibility: whether four characters that IDNA2008 keeps apart are what IDNA2003 made of them.
pub fn use_old_rules(old: bool) {
    OLD_RULES.store(old, Ordering::Relaxed);
}

/// A domain as DNS has it: labels outside ASCII in their `xn--` form, in lower case; a name in ASCII as it is. `None`:
/// a name outside ASCII that cannot be a host's.
#[must_use]
pub fn to_ascii(domain: &str) -> Option<String> {
    to_ascii_by(domain, OLD_RULES.load(Ordering::Relaxed))
}

fn to_ascii_by(domain: &str, old: bool) -> Option<String> {
    if domain.is_ascii() {
        return Some(domain.to_owned());
    }
    // What dots are Unicode has more than one of, and they stand between labels only.
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let domain = if old { Cow::Owned(domain.chars().flat_map(of_2003).collect()) } else { Cow::Borrowed(domain) };
    let name =
        Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Check, DnsLength::Verify).ok()?;
    hostname::is_valid(name.as_bytes()).then(|| name.into_owned())
}

/// What IDNA2003 made of the four characters that have changed their meaning. RFC 5894 7.2
fn of_2003(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        '\u{df}' | '\u{1e9e}' => (Some('s'), Some('s')),
        '\u{3c2}' => (Some('\u{3c3}'), None),
        '\u{200c}' | '\u{200d}' => (None, None),
        other => (Some(other), None),
    };
    first.into_iter().chain(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_outside_ascii_gets_the_form_that_dns_has() {
        for (domain, ascii) in [
            ("foo.example", "foo.example"),
            ("Foo.Example", "Foo.Example"),
            ("xn--a.example", "xn--a.example"),
            ("\u{3c0}.example", "xn--1xa.example"),
            ("B\u{dc}CHER.Example", "xn--bcher-kva.example"),
            ("b\u{fc}cher\u{3002}example", "xn--bcher-kva.example"),
            ("u\u{308}.example.", "xn--tda.example"),
            ("_dmarc.\u{fc}.example", "_dmarc.xn--tda.example"),
            ("stra\u{df}e.example", "xn--strae-oqa.example"),
            ("\u{2168}.example", "ix.example"),
            ("\u{2603}.example", "xn--n3h.example"),
        ] {
            assert_eq!(to_ascii_by(domain, false).as_deref(), Some(ascii), "{domain}");
        }
    }

    #[test]
    fn the_old_rules_change_four_characters() {
        for (domain, ascii) in [
            ("stra\u{df}e.example", "strasse.example"),
            ("STRA\u{1e9e}E.example", "strasse.example"),
            ("\u{3c3}\u{3c2}.example", "xn--4xaa.example"),
            ("a\u{200d}\u{200c}b.example", "ab.example"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(to_ascii_by(domain, true).as_deref(), Some(ascii), "{domain}");
        }
    }

    #[test]
    fn what_can_be_no_host_name_has_no_form() {
        let long = "\u{e9}".repeat(200);
        let longer = "\u{e9}.".repeat(60) + "x";
        for domain in [
            "\u{e9}a\u{a0}b.example",
            "\u{fffd}.example",
            "\u{fc} x.example",
            "\u{fc}@x",
            "\u{fc}!x",
            "\u{e000}.x",
            "u\u{202e}x.example",
            "\u{85}.example",
            "-\u{fc}.example",
            "\u{fc}-.example",
            "ab--\u{fc}.example",
            "\u{fc}..example",
            "\u{ff0e}.example",
            "xn--a.\u{fc}",
            "xn--zzzz-\u{fc}.example",
            "[\u{fc}]",
            &long,
            &longer,
        ] {
            assert_eq!(to_ascii_by(domain, false), None, "{domain}");
        }
    }
}
