//! QMQP: a message with its envelope as one netstring, and the answer as another. <https://cr.yp.to/proto/qmqp.html>
//!
//! ```text
//! N: M:message, S:sender, R:recipient, R:recipient, ... ,
//! K..., Z..., D...                 taken, not now, not at all; each within a netstring
//! ```
//!
//! The decoder owns no bytes of the message: it looks at what the caller has buffered, and says how much of it is used.
//! An address has to be there as a whole before it is one, so the caller never has to buffer more than the longest
//! address and its comma. The length of the whole is read and believed by nobody, as in Postfix: what is within it says
//! where it ends, and the recipients end at a comma in the place of a length.

use std::fmt;

use crate::netstring::{self, Length, NetstringError};

/// What of a request is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The length of the whole.
    Header,
    /// The message.
    Content,
    /// The sender.
    Sender,
    /// A recipient, or the end.
    Recipient,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Header => "QMQP packet header",
            Part::Content => "message content",
            Part::Sender => "sender address",
            Part::Recipient => "recipient address",
        })
    }
}

/// What one step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A piece of the message, of any size.
    Content(&'a [u8]),
    /// The sender.
    Sender(&'a [u8]),
    /// A recipient.
    Recipient(&'a [u8]),
    /// The request is complete.
    End,
}

/// The longest that is taken, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of a message; `None` for no limit.
    pub content: Option<u64>,
    /// Of an address.
    pub address: usize,
}

/// Decodes one request. Make a new one for each.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    part: Part,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A length comes.
    Length(Length),
    /// So many bytes come, and a comma.
    Bytes(u64),
    /// All was there.
    Over,
}

/// What numbers are for: those of a signed 64-bit one, as in Postfix.
/// told: the client, by the error.
const LARGEST: u64 = i64::MAX.unsigned_abs();

impl Decoder {
    /// Within these limits.
    pub fn new(limits: Limits) -> Decoder {
        Decoder { limits, part: Part::Header, state: State::Length(Length::default()) }
    }

    /// What is read.
    pub fn part(&self) -> Part {
        self.part
    }

    /// Looks at the bytes that wait: how many of them are used up, and what they are. `None` means that more bytes have
    /// to come, after the used ones are taken away.
    ///
    /// # Errors
    /// What [`part`](Self::part) says is no netstring, or one that is too long.
    pub fn step<'a>(&mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), NetstringError> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match &mut self.state {
                State::Over => return Ok((used, None)),
                State::Length(length) => {
                    let ends = self.part == Part::Recipient && length.is_unread();
                    if ends && rest.first() == Some(&b',') {
                        self.state = State::Over;
                        return Ok((used + 1, Some(Event::End)));
                    }
                    let limit = self.limits.of(self.part);
                    let (count, found) = length.read(rest, limit)?;
                    used += count;
                    match found {
                        None => return Ok((used, None)),
                        // What is in it is read as it comes.
                        Some(_) if self.part == Part::Header => self.go_on(Part::Content),
                        Some(length) => self.state = State::Bytes(length),
                    }
                }
                State::Bytes(left) if self.part == Part::Content => match (*left, rest) {
                    (_, []) => return Ok((used, None)),
                    (0, [b',', ..]) => {
                        used += 1;
                        self.go_on(Part::Sender);
                    }
                    (0, _) => return Err(NetstringError::Format),
                    (_, rest) => {
                        // told: nobody; the rest is the next piece, or what follows.
                        let count = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                        *left -= count as u64;
                        return Ok((used + count, Some(Event::Content(&rest[..count]))));
                    }
                },
                State::Bytes(length) => {
                    // Within the limit of an address.
                    let length = usize::try_from(*length).unwrap_or(usize::MAX);
                    let Some((address, [comma, ..])) = rest.split_at_checked(length) else { return Ok((used, None)) };
                    if *comma != b',' {
                        return Err(NetstringError::Format);
                    }
                    let is_sender = self.part == Part::Sender;
                    self.go_on(Part::Recipient);
                    let event = if is_sender { Event::Sender(address) } else { Event::Recipient(address) };
                    return Ok((used + length + 1, Some(event)));
                }
            }
        }
    }

    fn go_on(&mut self, part: Part) {
        self.part = part;
        self.state = State::Length(Length::default());
    }
}

