//! The content as it comes in: lines become header fields until the first line that is none.

use std::borrow::Cow;

use ipc::cleanup::{Cause, Flags};
use message::header::{Kind, is_continuation, name_length};
use queue::Type;

use crate::gathered::Gathered;
use crate::incoming::{Incoming, Stage};

/// What is known of the header so far.
#[derive(Debug, Default)]
pub struct Header {
    /// The field that is being read.
    pub field: Gathered,
    /// The last line goes on in the next record.
    pub in_line: bool,
    /// Fields seen.
    pub seen: Vec<Kind>,
    /// A Resent- field was seen: what is missing is added with that prefix.
    pub resent: bool,
    /// Received fields.
    pub hops: usize,
    /// The first Message-Id.
    pub message_id: Option<Vec<u8>>,
}

impl Header {
    /// Whether a field of this kind was seen.
    pub fn has(&self, kind: Kind) -> bool {
        self.seen.contains(&kind)
    }

    /// Notes a field.
    pub fn note(&mut self, kind: Kind) {
        if kind != Kind::Other && !self.seen.contains(&kind) {
            self.seen.push(kind);
        }
    }
}

impl Incoming<'_> {
    /// Takes one record of the content.
    pub(crate) async fn content_record(&mut self, kind: Type, data: &[u8]) {
        let ends_line = match kind {
            Type::LINE => true,
            Type::PARTIAL => false,
            Type::EXTRACTED => return self.end_content().await,
            Type::PADDING | Type::POINTER => return,
            _ => return self.fail_protocol(&format!("unexpected record type {kind:?} in the content")),
        };
        let Some(data) = self.cleaned(data) else { return };
        let data = &data[..];
        if self.stage == Stage::Header {
            self.header_text(data, ends_line).await;
        } else {
            self.body_text(data, ends_line);
        }
    }

    /// The text without characters that must not travel; `None` where it must not travel itself. The system's own mail
    /// quotes what others wrote: its characters are no reason to refuse it.
    fn cleaned<'d>(&mut self, data: &'d [u8]) -> Option<Cow<'d, [u8]>> {
        let settings = &self.site.settings;
        let is_checked = self.flags.has(Flags::FILTER);
        let has = |characters: &[u8]| !characters.is_empty() && data.iter().any(|byte| characters.contains(byte));
        if is_checked && has(&settings.reject_characters) {
            self.reject_characters(data); // message_reject_characters
            return None;
        }
        let strip = if is_checked { &settings.strip_characters[..] } else { b"" };
        let stray = settings.replace_stray && has(b"\r\n");
        if !stray && !has(strip) {
            return Some(Cow::Borrowed(data));
        }
        // message_strip_characters, cleanup_replace_stray_cr_lf
        let kept = data.iter().filter(|byte| !strip.contains(byte));
        Some(kept.map(|byte| if stray && matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect())
    }

    async fn header_text(&mut self, data: &[u8], ends_line: bool) {
        // header_size_limit
        let limit = self.site.settings.header_size_limit;
        if std::mem::replace(&mut self.header.in_line, !ends_line) {
            return self.header.field.add(data, limit);
        }
        if self.header.field.is_open() && is_continuation(data) {
            return self.header.field.add_line(data, limit);
        }
        self.end_field().await;
        if !self.goes_on() {
            return;
        }
        if name_length(data).is_some() {
            return self.header.field.begin(data, limit);
        }
        self.header.in_line = false;
        self.end_header();
        if !(data.is_empty() && ends_line) {
            self.line(b""); // a body without the line that separates it
        }
        self.body_text(data, ends_line);
    }

    async fn end_field(&mut self) {
        let is_cut = self.header.field.is_cut();
        if let Some(field) = self.header.field.end(self.site.settings.header_size_limit) {
            self.tell_cut(is_cut, &field);
            self.header_field(&field).await;
            self.header.field.reuse(field);
        }
    }

    /// header_size_limit: the rest of a longer field is dropped, as with Postfix, which does not say so.
    pub(crate) fn tell_cut(&self, is_cut: bool, field: &[u8]) {
        if is_cut {
            let name = text::printable(&field[..name_length(field).unwrap_or(0)]);
            let limit = self.site.settings.header_size_limit;
            logging::repeated!(
                "{}: header {name}: more than {limit} bytes (header_size_limit): the rest is dropped",
                self.id
            );
        }
    }

    /// All fields are there: what is missing is added.
    fn end_header(&mut self) {
        self.add_missing_headers();
        let entered = self.structure.end_header(self.site.settings.mime_nesting_limit);
        self.entered(entered);
        self.stage = Stage::Body;
    }

    async fn end_content(&mut self) {
        if self.stage == Stage::Header {
            self.end_field().await;
            if !self.goes_on() {
                return;
            }
            self.end_header();
        }
        self.end_body();
        self.size.data_size = self.offset() - self.size.data_offset;
        self.size.content_length = self.content;
        self.put(Type::EXTRACTED, b"");
        self.begin_extracted();
        self.stage = Stage::Extracted;
    }

    /// Writes a whole line, in as many records as line_length_limit wants.
    pub(crate) fn line(&mut self, line: &[u8]) {
        let limit = self.site.settings.line_length_limit;
        let mut rest = line;
        while rest.len() > limit {
            let (piece, after) = rest.split_at(limit);
            self.content_piece(piece, false);
            rest = after;
        }
        self.content_piece(rest, true);
    }

    /// Writes a header field of one or more lines.
    pub(crate) fn lines(&mut self, text: &[u8]) {
        for line in text.split(|b| *b == b'\n') {
            self.line(line);
        }
    }

    /// Writes a record of content.
    pub(crate) fn content_piece(&mut self, data: &[u8], ends_line: bool) {
        let before = self.offset();
        self.put(if ends_line { Type::LINE } else { Type::PARTIAL }, data);
        self.content += self.offset() - before;
        let limit = self.site.settings.message_size_limit;
        // message_size_limit; the system's own notifications have bounce_size_limit.
        let is_limited = limit > 0 && !self.flags.has(Flags::NOTICE);
        if is_limited && self.offset() > limit && !self.has_failed_for(Cause::Size) {
            logging::warning!("{}: queue file size limit exceeded", self.id);
            self.fail(Cause::Size, "");
        }
    }
}
