//! The message as text: what is written in front of it, and the lines themselves.

use std::collections::HashSet;
use std::fs::File;

use message::header::{Kind, name_length, trim};
use queue::Content;
use queue::envelope::EnvelopeError;

/// Text that is sent to a carrier at once, in bytes.
const CHUNK: usize = 32 << 10;
/// Delivered-To: headers that are remembered; a message with more is going in circles anyway.
/// told: nobody; the newest stand first, and one that repeats itself is among them.
const MAX_DELIVERED_TO: usize = 1000;

/// What stands in front of a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heading<'a> {
    /// The envelope sender, internal form.
    pub sender: &'a [u8],
    /// With a `From ` line, as mailbox files and commands want.
    pub from_line: bool,
    /// With a Return-Path: line.
    pub return_path: bool,
    /// The recipient before aliasing; `None`: no X-Original-To: line.
    pub original: Option<&'a [u8]>,
    /// The recipient; `None`: no Delivered-To: line.
    pub delivered_to: Option<&'a [u8]>,
}

impl Heading<'_> {
    /// The lines, with line feeds.
    pub fn text(&self, now: i64) -> Vec<u8> {
        self.lines(now).into_iter().flat_map(|line| [line, b"\n".to_vec()]).flatten().collect()
    }

    /// The lines, without their ends.
    pub fn lines(&self, now: i64) -> Vec<Vec<u8>> {
        let sender = address::quote(self.sender);
        let mut out = Vec::new();
        if self.from_line {
            let name: &[u8] = if sender.is_empty() { b"MAILER-DAEMON" } else { &sender };
            let date = message::date::asctime(now);
            out.push([b"From ", clean(name).as_slice(), b"  ", date.as_bytes()].concat());
        }
        if self.return_path {
            out.push([b"Return-Path: <", clean(&sender).as_slice(), b">"].concat());
        }
        if let Some(original) = self.original.filter(|original| !original.is_empty()) {
            out.push([b"X-Original-To: ", clean(&address::quote(original)).as_slice()].concat());
        }
        if let Some(address) = self.delivered_to {
            out.push([b"Delivered-To: ", clean(&address::quote(address)).as_slice()].concat());
        }
        out
    }
}

/// An address never ends its line.
fn clean(text: &[u8]) -> Vec<u8> {
    text.iter().map(|&b| if b < b' ' || b == 0x7f { b'?' } else { b }).collect()
}

/// How the lines of a message are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Lines that begin with `From ` get a `>`.
    pub quotes_from: bool,
    /// Lines that begin with a dot get another one.
    pub doubles_dots: bool,
    /// An empty line ends the message.
    pub ends_empty: bool,
    /// What ends a line.
    pub line_end: Vec<u8>,
}

impl Form {
    /// As the message is.
    pub fn plain() -> Self {
        Form { quotes_from: false, doubles_dots: false, ends_empty: false, line_end: b"\n".to_vec() }
    }

    /// As mailbox files want it.
    pub fn mailbox() -> Self {
        Form { quotes_from: true, ends_empty: true, ..Form::plain() }
    }
}

/// The message in pieces of text.
pub struct Pieces<'a> {
    content: Content<&'a File>,
    form: &'a Form,
    starts_line: bool,
    finished: bool,
}

