//! The options of the commands.

use std::ffi::OsString;

use text::printable;

/// What options and operands say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// -a: the kind of key.
    pub(super) algorithm: Option<String>,
    /// -b: bits, or the name of a curve.
    pub(super) bits: Option<String>,
    /// -r: a source of random numbers.
    pub(super) random: Option<String>,
    /// -k: a key file, or a kind of key.
    pub(super) key: Option<String>,
    /// -h: the name of the host in records.
    pub(super) host: Option<String>,
    /// What follows.
    pub(super) operands: Vec<String>,
}

impl Options {
    /// Understands the words behind a command; `letters` as getopt has them.
    ///
    /// # Errors
    /// The usage, or a word that can be written nowhere.
    pub(super) fn parse(words: &[String], letters: &'static str, usage: &str) -> Result<Self, String> {
        let usage = format!("usage: postfix tls {usage}");
        let mut options = Self::default();
        let mut walk = text::Options::new(letters, words.iter().map(OsString::from));
        while let Some((letter, value)) = walk.next_option().map_err(|_| usage.clone())? {
            let value = Some(word(value)?);
            match letter {
                b'a' => options.algorithm = value,
                b'b' => options.bits = value,
                b'r' => options.random = value,
                b'k' => options.key = value,
                b'h' => options.host = value,
                _ => return Err(usage),
            }
        }
        let operands = walk.operands().into_iter().map(|operand| word(operand.into_encoded_bytes()));
        options.operands = operands.collect::<Result<_, _>>()?;
        Ok(options)
    }
}

/// A word that main.cf, a zone file and the log can hold.
fn word(bytes: Vec<u8>) -> Result<String, String> {
    let word = String::from_utf8(bytes).map_err(|error| format!("not UTF-8: {}", printable(error.as_bytes())))?;
    match word.chars().any(char::is_control) {
        true => Err(format!("control character in: {}", printable(word.as_bytes()))),
        false => Ok(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options, String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        Options::parse(&words, "a:b:", "x [-a algorithm] [-b bits ] [hostname ...]")
    }

    #[test]
    fn options_stand_before_names() {
        let options = parse(&["-a", "rsa", "-b2048", "a.test", "-a"]).unwrap();
        assert_eq!((options.algorithm.as_deref(), options.bits.as_deref()), (Some("rsa"), Some("2048")));
        assert_eq!(options.operands, ["a.test", "-a"]);
    }

    #[test]
    fn a_letter_that_is_not_known_is_the_usage_and_a_line_end_is_refused() {
        let usage = "usage: postfix tls x [-a algorithm] [-b bits ] [hostname ...]";
        for words in [&["-z"][..], &["-a"]] {
            assert_eq!(parse(words), Err(usage.to_owned()));
        }
        assert_eq!(parse(&["a\nb"]), Err("control character in: a?b".to_owned()));
    }
}
