//! A message of 8-bit parts for a server without 8BITMIME (RFC 6152 3): the parts become quoted-printable (RFC 2045
//! 6.7).
//!
//! Only what its own header calls 8bit or binary is changed: such a part becomes quoted-printable, and what contains
//! parts says 7bit from then on. Everything else passes as it is, byte for byte: it may be signed, and bytes that no
//! header speaks of have no meaning that could be kept.
//!
//! Lines come and go in pieces, so that a line of any length takes no memory; of a header only the two fields that
//! matter are kept, up to a bound.

use std::fmt;

use crate::header;
use crate::mime::{BoundaryLine, ContentType, Encoding, Limits, Multiparts, TooDeep};

/// The longest Content-Type field that is understood, in bytes: more than the default header_size_limit lets in.
/// A longer Content-Transfer-Encoding is decided by its first word.
/// told: the caller ([`Unreadable::LongField`]).
const LONGEST_FIELD: usize = 128 << 10;
/// Before a line grows beyond this, it is broken (RFC 2045 6.7 allows 76).
const WIDTH: usize = 72;

/// Takes the converted message.
pub trait Emit {
    /// A piece of a line, and whether the line ends with it.
    fn piece(&mut self, data: &[u8], ends: bool);

    /// A field that was not in the message; it is the last one of its header.
    fn own_field(&mut self, line: &[u8]) {
        self.piece(line, true);
    }
}

impl<F: FnMut(&[u8], bool)> Emit for F {
    fn piece(&mut self, data: &[u8], ends: bool) {
        self(data, ends);
    }
}

/// The structure of a message is beyond what anybody writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Multiparts stand within each other deeper than mime_nesting_limit.
    TooDeep,
    /// A field that says what a part is cannot be read as a whole.
    LongField,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::TooDeep => TooDeep.fmt(out),
            Unreadable::LongField => out.write_str("MIME header length exceeds safety limit"),
        }
    }
}

impl From<TooDeep> for Unreadable {
    fn from(_: TooDeep) -> Self {
        Self::TooDeep
    }
}

impl std::error::Error for Unreadable {}

/// Converts a message, piece by piece from its first line on.
#[derive(Debug)]
pub struct Converter {
    place: Place,
    open: Multiparts,
    /// How far they are followed.
    limits: Limits,
    /// The piece that comes begins a line.
    starts: bool,
    quoting: Quoting,
}

#[derive(Debug)]
enum Place {
    Header(Header),
    /// A body that passes as it is.
    Plain,
    /// A body that becomes quoted-printable.
    Quoted,
    /// The rest of a boundary line, before a part's header or what follows the last part.
    Boundary(BoundaryLine, ContentType),
}

/// A header that is being read.
#[derive(Debug)]
struct Header {
    kind: ContentType,
    encoding: Option<Encoding>,
    field: Field,
    /// A Content-Type field was not remembered as a whole.
    is_cut: bool,
}

/// The field that is being read.
#[derive(Debug)]
enum Field {
    /// There was none yet.
    None,
    /// It says nothing about the body.
    Other,
    /// Content-Type: its value.
    Type(Vec<u8>),
    /// Content-Transfer-Encoding: its value, and the pieces that go out if it stays.
    Encoding(Vec<u8>, Vec<(Vec<u8>, bool)>),
}

impl Converter {
    /// Before the first line of a message.
    pub fn new(limits: Limits) -> Self {
        let place = Place::Header(Header::new(ContentType::default()));
        Self { place, open: Multiparts::default(), limits, starts: true, quoting: Quoting::default() }
    }

