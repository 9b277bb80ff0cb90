//! The content: its header and its body, and what was found in them.

use std::borrow::Cow;

use bstr::ByteSlice;
use message::parts::{Parts, Structure, Viewer};
use message::seven_bit::{Converter, Emit, Unreadable};
use queue::{Encoding, Type};

use crate::checks::{Checks, Origin};
use crate::envelope::Envelope;
use crate::failure::Failure;
use crate::header::{Header, Part};
use crate::inspection::Inspection;
use crate::message::Message;
use crate::settings::Settings;
use crate::writer::Writer;

/// The content so far.
pub struct Content {
    part: Part,
    header: Header,
    body: Parts,
    structure: Structure,
    checks: Checks,
    /// force_mime_input_conversion.
    converter: Option<Converter>,
    /// What was found in it is written.
    is_told: bool,
}

/// What comes out of the conversion of a piece.
#[derive(Default)]
struct Converted(Vec<Piece>);

/// A line, or a piece of one.
struct Piece {
    data: Vec<u8>,
    /// The line ends with it.
    ends_line: bool,
    /// It is a field that was not in the message.
    is_own: bool,
}

impl Emit for Converted {
    fn piece(&mut self, data: &[u8], ends_line: bool) {
        self.0.push(Piece { data: data.to_vec(), ends_line, is_own: false });
    }

    fn own_field(&mut self, line: &[u8]) {
        self.0.push(Piece { data: line.to_vec(), ends_line: true, is_own: true });
    }
}

impl Content {
    /// Before its first line. `filter`: its client wants it to be checked.
    pub fn new(settings: &Settings, filter: bool) -> Self {
        Content {
            part: Part::Header,
            header: Header::default(),
            body: Parts::default(),
            structure: Structure::new(false, settings.plain_input),
            checks: Checks::new(filter),
            converter: settings.force_conversion.then(|| Converter::new(settings.mime_limits)),
            is_told: false,
        }
    }

    /// Takes a record of a body that travels as it is: nothing is waited for, and most records are of this kind. False:
    /// it is another one, for [`Content::take`].
    pub fn take_text(
        &mut self,
        message: &Message<'_>,
        envelope: &Envelope,
        writer: &mut Writer,
        kind: Type,
        data: &[u8],
    ) -> bool {
        let Some(ends_line) = ends_line(kind).filter(|_| self.part == Part::Body && self.converter.is_none()) else {
            return false;
        };
        if let Some(data) = cleaned(&Origin { message, envelope }, self.checks.wanted, writer, data) {
            self.text(message, envelope, writer, &data, ends_line);
        }
        true
    }

    /// Takes one record.
    pub async fn take(
        &mut self,
        message: &Message<'_>,
        envelope: &Envelope,
        writer: &mut Writer,
        kind: Type,
        data: &[u8],
    ) {
        let Some(ends_line) = ends_line(kind) else {
            if !matches!(kind, Type::PADDING | Type::POINTER) {
                writer.refuse(Failure::protocol(&format!("unexpected record type {kind:?} in the content")));
            }
            return;
        };
        let origin = Origin { message, envelope };
        let Some(data) = cleaned(&origin, self.checks.wanted, writer, data) else { return };
        let Some(converter) = &mut self.converter else {
            return self.line(message, envelope, writer, &data, ends_line).await;
        };
        let mut converted = Converted::default();
        let result = converter.text(&data, ends_line, &mut converted);
        self.converted(message, envelope, writer, converted, result).await;
    }

    /// What has come out of the conversion.
    async fn converted(
        &mut self,
        message: &Message<'_>,
        envelope: &Envelope,
        writer: &mut Writer,
        converted: Converted,
        result: Result<(), Unreadable>,
    ) {
        for Piece { data, ends_line, is_own } in converted.0 {
            self.line(message, envelope, writer, &data, ends_line).await;
            if is_own {
                self.structure.is_own_field();
            }
        }
        if let Err(error) = result {
            let origin = Origin { message, envelope };
            origin.reject_structure(writer, self.structure.last_kind(), &error.to_string());
            self.converter = None;
        }
    }

