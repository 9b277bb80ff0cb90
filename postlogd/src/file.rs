//! The log file: opened once, appended to line by line.

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

    /// Appends a line and its newline in one write.
    ///
    /// # Errors
    /// Those of write(2), or of a disk that took half a line.
    pub(crate) fn append(&self, line: &str) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        (&self.file).write_all(&bytes)
    }

    /// Its name.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}
