//! Repair of the queue's structure: what a backup, another machine or other settings left behind.
//!
//! A name is changed in two steps, to `NEW#FIX` and then to `NEW`, because the new name may still belong to another
//! file that is about to get its own. Logs are renamed before their message. Each step is one rename: whenever this is
//! interrupted, running it again goes on where it stopped.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use logging::warning;
use queue::{QueueId, QueueName, Spool};

use crate::place::{place, tell_stranger};

/// What is added to a name between its two steps.
const SUFFIX: &str = "#FIX";
/// Age from which an incomplete file is litter.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// Owner bits of a complete file.
const COMPLETE: u32 = 0o700;
/// Levels of subdirectories that are looked at.
/// told: who repairs: the directory that is not empty is named.
const MAX_DEPTH: usize = 16;

/// The queues that are repaired when none is named: logs before the messages that they belong to.
const QUEUES: [QueueName; 8] = [
    QueueName::Defer,
    QueueName::Bounce,
    QueueName::Maildrop,
    QueueName::Incoming,
    QueueName::Active,
    QueueName::Deferred,
    QueueName::Hold,
    QueueName::Flush,
];

/// What is to be repaired.
pub struct Repair<'a> {
    /// The queue.
    pub spool: &'a Spool,
    /// Names and places.
    pub structure: bool,
    /// Incomplete files.
    pub purge: bool,
    /// Long names must match the inode, too.
    pub long_names: bool,
    /// Long names stay long (`enable_long_queue_ids`).
    pub keep_long: bool,
}

impl Repair<'_> {
    /// Repairs `queues`, or all that can be; the number of messages that got another name.
    ///
    /// # Errors
    /// A sentence: a file or directory cannot be changed.
    pub fn run(&self, queues: &[QueueName]) -> Result<usize, String> {
        let queues: Vec<_> = if queues.is_empty() { QUEUES.to_vec() } else { queues.to_vec() };
        let mut renamed = HashSet::new();
        for queue in &queues {
            self.walk(*queue, &self.spool.queue(*queue), 0, &mut renamed)?;
        }
        if !renamed.is_empty() {
            // Logs got their first step with their message, in whatever queue they are.
            for queue in [QueueName::Defer, QueueName::Bounce, QueueName::Trace].iter().chain(&queues) {
                self.walk(*queue, &self.spool.queue(*queue), 0, &mut HashSet::new())?;
            }
        }
        Ok(renamed.len())
    }

    fn walk(
        &self,
        queue: QueueName,
        directory: &Path,
        level: usize,
        renamed: &mut HashSet<PathBuf>,
    ) -> Result<(), String> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("open directory", directory, &error)),
        };
        // The directory changes while it is read: names first. One level at a time is in memory.
        let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
        for path in paths.map_err(|error| failed("read directory", directory, &error))? {
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("stat", &path, &error)),
            };
            if metadata.is_dir() {
                self.subdirectory(queue, &path, level, renamed)?;
            } else if !metadata.is_file() || self.is_litter(queue, &metadata) {
                remove(&path)?;
            } else if self.structure && !renamed.contains(&path) {
                self.file(queue, &path, &metadata, renamed)?;
            }
        }
        Ok(())
    }

    /// One-character names are levels of a hashed queue; those below the last level are not needed.
    fn subdirectory(
        &self,
        queue: QueueName,
        path: &Path,
        level: usize,
        renamed: &mut HashSet<PathBuf>,
    ) -> Result<(), String> {
        let is_level = path.file_name().is_some_and(|name| name.len() == 1);
        if is_level && level < MAX_DEPTH {
            self.walk(queue, path, level + 1, renamed)?;
        }
        let is_needed = is_level && level < self.spool.depth(queue);
        if self.structure && !is_needed {
            match fs::remove_dir(path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => warning!("remove subdirectory {}: {}", path.display(), text::system_error(&error)),
            }
        }
        Ok(())
    }

    fn is_litter(&self, queue: QueueName, metadata: &Metadata) -> bool {
        let old = |time: SystemTime| time.elapsed().is_ok_and(|age| age > WEEK);
        self.purge
            && holds_messages(queue)
            && metadata.mode() & COMPLETE != COMPLETE
            && metadata.modified().is_ok_and(old)
    }

    /// Gives one file its name and its place.
    fn file(
        &self,
        queue: QueueName,
        path: &Path,
        metadata: &Metadata,
        renamed: &mut HashSet<PathBuf>,
    ) -> Result<(), String> {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let base = name.strip_suffix(SUFFIX.as_bytes()).unwrap_or(name);
        let Some(id) = QueueId::parse(base) else {
            tell_stranger(path);
            return Ok(());
        };
        if !holds_messages(queue) {
            return place(path, &self.spool.path(queue, &id));
        }
        let Some(inode) = id.inode() else {
            warning!("bogus file name: {}", path.display());
            return Ok(());
        };
        let is_short_enough = self.keep_long || !id.is_long();
        let matches = inode == metadata.ino() || (id.is_long() && !self.long_names);
        if is_short_enough && matches {
            return place(path, &self.spool.path(queue, &id));
        }
        if base.len() < name.len() {
            warning!("name/inode mismatch: {}", path.display());
            return Ok(());
        }
        let new = self.new_name(&id, metadata.ino());
        for log in [QueueName::Bounce, QueueName::Defer, QueueName::Trace] {
            let old = self.spool.path(log, &id);
            if old.exists() {
                place(&old, &suffixed(&self.spool.path(log, &new)))?;
            }
        }
        let target = suffixed(&self.spool.path(queue, &new));
        place(path, &target)?;
        renamed.insert(target);
        Ok(())
    }

    /// The same time, the present inode.
    fn new_name(&self, old: &QueueId, inode: u64) -> QueueId {
        if old.is_long() && !self.keep_long {
            QueueId::short(Duration::from_micros(u64::from(old.micros().unwrap_or_default())), inode)
        } else {
            old.with_inode(inode)
        }
    }
}

