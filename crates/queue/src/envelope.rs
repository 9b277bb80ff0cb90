//! The envelope of a queue file: who sent the message, who gets it, and what is known about it.
//!
//! Records before the content and after it are read; the content is jumped over. Memory is bounded: recipients beyond
//! the limit are left in the file and read later from where reading stopped, attributes beyond the limit are an error.

use std::fmt;

use dsn::{Notify, OriginalRecipient, Return};

use crate::record::{self, ReadAt, Reader, Record, RecordError, Type};
use crate::size::SizeRecord;
use crate::{Encoding, Trace};

/// How much of one message may be in memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Recipients to read at once.
    pub recipients: usize,
    /// `queue_file_attribute_count_limit`.
    pub attributes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { recipients: 5000, attributes: 100 }
    }
}

/// A recipient of a message, as the queue file, the queue manager, delivery agents and reports have it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recipient {
    /// The address to deliver to, internal form.
    pub address: Vec<u8>,
    /// The address before aliasing, internal form; empty when the file does not say.
    pub original: Vec<u8>,
    /// The client's ORCPT, or what cleanup made of the address.
    pub dsn: OriginalRecipient,
    /// What the sender wants to hear of it.
    pub notify: Notify,
    /// Where its record is: what [`crate::mark::done`] needs. 0: there is none.
    pub offset: u64,
}

/// A record that is overwritten in place later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marked<T> {
    /// Where the record starts.
    pub offset: u64,
    /// What it says.
    pub value: T,
}

/// Where reading of recipients stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resume {
    offset: u64,
    extracted: bool,
}

/// Everything in a queue file but the content.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Envelope {
    /// The size record; nothing in a maildrop file.
    pub size: Option<SizeRecord>,
    /// When the message arrived: seconds and microseconds.
    pub arrival: (i64, u32),
    /// When the queue file was made, in seconds; the arrival time when the file does not say.
    pub create_time: i64,
    /// The sender, internal form; empty for the null sender.
    pub sender: Vec<u8>,
    /// The full name of the submitting user.
    pub full_name: Option<Vec<u8>>,
    /// `transport:nexthop` of a content filter.
    pub content_filter: Option<Vec<u8>>,
    /// The address that replaces all recipients.
    pub redirect_to: Option<Vec<u8>>,
    /// VERP delimiters.
    pub verp: Option<Vec<u8>>,
    /// When the sender is to be told of the delay; negative when that was done.
    pub warning_time: Option<Marked<i64>>,
    /// The request for a trace report, unless it was answered.
    pub trace_flags: Option<Marked<Trace>>,
    /// All named attributes that do not belong to one recipient, in file order.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Recipients that still need a delivery, at most [`Limits::recipients`].
    pub recipients: Vec<Recipient>,
    /// Recipients that are done or were canceled, as far as reading came.
    pub finished: usize,
    /// Offset of the first content record.
    pub data_offset: u64,
    /// Where to go on when there are more recipients.
    pub resume: Option<Resume>,
}

/// Why a file is no queue file.
#[derive(Debug)]
pub enum EnvelopeError {
    /// Reading stopped.
    Record(RecordError),
    /// The first record is no valid size record.
    Size(Vec<u8>),
    /// A record that has no place there.
    Unexpected {
        /// Its type.
        kind: Type,
        /// Where it is.
        offset: u64,
    },
    /// A record whose payload makes no sense.
    Malformed {
        /// Its type.
        kind: Type,
        /// Where it is.
        offset: u64,
    },
    /// The file has no sender record, or not before the recipients.
    NoSender,
    /// The file has no arrival time.
    NoArrivalTime,
    /// More attributes than `queue_file_attribute_count_limit`.
    Attributes,
    /// The file ends before its last record.
    Incomplete,
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |kind: &Type| kind.name().unwrap_or("unknown");
        match self {
            Self::Record(error) => error.fmt(f),
            Self::Size(payload) => write!(f, "invalid size record: {}", bstr::BStr::new(payload)),
            Self::Unexpected { kind, offset } => {
                write!(f, "unexpected {} record ({kind:?}) at offset {offset}", name(kind))
            }
            Self::Malformed { kind, offset } => {
                write!(f, "malformed {} record at offset {offset}", name(kind))
            }
            Self::NoSender => f.write_str("missing sender record"),
            Self::NoArrivalTime => f.write_str("missing arrival time record"),
            Self::Attributes => f.write_str("too many attribute records"),
            Self::Incomplete => f.write_str("incomplete file"),
        }
    }
}

