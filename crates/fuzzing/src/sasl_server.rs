//! What an authentication server says to the SMTP server.

use sasl::dovecot::{Answer, Demands, Greeting, GreetingError, Lines};

/// A stream of the server, cut in two at any place: its greeting, and then its answers. Where it is cut makes no
/// difference; a mechanism is a word that can stand in a reply and in a request; nothing is longer than what was said.
pub fn auth_server(data: &[u8]) {
    let (cut, stream) = data.split_first().map_or((0, data), |(cut, rest)| (usize::from(*cut).min(rest.len()), rest));
    let (head, tail) = stream.split_at(cut);
    let whole = heard(&[stream]);
    assert!(heard(&[head, tail]) == whole, "where the stream is cut makes a difference");
    assert!(whole.iter().map(|line| line.len() + 1).sum::<usize>() <= stream.len());
    let mut lines = whole.iter();
    let mut greeting = Greeting::default();
    let end = lines.by_ref().find_map(|line| match greeting.line(line) {
        Ok(false) => None,
        Ok(true) => Some(true),
        Err(error) => {
            assert!(matches!(error, GreetingError::TooMany) || !error.to_string().contains(char::is_control));
            Some(false)
        }
    });
    let mechanisms = greeting.into_mechanisms();
    assert!(mechanisms.len() <= 101);
    for mechanism in &mechanisms {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        assert!(!mechanism.name.is_empty() && mechanism.name.bytes().all(is_word));
        assert!(Demands::default().allow(mechanism));
    }
    if end == Some(true) {
        lines.for_each(|line| answer(line));
    }
}

fn answer(line: &[u8]) {
    let Ok(Some((_, answer))) = Answer::parse(line) else { return };
    let parts = match answer {
        Answer::Continue(text) | Answer::Ok(text) => [text, None],
        Answer::Fail { reason, user } => [reason, user],
    };
    for part in parts.iter().flatten() {
        assert!(part.len() < line.len() && !part.contains(&b'\t') && !part.contains(&b'\n'));
    }
}

fn heard(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut lines, mut found) = (Lines::default(), Vec::new());
    for piece in pieces {
        lines.push(piece);
        while let Ok(Some(line)) = lines.next_line() {
            found.push(line.to_vec());
        }
    }
    found
}