    /// The next piece of the message.
    ///
    /// # Errors
    /// The message is no mail that anybody could have meant; what went out so far is not to be delivered.
    pub fn text(&mut self, data: &[u8], ends: bool, emit: &mut impl Emit) -> Result<(), Unreadable> {
        let starts = std::mem::replace(&mut self.starts, ends);
        match &mut self.place {
            Place::Header(header) if !starts => header.more(data, ends, emit),
            Place::Header(header) if header.takes(data, ends) => header.line(data, ends, emit),
            Place::Header(_) => {
                let is_blank = data.is_empty() && ends;
                self.end_header(emit)?;
                match is_blank {
                    true => emit.piece(b"", true),
                    false => self.body(data, ends, true, emit),
                }
            }
            Place::Boundary(..) | Place::Plain | Place::Quoted => self.body(data, ends, starts, emit),
        }
        Ok(())
    }

    /// The message has ended.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn end(&mut self, emit: &mut impl Emit) -> Result<(), Unreadable> {
        match self.place {
            Place::Header(_) => self.end_header(emit),
            _ => Ok(()),
        }
    }

    /// Says how the body is encoded from now on, and what it is.
    fn end_header(&mut self, emit: &mut impl Emit) -> Result<(), Unreadable> {
        let Place::Header(header) = std::mem::replace(&mut self.place, Place::Plain) else { return Ok(()) };
        let (kind, eight_bit) = header.finish(emit)?;
        let is_global = kind.kind == b"message" && kind.subtype == b"global";
        let is_leaf = !kind.is_multipart() && (!kind.is_message() || (is_global && eight_bit));
        if eight_bit {
            let contains = kind.is_multipart() || (kind.kind == b"message" && !is_global);
            let encoding = if contains { Encoding::SevenBit } else { Encoding::QuotedPrintable };
            emit.own_field(format!("Content-Transfer-Encoding: {}", encoding.name()).as_bytes());
        }
        if is_leaf && eight_bit {
            self.place = Place::Quoted;
        } else if kind.is_message() {
            self.place = Place::Header(Header::new(ContentType::default()));
        } else {
            self.open.enter(kind, self.limits)?;
        }
        Ok(())
    }

    fn body(&mut self, data: &[u8], ends: bool, starts: bool, emit: &mut impl Emit) {
        if starts && let Some((line, kind)) = self.open.line(data) {
            self.place = Place::Boundary(line, kind);
        }
        match self.place {
            Place::Quoted => self.quoting.text(data, ends, emit),
            _ => emit.piece(data, ends),
        }
        if ends && let Place::Boundary(line, kind) = &mut self.place {
            self.place = match line {
                BoundaryLine::Opens => Place::Header(Header::new(std::mem::take(kind))),
                BoundaryLine::Closes => Place::Plain,
            };
        }
    }
}

impl Header {
    fn new(kind: ContentType) -> Self {
        Self { kind, encoding: None, field: Field::None, is_cut: false }
    }

    /// Whether a line belongs to the header.
    fn takes(&self, line: &[u8], ends: bool) -> bool {
        match header::is_continuation(line) {
            true => !matches!(self.field, Field::None),
            false => !(line.is_empty() && ends) && header::name_length(line).is_some(),
        }
    }

    /// A line that begins or goes on with a field.
    fn line(&mut self, line: &[u8], ends: bool, emit: &mut impl Emit) {
        let Some(length) = header::name_length(line).filter(|_| !header::is_continuation(line)) else {
            self.more(line, ends, emit);
            return;
        };
        self.close(emit);
        let (name, rest) = line.split_at(length);
        // Blanks before the colon are no part of any name that others would find.
        let blanks = rest.iter().position(|byte| *byte == b':').unwrap_or(0);
        self.field = match header::Kind::of(name) {
            header::Kind::ContentType => Field::Type(Vec::new()),
            header::Kind::ContentTransferEncoding => Field::Encoding(Vec::new(), Vec::new()),
            _ => Field::Other,
        };
        let line = [name, &rest[blanks..]].concat();
        self.pass(&line, ends, emit);
        self.remember(&rest[blanks + 1..]);
    }

    /// A piece of the present field.
    fn more(&mut self, data: &[u8], ends: bool, emit: &mut impl Emit) {
        self.pass(data, ends, emit);
        self.remember(data);
    }

