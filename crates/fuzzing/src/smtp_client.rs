//! What an SMTP server says to the client.

use smtp_protocol::reply::{LINE_LIMIT, TEXT_KEPT};
use smtp_protocol::{Extensions, Input, Malformed, Newline, Reply, ReplyParser};

use crate::pieces::{arrivals, choices};

/// Replies are the same wherever the input was cut, bounded, and written again they are replies of the same codes, no
/// line of which a server can make longer or two of.
pub fn smtp_reply(data: &[u8]) {
    let (choice, wire) = choices(data);
    // A reply that goes over every limit, of a few bytes.
    let wire = if choice & 8 == 0 { wire } else { &wire.repeat(64) };
    let replies = read(wire, choice);
    assert_eq!(replies, read(wire, 7), "pieces make no difference");
    for reply in replies.iter().flatten() {
        bounded(reply, wire.len());
        written_and_read(reply);
        let extensions = Extensions::parse(reply, |_| false);
        let words = extensions.auth.as_ref().map_or(0, Vec::len) + extensions.xclient.len() + extensions.xforward.len();
        assert!(words <= wire.len());
    }
}

fn read(wire: &[u8], choice: u8) -> Vec<Result<Reply, Malformed>> {
    let mut input = Input::new();
    let mut parser = ReplyParser::new();
    let mut found = Vec::new();
    for piece in arrivals(wire, choice) {
        input.push(piece);
        while let Some(line) = input.line(Newline::Lenient) {
            found.extend(parser.line(line.bytes).transpose());
        }
    }
    found
}

fn bounded(reply: &Reply, received: usize) {
    assert!(reply.code() < 1000, "three digits of any class");
    assert!((1..=TEXT_KEPT / 4 + 1).contains(&reply.lines().count()));
    let kept = reply.verbatim().len();
    assert!(kept <= received, "a report is no larger than what the server sent");
    assert!(kept <= 2 * TEXT_KEPT, "nor than what is kept");
    if let Some(status) = reply.enhanced() {
        assert!(std::str::from_utf8(status).is_ok_and(|status| status.parse::<dsn::Status>().is_ok()));
    }
}

fn written_and_read(reply: &Reply) {
    let mut wire = Vec::new();
    reply.write(&mut wire);
    let mut input = Input::new();
    input.push(&wire);
    let mut parser = ReplyParser::new();
    let mut again = None;
    let mut lines = 0;
    while let Some(line) = input.line(Newline::Strict) {
        assert!(!line.bare_lf && line.bytes.len() <= LINE_LIMIT);
        assert!(!line.bytes.iter().any(u8::is_ascii_control));
        assert!(again.is_none(), "one reply is written as one");
        again = parser.line(line.bytes).expect("what is written is a reply");
        lines += 1;
    }
    assert!(input.is_empty());
    assert_eq!(again.map(|reply| reply.code()), Some(reply.code()));
    assert!(lines >= reply.lines().count(), "a long line goes on in the next one");
}
