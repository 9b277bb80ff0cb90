//! The queue listing as `public/showq` sends it, byte for byte: mailq, and exporters of others, read it.
//!
//! A greeting, one message for each message in the queue, and an empty message. The reader takes one recipient at a
//! time; the writer is given one at a time.

use std::io::{self, BufRead};

use crate::attr0;

/// The protocol's name in the greeting.
pub const PROTOCOL: &str = "mail_queue_list_protocol";

/// What is said of a message before its recipients.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// The queue's name.
    pub queue_name: Vec<u8>,
    /// The message's name.
    pub queue_id: Vec<u8>,
    /// When it arrived, in seconds.
    pub time: i64,
    /// Its size in bytes.
    pub size: i64,
    /// It expires at the next attempt.
    pub forced_expire: bool,
    /// The sender, external form, `MAILER-DAEMON` for the null sender.
    pub sender: Vec<u8>,
}

/// What is said of a recipient.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recipient {
    /// The address before aliasing, and which log the reason is from (`bounce`, `defer` or empty): said since Postfix
    /// 3.11.
    pub modern: Option<(Vec<u8>, Vec<u8>)>,
    /// The address, external form.
    pub address: Vec<u8>,
    /// Why it waits; empty when that is not known.
    pub reason: Vec<u8>,
}

/// How addresses and recipients are shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Style {
    /// The list has the form of Postfix 3.11.
    pub modern: bool,
    /// What stands for the null address.
    pub null_address: Vec<u8>,
}

impl Style {
    /// A recipient; `log` is where the reason is from, or empty.
    #[must_use]
    pub fn recipient(&self, original: Vec<u8>, address: Vec<u8>, log: &str, reason: Vec<u8>) -> Recipient {
        // The output of a command ends in a blank where its line did, and the list does not show it.
        let reason = reason.trim_ascii_end().to_vec();
        let modern = self.modern.then(|| (original, log.as_bytes().to_vec()));
        Recipient { modern, address, reason }
    }

    /// An address in external form as people read it.
    #[must_use]
    pub fn shown(&self, external: &[u8]) -> Vec<u8> {
        if external.is_empty() { self.null_address.clone() } else { text::printable(external).into_bytes() }
    }
}

/// Writes a listing, or a part of one.
#[derive(Debug)]
pub struct Writer {
    out: attr0::Writer,
    in_message: bool,
}

impl Writer {
    /// A listing that starts with the greeting.
    pub fn new() -> Self {
        let mut out = attr0::greeting(PROTOCOL);
        out.end();
        Self { out, in_message: false }
    }

    /// Messages alone: they have their place behind a greeting, and are whole with [`Self::end_message`].
    pub fn part() -> Self {
        Self { out: attr0::Writer::new(), in_message: false }
    }

    /// Begins a message.
    pub fn message(&mut self, header: &Header) {
        self.end_message();
        self.in_message = true;
        self.out
            .put("queue_name", &header.queue_name)
            .put("queue_id", &header.queue_id)
            .put_number("time", header.time)
            .put_number("size", header.size)
            .put_number("forced_expire", u8::from(header.forced_expire))
            .put("sender", &header.sender);
    }

    /// Adds a recipient to the message.
    pub fn recipient(&mut self, recipient: &Recipient) {
        if let Some((original, _)) = &recipient.modern {
            self.out.put("original_recipient", original);
        }
        self.out.put("recipient", &recipient.address);
        if let Some((_, log_class)) = &recipient.modern {
            self.out.put("log_class", log_class);
        }
        self.out.put("reason", &recipient.reason);
    }

    /// Ends the message, if there is one.
    pub fn end_message(&mut self) {
        if std::mem::take(&mut self.in_message) {
            self.out.end();
        }
    }

    /// Adds whole messages, as a [part](Self::part) has them.
    pub fn append(&mut self, messages: &[u8]) {
        self.end_message();
        self.out.append(messages);
    }

    /// Ends the listing.
    pub fn end(&mut self) {
        self.end_message();
        self.out.end();
    }

    /// The bytes that wait.
    pub fn pending(&self) -> &[u8] {
        self.out.as_slice()
    }

