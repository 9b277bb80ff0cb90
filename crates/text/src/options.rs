//! Options as getopt has them: one letter each, clustered, values attached or next.
//!
//! Programs keep the option letters that scripts and master.cf use. Parsing stops at the first operand, so that an
//! address or a file name that starts with `-` can follow `--`. An operand is handed on, never passed over: whoever has
//! no use for one refuses it.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// An option that is not known, or lacks its value. Display is getopt's sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OptionError {
    /// No such letter.
    Invalid(u8),
    /// The letter needs a value.
    NoValue(u8),
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(letter) => write!(f, "invalid option -- '{}'", char::from(*letter)),
            Self::NoValue(letter) => write!(f, "option requires an argument -- '{}'", char::from(*letter)),
        }
    }
}

impl std::error::Error for OptionError {}

/// Walks over a command line.
#[derive(Debug)]
pub struct Options {
    letters: &'static str,
    arguments: std::vec::IntoIter<OsString>,
    /// What is left of a cluster such as `-bh`.
    cluster: Vec<u8>,
    /// The first operand, taken from the arguments to look at it.
    operand: Option<OsString>,
    finished: bool,
}

impl Options {
    /// `letters` is getopt's: a letter followed by `:` takes a value. `arguments` exclude the program name.
    pub fn new(letters: &'static str, arguments: impl IntoIterator<Item = OsString>) -> Self {
        let arguments: Vec<_> = arguments.into_iter().collect();
        Self { letters, arguments: arguments.into_iter(), cluster: Vec::new(), operand: None, finished: false }
    }

    /// The next option, with its value when it takes one; nothing when only operands are left.
    ///
    /// # Errors
    /// The letter is not known, or its value is missing.
    pub fn next_option(&mut self) -> Result<Option<(u8, Vec<u8>)>, OptionError> {
        if self.cluster.is_empty() && !self.next_cluster() {
            return Ok(None);
        }
        let letter = self.cluster.remove(0);
        match self.takes_value(letter) {
            None => Err(OptionError::Invalid(letter)),
            Some(false) => Ok(Some((letter, Vec::new()))),
            Some(true) if !self.cluster.is_empty() => Ok(Some((letter, std::mem::take(&mut self.cluster)))),
            Some(true) => match self.arguments.next() {
                Some(value) => Ok(Some((letter, value.into_vec()))),
                None => Err(OptionError::NoValue(letter)),
            },
        }
    }

    /// As [`Self::next_option`], for a command: like getopt it says on standard error what is wrong, the rest is up to
    /// the caller.
    ///
    /// # Errors
    /// The usage.
    pub fn next_or_usage(&mut self, program: &str, usage: &str) -> Result<Option<(u8, Vec<u8>)>, String> {
        self.next_option().map_err(|error| {
            eprintln!("{program}: {error}");
            usage.to_owned()
        })
    }

    /// What follows the last option directly, such as the `x` of `-qx` where `q` takes no value by letter; empty when
    /// nothing does.
    pub fn attached(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.cluster)
    }

    /// The operands: all that follows the options.
    pub fn operands(self) -> Vec<OsString> {
        self.operand.into_iter().chain(self.arguments).collect()
    }

    /// Moves to the next argument that holds options.
    fn next_cluster(&mut self) -> bool {
        if self.finished {
            return false;
        }
        let Some(argument) = self.arguments.next() else {
            self.finished = true;
            return false;
        };
        match argument.as_bytes() {
            b"--" => self.finished = true,
            [b'-', letters @ ..] if !letters.is_empty() => self.cluster = letters.to_vec(),
            _ => {
                self.finished = true;
                self.operand = Some(argument);
            }
        }
        !self.finished
    }

    fn takes_value(&self, letter: u8) -> Option<bool> {
        let letters = self.letters.as_bytes();
        let at = letters.iter().position(|known| *known == letter && letter != b':')?;
        Some(letters.get(at + 1) == Some(&b':'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(letters: &'static str, line: &str) -> (Vec<(char, String)>, Option<OptionError>, Vec<String>) {
        let mut options = Options::new(letters, line.split_whitespace().map(OsString::from));
        let mut found = Vec::new();
        let error = loop {
            match options.next_option() {
                Ok(Some((letter, value))) => found.push((char::from(letter), String::from_utf8(value).unwrap())),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        let rest = options.operands().into_iter().map(|text| text.into_string().unwrap()).collect();
        (found, error, rest)
    }

    #[test]
    fn letters_cluster_and_values_are_attached_or_next() {
        let (found, error, rest) = parse("bc:h", "-bhc dir -cdir2 -b file -h");
        let expected = [("b", ""), ("h", ""), ("c", "dir"), ("c", "dir2"), ("b", "")];
        assert_eq!(found, expected.map(|(a, b)| (a.chars().next().unwrap(), b.to_owned())));
        assert_eq!((error, rest), (None, vec!["file".to_owned(), "-h".to_owned()]));
    }

    #[test]
    fn two_dashes_end_the_options_and_one_is_an_operand() {
        assert_eq!(parse("b", "-b -- -b").2, ["-b"]);
        assert_eq!(parse("b", "-b - -b").2, ["-", "-b"]);
    }

    #[test]
    fn mistakes_are_named_as_getopt_names_them() {
        assert_eq!(parse("b", "-x").1.unwrap().to_string(), "invalid option -- 'x'");
        assert_eq!(parse("bc:", "-bc").1.unwrap().to_string(), "option requires an argument -- 'c'");
        assert_eq!(parse("bc:", "--help").1.unwrap().to_string(), "invalid option -- '-'");
    }
}
