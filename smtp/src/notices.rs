//! What the postmaster hears of servers that do not keep to the protocol (notify_classes: protocol): the sessions that
//! have ended and are to be told of. They are told when the delivery has been reported, so that no mail waits for it.

use std::cell::RefCell;

use delivery::postmaster::{Notice, Postmaster};
use delivery::transcript::Transcript;

/// The sessions of one worker that are over.
#[derive(Debug, Default)]
pub struct Notices {
    /// An empty one, that knows what is wanted.
    blank: Transcript,
    /// Who sends them.
    sender: Vec<u8>,
    ended: RefCell<Vec<Notice>>,
}

impl Notices {
    /// Those that this postmaster wants.
    pub fn of(postmaster: &Postmaster) -> Self {
        Self { blank: postmaster.transcript(), sender: postmaster.sender().into(), ended: RefCell::default() }
    }

    /// Whether anybody is told of a session that carries mail from this sender. A notice, or a notification, may go to
    /// the very server that is told of: each would be followed by the next.
    pub fn are_due_for(&self, sender: &[u8]) -> bool {
        !sender.is_empty() && !sender.eq_ignore_ascii_case(&self.sender)
    }

    /// The transcript of a new session.
    pub fn open(&self) -> Transcript {
        self.blank.clone()
    }

    /// A session is over in which something went wrong.
    pub fn add(&self, peer: String, transcript: Transcript) {
        let opening = Some(format!("Unexpected response from {peer}."));
        self.ended.borrow_mut().push(Notice { peer, opening, transcript, closing: None });
    }

    /// Those that nobody has told of yet.
    pub fn take(&self) -> Vec<Notice> {
        self.ended.take()
    }
}