impl std::error::Error for EnvelopeError {}

impl From<RecordError> for EnvelopeError {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

impl Envelope {
    /// Reads a queue file that cleanup completed: incoming, active, deferred, hold.
    pub fn read(source: impl ReadAt, limits: &Limits) -> Result<Self, EnvelopeError> {
        Parser::new(limits).complete(Reader::new(source))
    }

    /// The same without [`attributes`](Self::attributes): they are counted and not kept.
    pub fn read_outline(source: impl ReadAt, limits: &Limits) -> Result<Self, EnvelopeError> {
        Parser { outline: true, ..Parser::new(limits) }.complete(Reader::new(source))
    }

    /// Reads a file in maildrop: it has no size record, so that the content is read through.
    pub fn read_submitted(source: impl ReadAt, limits: &Limits) -> Result<Self, EnvelopeError> {
        let mut reader = Reader::new(source);
        let mut parser = Parser::new(limits);
        parser.segment(&mut reader, Type::MESSAGE)?;
        parser.envelope.data_offset = reader.position();
        loop {
            match reader.next_record()? {
                Some(Record { kind: Type::EXTRACTED, .. }) => break,
                Some(Record { kind: Type::LINE | Type::PARTIAL, .. }) => {}
                Some(Record { kind, offset, .. }) => {
                    return Err(EnvelopeError::Unexpected { kind, offset });
                }
                None => return Err(EnvelopeError::Incomplete),
            }
        }
        parser.extracted = true;
        parser.segment(&mut reader, Type::END)?;
        parser.finish()
    }

    /// Reads the next recipients into [`Self::recipients`], which it empties first, and moves [`Self::resume`] on.
    /// Without a place to resume at, there are none.
    pub fn read_more(&mut self, source: impl ReadAt, limits: &Limits) -> Result<(), EnvelopeError> {
        self.recipients.clear();
        let Some(resume) = self.resume.take() else {
            return Ok(());
        };
        let mut reader = Reader::new(source);
        reader.seek(resume.offset);
        let mut parser = Parser::new(limits);
        parser.extracted = resume.extracted;
        parser.recipients_only = true;
        if !resume.extracted {
            parser.segment(&mut reader, Type::MESSAGE)?;
            let size = self.size.ok_or(EnvelopeError::Incomplete)?;
            reader.seek(size.data_offset + size.data_size);
            reader.next_record()?;
            parser.extracted = true;
        }
        if !parser.full() {
            parser.segment(&mut reader, Type::END)?;
        }
        self.recipients = parser.envelope.recipients;
        self.finished += parser.envelope.finished;
        self.resume = parser.envelope.resume;
        Ok(())
    }

    /// The value of a named attribute; the last one counts, because what was found in the content comes after what the
    /// client said.
    pub fn attribute(&self, name: &str) -> Option<&[u8]> {
        let found = self.attributes.iter().rev().find(|(key, _)| key == name.as_bytes());
        found.map(|(_, value)| value.as_slice())
    }

    /// The same, empty when the attribute is not there.
    pub fn attribute_or_empty(&self, name: &str) -> &[u8] {
        self.attribute(name).unwrap_or_default()
    }

    /// The client's envelope identifier (ENVID), without its encoding; empty when there was none.
    pub fn envelope_id(&self) -> &[u8] {
        self.attribute_or_empty("envelope_id")
    }

    /// RET: how much of the message a report carries; what is no such number says nothing.
    pub fn returned(&self) -> Return {
        self.attribute("ret_flags").and_then(parse).and_then(Return::from_bits).unwrap_or_default()
    }

