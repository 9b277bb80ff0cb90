//! Questions and answers of the name service in wire form (RFC 1035 4.1).
//!
//! What comes back is a stranger's: nothing is taken from it before it has shown that it answers this very question.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::name::Name;
use crate::tlsa::Association;
use crate::{Offer, RecordType};

const HEADER: usize = 12;
const CLASS_IN: u16 = 1;
const CNAME: u16 = 5;
const OPT: u16 = 41;
/// The size of answers that EDNS asks for: no fragments on any path (RFC 9715).
const EDNS_SIZE: u16 = 1232;
/// DO of the EDNS flags: the asker understands DNSSEC (RFC 3225).
const DNSSEC_OK: u16 = 0x8000;

/// Bits of the header's second word.
mod flag {
    pub const RESPONSE: u16 = 0x8000;
    pub const AUTHORITATIVE: u16 = 0x0400;
    pub const TRUNCATED: u16 = 0x0200;
    pub const RECURSION_DESIRED: u16 = 0x0100;
    pub const RECURSION_AVAILABLE: u16 = 0x0080;
    pub const AUTHENTIC_DATA: u16 = 0x0020;
}

/// One question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Tells its answer from others.
    pub(crate) id: u16,
    /// About whom.
    pub(crate) name: Name,
    /// What is asked for.
    pub(crate) record_type: RecordType,
    /// With an OPT record (RFC 6891).
    pub(crate) edns: bool,
    /// AD: the answer's AD bit is wanted (RFC 6840 5.7).
    pub(crate) trust_ad: bool,
    /// The answer is to be one that was validated: the AD bit, and in the OPT record DO.
    pub(crate) dnssec: bool,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.record_type, self.name)
    }
}

impl Question {
    /// It on the wire.
    pub(crate) fn wire(&self) -> Vec<u8> {
        let ad = if self.trust_ad || self.dnssec { flag::AUTHENTIC_DATA } else { 0 };
        let words = [self.id, flag::RECURSION_DESIRED | ad, 1, 0, 0, u16::from(self.edns)];
        let mut wire: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        wire.extend_from_slice(self.name.wire());
        wire.extend_from_slice(&self.record_type.code().to_be_bytes());
        wire.extend_from_slice(&CLASS_IN.to_be_bytes());
        if self.edns {
            wire.push(0);
            wire.extend_from_slice(&OPT.to_be_bytes());
            wire.extend_from_slice(&EDNS_SIZE.to_be_bytes());
            // Extended code and version; flags; no options.
            let flags = if self.dnssec { DNSSEC_OK } else { 0 };
            wire.extend_from_slice(&[0, flags, 0].map(u16::to_be_bytes).concat());
        }
        wire
    }
}

/// What a message is to a question.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Its answer.
    Answer(Answer),
    /// Not from whom was asked, or about something else: to be passed over.
    Foreign,
    /// No message at all.
    Garbage,
}

/// An answer whose records have not been looked at.
#[derive(Debug)]
pub(crate) struct Answer {
    bytes: Vec<u8>,
    flags: u16,
    /// Answers, authorities, additional.
    counts: [u16; 3],
    /// Where the answers begin.
    start: usize,
}

/// RCODE (RFC 1035 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) u8);

impl Code {
    pub(crate) const NO_ERROR: Code = Code(0);
    pub(crate) const FORMAT_ERROR: Code = Code(1);
    pub(crate) const SERVER_FAILURE: Code = Code(2);
    pub(crate) const NO_SUCH_NAME: Code = Code(3);
    pub(crate) const NOT_IMPLEMENTED: Code = Code(4);
    pub(crate) const REFUSED: Code = Code(5);
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::NO_ERROR => "NOERROR",
            Self::FORMAT_ERROR => "FORMERR",
            Self::SERVER_FAILURE => "SERVFAIL",
            Self::NO_SUCH_NAME => "NXDOMAIN",
            Self::NOT_IMPLEMENTED => "NOTIMP",
            Self::REFUSED => "REFUSED",
            Self(code) => return write!(f, "rcode {code}"),
        })
    }
}

impl Answer {
    /// What `bytes` are to a question.
    pub(crate) fn read(bytes: Vec<u8>, question: &Question) -> Heard {
        let Some(header) = words::<6>(&bytes, 0) else { return Heard::Garbage };
        let [id, flags, questions, counts @ ..] = header;
        if id != question.id {
            return Heard::Foreign;
        }
        let start = match questions {
            // A server that does not understand the question does not always repeat it.
            0 if code_of(flags) == Code::FORMAT_ERROR => HEADER,
            1 => match asked(&bytes, question) {
                Some(end) => end,
                None => return Heard::Foreign,
            },
            _ => return Heard::Foreign,
        };
        Heard::Answer(Self { bytes, flags, counts, start })
    }

    /// What the server says of the question.
    pub(crate) fn code(&self) -> Code {
        code_of(self.flags)
    }

    /// How many records it says that it has.
    pub(crate) fn count(&self) -> u16 {
        self.counts[0]
    }

    /// It does not fit a datagram.
    pub(crate) fn is_truncated(&self) -> bool {
        self.flags & flag::TRUNCATED != 0
    }