    /// The bytes that wait, which are the caller's from now on.
    pub fn take(&mut self) -> Vec<u8> {
        self.out.take()
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads a listing.
pub struct Reader<R> {
    input: attr0::Reader<R>,
    in_message: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads the greeting.
    ///
    /// # Errors
    /// The server greets otherwise, or not at all.
    pub fn new(input: R) -> io::Result<Self> {
        let mut input = attr0::Reader::new(input);
        attr0::read_greeting(&mut input, PROTOCOL)?;
        input.end()?;
        Ok(Self { input, in_message: false })
    }

    /// The next message; nothing at the end. Recipients that were not asked for are passed over.
    ///
    /// # Errors
    /// The listing is malformed or cut.
    pub fn next_message(&mut self) -> io::Result<Option<Header>> {
        while self.next_recipient()?.is_some() {}
        match self.input.name()? {
            None => return Ok(None),
            Some(b"queue_name") => {}
            Some(_) => return Err(malformed()),
        }
        let header = Header {
            queue_name: self.input.value()?,
            queue_id: self.input.value_of("queue_id")?,
            time: number(&self.input.value_of("time")?)?,
            size: number(&self.input.value_of("size")?)?,
            forced_expire: number(&self.input.value_of("forced_expire")?)? != 0,
            sender: self.input.value_of("sender")?,
        };
        self.in_message = true;
        Ok(Some(header))
    }

    /// The next recipient of the message; nothing after the last one.
    ///
    /// # Errors
    /// The listing is malformed or cut.
    pub fn next_recipient(&mut self) -> io::Result<Option<Recipient>> {
        if !self.in_message {
            return Ok(None);
        }
        match self.input.name()? {
            None => {
                self.in_message = false;
                Ok(None)
            }
            Some(b"recipient") => {
                let address = self.input.value()?;
                let reason = self.input.value_of("reason")?;
                Ok(Some(Recipient { modern: None, address, reason }))
            }
            Some(b"original_recipient") => {
                let original = self.input.value()?;
                let address = self.input.value_of("recipient")?;
                let log_class = self.input.value_of("log_class")?;
                let reason = self.input.value_of("reason")?;
                Ok(Some(Recipient { modern: Some((original, log_class)), address, reason }))
            }
            Some(_) => Err(malformed()),
        }
    }
}

fn number(text: &[u8]) -> io::Result<i64> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(malformed)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed queue listing")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURED: &[u8] = include_bytes!("../tests/fixtures/showq.bin");

    #[test]
    fn a_captured_listing_is_read_and_written_back() {
        let mut reader = Reader::new(CAPTURED).unwrap();
        let mut writer = Writer::new();
        let mut messages = 0;
        while let Some(header) = reader.next_message().unwrap() {
            writer.message(&header);
            while let Some(recipient) = reader.next_recipient().unwrap() {
                assert_eq!(recipient.modern, Some((Vec::new(), b"defer".to_vec())));
                writer.recipient(&recipient);
            }
            messages += 1;
        }
        writer.end();
        assert_eq!(messages, 5);
        assert_eq!(writer.take(), CAPTURED);
    }

    #[test]
    fn parts_make_the_same_listing() {
        let mut reader = Reader::new(CAPTURED).unwrap();
        let mut whole = Writer::new();
        while let Some(header) = reader.next_message().unwrap() {
            let mut part = Writer::part();
            part.message(&header);
            while let Some(recipient) = reader.next_recipient().unwrap() {
                part.recipient(&recipient);
            }
            part.end_message();
            part.end_message();
            whole.append(part.pending());
            assert!(!part.take().is_empty() && part.pending().is_empty());
        }
        whole.end();
        assert_eq!(whole.take(), CAPTURED);
    }

    #[test]
    fn a_listing_that_is_cut_is_an_error() {
        for length in 0..CAPTURED.len() {
            let read = || -> io::Result<()> {
                let mut reader = Reader::new(&CAPTURED[..length])?;
                while reader.next_message()?.is_some() {}
                Ok(())
            };
            assert!(read().is_err(), "{length}");
        }
    }

    #[test]
    fn an_empty_queue_is_a_greeting_and_an_empty_message() {
        let mut writer = Writer::new();
        writer.end();
        assert_eq!(writer.take(), b"protocol\0mail_queue_list_protocol\0\0\0");
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            tail in proptest::collection::vec(proptest::sample::select(b"\0queue_namrcipt01".to_vec()), 0..400)
        ) {
            let mut bytes = CAPTURED[..40].to_vec();
            bytes.extend(tail);
            if let Ok(mut reader) = Reader::new(bytes.as_slice()) {
                while let Ok(Some(_)) = reader.next_message() {}
            }
        }
    }
}
