//! What master.cf says of a service: whose rights the command has, and the command.

use std::fmt;

/// A service.
#[derive(Debug, PartialEq, Eq)]
pub struct Attributes {
    /// `NAME[:GROUP]`.
    pub user: String,
    /// The command and its arguments.
    pub command: Vec<Vec<u8>>,
}

/// Why a service cannot work. Display is Postfix's sentence.
#[derive(Debug, PartialEq, Eq)]
pub enum AttributeError {
    /// There is none of this name.
    Unknown(String),
    /// `user` or `argv` is missing.
    Missing(&'static str),
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(f, "unknown attribute name: {word}"),
            Self::Missing(name) => write!(f, "missing {name}= attribute"),
        }
    }
}

impl std::error::Error for AttributeError {}

impl Attributes {
    /// Reads the words of a service.
    ///
    /// # Errors
    /// One of them makes no sense, or one is missing.
    pub fn parse(words: &[String]) -> Result<Self, AttributeError> {
        let mut read = Attributes { user: String::new(), command: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name.to_ascii_lowercase().as_str() {
                "user" => read.user = value.to_owned(),
                "argv" if word.contains('=') => {
                    let command = std::iter::once(value).chain(words.by_ref().map(String::as_str));
                    read.command = command.map(text::lossless::encode).collect();
                }
                _ => return Err(AttributeError::Unknown(word.clone())),
            }
        }
        if read.user.is_empty() {
            return Err(AttributeError::Missing("user"));
        }
        if read.command.first().is_none_or(Vec::is_empty) {
            return Err(AttributeError::Missing("argv"));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Attributes, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Attributes::parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_behind_argv_is_the_command_and_nothing_is_a_macro() {
        let read = parse(&["USER=policy", "argv=/bin/x", "$recipient", "user=x"]).unwrap();
        assert_eq!(read.user, "policy");
        assert_eq!(read.command, [b"/bin/x".to_vec(), b"$recipient".to_vec(), b"user=x".to_vec()]);
    }

    #[test]
    fn what_is_missing_or_makes_no_sense_is_named_as_postfix_names_it() {
        let refused = |words: &[&str]| parse(words).unwrap_err();
        assert_eq!(refused(&["argv=/bin/x"]), "missing user= attribute");
        assert_eq!(refused(&["user=x"]), "missing argv= attribute");
        assert_eq!(refused(&["user=x", "flags=R", "argv=x"]), "unknown attribute name: flags=R");
    }
}
