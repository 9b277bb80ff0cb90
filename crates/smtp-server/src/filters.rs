//! Mail filters (milters) as a dialogue has them: what they are told of a client, and what they say to it.
//!
//! Which filters there are, and how they are asked, is not the dialogue's matter: it tells [`Services`] of each event,
//! and gives the client the reply that comes back.
//!
//! [`Services`]: crate::Services

use config::ErrorClass;
use smtp_protocol::Reply;

use crate::rejection::Rejection;
use crate::turn::Turn;

/// What filters are told of.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// A client has come.
    Connect,
    /// It says its name.
    Helo(&'a [u8]),
    /// It names the sender: the address as it was written, and the parameters.
    Mail(&'a [&'a [u8]]),
    /// It names a recipient, who is welcome to the site.
    Recipient(&'a [&'a [u8]]),
    /// It names one who is not; nobody is asked.
    Refused(&'a [&'a [u8]], &'a Rejection),
    /// It is about to send the content.
    Data,
    /// It says what nobody knows: the line.
    Unknown(&'a [u8]),
}

/// A reply in the words of a filter: one line or more as they are on the wire, each with its code, separated by CR LF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterReply {
    code: u16,
    text: Vec<u8>,
}

impl FilterReply {
    /// A reply with this code in each of its lines.
    pub fn new(code: u16, text: impl Into<Vec<u8>>) -> FilterReply {
        FilterReply { code, text: text.into() }
    }

    /// 400 to 599.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// It will not go away by trying again.
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// The session ends with it.
    pub fn ends_session(&self) -> bool {
        self.code == 421
    }

    /// As log lines quote it.
    pub fn shown(&self) -> String {
        text::printable(&self.text)
    }

    /// The reply on the wire.
    fn reply(&self) -> Reply {
        let lines = self.text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        Reply::lines_of(self.code, lines.map(|line| line.get(4..).unwrap_or_default().to_vec()).collect())
    }
}

impl From<FilterReply> for Turn {
    fn from(reply: FilterReply) -> Turn {
        let turn = Turn { error: Some(ErrorClass::Policy), ..Turn::say(reply.reply()) };
        if reply.ends_session() { turn.closing() } else { turn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::Next;

    fn sent(code: u16, text: &str) -> (String, Next) {
        let turn = Turn::from(FilterReply::new(code, text));
        (String::from_utf8_lossy(&turn.reply.unwrap().joined(b'|')).into_owned(), turn.next)
    }

    #[test]
    fn the_words_of_a_filter_are_passed_on_line_by_line() {
        assert_eq!(sent(550, "550 5.7.9 no"), ("550 5.7.9 no".to_owned(), Next::Command));
        assert_eq!(sent(550, "550-a\r\n550 b"), ("550-a|550 b".to_owned(), Next::Command));
        assert_eq!(sent(421, "421 4.7.0 bye"), ("421 4.7.0 bye".to_owned(), Next::Close));
        assert_eq!(sent(450, "450"), ("450".to_owned(), Next::Command));
    }
}
