//! The stages of a session: how the log and reports name them, and how long each may take.

use std::fmt;
use std::time::Duration;

use crate::settings::Settings;

/// What was being done when a session broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for the greeting.
    Greeting,
    /// XFORWARD before a message.
    Forward,
    /// EHLO, HELO or LHLO.
    Hello(&'static str),
    /// STARTTLS.
    StartTls,
    /// RSET before another message.
    Reset,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// The content.
    Body,
    /// The dot, and the wait for what it brings.
    End,
}

impl Stage {
    /// The command that a reply belongs to.
    pub fn command(self) -> &'static str {
        match self {
            Self::Greeting => "initial server greeting",
            Self::Hello("EHLO") => "EHLO command",
            Self::Hello("LHLO") => "LHLO command",
            Self::Hello(_) => "HELO command",
            Self::StartTls => "STARTTLS command",
            Self::Reset => "final RSET command",
            Self::Forward => "XFORWARD command",
            Self::Mail => "MAIL FROM command",
            Self::Rcpt => "RCPT TO command",
            Self::Data => "DATA command",
            Self::Body | Self::End => "end of DATA command",
        }
    }

    /// How long the reply may take.
    pub fn limit(self, settings: &Settings) -> Duration {
        let limits = &settings.limits;
        match self {
            Self::Greeting | Self::Hello(_) => limits.hello,
            Self::StartTls => limits.starttls,
            Self::Reset => limits.rset,
            Self::Forward => limits.xforward,
            Self::Mail => limits.mail,
            Self::Rcpt => limits.rcpt,
            Self::Data => limits.data_init,
            Self::Body => limits.data_transfer,
            Self::End => limits.data_done,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Greeting => f.write_str("receiving the initial server greeting"),
            Self::Hello(word) => write!(f, "performing the {word} handshake"),
            Self::StartTls => f.write_str("receiving the STARTTLS response"),
            Self::Reset => f.write_str("sending RSET probe"),
            Self::Forward => f.write_str("sending XFORWARD name/address"),
            Self::Mail => f.write_str("sending MAIL FROM"),
            Self::Rcpt => f.write_str("sending RCPT TO"),
            Self::Data => f.write_str("sending DATA command"),
            Self::Body => f.write_str("sending message body"),
            Self::End => f.write_str("sending end of data -- message may be sent more than once"),
        }
    }
}
