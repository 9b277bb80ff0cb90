//! What an SMTP client says to the server: command lines, paths, parameters, attributes of XCLIENT and XFORWARD.

use smtp_protocol::attributes::Attribute;
use smtp_protocol::parameters::{Offers, ParameterError};
use smtp_protocol::path::Rules;
use smtp_protocol::verb::words;
use smtp_protocol::{Chunk, Command, parameters, path};

use crate::pieces::{assert_harmless, choices};

/// A command is its verb and what follows it, and nothing but blanks is lost on the way to its words.
pub fn smtp_command(line: &[u8]) {
    let command = Command::parse(line);
    let put_together = [command.word, b" ", command.argument].concat();
    assert_eq!(Command::parse(&put_together), command);
    assert!(!command.word.iter().any(u8::is_ascii_whitespace));

    let found: Vec<&[u8]> = command.words().collect();
    assert!(found.iter().all(|word| !word.is_empty()));
    let mut rest = command.argument;
    for word in &found {
        rest = rest.trim_ascii_start().strip_prefix(*word).expect("a word is where the one before it ends");
    }
    assert!(rest.trim_ascii().is_empty(), "only blanks are left");

    if let Some(chunk) = Chunk::parse(command.words()) {
        assert!(i64::try_from(chunk.length).is_ok(), "a length that can be counted down");
    }
}

/// A path is an address in internal form, made of bytes that were sent; written anew it is the same address.
pub fn smtp_path(data: &[u8]) {
    let (choice, argument) = choices(data);
    let keyword = if choice & 2 == 0 { "FROM:" } else { "TO:" };
    let argument = if choice & 4 == 0 { argument } else { &[keyword.as_bytes(), argument].concat() };
    let utf8 = choice & 8 != 0;
    let strict = path::parse(argument, keyword, Rules { strict: true, utf8 });
    let lax = path::parse(argument, keyword, Rules { strict: false, utf8 });
    if let Ok(strict) = &strict {
        let lax = lax.as_ref().expect("what the strict reader takes the other one takes too");
        assert_eq!(strict.address, lax.address);
    }
    let Ok(path) = (if choice & 1 == 0 { lax } else { strict }) else { return };
    // The bracket of a literal is added where it is missing.
    assert!(path.address.len() <= path.written.len() + 1);
    assert!(path.address.iter().all(|byte| *byte == b']' || path.written.contains(byte)));
    let domain = address::domain(&path.address).unwrap_or_default();
    assert!(if utf8 { std::str::from_utf8(domain).is_ok() } else { domain.is_ascii() });
    if net::hostname::is_valid(domain) || net::literal::mailhost(domain).is_some() {
        let anew = [b"<", &address::quote(&path.address)[..], b">"].concat();
        assert_eq!(path::address(&anew, Rules::default()), Some(path.address), "{}", anew.escape_ascii());
    }
}

/// Values of parameters are what their RFC allows, whatever stood in the command.
pub fn smtp_parameters(text: &[u8]) {
    match parameters::mail(words(text), Offers { smtputf8: true, requiretls: true, verp: true }) {
        Ok(found) => {
            if let Some(envid) = &found.envid {
                assert!(!envid.is_empty() && envid.iter().all(|byte| (b' '..=b'~').contains(byte)));
                assert_eq!(text::xtext::decode(text::xtext::encode(envid).as_bytes()).as_ref(), Some(envid));
            }
        }
        Err(ParameterError::MultipleAuth) => assert!(text.to_ascii_uppercase().windows(5).any(|word| word == b"AUTH=")),
        Err(error) => assert!(matches!(error.code().0, 501 | 555)),
    }
    match parameters::rcpt(words(text)) {
        Ok(found) => {
            if let Some((kind, address)) = &found.orcpt {
                assert!(!kind.is_empty() && kind.len() + address.len() < text.len());
                assert_harmless(std::str::from_utf8(address).expect("printable text"));
                let sent = dsn::OriginalRecipient::from_parts(kind, address).parameter();
                if let Some(sent) = sent {
                    assert!(sent.bytes().all(|byte| byte.is_ascii_graphic()));
                    let again = parameters::rcpt(words(format!("ORCPT={sent}").as_bytes())).expect("our own words");
                    assert_eq!(again.orcpt, found.orcpt);
                }
            }
            if let Some(notify) = found.notify.and_then(dsn::Notify::parameter) {
                assert_harmless(&notify);
            }
        }
        Err(error) => assert!(matches!(error.code().0, 501 | 555)),
    }
}

/// What a client says about another client is short, and harmless in log lines and headers.
pub fn smtp_attributes(text: &[u8]) {
    for word in words(text) {
        let attribute = match Attribute::parse(word) {
            Ok(attribute) => attribute,
            Err(error) => {
                assert_harmless(&error.to_string());
                continue;
            }
        };
        // An empty name is an attribute that no command has; the smtpd of whoever sends it says so.
        assert!(attribute.name.len() + attribute.value.len() < word.len() && attribute.value.len() <= 255);
        assert!(!attribute.name.iter().any(|byte| *byte == b'=' || byte.is_ascii_lowercase()));
        let texts = [
            attribute.host("NAME"),
            attribute.port("PORT"),
            attribute.protocol("PROTO"),
            Ok(attribute.any()),
            attribute.address("ADDR").map(|known| match known {
                smtp_protocol::attributes::Known::Value(address) => {
                    smtp_protocol::attributes::Known::Value(address.to_string())
                }
                _ => smtp_protocol::attributes::Known::Unavailable,
            }),
        ];
        for text in texts {
            match text {
                Ok(known) => assert_harmless(&known.value().unwrap_or_default()),
                Err(error) => assert_harmless(&error.to_string()),
            }
        }
    }
}
