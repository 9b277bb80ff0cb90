//! Which command a line is, and its words.
//!
//! The words of a line are separated by blanks; a word that begins with `<` goes to its `>`, and quotes keep blanks
//! together, so that an address stays one word whatever it contains.

/// The commands of the server, in the order in which the session's statistics list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// RFC 5321 4.1.1.1
    Helo,
    /// RFC 5321 4.1.1.1
    Ehlo,
    /// Postfix's XCLIENT
    Xclient,
    /// Postfix's XFORWARD
    Xforward,
    /// RFC 3207
    Starttls,
    /// RFC 4954
    Auth,
    /// RFC 5321 4.1.1.2
    Mail,
    /// RFC 5321 4.1.1.3
    Rcpt,
    /// RFC 5321 4.1.1.4
    Data,
    /// RFC 3030
    Bdat,
    /// RFC 5321 4.1.1.5
    Rset,
    /// RFC 5321 4.1.1.9
    Noop,
    /// RFC 5321 4.1.1.6
    Vrfy,
    /// RFC 1985
    Etrn,
    /// RFC 5321 4.1.1.10
    Quit,
    /// RFC 5321 4.1.1.8
    Help,
    /// Anything else, an empty line too.
    Unknown,
}

impl Verb {
    /// All verbs, in the order of the statistics.
    pub const ALL: [Verb; 17] = [
        Verb::Helo,
        Verb::Ehlo,
        Verb::Xclient,
        Verb::Xforward,
        Verb::Starttls,
        Verb::Auth,
        Verb::Mail,
        Verb::Rcpt,
        Verb::Data,
        Verb::Bdat,
        Verb::Rset,
        Verb::Noop,
        Verb::Vrfy,
        Verb::Etrn,
        Verb::Quit,
        Verb::Help,
        Verb::Unknown,
    ];

    /// The verb that a word names, in any case.
    pub fn parse(word: &[u8]) -> Verb {
        Verb::ALL
            .into_iter()
            .find(|verb| *verb != Verb::Unknown && verb.name().as_bytes().eq_ignore_ascii_case(word))
            .unwrap_or(Verb::Unknown)
    }

    /// The name in upper case; `UNKNOWN` for [`Verb::Unknown`].
    pub fn name(self) -> &'static str {
        match self {
            Verb::Helo => "HELO",
            Verb::Ehlo => "EHLO",
            Verb::Xclient => "XCLIENT",
            Verb::Xforward => "XFORWARD",
            Verb::Starttls => "STARTTLS",
            Verb::Auth => "AUTH",
            Verb::Mail => "MAIL",
            Verb::Rcpt => "RCPT",
            Verb::Data => "DATA",
            Verb::Bdat => "BDAT",
            Verb::Rset => "RSET",
            Verb::Noop => "NOOP",
            Verb::Vrfy => "VRFY",
            Verb::Etrn => "ETRN",
            Verb::Quit => "QUIT",
            Verb::Help => "HELP",
            Verb::Unknown => "UNKNOWN",
        }
    }
}

/// A command line taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// What the first word says.
    pub verb: Verb,
    /// The first word as it was written; empty when the line is.
    pub word: &'a [u8],
    /// What follows, blanks at both ends removed.
    pub argument: &'a [u8],
}

impl<'a> Command<'a> {
    /// Takes a line without its end apart.
    pub fn parse(line: &'a [u8]) -> Command<'a> {
        let line = line.trim_ascii();
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (word, argument) = line.split_at(end);
        Command { verb: Verb::parse(word), word, argument: argument.trim_ascii_start() }
    }

    /// The words of the argument.
    pub fn words(&self) -> Words<'a> {
        words(self.argument)
    }
}

/// The words of `text`: blanks separate them, except within quotes and within a word that begins with `<`.
pub fn words(text: &[u8]) -> Words<'_> {
    Words { rest: text }
}

/// Iterator of [`words`].
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    /// What has not been returned yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest.trim_ascii_start();
        if text.is_empty() {
            self.rest = text;
            return None;
        }
        let (word, rest) = text.split_at(word_end(text));
        self.rest = rest;
        Some(word)
    }
}

/// Where the first word of `text` ends.
fn word_end(text: &[u8]) -> usize {
    let angle = text.first() == Some(&b'<');
    let (mut quoted, mut depth) = (false, 0usize);
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            b'<' if angle && !quoted => depth += 1,
            b'>' if !quoted => depth = depth.saturating_sub(1),
            byte if byte.is_ascii_whitespace() && !quoted && depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn verbs_are_found_in_any_case() {
        assert_eq!(Verb::parse(b"mAiL"), Verb::Mail);
        assert_eq!(Verb::parse(b"unknown"), Verb::Unknown);
        assert_eq!(Verb::parse(b""), Verb::Unknown);
    }

    #[test]
    fn every_verb_is_found_by_its_own_name() {
        for verb in Verb::ALL {
            assert_eq!(Verb::parse(verb.name().as_bytes()), verb);
        }
    }

    #[test]
    fn an_address_with_blanks_is_one_word() {
        let found: Vec<&[u8]> = words(b"<\"a > b\"@c> SIZE=1  x\"y z\"").collect();
        assert_eq!(found, [&b"<\"a > b\"@c>"[..], b"SIZE=1", b"x\"y z\""]);
    }

    proptest! {
        #[test]
        fn words_lose_only_blanks(text in prop::collection::vec(prop::sample::select(b"<>\"\\ a\t".to_vec()), 0..30)) {
            let joined: Vec<u8> = words(&text).flatten().copied().collect();
            let mut left = joined.iter();
            prop_assert!(joined.len() <= text.len());
            for byte in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
                prop_assert!(left.any(|kept| kept == byte));
            }
        }
    }
}
