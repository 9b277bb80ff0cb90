//! The queue file that is being written: its records, what its size record will say, and its end.
//!
//! Records only go to the end of the file, and qmgr sees none of them before [`Writer::complete`]; dropped before that,
//! the file is removed. A record that cannot be written is a failure of the message, and does not stop who writes.

use std::fs::File;
use std::io;

use dsn::Notify;
use ipc::cleanup::{Cause, Flags};
use queue::create::Complete;
use queue::record::NUMBER_WIDTH;
use queue::size::FLAG_MIXED;
use queue::{NewFile, QueueId, QueueName, SendOptions, SizeRecord, Type};

use crate::failure::Failure;
use crate::kept::Kept;
use crate::site::Site;
use crate::verdict::Verdict;

/// A body that comes in pieces.
#[derive(Default)]
struct NewBody {
    start: Option<u64>,
    /// A line that has not ended yet.
    rest: Vec<u8>,
}

/// The payload of a pointer record.
fn pointer_to(offset: u64) -> String {
    format!("{offset:width$}", width = NUMBER_WIDTH)
}

/// The file of one message.
pub struct Writer {
    file: NewFile,
    size: SizeRecord,
    /// Recipients that a filter has taken away.
    deleted: u64,
    /// Recipients of the client are in the file.
    has_recipients: bool,
    /// line_length_limit.
    line_limit: usize,
    /// message_size_limit.
    size_limit: Option<u64>,
    /// Where the message begins: behind the size record, or where it was written anew.
    start: u64,
    /// Bytes of the message as it was before, which do not count.
    before: u64,
    /// Where the pointer to a message that was written anew has its place; `None` where nobody asked for one.
    pointer: Option<u64>,
    /// A body that takes the place of the old one.
    new_body: NewBody,
    /// Whether it will be mail.
    pub verdict: Verdict,
}

impl Writer {
    /// Makes the file, or takes the one that was kept for it.
    ///
    /// # Errors
    /// It cannot be made; the error names it.
    pub fn create(site: &Site, flags: Flags, kept: Option<Kept>) -> io::Result<Self> {
        let settings = &site.settings;
        let mut file = match kept {
            Some(kept) => kept.create(site)?,
            None => {
                let spares = &mut site.spares.borrow_mut();
                NewFile::create_from(&settings.spool, QueueName::Incoming, spares, settings.long_ids)?
            }
        };
        let size = SizeRecord::default();
        file.push_encoded(&size.encode())?;
        let pointer = file.offset();
        let may_change = flags.has(Flags::FILTERED) || flags.has(Flags::MILTER) && !site.milters.is_empty();
        if may_change {
            file.push(Type::POINTER, pointer_to(0).as_bytes())?;
        }
        // The system's own notifications have bounce_size_limit.
        let is_limited = settings.message_size_limit > 0 && !flags.has(Flags::NOTICE);
        Ok(Writer {
            start: file.offset(),
            before: 0,
            pointer: may_change.then_some(pointer),
            new_body: NewBody::default(),
            file,
            size,
            deleted: 0,
            has_recipients: false,
            line_limit: settings.line_length_limit,
            size_limit: is_limited.then_some(settings.message_size_limit),
            verdict: Verdict::new(flags, settings.log.soft_bounce),
        })
    }

    /// The queue identifier.
    pub fn id(&self) -> &QueueId {
        self.file.id()
    }

    /// The message is not accepted: the log hears of every failure, the client of the first.
    pub fn refuse(&mut self, failure: Failure) {
        if let Some(warning) = &failure.warning {
            logging::warning!(id: self.id(), "{warning}");
        }
        self.verdict.refuse(failure);
    }

    /// Appends a record.
    pub fn put(&mut self, kind: Type, payload: &[u8]) {
        let result = self.file.push(kind, payload);
        self.written(result);
    }

    /// Appends an attribute.
    pub fn put_attribute(&mut self, name: &str, value: &[u8]) {
        let result = self.file.push_attribute(name, value);
        self.written(result);
    }

    /// Appends a record of the client as it is.
    pub fn pass_on(&mut self, kind: Type, payload: &[u8]) {
        if self.has_recipients {
            self.mix();
        }
        self.put(kind, payload);
    }

    /// Recipients stand before other records: all must be read before a delivery.
    pub fn mix(&mut self) {
        self.size.flags |= FLAG_MIXED;
    }

    /// Appends a recipient: what is said of it, and its address last.
    pub fn put_recipient(&mut self, original: &[u8], address: &[u8]) {
        self.put(Type::ORIGINAL, original);
        self.put(Type::RECIPIENT, address);
        self.size.recipients += 1;
    }

    /// What the client wants to hear of a recipient.
    pub fn add_notify(&mut self, notify: Notify) {
        self.size.add_notify(notify);
    }

    /// A recipient that was taken away again: the log of qmgr counts it, as the file that it was in did.
    pub fn count_deleted(&mut self) {
        self.deleted += 1;
    }

    /// The client's recipients so far are in the file.
    pub fn end_recipient(&mut self) {
        self.has_recipients = self.size.recipients > 0;
    }

    /// Recipients in the file.
    pub fn recipients(&self) -> u64 {
        self.size.recipients
    }

    /// Adds an option for deliveries.
    pub fn add_send_option(&mut self, option: SendOptions) {
        self.size.send_options = self.size.send_options.with(option);
    }

