//! The address of MAIL FROM and RCPT TO (RFC 5321 4.1.2), in the strict form and in the forms that old clients send.
//!
//! Must never accept an address that another reader could take for two: everything before the parameters is one
//! address, or it is an error.

use std::fmt;

use crate::token::{Kind, Token, tokens};
use crate::unquote;

/// What stands after `MAIL FROM:` or `RCPT TO:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// The address in internal form, without source route; empty for `<>`.
    pub address: Vec<u8>,
    /// What follows the address: the ESMTP parameters, with the blanks before them.
    pub rest: &'a [u8],
}

/// Why there is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// strict_rfc821_envelopes, and the address is not enclosed in `<>`.
    NotEnclosed,
    /// The text is not one address.
    Syntax,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathError::NotEnclosed => "address is not enclosed in <>",
            PathError::Syntax => "bad address syntax",
        })
    }
}

impl std::error::Error for PathError {}

impl<'a> Path<'a> {
    /// Reads a path. `strict` (strict_rfc821_envelopes) demands `<address>`, closed, without comments or blanks;
    /// otherwise the brackets may be absent, or the closing one, and blanks and comments are skipped.
    pub fn parse(text: &'a [u8], strict: bool) -> Result<Path<'a>, PathError> {
        let start = text.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(text.len());
        let text = &text[start..];
        if strict && start > 0 {
            return Err(PathError::Syntax);
        }
        let tokens = tokens(text);
        let enclosed = tokens.first().is_some_and(|t| t.kind == Kind::Special(b'<'));
        if !enclosed {
            return if strict { Err(PathError::NotEnclosed) } else { Self::bare(text, &tokens) };
        }
        let close = tokens.iter().position(|t| t.kind == Kind::Special(b'>'));
        if strict && close.is_none() {
            return Err(PathError::Syntax);
        }
        let inner = &tokens[1..close.unwrap_or(tokens.len())];
        if strict && inner.iter().any(Token::is_blank) {
            return Err(PathError::Syntax);
        }
        let rest = close.map_or(&text[text.len()..], |n| &text[tokens[n].range.end..]);
        if !rest.is_empty() && !matches!(rest[0], b' ' | b'\t') {
            return Err(PathError::Syntax);
        }
        Ok(Path { address: address(text, inner)?, rest })
    }

    /// Without brackets the address ends at the first blank, and must not be empty.
    fn bare(text: &'a [u8], tokens: &[Token]) -> Result<Path<'a>, PathError> {
        let end = tokens.iter().position(|t| t.kind == Kind::Space).unwrap_or(tokens.len());
        let address = address(text, &tokens[..end])?;
        if address.is_empty() {
            return Err(PathError::Syntax);
        }
        let rest = tokens.get(end).map_or(&text[text.len()..], |t| &text[t.range.start..]);
        Ok(Path { address, rest })
    }
}

/// The internal form of the one address that the tokens must be.
fn address(text: &[u8], tokens: &[Token]) -> Result<Vec<u8>, PathError> {
    let words: Vec<&Token> = tokens.iter().filter(|t| !t.is_blank()).collect();
    let words = without_route(&words);
    let mut external = Vec::new();
    let mut end = None;
    for word in words {
        match word.kind {
            Kind::Atom | Kind::Quoted | Kind::Literal => {
                // Two words with a blank between them are two addresses.
                if end.is_some_and(|end| end != word.range.start) {
                    return Err(PathError::Syntax);
                }
                end = Some(word.range.end);
            }
            Kind::Special(b'@' | b'.') => end = None,
            // Colons are not RFC 5321, but old clients send unbracketed IPv6 literals; resolving refuses them.
            Kind::Special(b':') => end = None,
            _ => return Err(PathError::Syntax),
        }
        external.extend_from_slice(&text[word.range.clone()]);
    }
    Ok(unquote(&external))
}

/// RFC 5321 4.1.1.3: a source route (`@a,@b:`) is accepted and ignored.
fn without_route<'t>(words: &'t [&'t Token]) -> &'t [&'t Token] {
    if words.first().is_some_and(|t| t.kind == Kind::Special(b'@')) {
        if let Some(colon) = words.iter().position(|t| t.kind == Kind::Special(b':')) {
            return &words[colon + 1..];
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lenient(text: &[u8]) -> Option<(String, String)> {
        let path = Path::parse(text, false).ok()?;
        Some((String::from_utf8_lossy(&path.address).into_owned(), String::from_utf8_lossy(path.rest).into_owned()))
    }

    fn pair(address: &str, rest: &str) -> Option<(String, String)> {
        Some((address.to_owned(), rest.to_owned()))
    }

    #[test]
    fn enclosed_addresses_leave_the_parameters() {
        assert_eq!(lenient(b"<a@b> SIZE=1"), pair("a@b", " SIZE=1"));
        assert_eq!(lenient(b"<>"), pair("", ""));
        assert_eq!(lenient(b"<\"a b>\"@c>"), pair("a b>@c", ""));
        assert_eq!(lenient(b"<@x,@y:a@b>"), pair("a@b", ""));
        assert_eq!(lenient(b"<u@[IPv6:::1]>"), pair("u@[IPv6:::1]", ""));
    }

    #[test]
    fn old_clients_are_understood_unless_strict() {
        assert_eq!(lenient(b" a@b SIZE=1"), pair("a@b", " SIZE=1"));
        assert_eq!(lenient(b"<u@[IPv6:::1]"), pair("u@[IPv6:::1]", ""));
        assert_eq!(lenient(b"< a@b (comment) >"), pair("a@b", ""));
        assert_eq!(Path::parse(b"a@b", true), Err(PathError::NotEnclosed));
        assert_eq!(Path::parse(b" <a@b>", true), Err(PathError::Syntax));
        assert_eq!(Path::parse(b"<a@b", true), Err(PathError::Syntax));
        assert!(Path::parse(b"<a@b>", true).is_ok());
    }

    #[test]
    fn two_addresses_are_an_error() {
        for text in [&b"<a@b,c@d>"[..], b"<a@b c@d>", b"<a@b>c", b"", b"<a<b>", b"<a;b>"] {
            assert!(Path::parse(text, false).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }

    proptest! {
        #[test]
        fn the_external_form_of_any_address_is_read_back(local in "[ -~]{1,20}", domain in "[a-z0-9-]{1,10}(\\.[a-z0-9]{1,5})?") {
            let internal = format!("{local}@{domain}").into_bytes();
            let mut text = b"<".to_vec();
            text.extend(crate::quote(&internal));
            text.extend_from_slice(b"> BODY=7BIT");
            let path = Path::parse(&text, true).unwrap();
            prop_assert_eq!(path.address, internal);
            prop_assert_eq!(path.rest, b" BODY=7BIT");
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60), strict: bool) {
            let _ = Path::parse(&bytes, strict);
        }
    }
}
