//! Where a session is, and which protocol it speaks: the words of log lines and headers.

use std::fmt;

use smtp_protocol::Verb;

/// What the client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Until EHLO.
    #[default]
    Smtp,
    /// From then on.
    Esmtp,
}

impl Protocol {
    /// `SMTP` or `ESMTP`.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Smtp => "SMTP",
            Protocol::Esmtp => "ESMTP",
        }
    }

    /// The protocol of this name, in any case.
    pub fn parse(name: &[u8]) -> Option<Protocol> {
        [Protocol::Smtp, Protocol::Esmtp].into_iter().find(|one| one.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the session is at, as log lines say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was said yet.
    Connected,
    /// This command.
    Command(Verb),
    /// A chunk of content that others follow.
    Chunk,
    /// The content has come to its end.
    EndOfMessage,
}

impl State {
    /// `CONNECT`, `RCPT`, `END-OF-MESSAGE` ...
    pub fn name(self) -> &'static str {
        match self {
            State::Connected => "CONNECT",
            State::Command(verb) => verb.name(),
            State::Chunk => "BDAT content",
            State::EndOfMessage => "END-OF-MESSAGE",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
