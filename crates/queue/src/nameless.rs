//! A file of the queue directory that has no name: what waits for the end of its message, and is larger than memory is
//! for. Nothing of it is left when it is dropped, or when the process ends, however it ends; it never is mail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

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
        let folder = Path::new(FOLDER);
        match without_name(folder) {
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(Nameless(without_name_any_more(folder)?)),
            file => Ok(Nameless(file?)),
        }
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

/// Not every file system can.
#[cfg(target_os = "linux")]
fn without_name(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(nix::fcntl::OFlag::O_TMPFILE.bits()).mode(0o600);
    // name: the queue's own directory, in which the file gets no name.
    options.open(folder)
}

/// Other systems cannot.
#[cfg(not(target_os = "linux"))]
fn without_name(_: &Path) -> io::Result<File> {
    Err(nix::errno::Errno::EOPNOTSUPP.into())
}

/// Makes a file, and takes its name away. A crash in between leaves an empty file, whose name is none of a message.
fn without_name_any_more(folder: &Path) -> io::Result<File> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!(".{}.{number}", sys::process::id()));
    let mut options = OpenOptions::new();
    // name: nothing but the mail system writes to this folder.
    let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_in_the_folder_whatever_the_file_system_can() {
        let folder = std::env::temp_dir().join(format!("nameless-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        for make in [without_name, without_name_any_more] {
            let mut file = Nameless(make(&folder).unwrap());
            file.write(b"some").unwrap();
            file.write(b"thing").unwrap();
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
            let mut pieces = file.into_pieces().unwrap();
            assert_eq!(pieces.next_piece().unwrap().as_deref(), Some(&b"something"[..]));
            assert_eq!(pieces.next_piece().unwrap(), None);
        }
        fs::remove_dir(folder).unwrap();
    }
}
