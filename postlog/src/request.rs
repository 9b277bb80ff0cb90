//! The command line: what is logged, and as what.

use std::ffi::OsString;

use logging::Severity;
use text::Options;

/// The command line.
#[derive(Default)]
pub(crate) struct Request {
    /// Of main.cf.
    pub(crate) directory: Option<Vec<u8>>,
    /// -p
    pub(crate) severity: Option<Severity>,
    /// -t
    pub(crate) tag: Option<String>,
    /// The words of the text, joined; none: standard input is read.
    pub(crate) text: Option<Vec<u8>>,
}

impl Request {
    /// Reads it.
    ///
    /// # Errors
    /// The sentence for who called: the usage, or what cannot be understood.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        const USAGE: &str = "usage: postlog [-c config_dir] [-i] [-p priority] [-t tag] [-v] [text]";
        let mut options = Options::new("c:ip:t:v", arguments);
        let mut request = Self::default();
        while let Some((letter, value)) = options.next_or_usage("postlog", USAGE)? {
            match letter {
                b'c' => request.directory = Some(value),
                b'p' => request.severity = Some(severity(&value)?),
                b't' => request.tag = Some(text::printable(&value)),
                _ => {}
            }
        }
        let words: Vec<_> = options.operands().into_iter().map(|word| word.into_encoded_bytes()).collect();
        request.text = (!words.is_empty()).then(|| words.join(&b' '));
        Ok(request)
    }
}

fn severity(name: &[u8]) -> Result<Severity, String> {
    Ok(match name.to_ascii_lowercase().as_slice() {
        b"info" => Severity::Info,
        b"warn" | b"warning" => Severity::Warning,
        b"error" => Severity::Error,
        b"fatal" => Severity::Fatal,
        b"panic" => Severity::Panic,
        _ => return Err(format!("bad severity: \"{}\"", text::printable(name))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Request, String> {
        Request::parse(line.iter().map(OsString::from))
    }

    #[test]
    fn what_follows_the_first_word_is_text() {
        let request = parse(&["-p", "Warn", "x", "-p", "error"]).unwrap();
        assert_eq!(request.text.as_deref(), Some(&b"x -p error"[..]));
        assert!(matches!(request.severity, Some(Severity::Warning)));
        assert_eq!(parse(&["-t", "a/b"]).unwrap().tag.as_deref(), Some("a/b"));
        assert!(parse(&["-i"]).unwrap().text.is_none());
    }

    #[test]
    fn severities_are_words_in_any_case_and_warn_is_one() {
        for (word, severity) in [
            ("INFO", Severity::Info),
            ("warn", Severity::Warning),
            ("Warning", Severity::Warning),
            ("error", Severity::Error),
            ("fatal", Severity::Fatal),
            ("panic", Severity::Panic),
        ] {
            assert_eq!(parse(&["-p", word, "x"]).unwrap().severity, Some(severity), "{word}");
        }
    }

    #[test]
    fn words_are_joined_by_blanks_and_what_follows_two_hyphens_is_text() {
        let request = parse(&["-c", "/etc/other", "--", "-p", "a  b", ""]).unwrap();
        assert_eq!(request.text.as_deref(), Some(&b"-p a  b "[..]));
        assert_eq!((request.directory.as_deref(), request.severity), (Some(&b"/etc/other"[..]), None));
    }

    #[test]
    fn an_option_that_is_none_or_lacks_its_value_is_told_the_usage() {
        for line in [&["-z"][..], &["-p"], &["-iz", "x"]] {
            assert!(parse(line).err().is_some_and(|why| why.starts_with("usage: postlog")), "{line:?}");
        }
    }

    #[test]
    fn a_severity_that_is_none_is_named() {
        assert_eq!(parse(&["-p", "bogus", "x"]).err().as_deref(), Some("bad severity: \"bogus\""));
    }
}
