//! A message that waits for its end before the filter hears of it: its commands, and its content in a file that has no
//! name. Nothing of it is left when the session ends, however it ends.

use std::io;

use queue::{Nameless, Pieces};

use super::origin::Origin;

/// A stored message.
pub struct Store {
    origin: Origin,
    mail: Vec<u8>,
    recipients: Vec<Vec<u8>>,
    content: Nameless,
}

impl Store {
    /// For a message of this sender.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn begin(origin: Origin, mail: Vec<u8>) -> io::Result<Store> {
        Ok(Store { origin, mail, recipients: Vec::new(), content: Nameless::create()? })
    }

    /// One more recipient.
    pub fn recipient(&mut self, command: Vec<u8>) {
        self.recipients.push(command);
    }

    /// More content, as it goes over the wire.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.content.write(bytes)
    }

    /// The client.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// MAIL
    pub fn mail(&self) -> &[u8] {
        &self.mail
    }

    /// RCPT for each of them.
    pub fn recipients(&self) -> impl Iterator<Item = &[u8]> {
        self.recipients.iter().map(Vec::as_slice)
    }

    /// The content from its start.
    ///
    /// # Errors
    /// Those of lseek(2).
    pub fn content(self) -> io::Result<Pieces> {
        self.content.into_pieces()
    }
}
