//! The content as it leaves: in the form that the server takes, its lines not too long, its dots doubled.
//!
//! A message that nobody looks at is passed through line by line; only where addresses are replaced or checks are asked
//! is it taken apart.

use delivery::Request;
use message::header::name_length;
use message::mime::TooDeep;
use message::parts::{Class, Parts, Structure, Viewer};
use message::seven_bit::{Converter, Emit, Unreadable};
use queue::{Encoding, QueueId};
use smtp_protocol::{Extensions, Stuffer};

use crate::checks::Fate;
use crate::outgoing::Outgoing;
use crate::settings::Settings;
use crate::{checks, generic};

/// Writes one message.
pub struct Writer<'a> {
    /// For a server that takes no 8-bit content.
    converter: Option<Converter>,
    inspector: Option<Inspector<'a>>,
    stuffer: Stuffer,
}

/// Why a message cannot be sent to its end.
pub enum Unsendable {
    /// It cannot be converted.
    Unreadable(Unreadable),
    /// A table of checks has no answer.
    Unchecked(checks::NoAnswer),
    /// smtp_generic_maps has none.
    Unmapped(generic::NoAnswer),
}

impl From<Unreadable> for Unsendable {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

impl From<checks::NoAnswer> for Unsendable {
    fn from(error: checks::NoAnswer) -> Self {
        Self::Unchecked(error)
    }
}

impl From<generic::NoAnswer> for Unsendable {
    fn from(error: generic::NoAnswer) -> Self {
        Self::Unmapped(error)
    }
}

impl<'a> Writer<'a> {
    /// For a server with these extensions.
    pub fn new(settings: &'a Settings, request: &'a Request, extensions: &Extensions) -> Self {
        let convert = converts(settings, request, extensions);
        let looks = settings.outgoing.generic.is_some() || !settings.outgoing.checks.are_none();
        Self {
            converter: convert.then(|| Converter::new(settings.dialogue.mime_limits)),
            inspector: looks.then(|| Inspector::new(&settings.outgoing, &request.message.queue_id)),
            stuffer: Stuffer::new(settings.dialogue.line_limit),
        }
    }

    /// Appends a line, or a piece of one.
    ///
    /// # Errors
    /// The message cannot go on; what has been sent of it must not be taken for a whole.
    pub async fn text(&mut self, data: &[u8], ends: bool, out: &mut Vec<u8>) -> Result<(), Unsendable> {
        let stuffer = &mut self.stuffer;
        match (&mut self.converter, &mut self.inspector) {
            (None, None) => stuffer.text(data, ends, out),
            (None, Some(inspector)) => inspector.piece(data, ends, stuffer, out).await?,
            (Some(converter), None) => {
                converter.text(data, ends, &mut |data: &[u8], ends| stuffer.text(data, ends, out))?;
            }
            (Some(converter), Some(inspector)) => {
                let mut pieces = Pieces::default();
                converter.text(data, ends, &mut pieces)?;
                inspector.pieces(pieces, stuffer, out).await?;
            }
        }
        Ok(())
    }

    /// Appends what is still to come, and the end of data.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub async fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Unsendable> {
        let mut pieces = Pieces::default();
        if let Some(converter) = &mut self.converter {
            converter.end(&mut pieces)?;
        }
        let stuffer = &mut self.stuffer;
        match &mut self.inspector {
            Some(inspector) => {
                inspector.pieces(pieces, stuffer, out).await?;
                inspector.end(stuffer, out).await?;
            }
            None => pieces.0.iter().for_each(|piece| stuffer.text(&piece.data, piece.ends, out)),
        }
        stuffer.end(out);
        Ok(())
    }

    /// Whether every piece is passed through as it is, so that nothing is waited for.
    pub fn is_plain(&self) -> bool {
        self.converter.is_none() && self.inspector.is_none()
    }

    /// As [`text`](Self::text), of a message that is passed through.
    pub fn plain(&mut self, data: &[u8], ends: bool, out: &mut Vec<u8>) {
        self.stuffer.text(data, ends, out);
    }

    /// A line was too long.
    pub fn broke_lines(&self) -> bool {
        self.stuffer.broke_lines()
    }
}

/// Whether a message is converted for a server with these extensions, and so has another size than in the queue.
pub fn converts(settings: &Settings, request: &Request, extensions: &Extensions) -> bool {
    // disable_mime_output_conversion; RFC 6152 3. Who said 7BIT gave his word.
    settings.dialogue.convert && !extensions.eight_bit_mime && request.message.encoding != Encoding::SevenBit
}

/// What has come out of the conversion.
#[derive(Default)]
struct Pieces(Vec<Piece>);

/// A piece of a line.
struct Piece {
    data: Vec<u8>,
    /// The line ends with it.
    ends: bool,
    /// It is a field that the conversion has made.
    is_own: bool,
}

