//! A file of the queue directory that has no name: what waits for the end of its message, and is larger than memory is
//! for. Nothing of it is left when it is dropped, or when the process ends, however it ends; it never is mail.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;

/// Where such files are: the file system has to have room for the message anyway.
const FOLDER: &str = "incoming";
/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// A file that is written from its start to its end.
#[derive(Debug)]
pub struct Nameless(File);

impl Nameless {
    /// An empty one. The working directory is the queue directory.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create() -> io::Result<Nameless> {
        // name: the queue's own directory, in which the file gets no name.
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlag::O_TMPFILE.bits()).mode(0o600);
        Ok(Nameless(options.open(FOLDER)?))
    }

    /// Appends.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// All of it, from its start.
    ///
    /// # Errors
    /// Those of lseek(2).
    pub fn into_pieces(mut self) -> io::Result<Pieces> {
        self.0.seek(SeekFrom::Start(0))?;
        Ok(Pieces(self.0))
    }
}

/// A file that is read.
#[derive(Debug)]
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