    /// The server says that it has validated what it answers (RFC 4035 3.2.3).
    pub(crate) fn is_authentic(&self) -> bool {
        self.flags & flag::AUTHENTIC_DATA != 0
    }

    /// No answer, from a server that neither knows nor looks further: it only says who else could be asked, or nothing.
    pub(crate) fn is_referral(&self) -> bool {
        let knows = flag::AUTHORITATIVE | flag::RECURSION_AVAILABLE;
        let [answers, _, additional] = self.counts;
        self.flags & flag::RESPONSE == 0
            || (self.code() == Code::NO_ERROR && answers == 0 && additional == 0 && self.flags & knows == 0)
    }

    /// The records of the answer section.
    ///
    /// # Errors
    /// The message ends before them, or one cannot be what it says it is.
    pub(crate) fn records(&self) -> Result<Vec<Record>, Broken> {
        let mut at = self.start;
        let mut records = Vec::new();
        for _ in 0..self.counts[0] {
            let (record, next) = Record::read(&self.bytes, at).ok_or(Broken)?;
            records.push(record);
            at = next;
        }
        Ok(records)
    }
}

/// A message that contradicts itself.
#[derive(Debug)]
pub(crate) struct Broken;

/// The end of the question section, if it has this question.
fn asked(bytes: &[u8], question: &Question) -> Option<usize> {
    let (name, end) = Name::read(bytes, HEADER)?;
    let [kind, class] = words(bytes, end)?;
    (name == question.name && kind == question.record_type.code() && class == CLASS_IN).then_some(end + 4)
}

/// One record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Whose it is.
    pub(crate) owner: Name,
    /// How long it may be kept, in seconds.
    pub(crate) ttl: u32,
    /// What it says.
    pub(crate) data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    /// A, AAAA.
    Address(IpAddr),
    /// MX: preference and exchanger.
    Exchanger(u16, Name),
    /// SRV: priority, weight and port, and the host.
    Service(Offer, Name),
    /// NS.
    NameServer(Name),
    /// PTR.
    Pointer(Name),
    /// CNAME.
    Alias(Name),
    /// TXT: its strings, joined (RFC 7208 3.3).
    Text(Vec<u8>),
    /// TLSA.
    Association(Association),
    /// A type that nobody here asks for.
    Other,
}

impl Record {
    /// Reads one, and gives the place after it.
    fn read(bytes: &[u8], at: usize) -> Option<(Self, usize)> {
        let (owner, at) = Name::read(bytes, at)?;
        let [kind, class, high, low, length] = words(bytes, at)?;
        let start = at + 10;
        let end = start + usize::from(length);
        let content = bytes.get(start..end)?;
        let data = if class == CLASS_IN { Data::read(kind, bytes, start, content)? } else { Data::Other };
        let ttl = u32::from(high) << 16 | u32::from(low);
        Some((Self { owner, ttl, data }, end))
    }
}

impl Data {
    fn read(kind: u16, bytes: &[u8], start: usize, content: &[u8]) -> Option<Self> {
        // A name ends where the data ends, or what was read is not it.
        let name = |at: usize| {
            let (name, end) = Name::read(bytes, at)?;
            (end == start + content.len()).then_some(name)
        };
        Some(match kind {
            1 => Self::Address(Ipv4Addr::from(<[u8; 4]>::try_from(content).ok()?).into()),
            28 => Self::Address(Ipv6Addr::from(<[u8; 16]>::try_from(content).ok()?).into()),
            2 => Self::NameServer(name(start)?),
            CNAME => Self::Alias(name(start)?),
            12 => Self::Pointer(name(start)?),
            15 => {
                let [preference] = words(content, 0)?;
                Self::Exchanger(preference, name(start + 2)?)
            }
            33 => {
                let [priority, weight, port] = words(content, 0)?;
                Self::Service(Offer { priority, weight, port }, name(start + 6)?)
            }
            16 => Self::Text(strings(content)?),
            52 => Self::Association(Association::read(content)),
            _ => Self::Other,
        })
    }
}

/// Strings with their lengths before them, joined.
fn strings(mut content: &[u8]) -> Option<Vec<u8>> {
    let mut joined = Vec::new();
    while let Some((length, rest)) = content.split_first() {
        let (string, rest) = rest.split_at_checked(usize::from(*length))?;
        joined.extend_from_slice(string);
        content = rest;
    }
    Some(joined)
}

fn code_of(flags: u16) -> Code {
    Code((flags & 15) as u8)
}

