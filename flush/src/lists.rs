//! The lists on disk: `flush/DOMAIN`, an identifier a line.
//!
//! Who works on a list has its lock (flock(2)). An identifier that is lost in a crash is that of a message which is
//! delivered at its time; nothing waits for the disk here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use queue::{QueueId, Spool};

/// The directory of the lists.
const DIRECTORY: &str = "flush";
/// The longest line that can hold an identifier; one that is longer holds none.
/// told: the log.
const LONGEST_LINE: u64 = 256;
/// The part of a line that a warning shows.
const SHOWN: usize = 30;

/// How often, and after which pause, a lock is tried that another process has: a minute in all.
const LOCK_ATTEMPTS: u32 = 6000;
/// See [`LOCK_ATTEMPTS`].
const LOCK_DELAY: Duration = Duration::from_millis(10);

/// All of them.
pub(crate) struct Lists {
    pub(crate) spool: Spool,
    /// fast_flush_refresh_time
    pub(crate) refresh: Duration,
    /// fast_flush_purge_time
    pub(crate) purge: Duration,
}

/// The name of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site(String);

impl Site {
    /// The list of a domain or an address in brackets; `None` if it is neither.
    pub(crate) fn of(name: &[u8]) -> Option<Site> {
        let name = std::str::from_utf8(name).ok()?;
        let ascii = if name.is_ascii() { name.to_owned() } else { net::idna::to_ascii(name)? };
        let is_site = net::hostname::is_valid(ascii.as_bytes()) || net::literal::mailhost(ascii.as_bytes()).is_some();
        let letter = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte.to_ascii_lowercase()) } else { '_' };
        is_site.then(|| Site(ascii.bytes().map(letter).collect()))
    }

    /// Whose name a file has; `None` if none of ours has it.
    fn of_file(name: &str) -> Option<Site> {
        let is_ours = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        name.bytes().all(is_ours).then(|| Site(name.to_owned()))
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(DIRECTORY).join(&self.0)
    }
}

impl Lists {
    /// A message waits for a site.
    ///
    /// # Errors
    /// The list cannot be written.
    pub(crate) fn add(&self, site: &Site, id: &QueueId) -> io::Result<()> {
        let path = self.spool.root().join(site.path());
        loop {
            let mut list = self.options().append(true).create(true).open(&path)?;
            lock(&list)?;
            // It may have gone meanwhile, for it was empty.
            if list.metadata()?.nlink() > 0 {
                return list.write_all(format!("{id}\n").as_bytes());
            }
        }
    }

    /// Puts all that waits for a site into the incoming queue, and empties the list: how many messages. What was not
    /// delivered comes back.
    ///
    /// # Errors
    /// The list cannot be read.
    pub(crate) fn send(&self, site: &Site) -> io::Result<usize> {
        let path = self.spool.root().join(site.path());
        let list = match self.options().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            list => list?,
        };
        lock(&list)?;
        let mut lines = BufReader::new(&list);
        let (mut line, mut sent) = (Vec::new(), 0);
        loop {
            line.clear();
            if lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let name = line.strip_suffix(b"\n").unwrap_or(&line);
            match QueueId::parse(name) {
                Some(id) => sent += usize::from(self.send_message(&id, false)),
                None => {
                    // told: the log shows the start.
                    let shown = text::printable(&name[..name.len().min(SHOWN)]);
                    logging::warning!("bad queue id \"{shown}...\" in fast flush logfile {}", site.0);
                }
            }
        }
        list.set_len(0)?;
        asked_for(&list)?;
        Ok(sent)
    }

    /// Puts a message that waits into the incoming queue; false: it is not there. `anyway`: though its destination is
    /// known to be dead.
    pub(crate) fn send_message(&self, id: &QueueId, anyway: bool) -> bool {
        match self.spool.urge(id, anyway) {
            Ok(()) => true,
            // It has been delivered, is being delivered, or is frozen.
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                logging::warning!(about: id, "move {id} to incoming: {error}", error = text::system_error(&error));
                false
            }
        }
    }

    /// Goes through the lists that nobody has asked for in a long time, or through all of them: how many messages are
    /// to be delivered now.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn look_through(&self, all: bool) -> io::Result<usize> {
        let mut sent = 0;
        for entry in fs::read_dir(self.spool.root().join(DIRECTORY))? {
            let entry = entry?;
            let Some(site) = entry.file_name().to_str().and_then(Site::of_file) else { continue };
            match self.look_at(&site, all) {
                Ok(count) => sent += count,
                Err(error) => {
                    logging::warning!("{}: {error}", site.path().display(), error = text::system_error(&error));
                }
            }
        }
        Ok(sent)
    }

    fn look_at(&self, site: &Site, all: bool) -> io::Result<usize> {
        let path = self.spool.root().join(site.path());
        let found = fs::symlink_metadata(&path)?;
        if found.len() == 0 {
            if age(found.mtime()) >= self.purge {
                self.remove(&path)?;
            }
            return Ok(0);
        }
        if all || age(found.atime()) >= self.refresh { self.send(site) } else { Ok(0) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let list = self.options().read(true).open(path)?;
        lock(&list)?;
        if list.metadata()?.len() == 0 { fs::remove_file(path) } else { Ok(()) }
    }

    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.mode(0o600).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK);
        options
    }
}

/// Waits for the lock of a list.
fn lock(list: &File) -> io::Result<()> {
    for _ in 0..LOCK_ATTEMPTS {
        if sys::lock::lock(list.as_fd())? {
            return Ok(());
        }
        // waits: for another request about the list, in a thread aside.
        std::thread::sleep(LOCK_DELAY);
    }
    Err(nix::errno::Errno::ETIMEDOUT.into())
}

/// The time of access says when a list was asked for last, whatever the file system is mounted with.
fn asked_for(list: &File) -> io::Result<()> {
    Ok(futimens(list, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW)?)
}

fn age(since: i64) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_secs(u64::try_from(since).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
