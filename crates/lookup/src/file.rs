//! Files of tables. They need not be the administrator's (the alias file of a user), and they are opened by root:
//! opening one must never wait, and reading one must end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// Largest text of a table in bytes.
/// told: whoever opens the table, by an error.
const MAX_TEXT: u64 = 256 << 20;

/// Opens a file for reading. A device is one, as /dev/null is an empty table; a pipe is none: it would wait for its
/// writer.
///
/// # Errors
/// Those of open(2); `InvalidInput` for a pipe.
pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    match file.metadata()?.file_type() {
        kind if kind.is_fifo() => Err(io::Error::new(io::ErrorKind::InvalidInput, "a pipe is no table")),
        _ => Ok(file),
    }
}

/// The text of a table, and who owns the file.
pub(crate) struct Owned {
    /// The text.
    pub(crate) text: Vec<u8>,
    /// The owner of the file that was read.
    pub(crate) owner: u32,
}

/// Reads a text as a whole.
///
/// # Errors
/// Those of [`open`]; EFBIG for one that is longer than 256 MiB.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    read_owned(path).map(|owned| owned.text)
}

/// Reads a text as a whole, and tells whose it is.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_owned(path: impl AsRef<Path>) -> io::Result<Owned> {
    read_at_most(path.as_ref(), MAX_TEXT)
}

fn read_at_most(path: &Path, limit: u64) -> io::Result<Owned> {
    let file = open(path)?;
    let owner = file.metadata()?.uid();
    let mut text = Vec::new();
    // told: the error names the file, and the table is not used
    let length = file.take(limit + 1).read_to_end(&mut text)? as u64;
    if length > limit { Err(Errno::EFBIG.into()) } else { Ok(Owned { text, owner }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let path = std::env::temp_dir().join(format!("lookup-file-pipe-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o600)).unwrap();
        assert_eq!(open(&path).unwrap_err().to_string(), "a pipe is no table");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_text_without_end_is_an_error() {
        let endless = read_at_most(Path::new("/dev/zero"), 1000).err().unwrap();
        assert_eq!(endless.raw_os_error(), Some(Errno::EFBIG as i32));
        assert!(read("/dev/null").unwrap().is_empty());
    }
}
