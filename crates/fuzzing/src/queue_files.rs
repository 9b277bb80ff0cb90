//! Queue files, which outlive every program, and the logs beside them: nothing in one stops or misleads who reads it.

use std::collections::VecDeque;

use queue::content::Content;
use queue::delivery_log::{Entry, LogReader};
use queue::record::{self, Reader, Type};
use queue::{Envelope, Limits, QueueId, QueueName, SizeRecord, Stream};

use crate::pieces::{assert_harmless, assert_one_line, choices};

/// Longest payload here: short enough to be exceeded.
const PAYLOAD: usize = 300;

/// Records are the same from a file and from a pipe, and written again they are the same.
pub fn queue_records(data: &[u8]) {
    let mut from_file = VecDeque::new();
    let mut reader = Reader::new(data).with_limit(PAYLOAD).raw();
    let end = loop {
        match reader.next_record() {
            Ok(Some(record)) => from_file.push_back((record.kind, record.data.to_vec())),
            Ok(None) => break None,
            Err(error) => break Some(error.to_string()),
        }
    };
    let mut from_pipe = Stream::new(data, PAYLOAD);
    let mut written = Vec::new();
    let pipe_end = loop {
        match from_pipe.next_record() {
            Ok(Some((kind, payload))) => {
                assert_eq!(from_file.pop_front(), Some((kind, payload.to_vec())));
                record::encode(&mut written, kind, payload);
            }
            Ok(None) => break None,
            Err(error) => break Some(error.to_string()),
        }
    };
    assert!(from_file.is_empty());
    assert_eq!(end, pipe_end);
    assert!(written.len() <= data.len());
    let mut again = Stream::new(data, PAYLOAD);
    let mut anew = Stream::new(written.as_slice(), PAYLOAD);
    while let Ok(Some(record)) = anew.next_record() {
        assert_eq!(again.next_record().ok().flatten(), Some(record));
    }
}

/// An envelope is bounded; read in portions it is the same one; and its content ends.
pub fn queue_envelope(data: &[u8]) {
    let (choice, file) = choices(data);
    let limits = Limits { recipients: 5000, attributes: 20 };
    let read = if choice & 1 == 0 { Envelope::read } else { Envelope::read_submitted };
    let envelope = match read(file, &limits) {
        Ok(envelope) => envelope,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(envelope.attributes.len() <= limits.attributes && envelope.recipients.len() <= limits.recipients);
    if choice & 1 == 0 && envelope.resume.is_none() {
        in_portions(file, &envelope, usize::from(choice >> 1 & 7) + 1);
    }
    assert_harmless(&message::date::rfc5322(envelope.arrival.0));
    let mut content = Content::new(file, envelope.data_offset);
    while content.next_text().is_ok_and(|text| text.is_some()) {}
}

/// Reads as the queue manager does when there are more recipients than may be in memory.
fn in_portions(file: &[u8], whole: &Envelope, portion: usize) {
    let limits = Limits { recipients: portion, attributes: 20 };
    let mut envelope = Envelope::read(file, &limits).expect("what can be read at once can be read in portions");
    let mut found = Vec::new();
    loop {
        assert!(envelope.recipients.len() <= portion);
        found.append(&mut envelope.recipients);
        assert!(found.len() <= whole.recipients.len());
        if envelope.resume.is_none() {
            break;
        }
        envelope.read_more(file, &limits).expect("what can be read at once can be read in portions");
    }
    assert_eq!(found, whole.recipients);
    assert_eq!(envelope.finished, whole.finished);
}

/// A size record says numbers that can be added, and is written as long as every other one.
pub fn size_record(data: &[u8]) {
    let Some(size) = SizeRecord::parse(data) else { return };
    assert!(size.data_offset.checked_add(size.data_size).is_some_and(|end| i64::try_from(end).is_ok()));
    let encoded = size.encode();
    let mut reader = Reader::new(encoded.as_slice());
    let read = reader.next_record().unwrap().map(|record| (record.kind, SizeRecord::parse(record.data)));
    assert_eq!(read, Some((Type::SIZE, Some(size))));
}

/// A queue identifier is a plain name; what it claims to hold is in the same name with another inode.
pub fn queue_id(data: &[u8]) {
    let Some(id) = QueueId::parse(data) else { return };
    assert!(id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    assert_eq!(id.as_bytes(), data);
    let other = id.with_inode(77);
    if id.micros().is_some() {
        assert_eq!((other.micros(), other.is_long(), other.inode()), (id.micros(), id.is_long(), Some(77)));
    }
    assert!(!id.to_string().contains('/'));
}

/// Entries of a log are lines without surprises, and are read back as they were written, in both forms.
pub fn delivery_log(data: &[u8]) {
    let (choice, text) = choices(data);
    let queue = if choice & 1 == 0 { QueueName::Bounce } else { QueueName::Defer };
    for entry in entries(text, queue) {
        for field in [&entry.recipient, &entry.original, entry.dsn.as_stored(), &entry.status, &entry.reason] {
            assert_one_line(field);
        }
        assert!(!entry.status.is_empty() && !entry.action.is_empty() && !entry.reason.is_empty());
        for compatible in [false, true] {
            assert_eq!(entries(&entry.encode(compatible), queue), [as_written(entry.clone())]);
        }
    }
}

fn entries(text: &[u8], queue: QueueName) -> Vec<Entry> {
    let mut reader = LogReader::new(text, queue);
    std::iter::from_fn(|| reader.next_entry().expect("memory can be read")).collect()
}

/// What an entry says more than once, or in part, is not written.
fn as_written(mut entry: Entry) -> Entry {
    if entry.original.eq_ignore_ascii_case(&entry.recipient) {
        entry.original.clear();
    }
    for pair in [&mut entry.diagnostic, &mut entry.remote_mta] {
        if pair.0.is_empty() || pair.1.is_empty() {
            *pair = Default::default();
        }
    }
    entry
}
