//! The size record: six numbers of fixed width at the start of a queue file.
//!
//! It is written as zeros first and overwritten when the file is complete; its width must never change.

use dsn::Notify;

use crate::record::{self, NUMBER_WIDTH, Type};

/// Payload length: six numbers and the blanks between them.
pub const PAYLOAD: usize = 6 * NUMBER_WIDTH + 5;
/// Length of the whole record: where the record after it starts.
pub const RECORD: usize = 2 + PAYLOAD;

/// Recipients are mixed with other records: everything must be read before a delivery.
pub const FLAG_MIXED: u32 = 1;
/// [`SizeRecord::flags`] holds the union of all NOTIFY bits, shifted by this.
const NOTIFY_SHIFT: u32 = 1;

crate::set! {
    /// What the next host has to be able to do, and what it is to be asked for.
    pub struct SendOptions {
        /// The client asked for SMTPUTF8.
        SMTPUTF8_REQUESTED = 1,
        /// A header holds UTF-8.
        SMTPUTF8_HEADER = 2,
        /// The sender holds UTF-8.
        SMTPUTF8_SENDER = 4,
        /// Of one delivery request: a recipient holds UTF-8.
        SMTPUTF8_RECIPIENT = 8,
        /// A `TLS-Required: no` header.
        TLS_REQUIRED_NO = 16,
        /// The client wants TLS all the way (RFC 8689).
        REQUIRETLS = 32,
        /// What a server without SMTPUTF8 cannot take (RFC 6531), if it was asked for.
        SMTPUTF8_CONTENT = Self::SMTPUTF8_HEADER.0 | Self::SMTPUTF8_SENDER.0 | Self::SMTPUTF8_RECIPIENT.0,
    }
}

/// What the size record says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SizeRecord {
    /// Bytes from the first content record to the record that ends the content, as first written.
    pub data_size: u64,
    /// Offset of the first content record.
    pub data_offset: u64,
    /// Recipients written, done or not.
    pub recipients: u64,
    /// [`FLAG_MIXED`] and shifted NOTIFY bits.
    pub flags: u32,
    /// Bytes of content records after all edits: `size=` in the log.
    pub content_length: u64,
    /// For the delivery.
    pub send_options: SendOptions,
}

impl SizeRecord {
    /// The whole record, [`RECORD`] bytes.
    pub fn encode(&self) -> Vec<u8> {
        let text = format!(
            "{:15} {:15} {:15} {:15} {:15} {:15}",
            self.data_size,
            self.data_offset,
            self.recipients,
            self.flags,
            self.content_length,
            self.send_options.bits()
        );
        let mut out = Vec::with_capacity(RECORD);
        record::encode(&mut out, Type::SIZE, text.as_bytes());
        out
    }

    /// Reads a payload. At least three numbers must be there (older files have no more); a missing content length is
    /// the data size.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut numbers = std::str::from_utf8(payload).ok()?.split_ascii_whitespace();
        let mut next = || numbers.next().map(|text| text.parse::<u64>());
        let data_size = next()?.ok()?;
        let data_offset = next()?.ok()?;
        let recipients = next()?.ok()?;
        let flags = next().unwrap_or(Ok(0)).ok()?;
        let content_length = next().unwrap_or(Ok(data_size)).ok()?;
        let send_options = next().unwrap_or(Ok(0)).ok()?;
        let largest = i64::MAX as u64;
        if data_size > largest || data_offset > largest || data_offset.checked_add(data_size)? > largest {
            return None;
        }
        Some(Self {
            data_size,
            data_offset,
            recipients,
            flags: u32::try_from(flags).ok()?,
            content_length,
            send_options: SendOptions::of_bits(u32::try_from(send_options).ok()?),
        })
    }

    /// What the size record of a message that is handed in asks for: its other numbers, which may be -1, and what is
    /// found out anew, mean nothing.
    pub fn wishes(payload: &[u8]) -> SendOptions {
        let mut numbers = payload.split(u8::is_ascii_whitespace).filter(|number| !number.is_empty());
        let bits = numbers.nth(5).and_then(record::parse_number).and_then(|bits| u32::try_from(bits).ok());
        let wanted = SendOptions::SMTPUTF8_REQUESTED.with(SendOptions::REQUIRETLS);
        SendOptions::of_bits(bits.unwrap_or(0) & wanted.bits())
    }

    /// The size record of a message that is handed in, which asks for something; its other numbers are not known yet.
    pub fn asking_for(wishes: SendOptions) -> Vec<u8> {
        let text = format!("{:15} {:15} {:15} {:15} {:15} {:15}", -1, -1, -1, -1, -1, wishes.bits());
        let mut out = Vec::with_capacity(RECORD);
        record::encode(&mut out, Type::SIZE, text.as_bytes());
        out
    }

    /// Adds the wishes for one recipient.
    pub fn add_notify(&mut self, notify: Notify) {
        self.flags |= notify.bits() << NOTIFY_SHIFT;
    }

    /// Whether there is a recipient whose delivery is to be reported.
    pub fn wants_success(&self) -> bool {
        self.flags & (Notify::SUCCESS.bits() << NOTIFY_SHIFT) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_record_is_always_97_bytes_long() {
        let record = SizeRecord {
            data_size: 338,
            data_offset: 807,
            recipients: 2,
            flags: 12,
            content_length: 338,
            send_options: SendOptions::default(),
        };
        let encoded = record.encode();
        assert_eq!(encoded.len(), RECORD);
        assert_eq!(&encoded[..2], b"\x43\x5f");
        assert_eq!(SizeRecord::parse(&encoded[2..]), Some(record));
        assert!(record.wants_success() && !SizeRecord { flags: 9, ..record }.wants_success());
        assert_eq!(SizeRecord::default().encode().len(), RECORD);
    }

    #[test]
    fn a_message_that_is_handed_in_asks_for_what_was_not_found_out() {
        let asked = SendOptions::SMTPUTF8_REQUESTED.with(SendOptions::REQUIRETLS);
        assert_eq!(SizeRecord::wishes(&SizeRecord::asking_for(asked)[2..]), asked);
        assert_eq!(SizeRecord::asking_for(asked).len(), RECORD);
        let record = SizeRecord { send_options: SendOptions::of_bits(0xff), ..SizeRecord::default() };
        assert_eq!(SizeRecord::wishes(&record.encode()[2..]), asked);
        for none in [&b""[..], b"1 2 3", b"1 2 3 4 5 x", b"1 2 3 4 5 99999999999999999999", b"1 2 3 4 5 -1"] {
            assert_eq!(SizeRecord::wishes(none), SendOptions::default());
        }
    }

    #[test]
    fn three_numbers_are_enough_and_fewer_are_not() {
        let old = SizeRecord::parse(b"            338             807               2");
        assert_eq!(old.map(|r| (r.content_length, r.flags)), Some((338, 0)));
        assert_eq!(SizeRecord::parse(b"   338"), None);
        assert_eq!(SizeRecord::parse(b"   338  -1  2"), None);
        assert_eq!(SizeRecord::parse(b"9223372036854775807 9223372036854775807 1"), None);
    }
}
