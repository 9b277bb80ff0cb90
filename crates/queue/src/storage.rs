//! What the file system below the queue promises, and how the name of a file gets to the disk.
//!
//! File systems with a journal or log write the name of a new file with the file: fsync(2) of the file is enough.
//! Others (ext2, and whatever is not known here) need an fsync of the directory too. Whether one syncfs(2) can stand
//! for many fsyncs differs as well: overlayfs and FUSE do not pass errors or the wish on. What is not known to be safe
//! is not relied on for an acknowledgement.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// What can be relied on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Storage {
    /// fsync(2) of a new or renamed file writes its name, and those of new directories above it.
    names_follow: bool,
    /// Changes of directories reach the disk in any order: a rename can take the old name away and lose the new one.
    unordered: bool,
    /// syncfs(2) waits for everything, and reports every write error since its descriptor was opened.
    whole: bool,
    /// A new file takes long after many were removed.
    slow_after_removal: bool,
    /// The times of files are those of this machine's clock.
    own_clock: bool,
    /// Two changes of a file have two times, if somebody has looked in between.
    every_change: bool,
}

/// File systems whose fsync(2) of a file takes its name along.
const NAMES_FOLLOW: [&str; 8] = ["ext4", "ext3", "xfs", "btrfs", "f2fs", "zfs", "tmpfs", "ramfs"];
/// File systems without a journal.
const UNORDERED: [&str; 7] = ["ext2", "minix", "vfat", "exfat", "udf", "hfs", "hfsplus"];
/// File systems that keep syncfs(2)'s word.
const WHOLE: [&str; 8] = ["ext4", "ext3", "ext2", "xfs", "btrfs", "f2fs", "tmpfs", "ramfs"];
/// File systems that look for a place for a new file among those that were freed a moment ago, and pass them over.
const SLOW_AFTER_REMOVAL: [&str; 1] = ["ext4"];
/// File systems whose times are those of the kernel's finest clock where that makes a difference, since [`FINE_TIMES`].
const FINE: [&str; 4] = ["ext4", "xfs", "btrfs", "tmpfs"];
/// The release that brought them (Documentation/filesystems/multigrain-ts).
const FINE_TIMES: (u32, u32) = (6, 13);
/// Linux reports write errors from syncfs(2) since 5.8, and what the file system itself says (a journal that is broken)
/// since 5.17.
const SYNCFS_REPORTS: (u32, u32) = (5, 17);

impl Storage {
    /// What promises nothing.
    pub(crate) const UNKNOWN: Self = Self {
        names_follow: false,
        unordered: false,
        whole: false,
        slow_after_removal: false,
        own_clock: false,
        every_change: false,
    };

    /// The storage of an existing directory. A list of mounts that cannot be read (it is not there on all systems, and
    /// not within a sandbox) makes it one that promises nothing.
    pub fn of(directory: &Path) -> Self {
        let directory = if directory == Path::new("") { Path::new(".") } else { directory };
        let Ok(directory) = directory.canonicalize() else { return Self::UNKNOWN };
        let Ok(mounts) = std::fs::read("/proc/thread-self/mountinfo") else { return Self::UNKNOWN };
        let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
        Self::of_kind(kind(&mounts, &directory).unwrap_or_default(), &release.unwrap_or_default())
    }

    fn of_kind(kind: &[u8], release: &str) -> Self {
        let is_one_of = |list: &[&str]| list.iter().any(|name| name.as_bytes() == kind);
        Self {
            names_follow: is_one_of(&NAMES_FOLLOW),
            unordered: is_one_of(&UNORDERED),
            whole: is_one_of(&WHOLE) && at_least(release, SYNCFS_REPORTS),
            slow_after_removal: is_one_of(&SLOW_AFTER_REMOVAL),
            own_clock: is_one_of(&NAMES_FOLLOW) || is_one_of(&UNORDERED),
            every_change: is_one_of(&FINE) && at_least(release, FINE_TIMES),
        }
    }

    /// Whether a file that was written just now has a time that is not in the future: on a file server it is that of
    /// the server's clock.
    pub(crate) fn has_own_clock(self) -> bool {
        self.own_clock
    }

    /// Whether a file that has the same [`Stamp`](crate::Stamp) twice has not changed in between, however short that
    /// was.
    pub fn dates_every_change(self) -> bool {
        self.every_change
    }

    /// Whether a renamed file is only safe when its new directory is on disk.
    pub(crate) fn loses_renamed_files(self) -> bool {
        self.unordered
    }

    /// Whether files that were removed a moment ago make new ones slow.
    pub(crate) fn is_slow_after_removal(self) -> bool {
        self.slow_after_removal
    }

    /// Whether one syncfs(2) can stand for the fsyncs of many files.
    pub(crate) fn commits_together(self) -> bool {
        self.whole
    }
}

/// The names in a directory that is about to change; taken before it does.
#[derive(Debug)]
pub enum Names {
    /// They reach the disk with the file.
    Follow,
    /// The directory. Open before the change: a write error is told to descriptors that were open when it happened.
    Directory(File),
    /// A directory that may be written and not read (maildrop, for submitters).
    OutOfReach,
}

