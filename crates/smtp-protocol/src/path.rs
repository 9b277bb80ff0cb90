//! `FROM:<reverse-path>` and `TO:<forward-path>`.
//!
//! The result is the address in internal form: quotes and backslashes removed, source route and comments dropped, as
//! queue files hold it. Unless `strict` is on, what poorly written clients send is accepted too: an address without
//! `<>`, a phrase before it, a missing `>`. strict_rfc821_envelopes, RFC 5321 4.1.1.2, 4.1.1.3. What a local part may
//! hold is not judged here; a domain is ASCII unless the client has asked for SMTPUTF8 (RFC 6531 3.3).

use crate::verb::{Words, words};

/// Why an argument holds no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// The argument is not `KEYWORD:<address>`: 501 5.5.4 Syntax.
    Syntax,
    /// It is, but a quote or an angle bracket is not closed: 501 5.1.7 or 5.1.3.
    Unterminated,
    /// It is, but the address is none: 501 5.1.7 or 5.1.3.
    Address,
}

/// What is taken for an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Nothing but what RFC 5321 has. strict_rfc821_envelopes
    pub strict: bool,
    /// A domain may have other letters than ASCII.
    pub utf8: bool,
}

/// An address as the client gave it and the words after it.
#[derive(Clone, Debug)]
pub struct Path<'a> {
    /// The address in internal form; empty for `<>`.
    pub address: Vec<u8>,
    /// The address as it was written, `<>` included, for log lines.
    pub written: &'a [u8],
    /// The parameters that follow.
    pub parameters: Words<'a>,
}

/// Reads `keyword` (`FROM:` or `TO:`, any case) and the path after it from a command's argument.
pub fn parse<'a>(argument: &'a [u8], keyword: &str, rules: Rules) -> Result<Path<'a>, PathError> {
    let head = argument.get(..keyword.len()).ok_or(PathError::Syntax)?;
    if !head.eq_ignore_ascii_case(keyword.as_bytes()) {
        return Err(PathError::Syntax);
    }
    let mut parameters = words(&argument[keyword.len()..]);
    let written = parameters.next().ok_or(PathError::Syntax)?;
    if is_open(written) {
        return Err(PathError::Unterminated);
    }
    let address = address(written, rules).ok_or(PathError::Address)?;
    Ok(Path { address, written, parameters })
}

/// A quote or an angle bracket is not closed.
fn is_open(written: &[u8]) -> bool {
    let (mut quoted, mut depth) = (false, 0usize);
    let mut bytes = written.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => quoted = !quoted,
            b'<' if !quoted => depth += 1,
            b'>' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    quoted || depth > 0
}

/// The address of a word in internal form. `None` when it is none.
pub fn address(written: &[u8], Rules { strict, utf8 }: Rules) -> Option<Vec<u8>> {
    let inner = match written.strip_prefix(b"<") {
        Some(rest) => rest.strip_suffix(b">")?,
        None if strict => return None,
        None => written,
    };
    let inner = without_route(inner.trim_ascii());
    // `group: a@b;`
    let group = inner.ends_with(b";").then(|| unquoted(inner, b':').next()).flatten();
    let inner = match group {
        Some(_) if strict => return None,
        Some(colon) => &inner[colon + 1..],
        None => inner,
    };
    let phrase = if strict { None } else { unquoted(inner, b'<').last() };
    let phrase = phrase.map_or(inner.len(), |end| inner.len() - end);
    let mut reader = Reader { rest: inner, phrase, strict, address: Vec::new(), after_word: false, closed: false };
    reader.read()?;
    let nameless = reader.address.first() == Some(&b'@');
    let good = (!strict || !nameless) && can_be_sent_on(&reader.address, utf8);
    good.then_some(reader.address)
}

/// No path has a NUL (RFC 5321 4.1.2), and without SMTPUTF8 a domain is ASCII (RFC 6531 3.3): its ASCII form is what a
/// client has to say.
fn can_be_sent_on(address: &[u8], utf8: bool) -> bool {
    let domain = address.iter().rposition(|byte| *byte == b'@').map_or(&b""[..], |at| &address[at..]);
    (domain.is_ascii() || utf8 && std::str::from_utf8(domain).is_ok()) && !address.contains(&0)
}

/// `@a,@b:x@y` is `x@y`: the route has no meaning any more. RFC 5321 appendix C.
fn without_route(inner: &[u8]) -> &[u8] {
    match unquoted(inner, b':').next() {
        Some(at) if inner.starts_with(b"@") => &inner[at + 1..],
        _ => inner,
    }
}