    /// A line as it travels on, or a piece of one.
    async fn line(
        &mut self,
        message: &Message<'_>,
        envelope: &Envelope,
        writer: &mut Writer,
        data: &[u8],
        ends_line: bool,
    ) {
        let Content { part, header, structure, checks, .. } = self;
        if *part == Part::Header {
            let mut on = Inspection { message, envelope, writer, checks, structure };
            *part = header.take(&mut on, data, ends_line).await;
            if *part == Part::Header {
                return;
            }
            if data.is_empty() && ends_line {
                // It ends this header, and no other.
                return on.text(data, ends_line);
            }
            on.unfinished_header(data);
            on.writer.line(b""); // a body without the line that separates it
        }
        self.text(message, envelope, writer, data, ends_line);
    }

    /// The same in the body.
    fn text(&mut self, message: &Message<'_>, envelope: &Envelope, writer: &mut Writer, data: &[u8], ends_line: bool) {
        let Content { body, structure, checks, .. } = self;
        let mut on = Inspection { message, envelope, writer, checks, structure };
        let limits = on.limits();
        body.take(&mut on, limits, data, ends_line);
    }

    /// The content ends. False when nobody wants the rest of the message.
    pub async fn end(&mut self, message: &Message<'_>, envelope: &mut Envelope, writer: &mut Writer) -> bool {
        if let Some(converter) = &mut self.converter {
            let mut converted = Converted::default();
            let result = converter.end(&mut converted);
            self.converted(message, envelope, writer, converted, result).await;
        }
        let Content { part, header, body, structure, checks, .. } = self;
        let mut on = Inspection { message, envelope, writer, checks, structure };
        if *part == Part::Header && !header.end(&mut on).await {
            return false;
        }
        let limits = on.limits();
        if body.end(&mut on, limits) {
            on.writer.piece(b"", true); // the last line had no end
        }
        writer.end_content();
        true
    }

    /// Writes what was found in the content, once: behind what the client wants to be done with the whole message, for
    /// of two filters the last one counts.
    pub fn write_found(&mut self, message: &Message<'_>, envelope: &mut Envelope, writer: &mut Writer) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let Content { header, structure, checks, .. } = self;
        checks.write(writer);
        if let Some(id) = header.fields.present.message_id.take() {
            let one_line: Vec<u8> = id.into_iter().filter(|b| !b.is_ascii_control()).collect();
            writer.put_attribute("message_id", &one_line);
        }
        // detect_8bit_encoding_header
        if structure.is_eight_bit && message.site.settings.detect_encoding {
            envelope.encoding = Encoding::EightBit;
        }
        if envelope.encoding != Encoding::Unstated {
            writer.put_attribute("encoding", envelope.encoding.as_str().as_bytes());
        }
    }

    /// Whether checks are wanted to its end.
    pub fn is_checked(&self) -> bool {
        self.checks.wanted
    }

    /// Whether a REDIRECT action has sent it to somebody else, whom its filters do not serve.
    pub fn is_redirected(&self) -> bool {
        self.checks.redirected
    }

    /// Who gets a copy by a BCC action.
    pub fn take_copies(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.checks.copies)
    }
}

/// Whether a line ends with a record of the content; `None` for what is none.
fn ends_line(kind: Type) -> Option<bool> {
    match kind {
        Type::LINE => Some(true),
        Type::PARTIAL => Some(false),
        _ => None,
    }
}

/// The text without characters that must not travel; `None` where it must not travel itself. The system's own mail
/// quotes what others wrote: its characters are no reason to refuse it.
fn cleaned<'d>(origin: &Origin<'_>, is_checked: bool, writer: &mut Writer, data: &'d [u8]) -> Option<Cow<'d, [u8]>> {
    let settings = &origin.message.site.settings;
    let has = |data: &[u8], characters: &[u8]| data.find_byteset(characters).is_some();
    let mut data = Cow::Borrowed(data);
    // cleanup_replace_stray_cr_lf
    if settings.replace_stray && has(&data, b"\r\n") {
        data.to_mut().iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')).for_each(|byte| *byte = b' ');
    }
    if !is_checked {
        return Some(data);
    }
    // message_reject_characters
    if has(&data, &settings.reject_characters) {
        origin.reject_characters(writer, &data);
        return None;
    }
    // message_strip_characters
    if has(&data, &settings.strip_characters) {
        data.to_mut().retain(|byte| !settings.strip_characters.contains(byte));
    }
    Some(data)
}
