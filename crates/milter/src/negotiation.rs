//! The first exchange: which version is spoken, which events the filter wants, and which macros.

use crate::macros::{Stage, split};
use crate::packet::{self, number};

/// Everything that a filter may ask to be allowed: this side can do all of it.
const ACTIONS: u32 = 0x1ff;

/// An event that the filter declines.
pub mod declined {
    #![allow(missing_docs, reason = "one bit an event, under its name")]
    pub const CONNECT: u32 = 0x1;
    pub const HELO: u32 = 0x2;
    pub const MAIL: u32 = 0x4;
    pub const RECIPIENT: u32 = 0x8;
    pub const BODY: u32 = 0x10;
    pub const HEADER: u32 = 0x20;
    pub const END_OF_HEADER: u32 = 0x40;
    pub const UNKNOWN: u32 = 0x100;
    pub const DATA: u32 = 0x200;
}

/// An event that the filter does not answer.
pub mod unanswered {
    #![allow(missing_docs, reason = "one bit an event, under its name")]
    pub const HEADER: u32 = 0x80;
    pub const CONNECT: u32 = 0x1000;
    pub const HELO: u32 = 0x2000;
    pub const MAIL: u32 = 0x4000;
    pub const RECIPIENT: u32 = 0x8000;
    pub const DATA: u32 = 0x1_0000;
    pub const UNKNOWN: u32 = 0x2_0000;
    pub const END_OF_HEADER: u32 = 0x4_0000;
    pub const BODY: u32 = 0x8_0000;
}

/// The filter wants to hear of recipients that were turned down.
pub const REJECTED_RECIPIENTS: u32 = 0x800;
/// The blank behind a header's colon belongs to its value.
pub const LEADING_SPACE: u32 = 0x10_0000;

/// What this side can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    version: u32,
    steps: u32,
}

impl Offer {
    /// milter_protocol: a version, and additions to it.
    ///
    /// # Errors
    /// What is wrong with it, for the log.
    pub fn parse(protocol: &str) -> Result<Offer, String> {
        let (mut offer, mut more) = (None, 0);
        for word in text::split_list(protocol) {
            let steps = match word {
                "2" => Some((2, 0x7f)),
                "3" => Some((3, 0x17f)),
                "4" => Some((4, 0x37f)),
                "6" => Some((6, 0x1f_ffff)),
                _ => None,
            };
            match (steps, word) {
                (Some((version, steps)), _) if offer.is_none() => offer = Some(Offer { version, steps }),
                (None, "no_header_reply") => more |= unanswered::HEADER,
                _ => return Err(format!("bad protocol information: {}", text::printable(word.as_bytes()))),
            }
        }
        match offer {
            Some(offer) => Ok(Offer { steps: offer.steps | more, ..offer }),
            None => Err("no protocol version information".to_owned()),
        }
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let [version, actions, steps] = [self.version, ACTIONS, self.steps].map(u32::to_be_bytes);
        packet::encode(out, b'O', &[&version, &actions, &steps]);
    }

    /// Reads the filter's answer.
    ///
    /// # Errors
    /// It cannot be agreed to; for the log.
    pub fn accept(&self, data: &[u8]) -> Result<Agreement, String> {
        let short = || "input packet too short for network long".to_owned();
        let (version, rest) = number(data).ok_or_else(short)?;
        let (actions, rest) = number(rest).ok_or_else(short)?;
        let (steps, mut rest) = number(rest).ok_or_else(short)?;
        if version > self.version {
            return Err(format!("protocol version {version} conflict with MTA protocol version {}", self.version));
        }
        if actions & !ACTIONS != 0 {
            return Err(format!("request mask 0x{actions:x} conflict with MTA request mask 0x{ACTIONS:x}"));
        }
        // What the version lacks is not sent, nor are its macros.
        let lacks = match version {
            ..3 => declined::UNKNOWN | declined::DATA,
            3 => declined::DATA,
            _ => 0,
        };
        let mut macros = Vec::new();
        while !rest.is_empty() {
            let (stage, after) = number(rest).ok_or_else(short)?;
            let (names, after) = packet::text(after);
            rest = after;
            match Stage::numbered(stage) {
                Some(stage) => macros.push((stage, split(&String::from_utf8_lossy(names)))),
                None => logging::warning!("ignoring unknown macro type {stage}"),
            }
        }
        let absent = lacks | self.absent();
        Ok(Agreement { steps: steps & self.steps, absent, macros })
    }