    fn pass(&mut self, data: &[u8], ends: bool, emit: &mut impl Emit) {
        match &mut self.field {
            Field::Encoding(value, pieces) if value.len() < LONGEST_FIELD => pieces.push((data.to_vec(), ends)),
            // What is longer than anybody writes is decided by its beginning.
            Field::Encoding(value, _) if Encoding::parse(value).is_some_and(|it| !it.is_seven_bit()) => {}
            Field::Encoding(_, pieces) => {
                pieces.drain(..).for_each(|(piece, ends)| emit.piece(&piece, ends));
                emit.piece(data, ends);
            }
            _ => emit.piece(data, ends),
        }
    }

    fn remember(&mut self, data: &[u8]) {
        if let Field::Type(value) | Field::Encoding(value, _) = &mut self.field {
            let room = (LONGEST_FIELD + 1).saturating_sub(value.len());
            // told: the caller, at the end of the header, where it matters.
            value.extend_from_slice(&data[..data.len().min(room)]);
        }
    }

    /// The present field ends: one after which the body is 8bit or binary does not go out.
    fn close(&mut self, emit: &mut impl Emit) {
        match std::mem::replace(&mut self.field, Field::Other) {
            Field::Type(value) => {
                self.is_cut |= value.len() > LONGEST_FIELD;
                self.kind = ContentType::parse(&value);
            }
            Field::Encoding(value, pieces) => {
                self.encoding = Encoding::parse(&value).or(self.encoding);
                if !self.is_eight_bit() {
                    pieces.iter().for_each(|(piece, ends)| emit.piece(piece, *ends));
                }
            }
            Field::None | Field::Other => {}
        }
    }

    fn is_eight_bit(&self) -> bool {
        self.encoding.is_some_and(|encoding| !encoding.is_seven_bit())
    }

    /// What the header says: the type, and whether the body is 8-bit.
    fn finish(mut self, emit: &mut impl Emit) -> Result<(ContentType, bool), Unreadable> {
        self.close(emit);
        let eight_bit = self.is_eight_bit();
        if self.is_cut { Err(Unreadable::LongField) } else { Ok((self.kind, eight_bit)) }
    }
}

/// Quoted-printable, line by line (RFC 2045 6.7).
#[derive(Debug, Default)]
struct Quoting {
    column: usize,
    /// A blank whose line may end after it: there it must not stand as it is.
    blank: Option<u8>,
}

impl Quoting {
    fn text(&mut self, data: &[u8], ends: bool, emit: &mut impl Emit) {
        let mut out = Vec::with_capacity(data.len() + 16);
        for &byte in data {
            if let Some(blank) = self.blank.take() {
                self.plain(blank, &mut out, emit);
            }
            match byte {
                b' ' | b'\t' => self.blank = Some(byte),
                b'=' | 0..b' ' | 0x7f.. => self.hex(byte, &mut out, emit),
                _ => self.plain(byte, &mut out, emit),
            }
        }
        if ends {
            if let Some(blank) = self.blank.take() {
                self.hex(blank, &mut out, emit);
            }
            self.column = 0;
        }
        if ends || !out.is_empty() {
            emit.piece(&out, ends);
        }
    }

    fn plain(&mut self, byte: u8, out: &mut Vec<u8>, emit: &mut impl Emit) {
        self.room(out, emit);
        out.push(byte);
        self.column += 1;
    }

    fn hex(&mut self, byte: u8, out: &mut Vec<u8>, emit: &mut impl Emit) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        self.room(out, emit);
        out.extend_from_slice(&[b'=', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        self.column += 3;
    }

    /// Breaks a line that is full.
    fn room(&mut self, out: &mut Vec<u8>, emit: &mut impl Emit) {
        if self.column > WIDTH {
            out.push(b'=');
            emit.piece(out, true);
            out.clear();
            self.column = 0;
        }
    }
}

#[cfg(test)]
mod tests;
