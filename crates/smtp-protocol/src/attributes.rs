//! The attributes of XCLIENT and XFORWARD: `NAME=value`, the value in xtext.
//!
//! What a client says about another client goes into log lines, headers and decisions: values are bounded, and a value
//! is only what its attribute allows. RFC 1891 5 for the encoding; Postfix's XCLIENT and XFORWARD documents for the
//! rest.

use std::fmt;
use std::net::IpAddr;

/// Longest value in bytes.
/// told: the client, by an error.
const MAX_VALUE: usize = 255;
/// Longest port number in digits.
/// told: the client, by an error.
const MAX_PORT: usize = 5;
/// Longest protocol name in bytes.
/// told: the client, by an error.
const MAX_PROTOCOL: usize = 64;

/// One attribute of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The name in upper case.
    pub name: Vec<u8>,
    /// What the xtext stands for; the text as it is when it is no xtext.
    pub value: Vec<u8>,
}

/// Why an attribute is refused. Displays as the text of the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeError {
    /// A word that is not `NAME=value`.
    Malformed,
    /// The value is longer than 255 bytes.
    TooLong,
    /// The value is none of this attribute.
    Syntax(&'static str, Vec<u8>),
    /// No attribute of this command.
    Unknown(&'static str, Vec<u8>),
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttributeError::Malformed => f.write_str("Error: attribute=value expected"),
            AttributeError::TooLong => f.write_str("Error: attribute value too long"),
            AttributeError::Syntax(name, value) => {
                let is_special = |byte: &u8| b"<>()\\\";@".contains(byte);
                let plain: Vec<u8> = value.iter().map(|byte| if is_special(byte) { b'?' } else { *byte }).collect();
                write!(f, "Bad {name} syntax: {}", text::printable(&plain))
            }
            AttributeError::Unknown(command, name) => {
                write!(f, "Bad {command} attribute name: {}", text::printable(name))
            }
        }
    }
}

impl std::error::Error for AttributeError {}

/// A value that may be said to be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// `[UNAVAILABLE]`
    Unavailable,
    /// `[TEMPUNAVAIL]`
    Temporary,
    /// The value.
    Value(T),
}

impl<T> Known<T> {
    /// The value, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Known::Value(value) => Some(value),
            Known::Unavailable | Known::Temporary => None,
        }
    }
}

impl Attribute {
    /// Reads one word of the command.
    ///
    /// # Errors
    /// [`AttributeError::Malformed`] or [`AttributeError::TooLong`].
    pub fn parse(word: &[u8]) -> Result<Attribute, AttributeError> {
        let at = word.iter().position(|byte| *byte == b'=').ok_or(AttributeError::Malformed)?;
        let (name, value) = (&word[..at], &word[at + 1..]);
        if value.is_empty() {
            return Err(AttributeError::Malformed);
        }
        if value.len() > MAX_VALUE {
            return Err(AttributeError::TooLong);
        }
        let value = text::xtext::decode(value).unwrap_or_else(|| value.to_vec());
        Ok(Attribute { name: name.to_ascii_uppercase(), value })
    }

    fn bad(&self, name: &'static str) -> AttributeError {
        AttributeError::Syntax(name, self.value.clone())
    }

    fn is_unavailable(&self) -> bool {
        self.value.eq_ignore_ascii_case(b"[UNAVAILABLE]")
    }

    /// A host name; `name` is the attribute's, for the error.
    ///
    /// # Errors
    /// It is no host name.
    pub fn host(&self, name: &'static str) -> Result<Known<String>, AttributeError> {
        if self.is_unavailable() {
            return Ok(Known::Unavailable);
        }
        if self.value.eq_ignore_ascii_case(b"[TEMPUNAVAIL]") {
            return Ok(Known::Temporary);
        }
        let text = String::from_utf8(self.value.clone()).ok().filter(|text| net::hostname::is_valid(text.as_bytes()));
        text.map(Known::Value).ok_or_else(|| self.bad(name))
    }

    /// An address: IPv4, or IPv6 behind `IPV6:`.
    ///
    /// # Errors
    /// It is neither.
    pub fn address(&self, name: &'static str) -> Result<Known<IpAddr>, AttributeError> {
        if self.is_unavailable() {
            return Ok(Known::Unavailable);
        }
        let literal = [b"[", &self.value[..], b"]"].concat();
        net::literal::mailhost(&literal).map(Known::Value).ok_or_else(|| self.bad(name))
    }