    /// Events that the version of this side does not have.
    fn absent(&self) -> u32 {
        (declined::UNKNOWN | declined::DATA) & !self.steps
    }
}

/// What both sides have agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// What the filter wants, of what was offered.
    pub steps: u32,
    /// Events that the version does not have: not even their macros are sent.
    pub absent: u32,
    /// The macros that the filter wants instead of those of main.cf.
    pub macros: Vec<(Stage, Vec<String>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(version: u32, actions: u32, steps: u32, more: &[u8]) -> Vec<u8> {
        [&version.to_be_bytes()[..], &actions.to_be_bytes(), &steps.to_be_bytes(), more].concat()
    }

    #[test]
    fn the_offer_is_that_of_the_version() {
        for (protocol, expected) in [
            ("6", [0, 0, 0, 13, b'O', 0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff]),
            ("2", [0, 0, 0, 13, b'O', 0, 0, 0, 2, 0, 0, 1, 0xff, 0, 0, 0, 0x7f]),
            ("3, no_header_reply", [0, 0, 0, 13, b'O', 0, 0, 0, 3, 0, 0, 1, 0xff, 0, 0, 1, 0xff]),
            ("4", [0, 0, 0, 13, b'O', 0, 0, 0, 4, 0, 0, 1, 0xff, 0, 0, 3, 0x7f]),
        ] {
            let mut out = Vec::new();
            Offer::parse(protocol).unwrap().encode(&mut out);
            assert_eq!(out, expected, "{protocol}");
        }
    }

    #[test]
    fn a_protocol_is_one_version_and_known_additions() {
        assert_eq!(Offer::parse("2 3").unwrap_err(), "bad protocol information: 3");
        assert_eq!(Offer::parse("7").unwrap_err(), "bad protocol information: 7");
        assert_eq!(Offer::parse("no_header_reply").unwrap_err(), "no protocol version information");
    }

    #[test]
    fn an_answer_that_asks_for_more_than_was_offered_is_refused() {
        let offer = Offer::parse("6").unwrap();
        let refused = |data: &[u8]| offer.accept(data).unwrap_err();
        assert_eq!(refused(&answer(7, 0, 0, b"")), "protocol version 7 conflict with MTA protocol version 6");
        assert_eq!(refused(&answer(6, 0x3ff, 0, b"")), "request mask 0x3ff conflict with MTA request mask 0x1ff");
        assert_eq!(refused(&[0; 11]), "input packet too short for network long");
        assert_eq!(offer.accept(&answer(6, 0, 0x40_0001, b"")).unwrap().steps, 1);
    }

    #[test]
    fn a_lower_version_lacks_events() {
        let offer = Offer::parse("6").unwrap();
        let absent = |version| offer.accept(&answer(version, 0, 0, b"")).unwrap().absent;
        assert_eq!(absent(2), declined::UNKNOWN | declined::DATA);
        assert_eq!((absent(3), absent(4), absent(6)), (declined::DATA, 0, 0));
        let old = Offer::parse("2").unwrap().accept(&answer(2, 0, 0, b"")).unwrap();
        assert_eq!(old.absent, declined::UNKNOWN | declined::DATA);
    }

    #[test]
    fn a_filter_names_its_own_macros() {
        let more = [&0u32.to_be_bytes()[..], b"j {x}\0", &5u32.to_be_bytes(), b"i\0"].concat();
        let agreed = Offer::parse("6").unwrap().accept(&answer(6, 0, 0, &more)).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(agreed.macros, [(Stage::Connect, names(&["j", "{x}"])), (Stage::EndOfData, names(&["i"]))]);
    }
}