impl Limits {
    fn of(&self, part: Part) -> u64 {
        match part {
            Part::Header => LARGEST,
            Part::Content => self.content.unwrap_or(LARGEST),
            Part::Sender | Part::Recipient => self.address as u64,
        }
    }
}

/// The word for what became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken.
    Taken,
    /// Not now.
    NotNow,
    /// Not at all.
    Never,
}

/// Appends an answer.
pub fn encode_answer(out: &mut Vec<u8>, verdict: Verdict, text: &[u8]) {
    let letter = match verdict {
        Verdict::Taken => b'K',
        Verdict::NotNow => b'Z',
        Verdict::Never => b'D',
    };
    netstring::encode(out, &[&[letter][..], text].concat());
}

/// A request.
// tests: the laws of crates/fuzzing
pub fn encode_request<'a>(content: &[u8], sender: &[u8], recipients: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut within = Vec::new();
    netstring::encode(&mut within, content);
    netstring::encode(&mut within, sender);
    recipients.into_iter().for_each(|recipient| netstring::encode(&mut within, recipient));
    let mut request = Vec::new();
    netstring::encode(&mut request, &within);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { content: Some(20), address: 10 };

    /// What was found, and where and how it ended.
    fn decode(input: &[u8]) -> (Vec<String>, Part, Option<NetstringError>) {
        let mut decoder = Decoder::new(LIMITS);
        let (mut found, mut at) = (Vec::new(), 0);
        loop {
            match decoder.step(&input[at..]) {
                Ok((used, Some(event))) => {
                    at += used;
                    found.push(match event {
                        Event::Content(bytes) => format!("content {}", bytes.escape_ascii()),
                        Event::Sender(bytes) => format!("from {}", bytes.escape_ascii()),
                        Event::Recipient(bytes) => format!("to {}", bytes.escape_ascii()),
                        Event::End => "end".to_owned(),
                    });
                }
                Ok((_, None)) => return (found, decoder.part(), None),
                Err(error) => return (found, decoder.part(), Some(error)),
            }
        }
    }

    #[test]
    fn a_request_is_read_as_it_was_written_and_what_follows_it_is_left() {
        let request = encode_request(b"Subject: x\n", b"a@b", [&b"c@d"[..], b""]);
        assert_eq!(request, b"30:11:Subject: x\n,3:a@b,3:c@d,0:,,");
        let expected = ["content Subject: x\\n", "from a@b", "to c@d", "to ", "end"].map(str::to_owned).to_vec();
        assert_eq!(decode(&[&request[..], b"more"].concat()), (expected, Part::Recipient, None));
    }

    #[test]
    fn the_length_of_the_whole_is_believed_by_nobody() {
        for header in ["0:", "1:", ":", "0030:", "9223372036854775807:"] {
            let (found, _, error) = decode(format!("{header}0:,0:,3:c@d,,").as_bytes());
            assert_eq!((found.join(" "), error), ("from  to c@d end".to_owned(), None), "{header}");
        }
        assert_eq!(decode(b"9223372036854775808:").2, Some(NetstringError::TooLong));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_part() {
        use NetstringError::{Format, TooLong};
        for (input, part, error) in [
            (&b"hello"[..], Part::Header, Format),
            (b"5:x", Part::Content, Format),
            (b"5:,", Part::Content, Format),
            (b"50:21:", Part::Content, TooLong),
            (b"50:2:abx", Part::Content, Format),
            (b"50:2:ab,,", Part::Sender, Format),
            (b"50:2:ab,11:", Part::Sender, TooLong),
            (b"50:2:ab,1:cx", Part::Sender, Format),
            (b"50:2:ab,1:c,11:", Part::Recipient, TooLong),
            (b"50:2:ab,1:c,1,", Part::Recipient, Format),
            (b"50:2:ab,1:c,1:dx", Part::Recipient, Format),
            (b"50:2:ab,1:c,x", Part::Recipient, Format),
        ] {
            let (_, at, why) = decode(input);
            assert_eq!((at, why), (part, Some(error)), "{}", input.escape_ascii());
        }
    }
}
