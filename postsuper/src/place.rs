//! Files that are not where the settings say, because hash_queue_depth was changed or a backup came back, and files
//! that are nothing of the queue's.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use logging::warning;

/// Moves a file to its place, whose directories are made.
///
/// # Errors
/// A sentence: the file cannot be moved.
pub fn place(from: &Path, to: &Path) -> Result<(), String> {
    if from == to {
        return Ok(());
    }
    let renamed = match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = to.parent().unwrap_or(Path::new("."));
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(parent);
            made.and_then(|()| fs::rename(from, to))
        }
        result => result,
    };
    renamed.map_err(|error| format!("rename {} to {}: {}", from.display(), to.display(), text::system_error(&error)))
}

/// Tells of a name that belongs to no message, but for the temporary one of a file that is being made.
pub fn tell_stranger(path: &Path) {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    if !is_temporary(name) {
        warning!("bogus file name: {}", path.display());
    }
}

/// `USEC.PID`
fn is_temporary(name: &[u8]) -> bool {
    let mut parts = name.split(|b| *b == b'.');
    let mut digits = || parts.next().is_some_and(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit));
    digits() && digits() && parts.next().is_none()
}
