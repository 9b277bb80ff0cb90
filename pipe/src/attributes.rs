//! What master.cf says of a service: the words in front of `argv=`, and the command.

use std::fmt;

/// A service.
#[derive(Debug, PartialEq, Eq)]
pub struct Attributes {
    /// What is done to the message and to addresses.
    pub flags: Flags,
    /// `NAME[:GROUP]`.
    pub user: String,
    /// Where the command runs; empty: in the queue directory.
    pub directory: String,
    /// Its root directory; empty: that of the machine.
    pub root: String,
    /// What ends a line.
    pub line_end: Vec<u8>,
    /// What stands for the null sender.
    pub null_sender: Vec<u8>,
    /// The largest message in bytes; 0: any.
    pub size_limit: u64,
    /// The command and its arguments, with macros.
    pub command: Vec<Vec<u8>>,
}

/// The letters of `flags=`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    /// B: an empty line at the end.
    pub ends_empty: bool,
    /// D: a Delivered-To: line, and no message that has it already.
    pub delivered_to: bool,
    /// F: a `From ` line.
    pub from_line: bool,
    /// O: an X-Original-To: line.
    pub original: bool,
    /// R: a Return-Path: line.
    pub return_path: bool,
    /// X: this is the final delivery.
    pub is_final: bool,
    /// `>` before lines that begin with `From `.
    pub quotes_from: bool,
    /// `.` before lines that begin with a dot.
    pub doubles_dots: bool,
    /// h: domains in lower case.
    pub folds_domain: bool,
    /// u: local parts in lower case.
    pub folds_local: bool,
    /// q: addresses quoted as in a header.
    pub quotes: bool,
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
    Missing(&'static str),
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(f, "unknown attribute name: {word}"),
            Self::Flag(letter) => write!(f, "unknown flag: {letter} (ignored)"),
            Self::Size(value) => write!(f, "get_service_attr: bad size= value: {value}"),
            Self::Missing(name) => write!(f, "missing {name}= command-line attribute"),
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
        let mut read = Attributes {
            flags: Flags::default(),
            user: String::new(),
            directory: String::new(),
            root: String::new(),
            line_end: b"\n".to_vec(),
            null_sender: b"MAILER-DAEMON".to_vec(),
            size_limit: 0,
            command: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name.to_ascii_lowercase().as_str() {
                "flags" => value.chars().try_for_each(|letter| read.flags.set(letter))?,
                "user" => read.user = value.to_owned(),
                "directory" => read.directory = value.to_owned(),
                "chroot" => read.root = value.to_owned(),
                "eol" => read.line_end = text::c_unescape(value),
                "null_sender" => read.null_sender = text::lossless::encode(value),
                "size" => read.size_limit = value.parse().map_err(|_| AttributeError::Size(value.to_owned()))?,
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

impl Flags {
    fn set(&mut self, letter: char) -> Result<(), AttributeError> {
        let flag = match letter {
            'B' => &mut self.ends_empty,
            'D' => &mut self.delivered_to,
            'F' => &mut self.from_line,
            'O' => &mut self.original,
            'R' => &mut self.return_path,
            'X' => &mut self.is_final,
            '>' => &mut self.quotes_from,
            '.' => &mut self.doubles_dots,
            'h' => &mut self.folds_domain,
            'u' => &mut self.folds_local,
            'q' => &mut self.quotes,
            // Lists of flags may have them apart.
            ' ' | '\t' | ',' => return Ok(()),
            other => return Err(AttributeError::Flag(other)),
        };
        *flag = true;
        Ok(())
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
    fn everything_behind_argv_is_the_command() {
        let read = parse(&["FLAGS=DRhu>", "user=vmail:mail", "eol=\\r\\n", "argv=/bin/x", "-d", "size=x", "{a b}"]);
        let read = read.unwrap();
        assert_eq!(read.command, [b"/bin/x".to_vec(), b"-d".to_vec(), b"size=x".to_vec(), b"{a b}".to_vec()]);
        let flags = Flags {
            delivered_to: true,
            return_path: true,
            folds_domain: true,
            folds_local: true,
            quotes_from: true,
            ..Flags::default()
        };
        assert_eq!((read.flags, read.user.as_str()), (flags, "vmail:mail"));
        assert_eq!((read.line_end.as_slice(), read.size_limit), (&b"\r\n"[..], 0));
        assert_eq!(read.null_sender, b"MAILER-DAEMON");
    }

    #[test]
    fn what_is_missing_or_makes_no_sense_is_named_as_postfix_names_it() {
        let refused = |words: &[&str]| parse(words).unwrap_err();
        assert_eq!(refused(&["argv=/bin/x"]), "missing user= command-line attribute");
        assert_eq!(refused(&["user=x"]), "missing argv= command-line attribute");
        assert_eq!(refused(&["user=x", "argv="]), "missing argv= command-line attribute");
        assert_eq!(refused(&["user=x", "flags=RZ", "argv=x"]), "unknown flag: Z (ignored)");
        assert_eq!(refused(&["user=x", "nosuch=1", "argv=x"]), "unknown attribute name: nosuch=1");
        assert_eq!(refused(&["user=x", "argv", "x"]), "unknown attribute name: argv");
        assert_eq!(refused(&["size=1k", "user=x"]), "get_service_attr: bad size= value: 1k");
    }
}