    /// What is known of the bytes of the content.
    pub fn encoding(&self) -> Encoding {
        Encoding::parse(self.attribute_or_empty("encoding"))
    }
}

/// The state of one pass over the records.
struct Parser<'a> {
    envelope: Envelope,
    limits: &'a Limits,
    /// What was read of the recipient that comes next.
    pending: Recipient,
    arrived: bool,
    sender_seen: bool,
    extracted: bool,
    recipients_only: bool,
    /// Attributes are not kept.
    outline: bool,
    /// Attributes that were seen.
    attributes: usize,
    /// Where the group of the next recipient starts.
    group: u64,
}

impl<'a> Parser<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self {
            envelope: Envelope::default(),
            limits,
            pending: Recipient::default(),
            arrived: false,
            sender_seen: false,
            extracted: false,
            recipients_only: false,
            outline: false,
            attributes: 0,
            group: 0,
        }
    }

    /// Reads a whole queue file.
    fn complete<S: ReadAt>(mut self, mut reader: Reader<S>) -> Result<Envelope, EnvelopeError> {
        let size = match reader.next_record()? {
            Some(Record { kind: Type::SIZE, data, .. }) => {
                SizeRecord::parse(data).ok_or_else(|| EnvelopeError::Size(data.to_vec()))?
            }
            Some(Record { kind, offset, .. }) => {
                return Err(EnvelopeError::Unexpected { kind, offset });
            }
            None => return Err(EnvelopeError::Incomplete),
        };
        self.envelope.size = Some(size);
        self.segment(&mut reader, Type::MESSAGE)?;
        // cannot overflow: SizeRecord::parse checked the sum
        let end_of_content = size.data_offset + size.data_size;
        reader.seek(end_of_content);
        match reader.next_record()? {
            Some(Record { kind: Type::EXTRACTED, .. }) => {}
            Some(Record { kind, offset, .. }) => {
                return Err(EnvelopeError::Unexpected { kind, offset });
            }
            None => return Err(EnvelopeError::Incomplete),
        }
        self.envelope.data_offset = size.data_offset;
        self.extracted = true;
        self.segment(&mut reader, Type::END)?;
        self.finish()
    }

    /// True when a second pass has nothing more to do.
    fn full(&self) -> bool {
        self.recipients_only && self.envelope.resume.is_some()
    }

    /// Reads records up to the one that ends the segment.
    fn segment<S: ReadAt>(&mut self, reader: &mut Reader<S>, end: Type) -> Result<(), EnvelopeError> {
        self.pending = Recipient::default();
        self.group = reader.position();
        loop {
            let Some(record) = reader.next_record()? else {
                return Err(EnvelopeError::Incomplete);
            };
            if record.kind == end {
                return Ok(());
            }
            let group_ends = self.record(record)?;
            if group_ends {
                self.pending = Recipient::default();
                self.group = reader.position();
            }
            if self.full() {
                return Ok(());
            }
        }
    }

    /// Takes one record; true when it ends the group of a recipient.
    fn record(&mut self, record: Record<'_>) -> Result<bool, EnvelopeError> {
        let Record { kind, offset, data, .. } = record;
        match kind {
            Type::RECIPIENT => self.recipient(record)?,
            Type::DONE | Type::CANCELED if self.envelope.resume.is_none() => self.envelope.finished += 1,
            Type::DONE | Type::CANCELED => {}
            Type::ORIGINAL => self.pending.original = data.to_vec(),
            Type::DSN_RECIPIENT => self.pending.dsn = OriginalRecipient::from_stored(data.to_vec()),
            Type::NOTIFY => self.pending.notify = Notify::from_stored(number(record)?),
            Type::ATTRIBUTE => self.attribute(record)?,
            _ if self.recipients_only => {}
            Type::TIME => self.time(record)?,
            Type::CREATED => self.envelope.create_time = number(record)?,
            Type::FULL_NAME => self.envelope.full_name = Some(data.to_vec()),
            Type::FILTER => self.envelope.content_filter = Some(data.to_vec()),
            Type::REDIRECT => self.envelope.redirect_to = Some(data.to_vec()),
            Type::VERP => self.envelope.verp = Some(data.to_vec()),
            Type::WARNING => self.envelope.warning_time = Some(Marked { offset, value: number(record)? }),
            Type::SENDER if !self.sender_seen && !self.extracted => {
                self.envelope.sender = data.to_vec();
                self.sender_seen = true;
            }
            Type::ENVELOPE_ID => self.store(b"envelope_id", data)?,
            Type::RETURN_FLAGS => self.store(b"ret_flags", data)?,
            Type::KILLED | Type::INSPECTOR | Type::SIZE => {}
            Type::RETURN_RECEIPT | Type::ERRORS_TO | Type::PRIORITY => {}
            _ => return Err(EnvelopeError::Unexpected { kind, offset }),
        }
        Ok(matches!(kind, Type::RECIPIENT | Type::DONE | Type::CANCELED))
    }

    fn recipient(&mut self, record: Record<'_>) -> Result<(), EnvelopeError> {
        if !self.sender_seen && !self.recipients_only {
            return Err(EnvelopeError::NoSender);
        }
        if self.envelope.resume.is_some() {
            return Ok(());
        }
        if self.envelope.recipients.len() >= self.limits.recipients {
            self.envelope.resume = Some(Resume { offset: self.group, extracted: self.extracted });
            return Ok(());
        }
        let mut recipient = std::mem::take(&mut self.pending);
        recipient.address = record.data.to_vec();
        recipient.offset = record.offset;
        self.envelope.recipients.push(recipient);
        Ok(())
    }

    fn time(&mut self, record: Record<'_>) -> Result<(), EnvelopeError> {
        let malformed = EnvelopeError::Malformed { kind: record.kind, offset: record.offset };
        let mut numbers = record.data.split(|b| *b == b' ').filter(|text| !text.is_empty()).map(record::parse_number);
        let (Some(Some(seconds)), micros) = (numbers.next(), numbers.next().flatten()) else {
            return Err(malformed);
        };
        // cleanup keeps the first one.
        if !self.arrived {
            let micros = micros.and_then(|n| u32::try_from(n).ok()).filter(|n| *n < 1_000_000).unwrap_or(0);
            self.envelope.arrival = (seconds, micros);
            self.arrived = true;
        }
        Ok(())
    }

    fn attribute(&mut self, record: Record<'_>) -> Result<(), EnvelopeError> {
        let malformed = || EnvelopeError::Malformed { kind: record.kind, offset: record.offset };
        let equals = record.data.iter().position(|b| *b == b'=').ok_or_else(malformed)?;
        let (name, value) = (&record.data[..equals], &record.data[equals + 1..]);
        match name {
            b"dsn_orig_rcpt" => self.pending.dsn = OriginalRecipient::from_stored(value.to_vec()),
            b"notify_flags" => self.pending.notify = Notify::from_stored(parse(value).ok_or_else(malformed)?),
            _ if self.recipients_only => {}
            b"create_time" => self.envelope.create_time = parse(value).ok_or_else(malformed)?,
            b"trace_flags" => {
                let value = Trace::of_bits(parse(value).ok_or_else(malformed)?);
                self.envelope.trace_flags = Some(Marked { offset: record.offset, value });
            }
            _ => self.store(name, value)?,
        }
        Ok(())
    }

    fn store(&mut self, name: &[u8], value: &[u8]) -> Result<(), EnvelopeError> {
        // queue_file_attribute_count_limit
        if self.attributes >= self.limits.attributes {
            return Err(EnvelopeError::Attributes);
        }
        self.attributes += 1;
        if !self.outline {
            self.envelope.attributes.push((name.to_vec(), value.to_vec()));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Envelope, EnvelopeError> {
        if !self.sender_seen {
            return Err(EnvelopeError::NoSender);
        }
        if !self.arrived {
            return Err(EnvelopeError::NoArrivalTime);
        }
        if self.envelope.create_time == 0 {
            self.envelope.create_time = self.envelope.arrival.0;
        }
        Ok(self.envelope)
    }
}

fn parse<T: TryFrom<i64>>(text: &[u8]) -> Option<T> {
    record::parse_number(text).and_then(|number| T::try_from(number).ok())
}

fn number<T: TryFrom<i64>>(record: Record<'_>) -> Result<T, EnvelopeError> {
    parse(record.data).ok_or(EnvelopeError::Malformed { kind: record.kind, offset: record.offset })
}
