//! The words of a service in master.cf that runs a command: `user=NAME[:GROUP]`, `argv=COMMAND...`, and what else its
//! program knows.

use std::fmt;

/// Whose rights a command has, and the command.
#[derive(Debug, Default, PartialEq, Eq)]
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
    /// A letter of `flags=` that means nothing.
    Flag(char),
    /// No number.
    Size(String),
    /// `user` or `argv` is missing.
    Missing {
        /// The attribute.
        name: &'static str,
        /// What the program calls such a word.
        called: &'static str,
    },
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(f, "unknown attribute name: {word}"),
            Self::Flag(letter) => write!(f, "unknown flag: {letter} (ignored)"),
            Self::Size(value) => write!(f, "get_service_attr: bad size= value: {value}"),
            Self::Missing { name, called } => write!(f, "missing {name}= {called}"),
        }
    }
}

impl std::error::Error for AttributeError {}

impl Attributes {
    /// Reads the words of a service whose program calls them `called`. `own` takes, by name and value, those that this
    /// program alone knows, and says whether it knew the name.
    ///
    /// # Errors
    /// One of them makes no sense, or one is missing.
    pub fn parse(
        words: &[String],
        called: &'static str,
        mut own: impl FnMut(&str, &str) -> Result<bool, AttributeError>,
    ) -> Result<Self, AttributeError> {
        let mut read = Attributes::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name.to_ascii_lowercase().as_str() {
                "user" => read.user = value.to_owned(),
                // Whatever comes behind it is the command's.
                "argv" if word.contains('=') => {
                    let command = std::iter::once(value).chain(words.by_ref().map(String::as_str));
                    read.command = command.map(text::lossless::encode).collect();
                }
                name if own(name, value)? => {}
                _ => return Err(AttributeError::Unknown(word.clone())),
            }
        }
        if read.user.is_empty() {
            return Err(AttributeError::Missing { name: "user", called });
        }
        if read.command.first().is_none_or(Vec::is_empty) {
            return Err(AttributeError::Missing { name: "argv", called });
        }
        Ok(read)
    }

    /// The name of the command.
    pub fn program(&self) -> String {
        self.command.first().map(|name| text::printable(name)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Attributes, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Attributes::parse(&words, "attribute", |_, _| Ok(false)).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_behind_argv_is_the_command_and_nothing_is_a_macro() {
        let read = parse(&["USER=policy", "argv=/bin/x", "$recipient", "user=x"]).unwrap();
        assert_eq!((read.user.as_str(), read.program().as_str()), ("policy", "/bin/x"));
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