impl<'a> Pieces<'a> {
    /// The message from its start.
    pub fn new(content: Content<&'a File>, form: &'a Form) -> Self {
        Pieces { content, form, starts_line: true, finished: false }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The queue file is damaged.
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>, EnvelopeError> {
        if self.finished {
            return Ok(None);
        }
        let (mut piece, form) = (Vec::new(), self.form);
        while piece.len() < CHUNK {
            let Some(text) = self.content.next_text()? else {
                self.finished = true;
                if !self.starts_line {
                    piece.extend_from_slice(&form.line_end);
                }
                if form.ends_empty {
                    piece.extend_from_slice(&form.line_end);
                }
                break;
            };
            if form.quotes_from && self.starts_line && text.data.starts_with(b"From ") {
                piece.push(b'>');
            }
            if form.doubles_dots && self.starts_line && text.data.starts_with(b".") {
                piece.push(b'.');
            }
            piece.extend_from_slice(text.data);
            if text.ends_line {
                piece.extend_from_slice(&form.line_end);
            }
            self.starts_line = text.ends_line;
        }
        Ok(Some(piece))
    }
}

/// The addresses that Delivered-To: lines of the message's header name, folded.
///
/// # Errors
/// The queue file is damaged.
pub(crate) fn delivered_to(
    mut content: Content<&File>,
    fold: impl Fn(&[u8]) -> Vec<u8>,
) -> Result<HashSet<Vec<u8>>, EnvelopeError> {
    let mut found = HashSet::new();
    let mut starts_line = true;
    while let Some(text) = content.next_text()? {
        let line = text.data;
        if starts_line {
            let Some(length) = name_length(line) else {
                if !line.first().is_some_and(|b| b.is_ascii_whitespace()) {
                    break;
                }
                continue;
            };
            if Kind::of(&line[..length]) == Kind::DeliveredTo && found.len() < MAX_DELIVERED_TO {
                let value = line.iter().position(|&b| b == b':').map_or(&[][..], |colon| &line[colon + 1..]);
                found.insert(fold(&address::unquote(trim(value))));
            }
        }
        starts_line = text.ends_line;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue::Type;
    use queue::record::encode;
    use std::io::Write;

    fn file(lines: &[&str], partial: &str) -> File {
        let path =
            std::env::temp_dir().join(format!("content-{}-{:?}", std::process::id(), std::thread::current().id()));
        let mut out = Vec::new();
        for line in lines {
            encode(&mut out, Type::LINE, line.as_bytes());
        }
        if !partial.is_empty() {
            encode(&mut out, Type::PARTIAL, partial.as_bytes());
        }
        encode(&mut out, Type::EXTRACTED, b"");
        let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        file.write_all(&out).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }

    fn text(file: &File, form: &Form) -> String {
        let mut pieces = Pieces::new(Content::new(file, 0), form);
        let mut out = Vec::new();
        while let Some(piece) = pieces.next_piece().unwrap() {
            out.extend(piece);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_mailbox_keeps_messages_apart() {
        let file = file(&["Subject: x", "", "From me"], "last");
        assert_eq!(text(&file, &Form::mailbox()), "Subject: x\n\n>From me\nlast\n\n");
        assert_eq!(text(&file, &Form::plain()), "Subject: x\n\nFrom me\nlast\n");
    }

    #[test]
    fn lines_end_as_the_reader_wants_and_dots_are_doubled_where_he_undoes_it() {
        let file = file(&["Subject: x", "", ".", "a.b"], "From me");
        let form = Form { doubles_dots: true, line_end: b"\r\n".to_vec(), ..Form::plain() };
        assert_eq!(text(&file, &form), "Subject: x\r\n\r\n..\r\na.b\r\nFrom me\r\n");
    }

    #[test]
    fn delivered_to_is_read_from_the_header_alone() {
        let file =
            file(&["Delivered-To: Bob@M.test", "X: y", " Delivered-To: no", "", "Delivered-To: body@m.test"], "");
        let found = delivered_to(Content::new(&file, 0), <[u8]>::to_ascii_lowercase).unwrap();
        assert_eq!(found, HashSet::from([b"bob@m.test".to_vec()]));
    }

    #[test]
    fn the_heading_is_postfix_s() {
        let heading = Heading {
            sender: b"a b@x.test",
            original: Some(b"bob"),
            delivered_to: Some(b"bob@m.test\nX: y"),
            from_line: true,
            return_path: true,
        };
        let text = String::from_utf8(heading.text(0)).unwrap();
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("From \"a b\"@x.test  Thu Jan  1 "));
        assert_eq!(lines.next(), Some("Return-Path: <\"a b\"@x.test>"));
        assert_eq!(lines.next(), Some("X-Original-To: bob"));
        assert_eq!(lines.count(), 1);
    }
}
