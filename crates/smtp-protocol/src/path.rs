//! `FROM:<reverse-path>` and `TO:<forward-path>`.
//!
//! The result is the address in internal form: quotes and backslashes removed, source route and comments
//! dropped, as queue files hold it. Unless `strict` is on, what poorly written clients send is accepted
//! too: an address without `<>`, a phrase before it, a missing `>`.
//! strict_rfc821_envelopes, RFC 5321 4.1.1.2, 4.1.1.3.

use crate::verb::{Words, words};

/// Why an argument holds no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// The argument is not `KEYWORD:<address>`: 501 5.5.4 Syntax.
    Syntax,
    /// It is, but the address is none: 501 5.1.7 or 5.1.3.
    Address,
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
pub fn parse<'a>(argument: &'a [u8], keyword: &str, strict: bool) -> Result<Path<'a>, PathError> {
    let head = argument.get(..keyword.len()).ok_or(PathError::Syntax)?;
    if !head.eq_ignore_ascii_case(keyword.as_bytes()) {
        return Err(PathError::Syntax);
    }
    let mut parameters = words(&argument[keyword.len()..]);
    let written = parameters.next().ok_or(PathError::Syntax)?;
    let address = address(written, strict).ok_or(PathError::Address)?;
    Ok(Path {
        address,
        written,
        parameters,
    })
}

/// The address of a word in internal form. `None` when it is none.
pub fn address(written: &[u8], strict: bool) -> Option<Vec<u8>> {
    let inner = match written.strip_prefix(b"<") {
        Some(rest) => match rest.strip_suffix(b">") {
            Some(inner) => inner,
            None if strict => return None,
            None => rest,
        },
        None if strict => return None,
        None => written,
    };
    internal(without_route(inner), strict)
}

/// `@a,@b:x@y` is `x@y`: the route has no meaning any more. RFC 5321 appendix C.
fn without_route(inner: &[u8]) -> &[u8] {
    if inner.trim_ascii_start().first() != Some(&b'@') {
        return inner;
    }
    match unquoted(inner, b':') {
        Some(at) => &inner[at + 1..],
        None => inner,
    }
}

/// Position of the first `wanted` outside quotes and brackets.
fn unquoted(text: &[u8], wanted: u8) -> Option<usize> {
    let (mut quoted, mut bracket) = (false, false);
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => quoted = !quoted,
            b'[' if !quoted => bracket = true,
            b']' if !quoted => bracket = false,
            byte if *byte == wanted && !quoted && !bracket => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Removes quotes, backslashes, blanks and comments outside quotes.
fn internal(text: &[u8], strict: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    let mut quoted = false;
    let mut depth = 0usize;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(next) if depth == 0 => out.push(next),
                Some(_) => {}
                None => return None,
            },
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted && strict => return None,
            b'(' if !quoted => depth += 1,
            b')' if !quoted && depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            byte if byte.is_ascii_whitespace() && !quoted => {}
            byte => out.push(byte),
        }
    }
    (!quoted && depth == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from(argument: &[u8]) -> Result<Vec<u8>, PathError> {
        parse(argument, "FROM:", false).map(|path| path.address)
    }

    #[test]
    fn the_usual_forms_are_read() {
        assert_eq!(from(b"FROM:<a@b>"), Ok(b"a@b".to_vec()));
        assert_eq!(from(b"from: <a@b>"), Ok(b"a@b".to_vec()));
        assert_eq!(from(b"FROM:<>"), Ok(Vec::new()));
        assert_eq!(from(b"FROM:a@b"), Ok(b"a@b".to_vec()));
        assert_eq!(from(b"FROM:<@x,@y:a@b>"), Ok(b"a@b".to_vec()));
        assert_eq!(from(b"FROM:<\"a b\\\"c\"@d>"), Ok(b"a b\"c@d".to_vec()));
        assert_eq!(from(b"FROM:<u@[IPv6:::1]>"), Ok(b"u@[IPv6:::1]".to_vec()));
        assert_eq!(from(b"FROM:<a@b"), Ok(b"a@b".to_vec()));
    }

    #[test]
    fn what_is_no_path_is_told_from_what_is_no_address() {
        assert_eq!(from(b"FROM"), Err(PathError::Syntax));
        assert_eq!(from(b"FROM:"), Err(PathError::Syntax));
        assert_eq!(from(b"TO:<a@b>"), Err(PathError::Syntax));
        assert_eq!(from(b"FROM:<\"a@b>"), Err(PathError::Address));
    }

    #[test]
    fn strict_wants_angle_brackets_and_no_comment() {
        for argument in [&b"FROM:a@b"[..], b"FROM:<a@b", b"FROM:<a(c)@b>"] {
            assert_eq!(
                parse(argument, "FROM:", true).map(|path| path.address),
                Err(PathError::Address)
            );
        }
    }

    #[test]
    fn parameters_follow_the_path() {
        let path = parse(b"FROM:<a@b> SIZE=1 BODY=7BIT", "FROM:", false).unwrap();
        assert_eq!(
            path.parameters.collect::<Vec<_>>(),
            [&b"SIZE=1"[..], b"BODY=7BIT"]
        );
    }

    proptest! {
        #[test]
        fn no_argument_makes_the_parser_panic(text in prop::collection::vec(prop::sample::select(b"FROM:<>@,\"\\()[] a".to_vec()), 0..40)) {
            let _ = parse(&text, "FROM:", false);
            let _ = address(&text, true);
        }
    }
}
