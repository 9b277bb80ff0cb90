//! Per-message logs of delivery results: what the bounce daemon reports from, what the queue listing shows as reason.
//!
//! A log is text, one paragraph a recipient, appended under an exclusive lock. An append that fails leaves the log as
//! it was. The reader must survive anything that stands in the file: it bounds what it keeps and passes over what it
//! does not know; a field that is too long is said to be unavailable, never cut to something else.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use dsn::{Notify, OriginalRecipient};

use crate::storage::Names;
use crate::transition::name_below;
use crate::{QueueId, QueueName, Spool};

/// Longest line that is kept: more than any that [`append`] is given has.
/// told: the reader: the entry stays, and what is too long has its default.
const MAX_LINE: usize = 1 << 20;

/// The result of one recipient.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// The recipient in external (RFC 5322 quoted) form; empty for the null address.
    pub recipient: Vec<u8>,
    /// The recipient before aliasing, external form; empty when it is the same or not known.
    pub original: Vec<u8>,
    /// Offset of the recipient record in the queue file; 0 when there is none.
    pub offset: u64,
    /// The client's ORCPT, or what cleanup made of the address.
    pub dsn: OriginalRecipient,
    /// What the sender wants to hear of it.
    pub notify: Notify,
    /// The enhanced status code, such as `5.1.1`.
    pub status: Vec<u8>,
    /// `failed`, `delayed`, `delivered`, `relayed`, `expanded`, `deliverable` or `undeliverable`.
    pub action: Vec<u8>,
    /// Diagnostic type and text; written when neither is empty.
    pub diagnostic: (Vec<u8>, Vec<u8>),
    /// Remote MTA type and name; written when neither is empty.
    pub remote_mta: (Vec<u8>, Vec<u8>),
    /// Why.
    pub reason: Vec<u8>,
}

impl Entry {
    /// The paragraph, with its leading and trailing empty line. `compatible` adds the line that old readers know
    /// (`backwards_bounce_logfile_compatibility`).
    pub fn encode(&self, compatible: bool) -> Vec<u8> {
        let address: &[u8] = if self.recipient.is_empty() { b"<>" } else { &self.recipient };
        let mut out = b"\n".to_vec();
        if compatible {
            out.push(b'<');
            push_clean(&mut out, &self.recipient);
            out.extend_from_slice(b">: ");
            push_clean(&mut out, &self.reason);
            out.push(b'\n');
        }
        push_line(&mut out, "recipient", address);
        if !self.original.is_empty() && !self.original.eq_ignore_ascii_case(&self.recipient) {
            push_line(&mut out, "original_recipient", &self.original);
        }
        if self.offset > 0 {
            push_line(&mut out, "offset", self.offset.to_string().as_bytes());
        }
        push_unless_empty(&mut out, "dsn_orig_rcpt", self.dsn.as_stored());
        if self.notify != Notify::UNSET {
            push_line(&mut out, "notify_flags", self.notify.bits().to_string().as_bytes());
        }
        push_unless_empty(&mut out, "status", &self.status);
        push_unless_empty(&mut out, "action", &self.action);
        push_pair(&mut out, ["diag_type", "diag_text"], &self.diagnostic);
        push_pair(&mut out, ["mta_type", "mta_mname"], &self.remote_mta);
        push_unless_empty(&mut out, "reason", &self.reason);
        out.push(b'\n');
        out
    }
}

/// Appends entries to the log of message `id` in `queue` (bounce, defer or trace).
///
/// Transition: log -> longer log. A crash of this process before: the recipient is not marked done yet and is tried
/// again. After: the recipient may be logged twice. Logs that a report is made from (bounce, trace) are on disk when
/// this returns, because the recipient is marked done next; a lost defer log is written again at the next attempt. The
/// name of a new log goes with its first entries. On failure the log is cut back to its old length.
///
/// # Errors
/// It is what it was.
pub fn append(spool: &Spool, queue: QueueName, id: &QueueId, entries: &[Entry], compatible: bool) -> io::Result<()> {
    let (mut file, names) = open_to_write(spool, queue, id, OpenOptions::new().append(true))?;
    let length = file.metadata()?.len();
    let durable = queue != QueueName::Defer;
    let result = file.write_all(&text_of(entries, compatible)).and_then(|()| match durable {
        true => file.sync_all().and_then(|()| if length == 0 { Ok(names.sync(&file)?) } else { Ok(()) }),
        false => Ok(()),
    });
    if result.is_err() {
        let _ = file.set_len(length);
    }
    result
}

