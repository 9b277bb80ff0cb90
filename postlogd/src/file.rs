//! The log file: opened once, and appended to.

use std::fs::File;
use std::io::{self, Write};

use daemon::StartError;

/// An open log file, or the standard output that master was started with.
pub(crate) struct LogFile {
    file: File,
    path: String,
}

impl LogFile {
    /// Opens the file for appending, and creates it when it is missing.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(file: &logging::LogFile) -> Result<Self, StartError> {
        Ok(Self { file: file.open()?, path: file.path.display().to_string() })
    }

    /// Appends lines with their newlines, in one write if the file takes them all. How many are in the file, and the
    /// error of write(2), or of a disk that took a part, if that are not all.
    pub(crate) fn append(&self, lines: &[String]) -> (usize, io::Result<()>) {
        let bytes = lines.iter().flat_map(|line| [line.as_bytes(), b"\n"]).collect::<Vec<_>>().concat();
        let mut written = 0;
        let result = loop {
            match (&self.file).write(&bytes[written..]) {
                Ok(0) if written < bytes.len() => break Err(io::Error::other("nothing was written")),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
            if written == bytes.len() {
                break Ok(());
            }
        };
        (bytes[..written].iter().filter(|byte| **byte == b'\n').count(), result)
    }

    /// Its name.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}
