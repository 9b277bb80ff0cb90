//! What the postmaster hears of sessions: what was said, and what of it was an error. notify_classes

use delivery::postmaster::Notice;
use delivery::transcript::{ErrorClass, Speaker};
use smtp_protocol::{Reply, Verb};

use crate::connection::{CommandLine, Gone};
use crate::rejection::Rejection;
use crate::session::{End, Session, Success};

impl Session {
    /// Says no, by policy or for the reason that the rejection has.
    pub fn turn_down(&mut self, rejection: &Rejection) {
        self.transcript.note(rejection.class);
        self.reply(rejection.reply());
    }

    /// Says no to a client that breaks the rules of SMTP.
    pub fn fail(&mut self, code: u16, status: &str, text: impl AsRef<[u8]>) -> Success {
        self.fail_for(ErrorClass::Protocol, code, status, text)
    }

    /// Says no for another reason.
    pub fn fail_for(&mut self, class: ErrorClass, code: u16, status: &str, text: impl AsRef<[u8]>) -> Success {
        self.transcript.note(class);
        self.fail_quietly(code, status, text)
    }

    /// Says no, and nobody else needs to know.
    pub fn fail_quietly(&mut self, code: u16, status: &str, text: impl AsRef<[u8]>) -> Success {
        self.reply(Reply::with_status(code, status, text));
        Ok(false)
    }

    /// The errors before a message that was taken are none for the postmaster.
    pub fn forgive(&mut self) {
        self.warned.set(false);
        self.transcript.forgive();
    }

    /// Takes a command into the transcript. What stands behind AUTH is a secret, and so are the lines after it that are
    /// no commands.
    pub fn note_line(&mut self, line: &CommandLine) {
        let command = smtp_protocol::Command::parse(line.text());
        let told = |count: usize| format!("[{count} bytes that may be secret]");
        match command.verb {
            Verb::Auth => {
                self.secret = true;
                let text = format!("AUTH {}", told(command.argument.len()));
                self.transcript.say(Speaker::Them, text.as_bytes());
            }
            Verb::Unknown if self.secret => self.transcript.say(Speaker::Them, told(line.length).as_bytes()),
            _ => {
                self.secret = false;
                self.transcript.say(Speaker::Them, &line.bytes);
            }
        }
    }

    /// What there is to tell at the end of the session.
    pub fn notice(&mut self, end: Result<(), End>) -> Notice {
        let reason = match end {
            Err(End::Gone(Gone::Lost)) => Some("lost connection"),
            Err(End::Gone(Gone::TimedOut)) => Some("timeout"),
            _ if self.errors >= self.worker.settings.hard_error_limit => Some("too many errors"),
            _ => None,
        };
        if self.warned.get() {
            self.transcript.note(ErrorClass::Policy);
        }
        Notice {
            peer: self.peer.label.clone(),
            opening: None,
            transcript: std::mem::take(&mut self.transcript),
            closing: Some(reason.map(|reason| format!("Session aborted, reason: {reason}")).unwrap_or_default()),
        }
    }
}