/// Positions of `wanted` outside quotes and brackets.
fn unquoted(text: &[u8], wanted: u8) -> impl Iterator<Item = usize> {
    let (mut quoted, mut bracket, mut escaped) = (false, false, false);
    text.iter().enumerate().filter_map(move |(at, byte)| {
        match byte {
            _ if std::mem::take(&mut escaped) => {}
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' if !quoted => bracket = true,
            b']' if !quoted => bracket = false,
            byte if *byte == wanted && !quoted && !bracket => return Some(at),
            _ => {}
        }
        None
    })
}

/// Takes the words of one address together; two words without `.` or `@` between them are none.
struct Reader<'a> {
    rest: &'a [u8],
    /// As long as more bytes are left than these, a `<` still comes, and words are a phrase before it.
    phrase: usize,
    strict: bool,
    address: Vec<u8>,
    after_word: bool,
    closed: bool,
}

impl Reader<'_> {
    fn read(&mut self) -> Option<()> {
        while let Some((byte, rest)) = self.rest.split_first() {
            let here = self.rest;
            self.rest = rest;
            match byte {
                byte if byte.is_ascii_whitespace() => {}
                b'(' => self.comment()?,
                b'"' => self.quoted()?,
                b'[' => self.literal()?,
                b'<' => self.begin()?,
                b'>' => self.closed = true,
                b',' | b';' if self.strict => return None,
                b',' | b';' => self.closed |= !self.address.is_empty(),
                b'@' | b'.' | b':' => self.special(*byte)?,
                _ => {
                    self.rest = here;
                    self.atom()?;
                }
            }
        }
        Some(())
    }

    fn special(&mut self, byte: u8) -> Option<()> {
        self.after_word = false;
        self.address.push(byte);
        (!self.closed).then_some(())
    }

    fn word(&mut self) -> Option<()> {
        (!self.closed && !std::mem::replace(&mut self.after_word, true)).then_some(())
    }

    /// `<` within the path: what came before it was a phrase.
    fn begin(&mut self) -> Option<()> {
        if self.closed || (self.strict && !self.address.is_empty()) {
            return None;
        }
        self.address.clear();
        self.after_word = false;
        Some(())
    }

    fn comment(&mut self) -> Option<()> {
        let mut depth = 1;
        while depth > 0 {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\\' => self.rest = rest.get(1..)?,
                _ => {}
            }
        }
        (!self.strict).then_some(())
    }

    fn quoted(&mut self) -> Option<()> {
        self.word_or_phrase()?;
        while let Some((byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            match byte {
                b'"' => break,
                b'\\' => self.escaped(),
                byte => self.address.push(*byte),
            }
        }
        Some(())
    }

    /// The byte behind a backslash; a backslash at the end is nothing.
    fn escaped(&mut self) {
        if let Some((next, rest)) = self.rest.split_first() {
            self.address.push(*next);
            self.rest = rest;
        }
    }

    /// A domain literal; a missing bracket at the end is added.
    fn literal(&mut self) -> Option<()> {
        self.word()?;
        self.address.push(b'[');
        while let Some((byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            self.address.push(*byte);
            if *byte == b']' {
                return Some(());
            }
        }
        self.address.push(b']');
        Some(())
    }

    fn atom(&mut self) -> Option<()> {
        self.word_or_phrase()?;
        while let Some((byte, rest)) = self.rest.split_first() {
            match byte {
                b'\\' => {
                    self.rest = rest;
                    self.escaped();
                    continue;
                }
                b'(' | b'"' | b'[' | b'<' | b'>' | b',' | b';' | b'@' | b'.' | b':' => break,
                byte if byte.is_ascii_whitespace() => break,
                byte => self.address.push(*byte),
            }
            self.rest = rest;
        }
        Some(())
    }

    /// Words may follow words in a phrase, which ends with a `<`.
    fn word_or_phrase(&mut self) -> Option<()> {
        if !self.closed && self.rest.len() > self.phrase {
            return Some(());
        }
        self.word()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STRICT: Rules = Rules { strict: true, utf8: false };

    fn from(argument: &[u8]) -> Result<Vec<u8>, PathError> {
        parse(argument, "FROM:", Rules::default()).map(|path| path.address)
    }

    #[test]
    fn the_usual_forms_are_read() {
        for (argument, address) in [
            ("FROM:<a@b>", "a@b"),
            ("from: < a@b >", "a@b"),
            ("FROM:<>", ""),
            ("FROM:a@b", "a@b"),
            ("FROM:<@x,@y:a@b>", "a@b"),
            ("FROM:<\"a b\\\"c\"@d>", "a b\"c@d"),
            ("FROM:<a.\"b c\".d@e>", "a.b c.d@e"),
            ("FROM:<u@[IPv6:::1]>", "u@[IPv6:::1]"),
            ("FROM:<u@[IPv6:::1>", "u@[IPv6:::1]"),
            ("FROM:<a@@b>", "a@@b"),
        ] {
            assert_eq!(from(argument.as_bytes()), Ok(address.as_bytes().to_vec()), "{argument}");
        }
    }

    #[test]
    fn what_old_clients_send_is_read_unless_strict() {
        for argument in [
            "FROM:a@b>",
            "FROM:<Full Name <a@b>>",
            "FROM:<\"Full\" Name <a@b>>",
            "FROM:<\"Full\" \"Name\" x \"y\" <a@b>>",
            "FROM:<\\\" <a@b>>",
            "FROM:<a (c) @b>",
            "FROM:<a(c)@b>",
            "FROM:<group: a@b;>",
        ] {
            assert_eq!(from(argument.as_bytes()), Ok(b"a@b".to_vec()), "{argument}");
            let strict = parse(argument.as_bytes(), "FROM:", STRICT).map(|path| path.address);
            assert_eq!(strict, Err(PathError::Address), "{argument}");
        }
        assert_eq!(parse(b"FROM:a@b", "FROM:", STRICT).map(|path| path.address), Err(PathError::Address));
        assert_eq!(parse(b"FROM:<;a@b>", "FROM:", STRICT).map(|path| path.address), Err(PathError::Address));
        assert_eq!(parse(b"FROM:<@b>", "FROM:", STRICT).map(|path| path.address), Err(PathError::Address));
        assert_eq!(from(b"FROM:<<a@b>>"), Ok(b"a@b".to_vec()));
        assert_eq!(from(b"FROM:<;a@b>"), Ok(b"a@b".to_vec()));
        assert_eq!(from(b"FROM:<a:b@c>"), Ok(b"a:b@c".to_vec()));
    }

    #[test]
    fn what_is_no_path_is_told_from_what_is_no_address() {
        for argument in ["FROM", "FROM:", "TO:<a@b>", "FROM :<a@b>", "FROM<a@b>"] {
            assert_eq!(from(argument.as_bytes()), Err(PathError::Syntax), "{argument}");
        }
        for argument in [
            "FROM:<a b@c>",
            "FROM:<a@b,c@d>",
            "FROM:<a;b@c>",
            "FROM:<@x a@b>",
            "FROM:<a@b>SIZE=10",
            "FROM:<a@b>,<c@d>",
            "FROM:<a\"b\"@c>",
        ] {
            assert_eq!(from(argument.as_bytes()), Err(PathError::Address), "{argument}");
        }
    }

    #[test]
    fn an_address_has_no_nul_and_its_domain_is_ascii() {
        for argument in [&b"FROM:<a\0@b>"[..], b"FROM:<\"a\0\"@b>", "FROM:<a@\u{fc}.b>".as_bytes(), b"FROM:<a@b\xff>"] {
            assert_eq!(from(argument), Err(PathError::Address), "{}", argument.escape_ascii());
        }
        assert_eq!(from("FROM:<\u{fc}@b>".as_bytes()), Ok("\u{fc}@b".as_bytes().to_vec()));
        assert_eq!(from("FROM:<a@b(\u{fc})>".as_bytes()), Ok(b"a@b".to_vec()));
    }

    #[test]
    fn who_asks_for_smtputf8_may_have_a_domain_in_utf8() {
        let from = |argument: &[u8]| {
            parse(argument, "FROM:", Rules { utf8: true, ..Rules::default() }).map(|path| path.address)
        };
        for address in ["a@\u{fc}.b", "\u{fc}@\u{fc}"] {
            assert_eq!(from(format!("FROM:<{address}>").as_bytes()), Ok(address.as_bytes().to_vec()));
        }
        for argument in [&b"FROM:<a@b\xfc>"[..], "FROM:<a@\u{fc}\0>".as_bytes()] {
            assert_eq!(from(argument), Err(PathError::Address), "{}", argument.escape_ascii());
        }
    }

    #[test]
    fn what_is_not_closed_is_told_from_what_is_wrong() {
        for argument in ["FROM:<\"a@b>", "FROM:<a@b", "FROM:\"a@b"] {
            assert_eq!(from(argument.as_bytes()), Err(PathError::Unterminated), "{argument}");
        }
    }

    #[test]
    fn parameters_follow_the_path() {
        let path = parse(b"FROM:<a@b> SIZE=1 BODY=7BIT", "FROM:", Rules::default()).unwrap();
        assert_eq!(path.parameters.collect::<Vec<_>>(), [&b"SIZE=1"[..], b"BODY=7BIT"]);
    }

    proptest! {
        #[test]
        fn no_argument_makes_the_parser_panic(text in prop::collection::vec(prop::sample::select(b"FROM:<>@,\"\\()[] a".to_vec()), 0..40)) {
            let _ = parse(&text, "FROM:", Rules::default());
            let _ = address(&text, STRICT);
        }
    }
}
