//! Patterns of IPv4 addresses, an octet at a time: `127.0.0.[2..11;15]`. They pick the answers of a DNS list that
//! count.

use std::fmt;
use std::net::Ipv4Addr;

/// A pattern: for every octet the ranges that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OctetPattern([Vec<(u8, u8)>; 4]);

/// What is wrong with a pattern. Display shows where, between `>` and `<`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OctetError {
    /// There is nothing.
    Empty,
    /// Something else was needed.
    At {
        /// What was needed, or what is wrong.
        what: &'static str,
        /// What comes before.
        before: String,
        /// The piece that is wrong; empty at the end.
        wrong: String,
        /// What comes after.
        after: String,
    },
}

impl fmt::Display for OctetError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out.write_str("empty address pattern"),
            Self::At { what, before, wrong, after } => write!(out, "{what} at \"{before}>{wrong}<{after}\""),
        }
    }
}

impl std::error::Error for OctetError {}

const OCTET: &str = "need decimal number 0..255";
const OCTET_OR_SET: &str = "need decimal number 0..255 or \"[\"";

impl OctetPattern {
    /// Parses four octets: numbers, or `[...]` with numbers and `number..number` ranges between `;`.
    ///
    /// # Errors
    /// See [`OctetError`].
    pub fn parse(text: &str) -> Result<Self, OctetError> {
        if text.is_empty() {
            return Err(OctetError::Empty);
        }
        let mut reader = Reader { text, at: 0 };
        let mut octets: [Vec<(u8, u8)>; 4] = Default::default();
        for (place, octet) in octets.iter_mut().enumerate() {
            if place > 0 {
                reader.take('.', "need \".\"")?;
            }
            *octet = reader.octet()?;
        }
        if reader.rest().is_empty() { Ok(Self(octets)) } else { Err(reader.wrong("garbage after pattern")) }
    }

    /// Whether every octet of the address is in its ranges.
    #[must_use]
    pub fn matches(&self, address: Ipv4Addr) -> bool {
        let within =
            |(ranges, octet): (&Vec<(u8, u8)>, u8)| ranges.iter().any(|(low, high)| (low..=high).contains(&&octet));
        self.0.iter().zip(address.octets()).all(within)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn octet(&mut self) -> Result<Vec<(u8, u8)>, OctetError> {
        if !self.rest().starts_with('[') {
            let number = self.number(OCTET_OR_SET)?;
            return Ok(vec![(number, number)]);
        }
        self.at += 1;
        let mut ranges = Vec::new();
        loop {
            let low = self.number(OCTET)?;
            let mut high = low;
            if self.rest().starts_with("..") {
                self.at += 2;
                let start = self.at;
                high = self.number(OCTET)?;
                if high < low {
                    self.at = start;
                    return Err(self.wrong("numeric range error"));
                }
            }
            ranges.push((low, high));
            if self.rest().starts_with(';') {
                self.at += 1;
                continue;
            }
            self.take(']', "need \";\" or \"]\"")?;
            return Ok(ranges);
        }
    }

    fn number(&mut self, what: &'static str) -> Result<u8, OctetError> {
        let length = self.digits();
        match self.rest()[..length].parse() {
            Ok(number) => {
                self.at += length;
                Ok(number)
            }
            Err(_) => Err(self.wrong(what)),
        }
    }

    fn take(&mut self, wanted: char, what: &'static str) -> Result<(), OctetError> {
        if !self.rest().starts_with(wanted) {
            return Err(self.wrong(what));
        }
        self.at += wanted.len_utf8();
        Ok(())
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn digits(&self) -> usize {
        self.rest().bytes().take_while(u8::is_ascii_digit).count()
    }

    /// The number or the character that comes next is wrong.
    fn wrong(&self, what: &'static str) -> OctetError {
        let one = self.rest().chars().next().map_or(0, char::len_utf8);
        let (wrong, after) = self.rest().split_at(self.digits().max(one));
        OctetError::At {
            what,
            before: self.text[..self.at].to_owned(),
            wrong: wrong.to_owned(),
            after: after.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_is_a_number_or_a_set_of_ranges() {
        for (pattern, address, matches) in [
            ("127.0.0.2", [127, 0, 0, 2], true),
            ("127.0.0.2", [127, 0, 0, 3], false),
            ("127.0.0.[2..4]", [127, 0, 0, 4], true),
            ("127.0.0.[2..4]", [127, 0, 0, 5], false),
            ("127.0.[0..1].[1;9;200..255]", [127, 0, 1, 255], true),
            ("127.0.[0..1].[1;9;200..255]", [127, 0, 1, 8], false),
            ("[127].0.0.[0..255]", [127, 0, 0, 0], true),
        ] {
            assert_eq!(OctetPattern::parse(pattern).unwrap().matches(address.into()), matches, "{pattern} {address:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_shown_where_it_is() {
        for (pattern, text) in [
            ("", "empty address pattern"),
            ("127.0.0", "need \".\" at \"127.0.0><\""),
            ("127.0.0.[4..2]", "numeric range error at \"127.0.0.[4..>2<]\""),
            ("127.0.0.256", "need decimal number 0..255 or \"[\" at \"127.0.0.>256<\""),
            ("127.0.0.[2", "need \";\" or \"]\" at \"127.0.0.[2><\""),
            ("bogus", "need decimal number 0..255 or \"[\" at \">b<ogus\""),
            ("127.0.0.2.3", "garbage after pattern at \"127.0.0.2>.<3\""),
            ("127.0.0.[]", "need decimal number 0..255 at \"127.0.0.[>]<\""),
            ("127.0.0.é", "need decimal number 0..255 or \"[\" at \"127.0.0.>é<\""),
        ] {
            assert_eq!(OctetPattern::parse(pattern).unwrap_err().to_string(), text);
        }
    }
}