impl Emit for Pieces {
    fn piece(&mut self, data: &[u8], ends: bool) {
        self.0.push(Piece { data: data.to_vec(), ends, is_own: false });
    }

    fn own_field(&mut self, line: &[u8]) {
        self.0.push(Piece { data: line.to_vec(), ends: true, is_own: true });
    }
}

/// Looks at what a message is made of, and changes it as the settings want.
struct Inspector<'a> {
    outgoing: &'a Outgoing,
    queue_id: &'a QueueId,
    parts: Parts,
    seen: Seen,
}

/// What the last piece was.
struct Seen {
    structure: Structure,
    /// It has ended a field.
    field: Option<(Class, Vec<u8>)>,
    /// A field has lost what is beyond header_size_limit.
    has_lost: bool,
    /// It is text.
    is_text: bool,
}

impl Viewer for Seen {
    fn structure(&mut self) -> &mut Structure {
        &mut self.structure
    }

    fn field(&mut self, class: Class, text: &[u8], is_cut: bool) {
        self.has_lost |= is_cut;
        self.field = Some((class, text.to_owned()));
    }

    fn text(&mut self, _data: &[u8], _ends_line: bool) {
        self.is_text = true;
    }

    /// What is too deep is text. Checks here protect nobody, and the message has been accepted.
    fn entered(&mut self, _entered: Result<(), TooDeep>) {}
}

impl<'a> Inspector<'a> {
    fn new(outgoing: &'a Outgoing, queue_id: &'a QueueId) -> Self {
        let seen = Seen { structure: Structure::new(true, false), field: None, has_lost: false, is_text: false };
        Inspector { outgoing, queue_id, parts: Parts::default(), seen }
    }

    async fn pieces(&mut self, pieces: Pieces, stuffer: &mut Stuffer, out: &mut Vec<u8>) -> Result<(), Unsendable> {
        for piece in pieces.0 {
            self.piece(&piece.data, piece.ends, stuffer, out).await?;
            if piece.is_own {
                self.seen.structure.is_own_field();
            }
        }
        Ok(())
    }

    /// A piece ends at most one field, and is text or a part of the next field.
    async fn piece(
        &mut self,
        data: &[u8],
        ends: bool,
        stuffer: &mut Stuffer,
        out: &mut Vec<u8>,
    ) -> Result<(), Unsendable> {
        self.parts.take(&mut self.seen, self.outgoing.limits, data, ends);
        self.field(stuffer, out).await?;
        if !std::mem::take(&mut self.seen.is_text) {
            return Ok(());
        }
        match self.outgoing.checks.check(self.queue_id, Class::Body, data)? {
            Fate::Keep => stuffer.text(data, ends, out),
            Fate::Drop => {}
            Fate::Replace(line) => match line.iter().rposition(|byte| *byte == b'\n') {
                Some(at) => {
                    lines(&line[..at], stuffer, out);
                    stuffer.text(&line[at + 1..], ends, out);
                }
                // Of a long line each piece is replaced, and they stay one.
                None => stuffer.text(&line, ends, out),
            },
            Fate::Prepend(line) => {
                lines(&line, stuffer, out);
                stuffer.text(data, ends, out);
            }
        }
        Ok(())
    }

    async fn end(&mut self, stuffer: &mut Stuffer, out: &mut Vec<u8>) -> Result<(), Unsendable> {
        self.parts.end(&mut self.seen, self.outgoing.limits);
        self.field(stuffer, out).await
    }

    /// The field that has ended: checked, and its addresses replaced.
    async fn field(&mut self, stuffer: &mut Stuffer, out: &mut Vec<u8>) -> Result<(), Unsendable> {
        let Some((class, mut text)) = self.seen.field.take() else { return Ok(()) };
        if std::mem::take(&mut self.seen.has_lost) {
            let name = text::printable(&text[..name_length(&text).unwrap_or(0)]);
            let limit = self.outgoing.limits.field;
            let what = format!("header {name}: more than {limit} bytes (header_size_limit): the rest is dropped");
            logging::repeated!(id: self.queue_id, "{what}");
        }
        match self.outgoing.checks.check(self.queue_id, class, &text)? {
            Fate::Keep => {}
            Fate::Drop => return Ok(()),
            Fate::Replace(new) => text = new,
            Fate::Prepend(other) => lines(&other, stuffer, out),
        }
        if class == Class::Header
            && let Some(generic) = &self.outgoing.generic
            && let Some(new) = generic.field(&text).await?
        {
            text = new;
        }
        lines(&text, stuffer, out);
        Ok(())
    }
}

fn lines(text: &[u8], stuffer: &mut Stuffer, out: &mut Vec<u8>) {
    text.split(|byte| *byte == b'\n').for_each(|line| stuffer.text(line, true, out));
}
