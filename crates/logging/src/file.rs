//! The log file itself: opened by postlogd for good, and by programs that find no postlogd for one line at a time.
//!
//! It lies where root writes and others may be able to as well: what is opened is looked at, not what the name says.

use std::fmt;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sys::open::{APPENDED, Refusal, to_append_or_create};

/// Where the log file is, and the mode that it gets when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Its name; `/dev/stdout` is the standard output of this process.
    pub path: PathBuf,
    /// maillog_file_permissions.
    pub mode: u32,
}

/// Why the log file cannot be used. Display is Postfix's sentence.
#[derive(Debug)]
pub struct LogFileError {
    path: PathBuf,
    /// Nothing has that name.
    absent: bool,
    why: Refusal,
}

impl LogFile {
    /// Opens it to append to it, and makes it when it is missing.
    ///
    /// # Errors
    /// It cannot be opened or made, or it has another name that is not ours.
    pub fn open(&self) -> Result<File, LogFileError> {
        let opened = if self.path == Path::new("/dev/stdout") {
            // Opening the name again fails after the change of user: the open descriptor is the same file.
            std::io::stdout().as_fd().try_clone_to_owned().map(File::from).map_err(Refusal::System)
        } else {
            to_append_or_create(&self.path, self.mode, &APPENDED).and_then(|made| self.with_mode(made))
        };
        let absent = || self.path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        opened.map_err(|why| LogFileError { absent: absent(), path: self.path.clone(), why })
    }

    /// A new file has its mode whatever the umask is, which a mail system that runs has cleared of all others' rights.
    fn with_mode(&self, (file, is_new): (File, bool)) -> Result<File, Refusal> {
        if is_new {
            file.set_permissions(Permissions::from_mode(self.mode)).map_err(Refusal::System)?;
        }
        Ok(file)
    }
}

impl fmt::Display for LogFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "open logfile '{}': ", self.path.display())?;
        let act = if self.absent { "cannot create file exclusively" } else { "cannot open file" };
        match &self.why {
            Refusal::System(error) => write!(f, "{act}: {}", text::system_error(error)),
            other => other.fmt(f),
        }
    }
}

impl std::error::Error for LogFileError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_what_is_wrong() {
        let folder = std::env::temp_dir().join(format!("logfile-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("directory")).unwrap();
        let open = |name: &str| LogFile { path: folder.join(name), mode: 0o640 }.open();
        let refused = |name: &str| open(name).err().unwrap().to_string().replace(&*folder.to_string_lossy(), "");
        open("made").unwrap();
        let mode = std::fs::metadata(folder.join("made")).unwrap().permissions().mode();
        std::fs::hard_link(folder.join("made"), folder.join("other")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.join("link")).unwrap();
        let said = ["absent/x", "directory", "made", "link"].map(refused);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(said[0], "open logfile '/absent/x': cannot create file exclusively: No such file or directory");
        assert_eq!(said[1], "open logfile '/directory': cannot open file: Is a directory");
        assert_eq!(said[2], "open logfile '/made': file has 2 hard links");
        // A link of root in a directory that is root's alone is followed, to nowhere.
        assert!(said[3].starts_with("open logfile '/link': "), "{}", said[3]);
    }
}
