//! A message that waits for its end before the filter hears of it: its commands, and its content in a file that has no
//! name. Nothing of it is left when the session ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;

use super::origin::Origin;

/// Where such files are: the file system has to have room for the message anyway.
const FOLDER: &str = "incoming";
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// A stored message.
pub struct Store {
    origin: Origin,
    mail: Vec<u8>,
    recipients: Vec<Vec<u8>>,
    content: File,
}

impl Store {
    /// For a message of this sender.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn begin(origin: Origin, mail: Vec<u8>) -> io::Result<Store> {
        // name: the queue's own directory, in which the file gets no name.
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlag::O_TMPFILE.bits()).mode(0o600);
        Ok(Store { origin, mail, recipients: Vec::new(), content: options.open(FOLDER)? })
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
        self.content.write_all(bytes)
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
        let mut file = self.content;
        file.seek(SeekFrom::Start(0))?;
        Ok(Pieces(file))
    }
}

/// Content that is read.
pub struct Pieces(File);

impl Pieces {
    /// The next piece; nothing at the end.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut piece = vec![0; PIECE];
        let count = self.0.read(&mut piece)?;
        piece.truncate(count); // told: nobody; the next piece follows.
        Ok((count > 0).then_some(piece))
    }
}
