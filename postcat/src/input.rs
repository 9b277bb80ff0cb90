//! Where the records of a queue file are read from.

use std::fs::File;
use std::io::{self, Read};

use queue::record::ReadAt;

/// A file, or what came through a pipe: pointers lead anywhere in it.
pub(crate) enum Input {
    /// It is read where it is asked for.
    File(File),
    /// All that there was.
    Memory(Vec<u8>),
}

impl Input {
    /// Standard input, to its end.
    ///
    /// # Errors
    /// A sentence: it cannot be read.
    pub(crate) fn standard() -> Result<Self, String> {
        let mut bytes = Vec::new();
        match io::stdin().lock().read_to_end(&mut bytes) {
            Ok(_) => Ok(Self::Memory(bytes)),
            Err(error) => Err(format!("read standard input: {}", text::system_error(&error))),
        }
    }
}

impl ReadAt for Input {
    fn read_some(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read_some(buffer, offset),
            Self::Memory(bytes) => bytes.read_some(buffer, offset),
        }
    }
}
