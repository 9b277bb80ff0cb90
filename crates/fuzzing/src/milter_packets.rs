//! What mail filters say.

use milter::packet::{self, Head, MAX_PACKET};
use milter::reply::Reply;
use milter::{Edit, Said, negotiation};

use crate::pieces::choices;

/// The packets of a filter: whatever it says is read or refused, holds no more than came, and what goes on to a client
/// ends no line but by the rules.
pub fn milter_packets(data: &[u8]) {
    let (choice, data) = choices(data);
    let (command, rest) = data.split_first().map_or((b'c', data), |(command, rest)| (*command, rest));
    framed(data);
    if let Ok(reply) = Reply::parse(command, rest.len(), rest, "SMFIC_MAIL") {
        match reply {
            Reply::Say(said) => spoken(&said),
            Reply::Hold(reason) => assert!(reason.len() <= rest.len() && !reason.contains(&0)),
            _ => assert!(rest.is_empty(), "an answer with something behind it"),
        }
    }
    if let Ok(edit) = Edit::parse(command, rest) {
        assert!(Edit::is_one(command) && edit.weight() <= rest.len());
        if let Edit::Add(header) | Edit::Insert(_, header) | Edit::Change(_, header) = edit {
            assert!(!header.name.is_empty() && !header.name.iter().any(|byte| *byte <= b' ' || *byte == 0x7f));
        }
    }
    let protocol = ["2", "3", "4", "6"][usize::from(choice) % 4];
    let offer = negotiation::Offer::parse(protocol).expect("a version");
    if let Ok(agreement) = offer.accept(rest) {
        let names: usize = agreement.macros.iter().flat_map(|(_, names)| names).map(String::len).sum();
        // A byte that is no text becomes three.
        assert!(names <= rest.len() * 3);
    }
}

fn spoken(said: &Said) {
    assert!((400..600).contains(&said.code()));
    let code = said.code().to_string();
    let mut lines = said.text().split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let (line, separator) = match lines.peek() {
            Some(_) => (line.strip_suffix(b"\r").expect("CR LF"), b'-'),
            None => (line, b' '),
        };
        assert!(line.starts_with(code.as_bytes()) && line.get(3) == Some(&separator));
        assert!(!line.contains(&b'\r') && !line.contains(&0));
    }
    // What was taken is taken again, but for percent signs.
    let again: Vec<u8> =
        said.text().iter().flat_map(|byte| if *byte == b'%' { vec![b'%'; 2] } else { vec![*byte] }).collect();
    assert_eq!(Said::parse(&again).as_ref(), Some(said));
}

fn framed(data: &[u8]) {
    let Some((head, _)) = data.split_first_chunk::<{ packet::HEAD }>() else { return };
    match Head::parse(head) {
        Ok(found) => {
            if let Ok(bounded) = found.bounded() {
                assert!(bounded.length < MAX_PACKET && bounded == found);
            }
        }
        Err(error) => assert!(error.to_string().contains("packet length")),
    }
}
