//! A mailbox, locked in each of the ways that are asked for.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use config::{Config, param};
use sys::LockFile;
use sys::open::{APPENDED, Refusal};

/// A locked mailbox: its locks go away with it.
pub(crate) struct Mailbox {
    _lock: Option<LockFile>,
    _file: File,
}

/// How often and for how long a lock is waited for.
struct Patience {
    attempts: i64,
    delay: Duration,
    stale: Duration,
}

impl Mailbox {
    /// Locks a mailbox in the ways of mailbox_delivery_lock: the lock file first, the others when the file is open.
    ///
    /// # Errors
    /// A sentence: somebody else has it, it cannot be opened, or a setting makes no sense.
    pub(crate) fn lock(path: &Path, config: &Config) -> Result<Mailbox, String> {
        let styles = config.get(param::MAILBOX_DELIVERY_LOCK).map_err(|error| error.to_string())?;
        let patience = Patience::of(config).map_err(|error| error.to_string())?;
        let failed = |what: String| format!("open file {}: {what}", path.display());
        let with = |what: &str, error: &io::Error| failed(format!("{what}: {}", text::system_error(error)));
        let lock = match styles.iter().any(|style| style == "dotlock") {
            true => Some(patience.lock_file(path).map_err(|error| {
                with(&format!("unable to create lock file {}", LockFile::name(path).display()), &error)
            })?),
            false => None,
        };
        let opened = sys::open::to_append_or_create(path, 0o600, &APPENDED);
        let (file, _) = opened.map_err(|refusal| match refusal {
            Refusal::System(error) => with("cannot open file", &error),
            refusal => failed(refusal.to_string()),
        })?;
        for style in styles.iter().filter(|style| *style != "dotlock") {
            patience.open_file(&file, style).map_err(|error| with("unable to lock for exclusive access", &error))?;
        }
        Ok(Mailbox { _lock: lock, _file: file })
    }
}

impl Patience {
    fn of(config: &Config) -> Result<Patience, config::ValueError> {
        Ok(Patience {
            attempts: config.get(param::DELIVER_LOCK_ATTEMPTS)?,
            delay: config.get(param::DELIVER_LOCK_DELAY)?,
            stale: config.get(param::STALE_LOCK_TIME)?,
        })
    }

    fn lock_file(&self, path: &Path) -> io::Result<LockFile> {
        let mut attempts = 0..self.attempts.max(1);
        loop {
            attempts.next();
            match LockFile::make(path, self.stale) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !attempts.is_empty() => sleep(self.delay),
                made => return made,
            }
        }
    }

    fn open_file(&self, file: &File, style: &str) -> io::Result<()> {
        for attempt in 0..self.attempts.max(1) {
            if attempt > 0 {
                sleep(self.delay);
            }
            let held = match style {
                "flock" => sys::lock::lock(file.as_fd())?,
                _ => sys::lock::record(file.as_fd())?,
            };
            if held {
                return Ok(());
            }
        }
        Err(nix::errno::Errno::EAGAIN.into())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("postlock-{}-{name}", std::process::id()))
    }

    fn config(text: &str) -> Config {
        let text = format!("deliver_lock_attempts = 1\n{text}");
        Config::parse(text.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap()
    }

    fn refusal(path: &Path, config: &Config) -> String {
        Mailbox::lock(path, config).err().unwrap_or_default()
    }

    #[test]
    fn a_mailbox_is_made_and_has_its_locks_for_as_long_as_it_is_kept() {
        let (path, config) = (path("kept"), config("mailbox_delivery_lock = fcntl, dotlock, flock\n"));
        let mailbox = Mailbox::lock(&path, &config).unwrap();
        let name = LockFile::name(&path);
        let why = format!("open file {}: unable to create lock file {}: File exists", path.display(), name.display());
        assert_eq!(refusal(&path, &config), why);
        let other = self::config("mailbox_delivery_lock = flock\n");
        let held = "unable to lock for exclusive access: Resource temporarily unavailable";
        assert_eq!(refusal(&path, &other), format!("open file {}: {held}", path.display()));
        drop(mailbox);
        assert!(path.exists() && !name.exists());
        assert_eq!(refusal(&path, &other), "");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_is_no_mailbox_is_not_locked_and_keeps_no_lock_file() {
        let (folder, config) = (path("folder"), config("mailbox_delivery_lock = dotlock\n"));
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(
            refusal(&folder, &config),
            format!("open file {}: cannot open file: Is a directory", folder.display())
        );
        assert!(!LockFile::name(&folder).exists());
        std::fs::remove_dir(folder).unwrap();
    }
}