    /// A port number, as it is written.
    ///
    /// # Errors
    /// Not all digits, or too many.
    pub fn port(&self, name: &'static str) -> Result<Known<String>, AttributeError> {
        if self.is_unavailable() {
            return Ok(Known::Unavailable);
        }
        let digits = self.value.len() <= MAX_PORT && self.value.iter().all(u8::is_ascii_digit);
        if digits { Ok(Known::Value(self.text())) } else { Err(self.bad(name)) }
    }

    /// Any text.
    pub fn any(&self) -> Known<String> {
        if self.is_unavailable() { Known::Unavailable } else { Known::Value(self.text()) }
    }

    /// The name of a protocol that an earlier server spoke.
    ///
    /// # Errors
    /// It is too long for one.
    pub fn protocol(&self, name: &'static str) -> Result<Known<String>, AttributeError> {
        if self.value.len() > MAX_PROTOCOL { Err(self.bad(name)) } else { Ok(self.any()) }
    }

    fn text(&self) -> String {
        text::printable(&self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attribute(text: &str) -> Attribute {
        Attribute::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_word_is_a_name_and_a_value() {
        assert_eq!(attribute("name=a+2Eb"), Attribute { name: b"NAME".to_vec(), value: b"a.b".to_vec() });
        assert_eq!(attribute("HELO=a+zz").value, b"a+zz");
        assert_eq!(attribute("=x").name, b"");
        let said = attribute("ADDR=<\"1\">").address("ADDR").unwrap_err().to_string();
        assert_eq!(said, "Bad ADDR syntax: ??1??");
        for bad in ["foo", "NAME=", "="] {
            assert_eq!(Attribute::parse(bad.as_bytes()), Err(AttributeError::Malformed));
        }
        assert_eq!(Attribute::parse(format!("A={}", "a".repeat(256)).as_bytes()), Err(AttributeError::TooLong));
        assert!(Attribute::parse(format!("A={}", "a".repeat(255)).as_bytes()).is_ok());
    }

    #[test]
    fn an_ipv6_address_has_its_prefix_and_an_ipv4_address_has_none() {
        for (text, address) in [
            ("IPV6:2001:db8:7::9", "2001:db8:7::9"),
            ("ipv6:2001:DB8:7:0::9", "2001:db8:7::9"),
            ("IPV6:::ffff:10.1.2.3", "::ffff:10.1.2.3"),
            ("10.9.9.9", "10.9.9.9"),
        ] {
            let found = attribute(&format!("ADDR={text}")).address("ADDR");
            assert_eq!(found, Ok(Known::Value(address.parse().unwrap())), "{text}");
        }
        assert_eq!(attribute("ADDR=[unavailable]").address("ADDR"), Ok(Known::Unavailable));
        for bad in [
            "2001:db8:7::9",
            "IPV6:10.9.9.9",
            "IPV6:fe80::1%e0",
            "IPV6:1::2::3",
            "IPV6:",
            "[IPV6:::1]",
            "IPv4:10.1.2.3",
            "bogus",
            "[TEMPUNAVAIL]",
            "IPV6:1:2:3:4:5:6:7",
            "1.2.3",
        ] {
            let error = attribute(&format!("ADDR={bad}")).address("ADDR").unwrap_err();
            assert_eq!(error.to_string(), format!("Bad ADDR syntax: {bad}"));
        }
    }

    #[test]
    fn a_name_is_a_host_name_or_said_to_be_missing() {
        assert_eq!(attribute("NAME=a.b").host("NAME"), Ok(Known::Value("a.b".to_owned())));
        assert_eq!(attribute("NAME=[TempUnavail]").host("NAME"), Ok(Known::Temporary));
        for bad in ["bad..name", "-x", "1.2.3.4", "a+zz.b"] {
            assert!(attribute(&format!("NAME={bad}")).host("NAME").is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_is_digits() {
        assert_eq!(attribute("PORT=0").port("PORT"), Ok(Known::Value("0".to_owned())));
        for bad in ["x", "1234567", "-1"] {
            assert!(attribute(&format!("PORT={bad}")).port("PORT").is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(word in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(attribute) = Attribute::parse(&word) {
                let _ = attribute.host("NAME");
                let _ = attribute.address("ADDR");
                let _ = attribute.port("PORT");
                let _ = attribute.protocol("PROTO");
                let _ = attribute.any();
            }
        }
    }
}
