//! Files that somebody may be writing at this moment, in pieces, as editors do: half a main.cf is a sound one that says
//! something else.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// For how long nobody may have touched a configuration file that a supervisor reads.
pub const QUIET: Duration = Duration::from_millis(200);

/// How long a supervisor waits for that: whoever writes all the time is not waited for.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// An empty file that has been seen so often is one that is meant. A kernel cuts a file first and notes the time after
/// that: for a moment an empty file looks as if it had been so for long.
const EMPTY: usize = 10;

/// What a file holds, if nobody has changed it for as long as `quiet`; None if somebody has, or does meanwhile, or if
/// it is empty, which it is when somebody begins to write.
///
/// # Errors
/// It cannot be read.
pub fn try_read(path: &Path, quiet: Duration) -> io::Result<Option<Vec<u8>>> {
    Ok(look(path, quiet)?.filter(|content| !content.is_empty()))
}

fn look(path: &Path, quiet: Duration) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    let before = state(&file)?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    // A time in the future is one of another clock.
    let is_quiet = before.0.elapsed().map_or(true, |age| age >= quiet);
    Ok((is_quiet && state(&file)? == before).then_some(content))
}

/// The same, waited for; after `patience` what the file holds then.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path, quiet: Duration, patience: Duration) -> io::Result<Vec<u8>> {
    let end = Instant::now() + patience;
    let mut empty = 0;
    loop {
        match look(path, quiet)? {
            Some(content) if content.is_empty() && empty < EMPTY => empty += 1,
            Some(content) => return Ok(content),
            None => {}
        }
        if Instant::now() >= end {
            return std::fs::read(path);
        }
        // waits: master, for two seconds at most, when an operator reloads
        std::thread::sleep(LOOK);
    }
}

fn state(file: &File) -> io::Result<(SystemTime, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.modified()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_when_nobody_has_touched_it_for_a_while() {
        let quiet = Duration::from_secs(3600);
        let path = std::env::temp_dir().join(format!("config-settled-{}", std::process::id()));
        std::fs::write(&path, "a = b\n").unwrap();
        let read_now = || try_read(&path, quiet).unwrap();
        assert_eq!(read_now(), None);
        assert_eq!(read(&path, quiet, Duration::ZERO).unwrap(), b"a = b\n");
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - 2 * quiet).unwrap();
        assert_eq!(read_now().as_deref(), Some(&b"a = b\n"[..]));
        file.set_modified(SystemTime::now() + 2 * quiet).unwrap();
        assert!(read_now().is_some());
        file.set_len(0).unwrap();
        file.set_modified(SystemTime::now() - 2 * quiet).unwrap();
        assert_eq!(read_now(), None);
        assert_eq!(read(&path, quiet, quiet).unwrap(), b"");
        std::fs::remove_file(&path).unwrap();
        assert!(try_read(&path, quiet).is_err());
    }
}
