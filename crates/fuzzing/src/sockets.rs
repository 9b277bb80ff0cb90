//! What programs say to each other in Postfix's own forms.

use std::io::BufReader;

use wire::attr0::{Pair, Reader, Writer};
use wire::verified::{Entry, MAX_TEXT};
use wire::{flush, postdrop, showq, status};

use crate::pieces::{assert_harmless, choices};

/// Pairs are the same wherever the stream was cut, and are read back as they were written.
pub fn attribute_lists(data: &[u8]) {
    let (choice, stream) = choices(data);
    let found = pairs(stream, usize::from(choice) + 1);
    assert_eq!(found, pairs(stream, 4096), "pieces make no difference");
    let mut writer = Writer::new();
    for pair in found.0.iter().flatten() {
        assert!(!pair.name.is_empty() && !pair.name.contains(&0) && !pair.value.contains(&0));
        if let Ok(name) = std::str::from_utf8(&pair.name) {
            writer.put(name, &pair.value);
            assert_eq!(Reader::new(writer.take().as_slice()).pair().unwrap().as_ref(), Some(pair));
        }
    }
    if let Err(error) = Reader::new(stream).value_of("queue_id") {
        assert_harmless(&error.to_string());
    }
    let _ = postdrop::read_greeting(stream);
    if let Ok((status, reason)) = postdrop::read_result(stream) {
        let reason = text::printable(&reason);
        let again = postdrop::read_result(postdrop::result(status, &reason).as_slice());
        assert_eq!(again.unwrap(), (status, reason.into_bytes()));
    }
    if let (Some(report), Some(order)) = (status::Report::parse(choice), status::Order::parse(choice)) {
        assert_ne!(report.byte(), order.byte());
    }
}

/// The pairs up to the first error, with the ends of messages between them.
fn pairs(stream: &[u8], buffer: usize) -> (Vec<Option<Pair>>, bool) {
    let mut reader = Reader::new(BufReader::with_capacity(buffer, stream));
    let mut found = Vec::new();
    loop {
        match reader.pair() {
            Ok(pair) => found.push(pair),
            Err(error) => return (found, error.kind() == std::io::ErrorKind::UnexpectedEof),
        }
    }
}

/// A queue listing is the same when it is written again.
pub fn queue_listing(data: &[u8]) {
    let mut stream = showq::Writer::new().take();
    stream.extend_from_slice(data);
    let Ok((messages, written)) = listing(&stream) else { return };
    let (again, _) = listing(&written).expect("what is written is a listing");
    assert_eq!(again, messages);
    assert!(messages.len() <= data.len());
}

/// An entry of the cache of address verification is the same when it is written again, and fits the cache.
pub fn verified_entries(data: &[u8]) {
    if let Some(entry) = Entry::parse(data) {
        let written = entry.format();
        let again = Entry::parse(&written).expect("an entry");
        assert_eq!((again.standing, again.probed, again.updated), (entry.standing, entry.probed, entry.updated));
        assert_eq!(again.format(), written);
        assert!(written.len() <= MAX_TEXT + 64 && !written.iter().any(u8::is_ascii_control));
    }
}

/// A request to the flush service is the same when it is written again, and is known when its last byte is there, not
/// before; an answer as well.
pub fn flush_requests(data: &[u8]) {
    if let Ok(Some(request)) = flush::Request::read(data) {
        let written = request.write();
        assert_eq!(flush::Request::read(&written).expect("a request"), Some(request));
        for end in 0..written.len() {
            assert_eq!(flush::Request::read(&written[..end]).expect("the start of a request"), None);
        }
    }
    let answer = [flush::greeting(), data.to_vec()].concat();
    if let Ok(Some(status)) = flush::Status::read(&answer) {
        let written = [flush::greeting(), status.write()].concat();
        assert_eq!(flush::Status::read(&written).expect("an answer"), Some(status));
    }
}

type Message = (showq::Header, Vec<showq::Recipient>);

fn listing(stream: &[u8]) -> std::io::Result<(Vec<Message>, Vec<u8>)> {
    let mut reader = showq::Reader::new(stream)?;
    let mut writer = showq::Writer::new();
    let mut found = Vec::new();
    while let Some(header) = reader.next_message()? {
        writer.message(&header);
        let mut recipients = Vec::new();
        while let Some(recipient) = reader.next_recipient()? {
            writer.recipient(&recipient);
            recipients.push(recipient);
        }
        found.push((header, recipients));
    }
    writer.end();
    Ok((found, writer.take()))
}
