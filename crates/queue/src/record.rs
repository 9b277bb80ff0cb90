//! Records: `type, length, payload`, the only structure of a queue file.
//!
//! The length is a little-endian base-128 number. Nothing here knows what a record means; that is `envelope` and
//! `content`. The reader must survive any file: it bounds lengths, payloads and jumps, and it never allocates what a
//! length field promises before the bytes are there.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Largest payload that a reader accepts by default, `line_length_limit` and addresses included.
/// told: the caller, by an error.
pub const MAX_PAYLOAD: usize = 1 << 20;
/// Digits of a number that is overwritten in place.
pub const NUMBER_WIDTH: usize = 15;
/// Jumps to a smaller offset that one file may make; more is a loop.
/// told: the reader: the file is damaged.
const MAX_BACKWARD_JUMPS: u32 = 10_000;
/// Bytes of a length field: 28 bits.
/// told: the reader: the file is damaged.
const MAX_LENGTH_BYTES: usize = 4;
/// Bytes that are read first: a small message as a whole, or the envelope of a large one.
const FIRST_WINDOW: usize = 4 * 1024;
/// Bytes that are read at a time after that.
const WINDOW: usize = 64 * 1024;
/// Room for a payload, to begin with: most are shorter.
const PAYLOAD: usize = 128;

/// The first byte of a record. Any byte can stand there; the ones with a meaning have a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Type(pub u8);