    /// Options for deliveries so far.
    pub fn send_options(&self) -> SendOptions {
        self.size.send_options
    }

    /// The content begins.
    pub fn begin_content(&mut self) {
        self.put(Type::MESSAGE, b"");
        self.size.data_offset = self.file.offset();
    }

    /// Writes a header field, or other text of one or more lines.
    pub fn lines(&mut self, text: &[u8]) {
        for line in text.split(|b| *b == b'\n') {
            self.line(line);
        }
    }

    /// Writes what stands in the place of a line, or of a piece of one: the last line ends where that one did.
    pub fn in_place_of(&mut self, text: &[u8], ends_line: bool) {
        let last = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if last > 0 {
            self.lines(&text[..last - 1]);
        }
        self.records(&text[last..], ends_line);
    }

    /// Writes a whole line of the content.
    pub fn line(&mut self, line: &[u8]) {
        self.records(line, true);
    }

    /// Writes a line, or the beginning of one, in as many records as line_length_limit wants.
    fn records(&mut self, line: &[u8], ends_line: bool) {
        let mut rest = line;
        while rest.len() > self.line_limit {
            let (piece, after) = rest.split_at(self.line_limit);
            self.piece(piece, false);
            rest = after;
        }
        self.piece(rest, ends_line);
    }

    /// Writes a record of the content.
    pub fn piece(&mut self, data: &[u8], ends_line: bool) {
        let before = self.file.offset();
        self.put(if ends_line { Type::LINE } else { Type::PARTIAL }, data);
        self.size.content_length += self.file.offset() - before;
        let is_too_large = self.size_limit.is_some_and(|limit| self.file.offset() - self.before > limit);
        if is_too_large && !self.verdict.is_refused_for(Cause::Size) {
            self.refuse(Failure::new(Cause::Size).warning("queue file size limit exceeded".to_owned()));
        }
    }

    /// The content ends.
    pub fn end_content(&mut self) {
        self.size.data_size = self.file.offset() - self.size.data_offset;
        self.put(Type::EXTRACTED, b"");
    }

    /// Where the message begins.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Where its content begins.
    pub fn content_start(&self) -> u64 {
        self.size.data_offset
    }

    /// What was written so far, to be read while more is written.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn reader(&mut self) -> io::Result<File> {
        self.file.flushed()?.try_clone()
    }

    /// The message is written once more from here on: what stands before counts no longer. It is not mail until it is
    /// complete, so that nobody ever sees one without the other.
    ///
    /// # Errors
    /// There is no place for the pointer to it.
    pub fn begin_anew(&mut self) -> io::Result<()> {
        let pointer = self.pointer.ok_or_else(|| io::Error::other("no room for a pointer"))?;
        let start = self.file.offset();
        // Behind its type and its length.
        self.file.overwrite(pointer + 2, pointer_to(start).as_bytes())?;
        (self.start, self.before) = (start, start);
        self.size =
            SizeRecord { send_options: self.size.send_options, flags: self.size.flags, ..SizeRecord::default() };
        (self.deleted, self.has_recipients) = (0, false);
        Ok(())
    }

    /// A piece of a new body, whose lines end with LF or CR LF.
    pub fn add_to_body(&mut self, piece: &[u8]) {
        let start = *self.new_body.start.get_or_insert_with(|| self.file.offset());
        let mut rest = std::mem::take(&mut self.new_body.rest);
        rest.extend_from_slice(piece);
        let mut lines = rest.split(|byte| *byte == b'\n').peekable();
        let mut left = Vec::new();
        while let Some(line) = lines.next() {
            if lines.peek().is_some() {
                self.line(line.strip_suffix(b"\r").unwrap_or(line));
            } else {
                left = line.to_vec();
            }
        }
        // A line that is longer than a record is not kept; the CR of a line end may be the last that has come.
        while left.len() > self.line_limit + 1 {
            let after = left.split_off(self.line_limit);
            self.piece(&left, false);
            left = after;
        }
        self.new_body.rest = left;
        self.new_body.start = Some(start);
    }

    /// The new body is complete: where it begins and ends.
    pub fn end_new_body(&mut self) -> (u64, u64) {
        let NewBody { start, rest } = std::mem::take(&mut self.new_body);
        let start = start.unwrap_or_else(|| self.file.offset());
        if !rest.is_empty() {
            self.line(&rest);
        }
        (start, self.file.offset())
    }

    /// The file with everything that was written, for those who may read it before it is mail.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn readable(&mut self) -> io::Result<&File> {
        let size = self.size_record().encode();
        self.file.overwrite(0, &size)?;
        self.file.shown()
    }

    /// Makes mail of the file, in the queue where it belongs.
    ///
    /// # Errors
    /// It cannot be written; it is removed.
    pub fn complete(mut self) -> io::Result<Complete> {
        if self.verdict.hold {
            self.file.move_to(QueueName::Hold)?;
        }
        let size = self.size_record();
        self.file.complete(&size)
    }

    fn size_record(&self) -> SizeRecord {
        SizeRecord { recipients: self.size.recipients + self.deleted, ..self.size }
    }

    fn written(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            let warning = format!("write queue file: {error}", error = text::system_error(&error));
            self.refuse(Failure::new(Cause::Write).warning(warning));
        }
    }
}
