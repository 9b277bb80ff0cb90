//! A message is shown to a filter: header by header, and its body in pieces.

use std::fs::File;

use milter::negotiation::LEADING_SPACE;
use milter::{Event, Verdict};
use queue::{Reader, Type};

use super::layout::{Body, Field, Layout, Text, unreadable};
use super::{Filtered, Viewer};
use crate::failure::Failure;

/// Most bytes of a piece of the body, as all filters expect.
const PIECE: usize = 65_535;

impl Filtered<'_, '_> {
    /// Shows all of it but its end; the first word about it.
    pub(super) async fn show(&mut self, viewer: &mut Viewer, layout: &Layout) -> Result<Verdict, Failure> {
        let file = self.writer.reader().map_err(|error| unreadable(&text::system_error(&error)))?;
        let mut reader = Reader::new(file);
        let has_leading_space = viewer.filter.agreement().steps & LEADING_SPACE != 0;
        for field in layout.headers.iter().filter(|field| !field.is_own) {
            let text = field_value(&mut reader, field)?;
            let value = if has_leading_space { &text[..] } else { text.strip_prefix(b" ").unwrap_or(&text) };
            let verdict = viewer.tell(&Event::Header(&field.name, value)).await;
            if verdict != Verdict::Continue {
                return Ok(verdict);
            }
        }
        let verdict = viewer.tell(&Event::EndOfHeader).await;
        if verdict != Verdict::Continue {
            return Ok(verdict);
        }
        match layout.body {
            Body::None => Ok(Verdict::Continue),
            Body::Stored(start, end) => show_body(&mut reader, viewer, start, end).await,
        }
    }
}

/// The text of a header behind its colon, lines separated by LF.
fn field_value(reader: &mut Reader<File>, field: &Field) -> Result<Vec<u8>, Failure> {
    let text = match &field.text {
        Text::New(text) => text.clone(),
        Text::Stored(start, end) => {
            let mut text = Vec::new();
            let mut within_line = true;
            each(reader, *start, *end, |data, ends_line| {
                if !std::mem::replace(&mut within_line, !ends_line) {
                    text.push(b'\n');
                }
                text.extend_from_slice(data);
            })?;
            text
        }
    };
    let colon = text.iter().position(|byte| *byte == b':');
    Ok(colon.map_or(Vec::new(), |at| text[at + 1..].to_vec()))
}

/// Each record of the content between two places.
pub(super) fn each(
    reader: &mut Reader<File>,
    start: u64,
    end: u64,
    mut take: impl FnMut(&[u8], bool),
) -> Result<(), Failure> {
    reader.seek(start);
    while reader.position() < end {
        match reader.next_record().map_err(|error| unreadable(&error))? {
            Some(record) if record.kind == Type::LINE || record.kind == Type::PARTIAL => {
                take(record.data, record.kind == Type::LINE);
            }
            _ => return Err(unreadable(&"an unexpected record")),
        }
    }
    Ok(())
}

async fn show_body(reader: &mut Reader<File>, viewer: &mut Viewer, start: u64, end: u64) -> Result<Verdict, Failure> {
    let mut piece = Vec::with_capacity(PIECE);
    let mut at = start;
    while at < end {
        reader.seek(at);
        while at < end && piece.len() < PIECE {
            match reader.next_record().map_err(|error| unreadable(&error))? {
                Some(record) if record.kind == Type::LINE || record.kind == Type::PARTIAL => {
                    piece.extend_from_slice(record.data);
                    if record.kind == Type::LINE {
                        piece.extend_from_slice(b"\r\n");
                    }
                }
                _ => return Err(unreadable(&"an unexpected record")),
            }
            at = reader.position();
        }
        while piece.len() >= PIECE || at >= end && !piece.is_empty() {
            // told: nobody; the rest is the next piece.
            let rest = piece.split_off(piece.len().min(PIECE));
            let verdict = viewer.tell(&Event::Body(&piece)).await;
            if verdict != Verdict::Continue {
                return Ok(verdict);
            }
            piece = rest;
        }
    }
    Ok(Verdict::Continue)
}
