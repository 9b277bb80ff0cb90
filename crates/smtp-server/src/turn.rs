//! What a command is answered, and what follows.

use config::ErrorClass;
use dsn::Status;
use smtp_protocol::{Chunk, Reply};

use crate::rejection::Rejection;

/// What is to be done about a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What is said; nothing when the connection is closed without a word, or more is to be read first.
    pub reply: Option<Reply>,
    /// What was wrong with the command, for the postmaster. notify_classes
    pub error: Option<ErrorClass>,
    /// What comes after the reply.
    pub next: Next,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next command.
    Command,
    /// The content of DATA, for [`Dialogue::content`](crate::Dialogue::content).
    Content,
    /// This chunk, for [`Dialogue::chunk`](crate::Dialogue::chunk).
    Chunk(Chunk),
    /// A line that answers a challenge, for [`Dialogue::response`](crate::Dialogue::response); what stands in it is
    /// secret.
    Response,
    /// So many bytes that mean nothing; the reply is for after them, and then comes the next command.
    Discard(u64),
    /// A handshake, for [`Dialogue::secured`](crate::Dialogue::secured); what the client has sent before it is thrown
    /// away.
    StartTls,
    /// The end of the session.
    Close,
}

/// A turn; `Ok` where the command did what it should.
pub(crate) type Answer = Result<Turn, Turn>;

impl Turn {
    /// A reply, and the next command.
    pub fn say(reply: Reply) -> Turn {
        Turn { reply: Some(reply), error: None, next: Next::Command }
    }

    /// The end, without a word.
    pub fn close() -> Turn {
        Turn::silence(Next::Close)
    }

    /// Not a word.
    pub(crate) fn silence(next: Next) -> Turn {
        Turn { reply: None, error: None, next }
    }

    /// A "no" without an enhanced status code, to a client that breaks the rules of SMTP.
    pub(crate) fn misused(code: u16, text: impl AsRef<[u8]>) -> Turn {
        Turn { error: Some(ErrorClass::Protocol), ..Turn::say(Reply::plain(code, text)) }
    }

    /// The same, and then the end of the session.
    pub fn closing(self) -> Turn {
        self.then(Next::Close)
    }

    /// The same, with something else behind it.
    pub(crate) fn then(self, next: Next) -> Turn {
        Turn { next, ..self }
    }
}

impl From<Reply> for Turn {
    /// The words of another server, with which that may have left: then this one leaves too.
    fn from(reply: Reply) -> Turn {
        let next = if reply.code() == 421 { Next::Close } else { Next::Command };
        Turn::say(reply).then(next)
    }
}

impl From<Rejection> for Turn {
    /// With 421 and 521 the server says that it is leaving. RFC 5321 3.8, RFC 7504
    fn from(rejection: Rejection) -> Turn {
        let next = if matches!(rejection.code, 421 | 521) { Next::Close } else { Next::Command };
        Turn { error: rejection.class, ..Turn::say(rejection.reply()).then(next) }
    }
}

/// `250`, for a command that did what it should.
pub(crate) fn done(status: Status, text: impl AsRef<[u8]>) -> Answer {
    Ok(Turn::say(Reply::with_status(250, status, text)))
}

/// A "no" for a client that breaks the rules of SMTP.
pub(crate) fn breach(code: u16, status: Status, text: impl AsRef<[u8]>) -> Turn {
    Rejection::new(code, status, text.as_ref()).of(ErrorClass::Protocol).into()
}