/// Numbers of 16 bits from a place on.
fn words<const COUNT: usize>(bytes: &[u8], at: usize) -> Option<[u16; COUNT]> {
    let bytes = bytes.get(at..at.checked_add(2 * COUNT)?)?;
    let mut words = [0; COUNT];
    for (word, pair) in words.iter_mut().zip(bytes.chunks_exact(2)) {
        *word = u16::from_be_bytes([pair[0], pair[1]]);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn question() -> Question {
        let name = Name::parse("n.test").unwrap();
        Question { id: 0x1234, name, record_type: RecordType::Mx, edns: false, trust_ad: false, dnssec: false }
    }

    /// An answer with these flags and records, each with the question's name as owner.
    fn answer(flags: u16, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut wire = question().wire();
        wire[2..4].copy_from_slice(&flags.to_be_bytes());
        wire[7] = u8::try_from(records.len()).unwrap();
        for (kind, data) in records {
            wire.extend_from_slice(b"\xc0\x0c");
            wire.extend_from_slice(&kind.to_be_bytes());
            wire.extend_from_slice(b"\0\x01\0\0\0\x3c");
            wire.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            wire.extend_from_slice(data);
        }
        wire
    }

    fn read(bytes: Vec<u8>) -> Answer {
        match Answer::read(bytes, &question()) {
            Heard::Answer(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn data(records: &[(u16, &[u8])]) -> Option<Vec<Data>> {
        let records = read(answer(0x8180, records)).records().ok()?;
        Some(records.into_iter().map(|record| record.data).collect())
    }

    #[test]
    fn records_are_read_with_their_names() {
        let host = Name::parse("mx.n.test").unwrap();
        assert_eq!(
            data(&[
                (15, b"\0\x0a\x02mx\xc0\x0c"),
                (99, b"?"),
                (33, b"\0\x01\0\x02\x02\x4b\x02mx\xc0\x0c"),
                (1, &[192, 0, 2, 1]),
                (16, b"\x01a\x02bc")
            ]),
            Some(vec![
                Data::Exchanger(10, host.clone()),
                Data::Other,
                Data::Service(Offer { priority: 1, weight: 2, port: 587 }, host),
                Data::Address("192.0.2.1".parse().unwrap()),
                Data::Text(b"abc".to_vec())
            ])
        );
    }

    #[test]
    fn a_record_that_cannot_be_what_it_says_breaks_the_answer() {
        let broken: [(u16, &[u8]); 9] = [
            (1, &[127, 0, 0]),
            (15, b"\0"),
            (15, b""),
            (15, b"\0\x0a\xff\xff"),
            (15, b"\0\x0a\x02mx\xc0\x0c!"),
            (33, b"\0\x01\0\x02\x02"),
            (33, b"\0\x01\0\x02\x02\x4b\x02mx\xc0\x0c!"),
            (16, b"\x05abc"),
            (5, b"\x02a"),
        ];
        for record in broken {
            assert_eq!(data(&[record]), None, "{record:?}");
        }
        let mut short = answer(0x8180, &[(1, &[192, 0, 2, 1])]);
        short[7] = 2;
        assert!(read(short).records().is_err());
    }

    #[test]
    fn only_the_answer_to_this_question_is_one() {
        let foreign = |change: fn(&mut Vec<u8>)| {
            let mut bytes = answer(0x8180, &[]);
            change(&mut bytes);
            matches!(Answer::read(bytes, &question()), Heard::Foreign)
        };
        assert!(foreign(|bytes| bytes[0] ^= 1));
        assert!(foreign(|bytes| bytes[13] = b'x'));
        assert!(foreign(|bytes| bytes[21] = 1));
        assert!(foreign(|bytes| bytes[5] = 2));
        assert!(foreign(|bytes| bytes[5] = 0));
        assert!(!foreign(|bytes| bytes[13] = b'N'));
        // FORMERR may come without the question.
        assert!(!foreign(|bytes| {
            bytes.truncate(12);
            (bytes[3], bytes[5]) = (0x81, 0);
        }));
        assert!(matches!(Answer::read(vec![1, 2, 3], &question()), Heard::Garbage));
    }

    #[test]
    fn who_knows_nothing_and_looks_no_further_has_not_answered() {
        assert!(read(answer(0x8100, &[])).is_referral());
        assert!(read(answer(0x0100, &[])).is_referral());
        assert!(!read(answer(0x8180, &[])).is_referral());
        assert!(!read(answer(0x8500, &[])).is_referral());
        assert!(!read(answer(0x8103, &[])).is_referral());
    }

    #[test]
    fn edns_is_one_record_more_and_ad_one_bit() {
        let plain = question().wire();
        let with = Question { edns: true, trust_ad: true, ..question() }.wire();
        assert_eq!((with.len() - plain.len(), with[11], with[3] & 0x20), (11, 1, 0x20));
        assert_eq!(with[with.len() - 4] & 0x80, 0);
    }

    #[test]
    fn who_wants_a_validated_answer_says_so_in_the_header_and_in_the_opt_record() {
        let wire = Question { edns: true, dnssec: true, ..question() }.wire();
        assert_eq!((wire[3] & 0x20, wire[wire.len() - 4] & 0x80), (0x20, 0x80));
        assert!(read(answer(0x81a0, &[])).is_authentic());
        assert!(!read(answer(0x8180, &[])).is_authentic());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes: Vec<u8>, counts in 0u8..5) {
            let start = question().wire();
            let at = bytes.len().min(start.len());
            bytes.splice(..at, start);
            bytes[7] = counts;
            if let Heard::Answer(answer) = Answer::read(bytes, &question()) {
                let _ = answer.records();
            }
        }
    }
}
