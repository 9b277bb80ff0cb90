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
    ended: RefCell<Vec<Notice>>,
}

impl Notices {
    /// Those that this postmaster wants.
    pub fn of(postmaster: &Postmaster) -> Self {
        Self { blank: postmaster.transcript(), ended: RefCell::default() }
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