impl Names {
    /// The names in the directory of `path`.
    ///
    /// # Errors
    /// Those of open(2): there is no such directory.
    pub(crate) fn around(storage: Storage, path: &Path) -> io::Result<Self> {
        if storage.names_follow {
            return Ok(Self::Follow);
        }
        let directory = match path.parent() {
            Some(directory) if directory != Path::new("") => directory,
            _ => Path::new("."),
        };
        match File::open(directory) {
            Ok(directory) => Ok(Self::Directory(directory)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Self::OutOfReach),
            Err(error) => Err(error),
        }
    }

    /// Waits until what was changed since is on disk; `file` is one whose name it was.
    ///
    /// # Errors
    /// The disk has not got it.
    pub(crate) fn sync(&self, file: &File) -> Result<(), Errno> {
        match self {
            Self::OutOfReach => syncfs(file),
            _ => self.sync_directory(),
        }
    }

    /// The same for a change that comes without a descriptor of the file.
    ///
    /// # Errors
    /// As [`sync`](Self::sync).
    pub(crate) fn sync_directory(&self) -> Result<(), Errno> {
        match self {
            Self::Follow | Self::OutOfReach => Ok(()),
            Self::Directory(directory) => nix::unistd::fsync(directory),
        }
    }
}

/// Writes out the whole file system of an open file.
///
/// # Errors
/// A write failed since the file was opened, or since the last call with this descriptor.
#[cfg(target_os = "linux")]
pub(crate) fn syncfs(file: &File) -> Result<(), Errno> {
    nix::unistd::syncfs(file)
}

/// Elsewhere nothing is known to wait: the file's own fsync has to do.
#[cfg(not(target_os = "linux"))]
pub(crate) fn syncfs(_: &File) -> Result<(), Errno> {
    Ok(())
}

/// The type of the file system that holds `directory`, by mountinfo (proc_pid_mountinfo(5)): the deepest mount point,
/// and of several on one the last.
fn kind<'a>(mounts: &'a [u8], directory: &Path) -> Option<&'a [u8]> {
    let lines = mounts.split(|byte| *byte == b'\n').filter_map(mount);
    let around = lines.filter(|(point, _)| directory.starts_with(point));
    around.max_by_key(|(point, _)| point.components().count()).map(|(_, kind)| kind)
}

/// Mount point and type of a line.
fn mount(line: &[u8]) -> Option<(PathBuf, &[u8])> {
    let mut fields = line.split(|byte| *byte == b' ');
    let point = fields.nth(4)?;
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some((unescape(point), kind))
}

/// A path without the `\040` of mountinfo.
fn unescape(field: &[u8]) -> PathBuf {
    let (mut path, mut rest) = (Vec::new(), field);
    while let Some((byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(escaped) => {
                path.push(escaped);
                rest = &after[3..];
            }
            None => {
                path.push(*byte);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(path))
}

fn at_least(release: &str, wanted: (u32, u32)) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|text| text.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"21 1 254:0 / / rw,relatime - ext4 /dev/root rw\n\
        30 21 0:28 / /var\\040lib rw shared:9 master:1 - btrfs /dev/sdb rw\n\
        31 21 0:29 / /var/spool rw - ext2 /dev/sdc rw\n\
        32 31 0:30 / /var/spool rw - overlay overlay rw\n";

    fn kind_of(directory: &str) -> Option<&'static [u8]> {
        kind(MOUNTS, Path::new(directory))
    }

    #[test]
    fn the_deepest_mount_and_the_last_on_it_holds_a_directory() {
        assert_eq!(kind_of("/var/spool/postfix"), Some(&b"overlay"[..]));
        assert_eq!(kind_of("/var/spoolers"), Some(&b"ext4"[..]));
        assert_eq!(kind_of("/var lib/x"), Some(&b"btrfs"[..]));
        assert_eq!(kind(b"", Path::new("/")), None);
    }

    #[test]
    fn what_is_not_known_to_be_safe_is_not_relied_on() {
        assert_eq!(Storage::of_kind(b"overlay", "6.1.0"), Storage::UNKNOWN);
        assert_eq!(Storage::of_kind(b"fuse.sshfs", "6.1.0"), Storage::UNKNOWN);
        assert_eq!(Storage::of(Path::new("/proc/self/none")), Storage::UNKNOWN);
        assert_eq!(
            Storage::of_kind(b"ext2", "6.1.0"),
            Storage { unordered: true, whole: true, own_clock: true, ..Storage::UNKNOWN }
        );
        assert_eq!(
            Storage::of_kind(b"ext4", "5.10.0"),
            Storage { names_follow: true, slow_after_removal: true, own_clock: true, ..Storage::UNKNOWN }
        );
    }

    #[test]
    fn every_change_has_a_time_of_its_own_where_the_kernel_sees_to_that() {
        let dates = |kind: &[u8], release| Storage::of_kind(kind, release).dates_every_change();
        assert!(dates(b"ext4", "6.13.0") && dates(b"tmpfs", "6.18.44"));
        assert!(!dates(b"ext4", "6.12.9") && !dates(b"ext3", "6.18.0") && !dates(b"overlay", "6.18.0"));
    }

    #[test]
    fn kernels_whose_syncfs_reports_errors_are_known_by_their_release() {
        assert!(["5.17.0-1-amd64", "6.1.0", "5.17"].iter().all(|release| at_least(release, SYNCFS_REPORTS)));
        assert!(["5.16.19", "5.8", "4.19.0", ""].iter().all(|release| !at_least(release, SYNCFS_REPORTS)));
    }
}
