//! The queue file that is being written: its records, what its size record will say, and its end.
//!
//! Records only go to the end of the file, and qmgr sees none of them before [`Writer::complete`]; dropped before that,
//! the file is removed. A record that cannot be written is a failure of the message, and does not stop who writes.

use std::fs::File;
use std::io;

use dsn::Notify;
use ipc::cleanup::{Cause, Flags};
use queue::create::Complete;
use queue::size::FLAG_MIXED;
use queue::{NewFile, QueueId, QueueName, SendOptions, SizeRecord, Type};

use crate::failure::Failure;
use crate::kept::Kept;
use crate::site::Site;
use crate::verdict::Verdict;

/// The file of one message.
pub struct Writer {
    file: NewFile,
    size: SizeRecord,
    /// Recipients of the client are in the file.
    has_recipients: bool,
    /// line_length_limit.
    line_limit: usize,
    /// message_size_limit.
    size_limit: Option<u64>,
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
        // The system's own notifications have bounce_size_limit.
        let is_limited = settings.message_size_limit > 0 && !flags.has(Flags::NOTICE);
        Ok(Writer {
            file,
            size,
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

    /// Writes a whole line of the content, in as many records as line_length_limit wants.
    pub fn line(&mut self, line: &[u8]) {
        let mut rest = line;
        while rest.len() > self.line_limit {
            let (piece, after) = rest.split_at(self.line_limit);
            self.piece(piece, false);
            rest = after;
        }
        self.piece(rest, true);
    }

    /// Writes a record of the content.
    pub fn piece(&mut self, data: &[u8], ends_line: bool) {
        let before = self.file.offset();
        self.put(if ends_line { Type::LINE } else { Type::PARTIAL }, data);
        self.size.content_length += self.file.offset() - before;
        let is_too_large = self.size_limit.is_some_and(|limit| self.file.offset() > limit);
        if is_too_large && !self.verdict.is_refused_for(Cause::Size) {
            self.refuse(Failure::new(Cause::Size).warning("queue file size limit exceeded".to_owned()));
        }
    }

    /// The content ends.
    pub fn end_content(&mut self) {
        self.size.data_size = self.file.offset() - self.size.data_offset;
        self.put(Type::EXTRACTED, b"");
    }

    /// The file with everything that was written, for those who may read it before it is mail.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn readable(&mut self) -> io::Result<&File> {
        let size = self.size.encode();
        self.file.overwrite(0, &size)?;
        self.file.flushed()
    }

    /// Makes mail of the file, in the queue where it belongs.
    ///
    /// # Errors
    /// It cannot be written; it is removed.
    pub fn complete(mut self) -> io::Result<Complete> {
        if self.verdict.hold {
            self.file.move_to(QueueName::Hold)?;
        }
        self.file.complete(&self.size)
    }

    fn written(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            let warning = format!("write queue file: {error}", error = text::system_error(&error));
            self.refuse(Failure::new(Cause::Write).warning(warning));
        }
    }
}
