//! One mail transaction: from MAIL to the end of the data, or to RSET.
//!
//! The queue file is opened with the first recipient that is accepted, not before: most mail that is turned
//! down never costs one.

use ipc::cleanup::Message;
use smtp_protocol::parameters::MailParameters;

use crate::restriction::Effects;

/// What MAIL began.
pub struct Transaction {
    /// The sender in internal form.
    pub sender: Vec<u8>,
    /// The parameters of MAIL.
    pub parameters: MailParameters,
    /// Recipients that were accepted.
    pub recipients: u32,
    /// Recipients beyond smtpd_recipient_limit.
    pub overshoot: u32,
    /// The first recipient that was accepted, in internal form.
    pub first_recipient: Vec<u8>,
    /// What access tables want to be done with the message.
    pub effects: Effects,
    /// The message on its way to cleanup.
    pub message: Option<Message>,
}

impl Transaction {
    /// A transaction without recipients.
    pub fn new(sender: Vec<u8>, parameters: MailParameters) -> Transaction {
        Transaction {
            sender,
            parameters,
            recipients: 0,
            overshoot: 0,
            first_recipient: Vec::new(),
            effects: Effects::default(),
            message: None,
        }
    }

    /// The recipient, if there is one and only one.
    pub fn only_recipient(&self) -> Option<&[u8]> {
        (self.recipients == 1).then_some(self.first_recipient.as_slice())
    }

    /// The queue file, once there is one.
    pub fn queue_id(&self) -> Option<&str> {
        self.message.as_ref().map(|message| message.queue_id().as_str())
    }
}