/// The same for a log whose former entries do not count any more: they go.
///
/// Of a defer log the text is replaced in place, and only where it differs: a message that waits for the same reason as
/// before has the same log, and most file systems do much more for a file that is emptied and filled again. Transition:
/// log -> other log. A crash before: the old reasons stand, of recipients that wait all the same. In between: it is
/// empty, which is none. After: the next attempt begins it anew.
///
/// # Errors
/// It may be what it was, or empty.
pub fn begin(spool: &Spool, queue: QueueName, id: &QueueId, entries: &[Entry], compatible: bool) -> io::Result<()> {
    if queue != QueueName::Defer {
        remove(spool, queue, id)?;
        return append(spool, queue, id, entries, compatible);
    }
    let (file, _) = open_to_write(spool, queue, id, OpenOptions::new().read(true).write(true))?;
    let text = text_of(entries, compatible);
    let length = file.metadata()?.len();
    if length == text.len() as u64 {
        let mut old = vec![0; text.len()];
        if file.read_exact_at(&mut old, 0).is_ok() && old == text {
            return Ok(());
        }
    } else if length > 0 {
        file.set_len(0)?;
    }
    file.write_all_at(&text, 0).inspect_err(|_| drop(file.set_len(0)))
}

fn text_of(entries: &[Entry], compatible: bool) -> Vec<u8> {
    entries.iter().flat_map(|entry| entry.encode(compatible)).collect()
}

/// A log, made if it is missing, for this process alone.
fn open_to_write(
    spool: &Spool,
    queue: QueueName,
    id: &QueueId,
    options: &mut OpenOptions,
) -> io::Result<(File, Names)> {
    let path = spool.path(queue, id);
    let mut opened = None;
    let names = name_below(spool, &path, || {
        opened = Some(options.create(true).mode(0o600).open(&path)?);
        Ok(())
    })?;
    let Some(file) = opened else {
        return Err(nix::errno::Errno::ENOENT.into());
    };
    // waits: in a thread of the bounce daemon that is there for that
    file.lock()?;
    Ok((file, names))
}