fn holds_messages(queue: QueueName) -> bool {
    !matches!(queue, QueueName::Defer | QueueName::Bounce | QueueName::Trace | QueueName::Flush)
}

fn suffixed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

fn remove(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, &error)),
        _ => Ok(()),
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> String {
    format!("{what} {}: {}", path.display(), text::system_error(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue::Hashing;

    struct Scratch(PathBuf, Spool);

    impl Scratch {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("postsuper-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            for queue in QUEUES {
                fs::create_dir_all(root.join(queue.as_str())).unwrap();
            }
            Self(root.clone(), Spool::new(root, Hashing::default()))
        }

        fn put(&self, path: &str, mode: u32) -> u64 {
            use std::os::unix::fs::PermissionsExt;
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, b"x").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            fs::metadata(&path).unwrap().ino()
        }

        fn repair(&self, keep_long: bool) -> usize {
            let repair = Repair { spool: &self.1, structure: true, purge: true, long_names: false, keep_long };
            repair.run(&[]).unwrap()
        }

        fn has(&self, path: &str) -> bool {
            self.0.join(path).exists()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_copied_file_gets_the_name_of_its_inode_and_its_log_with_it() {
        let scratch = Scratch::new("copied");
        let inode = scratch.put("deferred/D/DEADBEEF12", 0o700);
        scratch.put("defer/D/DEADBEEF12", 0o600);
        assert_eq!(scratch.repair(false), 1);
        let name = format!("DEADB{inode:X}");
        assert!(scratch.has(&format!("deferred/D/{name}")) && scratch.has(&format!("defer/D/{name}")));
        assert_eq!(scratch.repair(false), 0);
    }

    #[test]
    fn an_interrupted_repair_goes_on() {
        let scratch = Scratch::new("interrupted");
        let inode = scratch.put("hold/x", 0o700);
        let name = format!("ABCDE{inode:X}");
        fs::rename(scratch.0.join("hold/x"), scratch.0.join(format!("hold/{name}#FIX"))).unwrap();
        scratch.put(&format!("defer/A/{name}#FIX"), 0o600);
        scratch.repair(false);
        assert!(scratch.has(&format!("hold/{name}")) && scratch.has(&format!("defer/A/{name}")));
    }

    #[test]
    fn files_go_to_the_place_of_the_settings_and_surplus_directories_away() {
        let scratch = Scratch::new("places");
        let inode = scratch.put("active/Q/W/x", 0o700);
        let name = format!("ABCDE{inode:X}");
        fs::rename(scratch.0.join("active/Q/W/x"), scratch.0.join(format!("active/Q/W/{name}"))).unwrap();
        fs::create_dir_all(scratch.0.join("deferred/Z")).unwrap();
        assert_eq!(scratch.repair(false), 0);
        assert!(scratch.has(&format!("active/{name}")) && !scratch.has("active/Q"));
        assert!(scratch.has("deferred/Z"));
    }

    #[test]
    fn long_names_stay_when_they_are_wanted_and_become_short_when_not() {
        let scratch = Scratch::new("long");
        let inode = scratch.put("hold/4jXRJr3hS0zp2vF", 0o700);
        assert_eq!(scratch.repair(true), 0);
        assert!(scratch.has("hold/4jXRJr3hS0zp2vF"));
        assert_eq!(scratch.repair(false), 1);
        assert!(scratch.has(&format!("hold/7F0E0{inode:X}")));
    }

    #[test]
    fn incomplete_files_are_litter_after_a_week_and_others_never() {
        let scratch = Scratch::new("litter");
        let old = SystemTime::now() - WEEK - Duration::from_secs(60);
        for (path, mode) in [("incoming/123.45", 0o600), ("incoming/124.45", 0o600), ("defer/A/ABCDE123", 0o600)] {
            scratch.put(path, mode);
            if path != "incoming/124.45" {
                fs::File::options().write(true).open(scratch.0.join(path)).unwrap().set_modified(old).unwrap();
            }
        }
        scratch.repair(false);
        assert!(!scratch.has("incoming/123.45"));
        assert!(scratch.has("incoming/124.45") && scratch.has("defer/A/ABCDE123"));
    }
}
