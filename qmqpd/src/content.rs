//! The content of a message until its envelope has come: in memory while it is short, in a file without a name from
//! then on.

use std::io;

use queue::{Nameless, Pieces};

/// Bytes that are kept in memory: most messages as a whole.
/// told: nobody; the rest goes into a file.
const IN_MEMORY: usize = 64 << 10;

/// The bytes that have come.
#[derive(Debug, Default)]
pub struct Content {
    recent: Vec<u8>,
    /// What came before those.
    file: Option<Nameless>,
}

impl Content {
    /// Appends.
    ///
    /// # Errors
    /// The file cannot be made or written.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.recent.extend_from_slice(bytes);
        if self.recent.len() <= IN_MEMORY {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(Nameless::create()?),
        };
        file.write(&self.recent)?;
        self.recent.clear();
        Ok(())
    }

    /// All of it, from its start.
    ///
    /// # Errors
    /// Those of lseek(2).
    pub fn read(self) -> io::Result<Reader> {
        let file = self.file.map(Nameless::into_pieces).transpose()?;
        Ok(Reader { file, recent: Some(self.recent) })
    }
}

/// Content that is read.
#[derive(Debug)]
pub struct Reader {
    file: Option<Pieces>,
    recent: Option<Vec<u8>>,
}

impl Reader {
    /// The next piece; nothing at the end.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let piece = self.file.as_mut().map(Pieces::next_piece).transpose()?.flatten();
        Ok(piece.or_else(|| self.recent.take()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_content_needs_no_file() {
        let mut content = Content::default();
        content.push(&vec![b'x'; IN_MEMORY]).unwrap();
        content.push(b"").unwrap();
        assert!(content.file.is_none());
        let mut reader = content.read().unwrap();
        assert_eq!(reader.next_piece().unwrap().map(|piece| piece.len()), Some(IN_MEMORY));
        assert_eq!(reader.next_piece().unwrap(), None);
    }
}