macro_rules! types {
    ($($(#[$doc:meta])* $constant:ident = $byte:literal, $name:literal;)*) => {
        impl Type {
            $($(#[$doc])* pub const $constant: Self = Self($byte);)*

            /// What `postcat` calls it; nothing when the byte has no meaning.
            pub const fn name(self) -> Option<&'static str> {
                match self { $(Self::$constant => Some($name),)* _ => None }
            }
        }
    };
}

types! {
    /// `message_size`: sizes, offsets, recipient count; first in a queue file, rewritten at the end.
    SIZE = b'C', "message_size";
    /// When the message arrived: `SECONDS MICROSECONDS`.
    TIME = b'T', "message_arrival_time";
    /// When the queue file was made, in seconds.
    CREATED = b'c', "queue_file_create_time";
    /// The name of the user who submitted.
    FULL_NAME = b'F', "sender_fullname";
    /// A content inspector.
    INSPECTOR = b'I', "content_inspector";
    /// In the envelope: `transport:nexthop` of a content filter. In the content: [`Self::PARTIAL`].
    FILTER = b'L', "content_filter";
    /// The sender; empty for the null sender.
    SENDER = b'S', "sender";
    /// The recipient before aliasing; directly before the recipient.
    ORIGINAL = b'O', "original_recipient";
    /// A recipient that still needs a delivery.
    RECIPIENT = b'R', "recipient";
    /// A recipient that is done; the type byte was overwritten.
    DONE = b'D', "done_recipient";
    /// A recipient that a content filter took away; the type byte was overwritten.
    CANCELED = b'/', "canceled_recipient";
    /// When the sender is to be told of a delay; overwritten in place.
    WARNING = b'W', "warning_message_time";
    /// `name=value`.
    ATTRIBUTE = b'A', "named_attribute";
    /// An attribute that must not be seen again; the type byte was overwritten.
    KILLED = b'K', "killed_record";
    /// All recipients are replaced by this one.
    REDIRECT = b'>', "redirect_to";
    /// Flags of a cleanup request; never stored.
    FLAGS = b'f', "flags";
    /// End of the envelope, start of the content.
    MESSAGE = b'M', "message_content";
    /// One line of content.
    LINE = b'N', "regular_text";
    /// Filler.
    PADDING = b'w', "padding";
    /// End of the content, start of what was found in it.
    EXTRACTED = b'X', "extracted_info";
    /// Legacy: return receipt.
    RETURN_RECEIPT = b'r', "return_receipt";
    /// Legacy: address for errors.
    ERRORS_TO = b'e', "errors_to";
    /// Legacy: priority.
    PRIORITY = b'P', "priority";
    /// Reading goes on at this offset; 0 for "right here".
    POINTER = b'p', "pointer_record";
    /// Two delimiters of variable envelope return paths.
    VERP = b'V', "verp_delimiters";
    /// Old form of the attribute `ret_flags`.
    RETURN_FLAGS = b'<', "dsn_return_flags";
    /// Old form of the attribute `envelope_id`.
    ENVELOPE_ID = b'i', "dsn_envelope_id";
    /// Old form of the attribute `dsn_orig_rcpt`.
    DSN_RECIPIENT = b'o', "dsn_original_recipient";
    /// Old form of the attribute `notify_flags`.
    NOTIFY = b'n', "dsn_notify_flags";
    /// The last record; edits of content filters may follow.
    END = b'E', "message_end";
}

impl Type {
    /// In the content: a piece of a line that the next record continues.
    pub const PARTIAL: Self = Self::FILTER;
}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", char::from(self.0).escape_default())
    }
}

/// Appends one record. `payload` must be shorter than 2^28 bytes, which `debug_assert`s.
pub fn encode(out: &mut Vec<u8>, kind: Type, payload: &[u8]) {
    encode_header(out, kind, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a record with the payload `name=value`.
pub fn encode_attribute(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    encode_header(out, Type::ATTRIBUTE, name.len() + 1 + value.len());
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    out.extend_from_slice(value);
}

fn encode_header(out: &mut Vec<u8>, kind: Type, length: usize) {
    debug_assert!(length < 1 << (7 * MAX_LENGTH_BYTES));
    out.push(kind.0);
    let mut rest = length;
    loop {
        // cannot fail: seven bits
        let low = (rest & 0x7f) as u8;
        rest >>= 7;
        if rest == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// What can be read at an offset: a file, or bytes in a test.
pub trait ReadAt {
    /// Fills some of `buffer` from `offset` on; 0 at the end.
    fn read_some(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_some(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl ReadAt for [u8] {
    fn read_some(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        // told: nobody; the caller reads on.
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

impl ReadAt for Vec<u8> {
    fn read_some(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_slice().read_some(buffer, offset)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_some(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_some(buffer, offset)
    }
}

/// One record, as long as the reader stands on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Its type.
    pub kind: Type,
    /// Where its type byte is in the file: what in-place marks need.
    pub offset: u64,
    /// Where the reader stood before it followed pointers: what `postcat -o` prints, and where a reader can resume.
    pub position: u64,
    /// Its payload.
    pub data: &'a [u8],
}

/// Why reading stopped.
#[derive(Debug)]
pub enum RecordError {
    /// The file could not be read.
    Io(io::Error),
    /// The file ends where a record was expected, or within one.
    Truncated {
        /// Where the record starts.
        offset: u64,
    },
    /// The length field has more bytes than any record needs.
    Length {
        /// Where the record starts.
        offset: u64,
    },
    /// The payload is longer than the reader accepts.
    TooLong {
        /// Where the record starts.
        offset: u64,
        /// Its payload length.
        length: usize,
    },
    /// A pointer record that holds no offset.
    Pointer {
        /// Where the record starts.
        offset: u64,
    },
    /// Pointers lead backward too often.
    Loop {
        /// Where the last of them starts.
        offset: u64,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "read error: {error}", error = text::system_error(error)),
            Self::Truncated { offset } => write!(f, "unexpected end of file at offset {offset}"),
            Self::Length { offset } => write!(f, "bad length of the record at offset {offset}"),
            Self::TooLong { offset, length } => {
                write!(f, "record of {length} bytes at offset {offset} is too long")
            }
            Self::Pointer { offset } => write!(f, "bad pointer record at offset {offset}"),
            Self::Loop { offset } => {
                write!(f, "too many backward pointers, the last at offset {offset}")
            }
        }
    }
}

impl std::error::Error for RecordError {}

impl From<io::Error> for RecordError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads records from an offset on, follows pointers and skips padding.
pub struct Reader<S> {
    source: S,
    position: u64,
    window: Vec<u8>,
    window_start: u64,
    payload: Vec<u8>,
    backward_jumps: u32,
    limit: usize,
    raw: bool,
}

impl<S: ReadAt> Reader<S> {
    /// A reader at the start of the file.
    pub fn new(source: S) -> Self {
        Self {
            source,
            position: 0,
            window: Vec::new(),
            window_start: 0,
            payload: Vec::with_capacity(PAYLOAD),
            backward_jumps: 0,
            limit: MAX_PAYLOAD,
            raw: false,
        }
    }

    /// The same, for payloads up to `limit` bytes.
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The same, but pointers and padding are records like others (`postcat -r`).
    pub fn raw(mut self) -> Self {
        self.raw = true;
        self
    }

    /// Where the next record (or a pointer to it) starts.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes on at `offset`.
    pub fn seek(&mut self, offset: u64) {
        self.position = offset;
    }

    /// The file that is read.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The next record; nothing at the end of the file.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, RecordError> {
        let position = self.position;
        loop {
            let offset = self.position;
            let Some(kind) = self.header(offset)? else {
                return Ok(None);
            };
            match kind {
                Type::POINTER if !self.raw => self.jump(offset)?,
                Type::PADDING if !self.raw => {}
                _ => {
                    return Ok(Some(Record { kind, offset, position, data: &self.payload }));
                }
            }
        }
    }

    /// Reads one record into `payload` and moves behind it.
    fn header(&mut self, offset: u64) -> Result<Option<Type>, RecordError> {
        // Most records are in the window as a whole.
        let window = available(&self.window, self.window_start, self.position);
        if let Some((kind, payload, rest)) = split_first(window).filter(|(_, payload, _)| payload.len() <= self.limit) {
            self.payload.clear();
            self.payload.extend_from_slice(payload);
            self.position += (window.len() - rest.len()) as u64;
            return Ok(Some(kind));
        }
        let Some(kind) = self.byte()? else {
            return Ok(None);
        };
        let length = read_length(offset, || self.byte())?;
        if length > self.limit {
            return Err(RecordError::TooLong { offset, length });
        }
        self.payload.clear();
        while self.payload.len() < length {
            let missing = length - self.payload.len();
            self.fill()?;
            let available = available(&self.window, self.window_start, self.position);
            // told: nobody; the loop takes the rest.
            let piece = &available[..available.len().min(missing)];
            if piece.is_empty() {
                return Err(RecordError::Truncated { offset });
            }
            self.payload.extend_from_slice(piece);
            self.position += piece.len() as u64;
        }
        Ok(Some(Type(kind)))
    }

    fn jump(&mut self, offset: u64) -> Result<(), RecordError> {
        let target = parse_number(&self.payload).and_then(|n| u64::try_from(n).ok());
        let target = target.ok_or(RecordError::Pointer { offset })?;
        if target == 0 {
            return Ok(());
        }
        if target <= offset {
            self.backward_jumps += 1;
            if self.backward_jumps > MAX_BACKWARD_JUMPS {
                return Err(RecordError::Loop { offset });
            }
        }
        self.position = target;
        Ok(())
    }

    fn byte(&mut self) -> Result<Option<u8>, RecordError> {
        self.fill()?;
        let byte = self.available().first().copied();
        if byte.is_some() {
            self.position += 1;
        }
        Ok(byte)
    }

    fn available(&self) -> &[u8] {
        available(&self.window, self.window_start, self.position)
    }

    /// Sees to it that the window holds the position, unless it is behind the end.
    fn fill(&mut self) -> Result<(), RecordError> {
        if !self.available().is_empty() {
            return Ok(());
        }
        self.window.resize(if self.window.capacity() == 0 { FIRST_WINDOW } else { WINDOW }, 0);
        let length = self.source.read_some(&mut self.window, self.position);
        // told: nobody; so much was read.
        self.window.truncate(*length.as_ref().unwrap_or(&0));
        self.window_start = self.position;
        length?;
        Ok(())
    }
}

/// The length of the record at `offset`, whose next byte is what `byte` gives: a little-endian base-128 number.
pub(crate) fn read_length(
    offset: u64,
    mut byte: impl FnMut() -> Result<Option<u8>, RecordError>,
) -> Result<usize, RecordError> {
    let mut length = 0usize;
    for index in 0..MAX_LENGTH_BYTES {
        let byte = byte()?.ok_or(RecordError::Truncated { offset })?;
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    Err(RecordError::Length { offset })
}

/// Takes the first record of bytes in memory; the rest follows it. `None` at the end, and where there is no whole
/// record.
pub fn split_first(bytes: &[u8]) -> Option<(Type, &[u8], &[u8])> {
    let (&kind, mut rest) = bytes.split_first()?;
    let length = read_length(0, || {
        let first = rest.split_first();
        rest = first.map_or(rest, |(_, rest)| rest);
        Ok(first.map(|(byte, _)| *byte))
    });
    let length = length.ok().filter(|length| *length <= MAX_PAYLOAD)?;
    let (payload, rest) = rest.split_at_checked(length)?;
    Some((Type(kind), payload, rest))
}

/// What of a window that starts at offset `start` lies at `position` or behind it.
fn available(window: &[u8], start: u64, position: u64) -> &[u8] {
    let skip = position.checked_sub(start).and_then(|n| usize::try_from(n).ok());
    skip.and_then(|skip| window.get(skip..)).unwrap_or_default()
}

/// A decimal number between blanks, as in size, pointer and time records.
pub fn parse_number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.trim_matches(' ').parse().ok()
}
