//! Which records a local user may put into a queue file.
//!
//! Everything else ends the submission: what is not listed here never reaches the disk, so that no later program has to
//! ask who wrote a record. No I/O.

use std::fmt;

use queue::{Encoding, SizeRecord, Trace, Type};

/// Record types of the envelope, the content and what follows it; the first one ends the part.
const PARTS: [&[u8]; 3] = [b"MCFSRVAin", b"XLN", b"EAR"];

/// What is to be done with a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It belongs into the file.
    Keep,
    /// It is left out; the sentence says why.
    Ignore(String),
    /// It belongs into the file, and is the last one.
    Last,
}

/// The submission is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unexpected(pub Type);

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unexpected record type: {}", self.0.0)
    }
}

/// Looks at one record after the other.
#[derive(Debug, Default)]
pub struct Filter {
    part: usize,
    has_sender: bool,
    has_recipient: bool,
}

impl Filter {
    /// A filter before the first record.
    pub fn new() -> Self {
        Self::default()
    }

    /// True when a sender and a recipient were seen.
    pub fn is_complete(&self) -> bool {
        self.has_sender && self.has_recipient
    }

    /// Judges the next record.
    ///
    /// # Errors
    /// The record must not be there.
    pub fn judge(&mut self, kind: Type, payload: &[u8]) -> Result<Verdict, Unexpected> {
        let allowed = PARTS.get(self.part).copied().unwrap_or_default();
        if !allowed.contains(&kind.0) || (kind == Type::SENDER && self.has_sender) {
            return Err(Unexpected(kind));
        }
        match kind {
            // A file that asks for something says nothing else with its size.
            Type::SIZE if SizeRecord::asking_for(SizeRecord::wishes(payload)).get(2..) != Some(payload) => {
                return Err(Unexpected(kind));
            }
            Type::SENDER => self.has_sender = true,
            Type::RECIPIENT => self.has_recipient = true,
            Type::ATTRIBUTE => return Ok(judge_attribute(payload)),
            _ => {}
        }
        if Some(&kind.0) == allowed.first() {
            self.part += 1;
        }
        Ok(if kind == Type::END { Verdict::Last } else { Verdict::Keep })
    }
}

fn judge_attribute(payload: &[u8]) -> Verdict {
    let shown = text::printable(payload);
    let Some(equals) = payload.iter().position(|b| *b == b'=') else {
        return Verdict::Ignore(format!("malformed record: missing '=' after attribute name: {shown}"));
    };
    let (name, value) = (&payload[..equals], &payload[equals + 1..]);
    let allowed = match name {
        b"encoding" => Encoding::parse(value).as_str().as_bytes() == value,
        b"rewrite_context" => matches!(value, b"local" | b"remote"),
        // A report of what would be done (sendmail -bv), or of what was done (sendmail -v).
        b"trace_flags" => {
            [Trace::USER_VERIFY, Trace::RECORD].iter().any(|it| value == it.bits().to_string().as_bytes())
        }
        b"envelope_id" | b"notify_flags" | b"ret_flags" | b"dsn_orig_rcpt" | b"create_time" => true,
        _ => false,
    };
    if allowed { Verdict::Keep } else { Verdict::Ignore(format!("attribute record: {shown}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(records: &[(u8, &str)]) -> Result<bool, Unexpected> {
        let mut filter = Filter::new();
        for (kind, payload) in records {
            if filter.judge(Type(*kind), payload.as_bytes())? == Verdict::Last {
                return Ok(filter.is_complete());
            }
        }
        Ok(false)
    }

    #[test]
    fn a_message_with_sender_and_recipient_is_complete() {
        let rest = [(b'M', ""), (b'N', "hi"), (b'L', "x"), (b'X', "")];
        let direct = [&[(b'S', ""), (b'R', "bob")], &rest[..], &[(b'E', "")]].concat();
        assert_eq!(run(&direct), Ok(true));
        let extracted = [&[(b'S', "")], &rest[..], &[(b'R', "bob"), (b'E', "")]].concat();
        assert_eq!(run(&extracted), Ok(true));
        let nobody = [&[(b'S', "")], &rest[..], &[(b'E', "")]].concat();
        assert_eq!(run(&nobody), Ok(false));
    }

    #[test]
    fn records_of_other_programs_are_refused() {
        for kind in *b"CTcILODWK></dmfpNXEo\0" {
            assert_eq!(run(&[(b'S', ""), (kind, "1")]), Err(Unexpected(Type(kind))), "{}", char::from(kind));
        }
        assert_eq!(run(&[(b'S', ""), (b'S', "")]), Err(Unexpected(Type::SENDER)));
        assert_eq!(run(&[(b'M', ""), (b'p', "0")]), Err(Unexpected(Type::POINTER)));
        assert_eq!(run(&[(b'M', ""), (b'X', ""), (b'S', "")]), Err(Unexpected(Type::SENDER)));
        assert_eq!(Unexpected(Type::TIME).to_string(), "unexpected record type: 84");
    }

    #[test]
    fn attributes_that_users_may_set_are_kept_and_others_left_out() {
        let verdict = |payload: &str| Filter::new().judge(Type::ATTRIBUTE, payload.as_bytes()).unwrap();
        for good in ["encoding=8bit", "encoding=", "rewrite_context=remote", "trace_flags=512", "envelope_id=x=y"] {
            assert_eq!(verdict(good), Verdict::Keep, "{good}");
        }
        for bad in ["encoding=9bit", "rewrite_context=x", "trace_flags=1", "client_address=::1", "sasl_username=root"] {
            assert_eq!(verdict(bad), Verdict::Ignore(format!("attribute record: {bad}")));
        }
        let text = "malformed record: missing '=' after attribute name: nonsense";
        assert_eq!(verdict("nonsense"), Verdict::Ignore(text.into()));
    }
}
