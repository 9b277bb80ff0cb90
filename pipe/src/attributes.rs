//! What master.cf says of a service: the words in front of `argv=`, and the command.

use delivery::attributes::AttributeError;

/// A service.
#[derive(Debug, PartialEq, Eq)]
pub struct Attributes {
    /// What is done to the message and to addresses.
    pub flags: Flags,
    /// The user, and the command with macros.
    pub service: delivery::attributes::Attributes,
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

impl Attributes {
    /// Reads the words of a service.
    ///
    /// # Errors
    /// One of them makes no sense, or one is missing.
    pub fn parse(words: &[String]) -> Result<Self, AttributeError> {
        let mut read = Attributes {
            flags: Flags::default(),
            service: delivery::attributes::Attributes::default(),
            directory: String::new(),
            root: String::new(),
            line_end: b"\n".to_vec(),
            null_sender: b"MAILER-DAEMON".to_vec(),
            size_limit: 0,
        };
        let own = |name: &str, value: &str| {
            match name {
                "flags" => value.chars().try_for_each(|letter| read.flags.set(letter))?,
                "directory" => read.directory = value.to_owned(),
                "chroot" => read.root = value.to_owned(),
                "eol" => read.line_end = text::c_unescape(value),
                "null_sender" => read.null_sender = text::lossless::encode(value),
                "size" => read.size_limit = value.parse().map_err(|_| AttributeError::Size(value.to_owned()))?,
                _ => return Ok(false),
            }
            Ok(true)
        };
        read.service = delivery::attributes::Attributes::parse(words, "command-line attribute", own)?;
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
        assert_eq!(read.service.command, [b"/bin/x".to_vec(), b"-d".to_vec(), b"size=x".to_vec(), b"{a b}".to_vec()]);
        let flags = Flags {
            delivered_to: true,
            return_path: true,
            folds_domain: true,
            folds_local: true,
            quotes_from: true,
            ..Flags::default()
        };
        assert_eq!((read.flags, read.service.user.as_str()), (flags, "vmail:mail"));
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
