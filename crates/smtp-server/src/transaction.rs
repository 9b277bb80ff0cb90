//! One mail transaction: from MAIL to the end of the data, or to RSET.
//!
//! The queue file is opened with the first recipient that is accepted, not before: most mail that is turned down never
//! costs one.

use smtp_protocol::parameters::MailParameters;

/// What MAIL began.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// The sender in internal form.
    pub sender: Vec<u8>,
    /// What the client has said behind MAIL.
    pub mail: Vec<u8>,
    /// The parameters of MAIL.
    pub parameters: MailParameters,
    /// Recipients that were accepted.
    pub recipients: u32,
    /// Recipients beyond smtpd_recipient_limit.
    pub overshoot: u32,
    /// The first recipient that was accepted, in internal form.
    pub first_recipient: Vec<u8>,
    /// The queue file, once there is one.
    pub queue_id: Option<String>,
}

impl Transaction {
    /// A transaction without recipients.
    pub fn new(sender: Vec<u8>, parameters: MailParameters) -> Transaction {
        Transaction { sender, parameters, ..Transaction::default() }
    }

    /// The first recipient that was accepted.
    pub fn first(&self) -> Option<&[u8]> {
        (self.recipients > 0).then_some(self.first_recipient.as_slice())
    }

    /// The recipient, if there is one and only one.
    pub fn only_recipient(&self) -> Option<&[u8]> {
        (self.recipients == 1).then_some(self.first_recipient.as_slice())
    }
}

/// How far a message in chunks has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chunking {
    /// No BDAT yet.
    #[default]
    None,
    /// Chunks have come and were good: so many bytes of the message.
    Receiving(u64),
    /// A chunk was bad: the rest of the message is thrown away. Of that and what was good, so many bytes.
    Failed(u64),
}

impl Chunking {
    /// There was a BDAT in this transaction, or instead of one.
    pub fn has_begun(self) -> bool {
        self != Chunking::None
    }

    /// The bytes that have come so far.
    pub fn bytes(self) -> u64 {
        match self {
            Chunking::None => 0,
            Chunking::Receiving(bytes) | Chunking::Failed(bytes) => bytes,
        }
    }
}
