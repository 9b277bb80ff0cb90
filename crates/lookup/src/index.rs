//! What the files of indexed tables have in common, whatever their format: they are read piece by piece with pread(2).
//!
//! A table is a file that somebody may write, cut short or replace while it is read, and that need not be the
//! administrator's: the alias file of a user. So it is neither mapped into memory, where a page that goes missing ends
//! the process with all its sessions, nor given to code that trusts it. Every number in it is checked before it is
//! used; a file that makes no sense is an error of the look-up.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use nix::sys::stat::fstat;

/// Largest value in bytes.
/// told: who looks up, by an error.
pub(crate) const MAX_VALUE: usize = 64 << 20;

/// Which key was found, by its place among those that were asked for, and its value.
pub type Found = (usize, Vec<u8>);

/// Where bytes come from.
pub trait Source {
    /// Reads the whole buffer, or fails with `UnexpectedEof`.
    ///
    /// # Errors
    /// As said, and those of reading.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// How many bytes there are, and when one was written last.
    ///
    /// # Errors
    /// Those of asking.
    fn state(&self) -> io::Result<State>;
}

/// What can be known of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Bytes.
    pub length: u64,
    /// When it was written last, by the system's clock; whoever writes it cannot set that time. A change of its names
    /// or its mode counts too.
    pub written: SystemTime,
    /// When its bytes were written last; whoever writes them can set that time.
    pub modified: SystemTime,
}

impl Source for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn state(&self) -> io::Result<State> {
        let data = fstat(self)?;
        Ok(State {
            length: u64::try_from(data.st_size).unwrap_or_default(),
            written: time(data.st_ctime, data.st_ctime_nsec),
            modified: time(data.st_mtime, data.st_mtime_nsec),
        })
    }
}

fn time(seconds: i64, nanoseconds: i64) -> SystemTime {
    let nanoseconds = u32::try_from(nanoseconds).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::new(u64::try_from(seconds).unwrap_or_default(), nanoseconds)
}

/// Why nothing can be read. Display is the reason.
#[derive(Debug)]
pub enum IndexError {
    /// Another format, or another version or order of keys.
    Other(&'static str),
    /// It contradicts itself.
    Damaged(&'static str),
    /// A value is longer than [`MAX_VALUE`].
    TooLong,
    /// It is written faster than it can be read.
    Restless,
    /// It was written in place since it was opened, and cannot be read as it was then.
    Rewritten,
    /// Reading failed.
    Io(io::Error),
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(what) => write!(f, "not a table of this type: {what}"),
            Self::Damaged(what) => write!(f, "file is damaged: {what}"),
            Self::TooLong => write!(f, "value is longer than {MAX_VALUE} bytes"),
            Self::Restless => f.write_str("file is being written all the time"),
            Self::Rewritten => f.write_str("file was written since it was opened"),
            Self::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => f.write_str("file is truncated"),
            Self::Io(error) => f.write_str(&net::reason(error)),
        }
    }
}

impl From<io::Error> for IndexError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What reading an indexed file gives.
pub type Result<T> = std::result::Result<T, IndexError>;

/// Bytes in the place of a file.
#[cfg(test)]
impl Source for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        buffer.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn state(&self) -> io::Result<State> {
        Ok(State { length: self.len() as u64, written: SystemTime::UNIX_EPOCH, modified: SystemTime::UNIX_EPOCH })
    }
}