/// Removes a log; one that is not there is fine. True when there was one.
///
/// Transition: log -> nothing. A crash before: the report is sent twice, or the log is removed by the next attempt.
pub fn remove(spool: &Spool, queue: QueueName, id: &QueueId) -> io::Result<bool> {
    match fs::remove_file(spool.path(queue, id)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Empties a log, whose message is tried again and will probably need one; one that is not there is fine. To remove it
/// and make another is much more for some file systems (see `spare`).
///
/// Transition: log -> empty log, which is none. A crash before: the log is emptied by the next attempt.
///
/// # Errors
/// It is what it was.
pub fn empty(spool: &Spool, queue: QueueName, id: &QueueId) -> io::Result<()> {
    match OpenOptions::new().write(true).truncate(true).open(spool.path(queue, id)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reads a log, entry by entry.
pub struct LogReader<R> {
    input: BufReader<R>,
    /// The last line.
    line: Vec<u8>,
    status: &'static str,
    action: &'static str,
}

/// Opens the log of message `id` in `queue`; nothing when there is none.
pub fn open(spool: &Spool, queue: QueueName, id: &QueueId) -> io::Result<Option<LogReader<File>>> {
    match File::open(spool.path(queue, id)) {
        Ok(file) => Ok(Some(LogReader::new(file, queue))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl<R: Read> LogReader<R> {
    /// A reader of the text of a log in `queue`, which decides the defaults.
    pub fn new(input: R, queue: QueueName) -> Self {
        let (status, action) = if queue == QueueName::Bounce { ("5.0.0", "failed") } else { ("4.0.0", "delayed") };
        Self { input: BufReader::new(input), line: Vec::new(), status, action }
    }

    /// The next entry; nothing at the end.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let mut entry = Entry::default();
        let mut found = false;
        while self.read_line()? {
            if self.line.is_empty() {
                if found {
                    break;
                }
                continue;
            }
            found = true;
            take_line(&mut entry, &self.line);
        }
        if !found {
            return Ok(None);
        }
        self.fill_in(&mut entry);
        Ok(Some(entry))
    }

    fn fill_in(&self, entry: &mut Entry) {
        let defaults: [(&mut Vec<u8>, &str); 4] = [
            (&mut entry.recipient, "(recipient address unavailable)"),
            (&mut entry.status, self.status),
            (&mut entry.action, self.action),
            (&mut entry.reason, "(description unavailable)"),
        ];
        for (field, default) in defaults {
            if field.is_empty() {
                *field = default.into();
            }
        }
        if entry.recipient == b"<>" {
            entry.recipient.clear();
        }
    }

    /// Reads one line, without its end; false when there is none. One that is longer than [`MAX_LINE`] is a line
    /// without a name.
    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let mut is_long = false;
        loop {
            let available = self.input.fill_buf()?;
            let end = bstr::ByteSlice::find_byte(available, b'\n');
            let piece = &available[..end.unwrap_or(available.len())];
            let is_end = end.is_some() || available.is_empty();
            let is_nothing = available.is_empty() && self.line.is_empty() && !is_long;
            is_long |= self.line.len() + piece.len() > MAX_LINE;
            if !is_long {
                self.line.extend_from_slice(piece);
            }
            let used = end.map_or(available.len(), |end| end + 1);
            self.input.consume(used);
            if is_end {
                if is_long {
                    self.line = b"(too long)".to_vec();
                }
                return Ok(!is_nothing);
            }
        }
    }
}

/// Puts one line of a paragraph where it belongs.
fn take_line(entry: &mut Entry, line: &[u8]) {
    if line[0] == b'<' {
        take_old_line(entry, line);
        return;
    }
    let Some(equals) = line.iter().position(|b| *b == b'=') else {
        return;
    };
    let value = clean(&line[equals + 1..]);
    let number = || std::str::from_utf8(&value).ok().and_then(|text| text.parse::<u64>().ok());
    match &line[..equals] {
        b"recipient" => entry.recipient = value,
        b"original_recipient" => entry.original = value,
        b"offset" => entry.offset = number().unwrap_or(0),
        b"dsn_orig_rcpt" => entry.dsn = OriginalRecipient::from_stored(value),
        b"notify_flags" => {
            entry.notify = Notify::from_stored(number().and_then(|n| u32::try_from(n).ok()).unwrap_or(0));
        }
        b"status" => entry.status = value,
        b"action" => entry.action = value,
        b"diag_type" => entry.diagnostic.0 = value,
        b"diag_text" => entry.diagnostic.1 = value,
        b"mta_type" => entry.remote_mta.0 = value,
        b"mta_mname" => entry.remote_mta.1 = value,
        b"reason" => entry.reason = value,
        _ => {}
    }
}

/// The form `<address>: reason`, all that very old logs have.
fn take_old_line(entry: &mut Entry, line: &[u8]) {
    let Some(end) = bstr::ByteSlice::find(line, b">: ") else { return };
    entry.recipient = clean(&line[1..end]);
    entry.reason = clean(&line[end + 3..]);
    if entry.recipient.is_empty() {
        entry.recipient = b"<>".to_vec();
    }
}

fn push_pair(out: &mut Vec<u8>, names: [&str; 2], (kind, value): &(Vec<u8>, Vec<u8>)) {
    if !kind.is_empty() && !value.is_empty() {
        push_line(out, names[0], kind);
        push_line(out, names[1], value);
    }
}

fn push_unless_empty(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if !value.is_empty() {
        push_line(out, name, value);
    }
}

fn push_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    push_clean(out, value);
    out.push(b'\n');
}

/// A value on its own line: nothing in it may end the line.
fn push_clean(out: &mut Vec<u8>, value: &[u8]) {
    out.extend(value.iter().map(|b| if b.is_ascii_control() { b'?' } else { *b }));
}

fn clean(value: &[u8]) -> Vec<u8> {
    value.iter().map(|b| if b.is_ascii_control() { b'?' } else { *b }).collect()
}
