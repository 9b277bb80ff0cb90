//! Why a message is not accepted: what its client hears of it, and what the log says.

use dsn::Status;
use ipc::cleanup::Cause;

/// What was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the client makes a reply of.
    pub cause: Cause,
    /// For the client, and for the notification of a sender who is no client.
    pub reply: Reply,
    /// For the log; `None` where a line of another form has said it, or where nobody needs one.
    pub warning: Option<String>,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The cause says it all.
    Standard,
    /// These words; a text that is empty has nothing to add to the cause.
    Words(Status, String),
    /// This reply, one line or more as they are on the wire, each with its code; its status and text, for a
    /// notification.
    Whole(String, Status, String),
}

impl Failure {
    /// One whose cause says it all.
    pub fn new(cause: Cause) -> Self {
        Failure { cause, reply: Reply::Standard, warning: None }
    }

    /// One with words for the client.
    pub fn telling(cause: Cause, status: Status, text: impl Into<String>) -> Self {
        Failure { reply: Reply::Words(status, text.into()), ..Failure::new(cause) }
    }

    /// The client does not keep to the protocol: what it did is for the log.
    pub fn protocol(what: &str) -> Self {
        Failure::new(Cause::Protocol).warning(format!("cleanup client: {what}"))
    }

    /// The same with a line for the log.
    pub fn warning(self, text: String) -> Self {
        Failure { warning: Some(text), ..self }
    }

    /// What a notification says.
    pub fn notice(&self) -> (Status, &str) {
        match &self.reply {
            Reply::Standard => (self.cause.status(), self.cause.sentence()),
            Reply::Words(status, text) | Reply::Whole(_, status, text) => match text.trim_start() {
                "" => (*status, self.cause.sentence()),
                text => (*status, text),
            },
        }
    }
}

impl Reply {
    /// The text of an outcome: with the enhanced status code in front, or empty.
    pub fn into_text(self) -> String {
        match self {
            Reply::Standard => String::new(),
            Reply::Words(status, text) => format!("{status} {text}"),
            Reply::Whole(reply, ..) => reply,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_without_words_is_no_text_for_the_client_and_a_sentence_for_the_sender() {
        let failure = Failure::new(Cause::Size);
        assert_eq!(failure.notice(), (Status::new(5, 3, 4), "message file too big"));
        assert_eq!(failure.reply.into_text(), "");
    }

    #[test]
    fn words_are_told_as_they_are_and_a_code_without_words_gets_those_of_the_cause() {
        let failure = Failure::telling(Cause::Content, Status::new(5, 7, 9), "no");
        assert_eq!(failure.notice(), (Status::new(5, 7, 9), "no"));
        assert_eq!(failure.reply.into_text(), "5.7.9 no");
        let bare = Failure::telling(Cause::Content, Status::new(5, 7, 9), "");
        assert_eq!(bare.notice(), (Status::new(5, 7, 9), "message content rejected"));
        assert_eq!(bare.reply.into_text(), "5.7.9 ");
    }
}
