//! The content of a message on the wire: lines, the end of data, chunks; and that nobody can hide a message in another.

use smtp_protocol::{ChunkDecoder, Content, Decoder, Input, Newline, Stuffer};

use crate::pieces::{arrivals, choices};

/// Lines are the same wherever the input was cut, and no byte is lost but those of line ends.
pub fn smtp_lines(data: &[u8]) {
    let (choice, wire) = choices(data);
    let newline = newline(choice);
    let (lines, rest) = lines(wire, newline, choice);
    assert_eq!((&lines, &rest), (&self::lines(wire, newline, 7).0, &self::lines(wire, newline, 7).1));
    assert_eq!(lines.len(), wire.iter().filter(|byte| **byte == b'\n').count());
    assert!(!rest.contains(&b'\n'));
    if newline == Newline::Strict {
        let ends = |bare: bool| if bare { &b"\n"[..] } else { b"\r\n" };
        let mut together: Vec<u8> = lines.iter().flat_map(|(text, bare)| [text, ends(*bare)].concat()).collect();
        together.extend_from_slice(&rest);
        assert_eq!(together, wire);
    }
}

/// Lines with whether they ended in a bare LF, and what is left.
fn lines(wire: &[u8], newline: Newline, choice: u8) -> (Vec<(Vec<u8>, bool)>, Vec<u8>) {
    let mut input = Input::new();
    let mut found = Vec::new();
    for piece in arrivals(wire, choice) {
        input.push(piece);
        while let Some(line) = input.line(newline) {
            found.push((line.bytes.to_vec(), line.bare_lf));
        }
        input.release();
    }
    (found, input.pending().to_vec())
}

/// The end of data is where it is, wherever the input was cut; and the content, sent on, ends for no reader before its
/// end.
pub fn smtp_content(data: &[u8]) {
    let (choice, wire) = choices(data);
    let (newline, limit) = (newline(choice), limit(choice));
    let found = decode(wire, newline, limit, choice);
    assert_eq!(found, decode(wire, newline, limit, 7), "pieces make no difference");
    assert!(found.lines.iter().all(|line| !line.contains(&b'\n')));
    let size: usize = found.lines.iter().map(|line| line.len() + 1).sum();
    assert!(size + found.rest.len() <= wire.len());
    sent_on(&found.lines);
}

/// Chunks may be cut anywhere; what was in them, sent on as data, is the same content and ends for no reader before its
/// end.
pub fn smtp_chunks(data: &[u8]) {
    let (choice, content) = choices(data);
    let (newline, limit) = (newline(choice), limit(choice));
    let found = chunks(content, newline, limit, choice);
    assert_eq!(found, chunks(content, newline, limit, 7), "where chunks end makes no difference");
    let (lines, _) = found;
    assert!(lines.iter().all(|line| !line.contains(&b'\n')));
    assert!(lines.iter().map(|line| line.len() + 1).sum::<usize>() <= content.len() + 1);
    sent_on(&lines);
}

/// The lines of a content and whether one ended in a bare LF.
fn chunks(content: &[u8], newline: Newline, limit: usize, choice: u8) -> (Vec<Vec<u8>>, bool) {
    let mut decoder = ChunkDecoder::new(newline, limit);
    let (mut lines, mut open) = (Vec::new(), Vec::new());
    let mut take = |bytes: &[u8], ended: bool| {
        open.extend_from_slice(bytes);
        if ended {
            lines.push(std::mem::take(&mut open));
        }
    };
    for chunk in arrivals(content, choice) {
        decoder.push(chunk, &mut take);
    }
    decoder.finish(&mut take);
    assert!(open.is_empty(), "every line ends");
    (lines, decoder.saw_bare_lf())
}

/// What a content was found to be.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    lines: Vec<Vec<u8>>,
    /// The line that has not ended.
    open: Vec<u8>,
    ended: bool,
    bare_lf: bool,
    /// Bytes behind the end.
    rest: Vec<u8>,
}

fn decode(wire: &[u8], newline: Newline, limit: usize, choice: u8) -> Found {
    let mut decoder = Decoder::new(newline, limit);
    let mut found = Found { lines: Vec::new(), open: Vec::new(), ended: false, bare_lf: false, rest: Vec::new() };
    let mut buffer = Vec::new();
    for piece in arrivals(wire, choice) {
        buffer.extend_from_slice(piece);
        while !found.ended {
            let (used, content) = decoder.step(&buffer);
            match content {
                Some(Content::Text { bytes, ended }) => {
                    found.open.extend_from_slice(bytes);
                    if ended {
                        found.lines.push(std::mem::take(&mut found.open));
                    }
                }
                Some(Content::End) => found.ended = true,
                None => {
                    buffer.drain(..used);
                    break;
                }
            }
            buffer.drain(..used);
        }
        assert!(found.ended || buffer.len() < limit + 3, "what waits for its line end is bounded");
    }
    found.bare_lf = decoder.saw_bare_lf();
    if found.ended {
        found.rest = buffer;
    } else {
        // What waits is part of the open line, whether it was given away before or not.
        found.open.extend_from_slice(&buffer);
    }
    found
}

/// The lines on the wire end where they end, for a server that insists on CR LF and for one that takes every LF.
fn sent_on(lines: &[Vec<u8>]) {
    let mut wire = Vec::new();
    let mut stuffer = Stuffer::new(None);
    for line in lines {
        let (head, tail) = line.split_at(line.len() / 2);
        stuffer.text(head, false, &mut wire);
        stuffer.text(tail, true, &mut wire);
    }
    stuffer.end(&mut wire);
    wire.extend_from_slice(b"QUIT\r\n");
    let strict = decode(&wire, Newline::Strict, 998, 7);
    assert_eq!((strict.lines.as_slice(), strict.rest.as_slice()), (lines, &b"QUIT\r\n"[..]));
    assert!(strict.ended && !strict.bare_lf);
    let lenient = decode(&wire, Newline::Lenient, 998, 7);
    let trimmed = lines.iter().map(|line| line.len() - line.iter().rev().take_while(|byte| **byte == b'\r').count());
    assert!(lenient.lines.iter().map(Vec::len).eq(trimmed));
    assert_eq!(lenient.rest, b"QUIT\r\n");
}

fn newline(choice: u8) -> Newline {
    if choice & 8 == 0 { Newline::Strict } else { Newline::Lenient }
}

/// The longest piece of a line: so short that most lines have several, or as main.cf has it.
fn limit(choice: u8) -> usize {
    if choice & 128 == 0 { 2 + usize::from(choice >> 4 & 7) } else { 2048 }
}
