//! What a policy service says to the SMTP server.

use policy::{MAX_REPLY, Reader, Request};

/// An answer, cut in two at any place: where it is cut makes no difference; the action is no longer than what was said,
/// is one line, and has no NUL. And what a client says, asked as a question, is one question.
pub fn policy_answer(data: &[u8]) {
    let (cut, stream) = data.split_first().map_or((0, data), |(cut, rest)| (usize::from(*cut).min(rest.len()), rest));
    let (head, tail) = stream.split_at(cut);
    let whole = heard(&[stream]);
    assert!(heard(&[head, tail]) == whole, "where the answer is cut makes a difference");
    match &whole {
        Ok(Some(action)) => {
            assert!(action.len() < stream.len().min(MAX_REPLY));
            assert!(!action.contains(&b'\n') && !action.contains(&0));
        }
        Ok(None) => {}
        Err(warning) => assert!(!warning.contains(char::is_control)),
    }
    let text = String::from_utf8_lossy(data);
    let question = Request { helo: &text, sender: data, recipient: data, etrn_domain: data, ..Request::default() };
    let sent = question.encode();
    assert_eq!(sent.split(|byte| *byte == b'\n').filter(|line| line.contains(&b'=')).count(), 31);
    assert_eq!(sent.iter().filter(|byte| **byte == b'\n').count(), 32);
    assert!(sent.len() <= 1000 + 3 * data.len() + text.len());
}

fn heard(pieces: &[&[u8]]) -> Result<Option<Vec<u8>>, String> {
    let mut reader = Reader::default();
    for piece in pieces {
        match reader.push(piece) {
            Ok(Some(answer)) => return Ok(Some(answer.action)),
            Ok(None) => {}
            Err(error) => return Err(error.about("server").unwrap_or_default()),
        }
    }
    let end = reader.end(false);
    assert!(!end.to_string().contains(char::is_control));
    Ok(None)
}
