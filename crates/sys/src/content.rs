//! What is in a file that an administrator names: opening it never waits, and reading it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// Opens a file for reading; a pipe is not waited for.
///
/// # Errors
/// Those of open(2).
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
}

/// Appends all of an open file to `content`, which has the room that is wanted without a copy: for keys.
///
/// # Errors
/// EFBIG for more than `limit` bytes.
pub fn append(file: File, limit: u64, content: &mut Vec<u8>) -> io::Result<()> {
    // told: the caller, by the error
    let length = file.take(limit.saturating_add(1)).read_to_end(content)? as u64;
    if length > limit { Err(Errno::EFBIG.into()) } else { Ok(()) }
}

/// All of a file.
///
/// # Errors
/// Those of [`open`] and [`append`].
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    append(open(path)?, limit, &mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_an_error_and_a_pipe_without_a_writer_is_not_waited_for() {
        let too_large = |limit| read(Path::new("/dev/zero"), limit).unwrap_err().raw_os_error();
        assert_eq!(too_large(1000), Some(Errno::EFBIG as i32));
        let path = std::env::temp_dir().join(format!("sys-content-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(&path, 1000).unwrap(), b"");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read(&path, 4).unwrap_err().raw_os_error(), Some(Errno::EFBIG as i32));
        std::fs::remove_file(&path).unwrap();
    }
}
