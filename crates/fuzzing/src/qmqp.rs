//! What a client of the QMQP server sends.

use queue::{Cutter, Lines};
use wire::netstring::NetstringError;
use wire::qmqp::{Decoder, Event, Limits, Part, encode_request};

use crate::pieces::{arrivals, choices};

/// What was found in a stream, and how its reading ended.
#[derive(Debug, Default, PartialEq)]
struct Request {
    content: Vec<u8>,
    sender: Option<Vec<u8>>,
    recipients: Vec<Vec<u8>>,
    is_complete: bool,
    end: Option<(Part, NetstringError)>,
}

/// The longest address and content.
const LIMITS: Limits = Limits { content: Some(200), address: 20 };

/// A request, in pieces of any size: where it is cut makes no difference, nothing in it is longer than the limits, no
/// more waits than an address and its comma, and what was found is found again when it is written. The same for the
/// lines of its content.
pub fn qmqp_request(data: &[u8]) {
    let (choice, stream) = choices(data);
    let pieces: Vec<&[u8]> = arrivals(stream, choice).collect();
    let whole = read(&[stream]);
    assert_eq!(read(&pieces), whole, "where the request is cut makes a difference");
    assert!(whole.content.len() <= 200 && whole.content.len() <= stream.len());
    let addresses = || whole.sender.iter().chain(&whole.recipients);
    assert!(addresses().all(|address| address.len() <= 20));
    assert!(addresses().map(|address| address.len() + 2).sum::<usize>() + whole.content.len() <= stream.len());
    if let Some(sender) = whole.sender.as_deref().filter(|_| whole.is_complete) {
        let again = encode_request(&whole.content, sender, whole.recipients.iter().map(Vec::as_slice));
        assert_eq!(read(&[&again]), whole);
    }
    assert_eq!(records(&pieces), records(&[stream]), "where the content is cut makes a difference");
}

fn read(pieces: &[&[u8]]) -> Request {
    let (mut decoder, mut request, mut waiting) = (Decoder::new(LIMITS), Request::default(), Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            let (used, event) = match decoder.step(&waiting) {
                Ok(found) => found,
                Err(error) => {
                    request.end = Some((decoder.part(), error));
                    return request;
                }
            };
            let starved = event.is_none();
            match event {
                None => {}
                Some(Event::Content(bytes)) => request.content.extend_from_slice(bytes),
                Some(Event::Sender(address)) => request.sender = Some(address.to_vec()),
                Some(Event::Recipient(address)) => request.recipients.push(address.to_vec()),
                Some(Event::End) => {
                    request.is_complete = true;
                    return request;
                }
            }
            waiting.drain(..used);
            if starved {
                break;
            }
        }
        assert!(waiting.len() <= LIMITS.address, "{} bytes wait", waiting.len());
    }
    request
}

/// The content as records of pieces of 16 bytes at most.
fn records(pieces: &[&[u8]]) -> Vec<u8> {
    let (mut cutter, mut lines, mut out) = (Cutter::new(16), Lines::new(None), Vec::new());
    for piece in pieces {
        cutter.push(piece, &mut |bytes, ended| {
            assert!(bytes.len() <= 16 && !bytes.contains(&b'\n'));
            lines.text(bytes, ended, &mut out);
        });
    }
    cutter.finish(&mut |bytes, ended| lines.text(bytes, ended, &mut out));
    assert!(out.len() <= 40 + 3 * pieces.iter().map(|piece| piece.len()).sum::<usize>());
    out
}
