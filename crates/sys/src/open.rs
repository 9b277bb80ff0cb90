//! Opening files under names that others can change: mailboxes, lists that give rights, files of the mail system in
//! directories that a less trusted user may write.
//!
//! Must never decide anything by a name: a name is opened without following a link, and all checks are of the open
//! file. What a link means is asked only where nobody but root can change it.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

/// What must be true of a file.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// What the name may be.
    pub links: Links,
    /// A regular file, and nothing else.
    pub regular: bool,
    /// A regular file has this one name alone: others could have made it another's file.
    pub one_name: bool,
    /// Who may own it; empty: anybody.
    pub owners: &'a [u32],
    /// Not everybody may write it.
    pub closed: bool,
}

/// Symbolic links that are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// None.
    Refused,
    /// Those of root, in a directory that root alone may write to.
    OfRoot,
    /// All: the file itself decides.
    Followed,
}

/// Files that mail is appended to: nothing is known of who made the name.
pub const APPENDED: Rules<'static> =
    Rules { links: Links::OfRoot, regular: false, one_name: true, owners: &[], closed: false };
/// A file of the mail system, in a directory that a less trusted user may write to.
pub const SYSTEM: Rules<'static> =
    Rules { links: Links::Refused, regular: true, one_name: true, owners: &[], closed: false };

/// Why a file is not used. Display is what Postfix says of the file: `file has 2 hard links`; the reason of the system
/// is not in it.
#[derive(Debug)]
pub enum Refusal {
    /// It cannot be opened.
    System(io::Error),
    /// The name is a symbolic link.
    Link,
    /// It is a directory, a device, a pipe.
    NotRegular,
    /// It has this many names.
    HardLinks(u64),
    /// It belongs to somebody else: this user.
    Owner(u32),
    /// Everybody may write it.
    WorldWritable,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::System(_) => f.write_str("cannot open file"),
            Refusal::Link => f.write_str("file is a symbolic link"),
            Refusal::NotRegular => f.write_str("file is not a regular file"),
            Refusal::HardLinks(count) => write!(f, "file has {count} hard links"),
            Refusal::Owner(uid) => write!(f, "file has bad owner uid {uid}"),
            Refusal::WorldWritable => f.write_str("file is world writable"),
        }
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// The refusal as an error of the system, for callers that know no other; EPERM where the system would have opened.
    pub fn into_error(self) -> io::Error {
        match self {
            Refusal::System(error) => error,
            other => io::Error::new(io::ErrorKind::PermissionDenied, other),
        }
    }
}

/// Opens an existing file to read it. A pipe or device holds nobody up.
///
/// # Errors
/// It cannot be opened, or the rules refuse it.
pub fn to_read(path: &Path, rules: &Rules<'_>) -> Result<File, Refusal> {
    open(path, OpenOptions::new().read(true), rules)
}

/// Opens an existing file, or makes one with this mode; whether it is new.
///
/// # Errors
/// As [`to_read`]; names that come and go while this looks are an error too.
pub fn to_append_or_create(path: &Path, mode: u32, rules: &Rules<'_>) -> Result<(File, bool), Refusal> {
    open_or_create(path, OpenOptions::new().append(true), mode, rules)
}

/// The same, with these options.
///
/// # Errors
/// As [`to_append_or_create`].
pub fn open_or_create(
    path: &Path,
    options: &OpenOptions,
    mode: u32,
    rules: &Rules<'_>,
) -> Result<(File, bool), Refusal> {
    let mut absent = io::Error::from(nix::errno::Errno::ENOENT);
    for _ in 0..3 {
        match open(path, options, rules) {
            Err(Refusal::System(error)) if error.kind() == io::ErrorKind::NotFound => absent = error,
            other => return other.map(|file| (file, false)),
        }
        match options.clone().create_new(true).mode(mode).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Refusal::System(error)),
            Ok(file) => return Ok((file, true)),
        }
    }
    Err(Refusal::System(absent))
}

/// Opens an existing file as the options say, and looks at what was opened.
///
/// # Errors
/// As [`to_read`].
pub fn open(path: &Path, options: &OpenOptions, rules: &Rules<'_>) -> Result<File, Refusal> {
    let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let mut options = options.clone();
    let unfollowed = options.custom_flags((flags | OFlag::O_NOFOLLOW).bits()).open(path);
    let file = match unfollowed {
        Err(error) => {
            // Systems do not agree about the error of a link; whatever the answer here, nothing is opened by it.
            let is_link = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
            match rules.links {
                // A link that was here, and went while this looked.
                _ if error.raw_os_error() == Some(libc::ELOOP) && !is_link => return Err(Refusal::Link),
                _ if !is_link => return Err(Refusal::System(error)),
                Links::Refused => return Err(Refusal::Link),
                Links::OfRoot if !is_roots_alone(path) => return Err(Refusal::Link),
                Links::OfRoot | Links::Followed => options.custom_flags(flags.bits()).open(path),
            }
            .map_err(Refusal::System)?
        }
        Ok(file) => file,
    };
    check(&file.metadata().map_err(Refusal::System)?, rules)?;
    Ok(file)
}

fn check(meta: &Metadata, rules: &Rules<'_>) -> Result<(), Refusal> {
    if rules.regular && !meta.is_file() {
        return Err(Refusal::NotRegular);
    }
    if !rules.owners.is_empty() && !rules.owners.contains(&meta.uid()) {
        return Err(Refusal::Owner(meta.uid()));
    }
    if rules.closed && meta.mode() & 0o002 != 0 {
        return Err(Refusal::WorldWritable);
    }
    if rules.one_name && meta.is_file() && meta.nlink() != 1 {
        return Err(Refusal::HardLinks(meta.nlink()));
    }
    Ok(())
}

/// Whether the link was made by root, and root alone can put something else in its place.
fn is_roots_alone(link: &Path) -> bool {
    let of_root = |meta: &Metadata| meta.uid() == 0;
    let directory = match link.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::symlink_metadata(link).is_ok_and(|meta| of_root(&meta))
        && fs::metadata(directory).is_ok_and(|meta| of_root(&meta) && meta.mode() & 0o022 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_append(path: &Path, rules: &Rules<'_>) -> Result<File, Refusal> {
        open(path, OpenOptions::new().append(true), rules)
    }
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    /// A directory of one test, removed with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("open-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Scratch(path)
        }

        fn file(&self, name: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, "text").unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn said(result: Result<File, Refusal>) -> String {
        result.err().map_or("opened".to_owned(), |refusal| refusal.to_string())
    }

    #[test]
    fn a_link_is_followed_only_where_root_alone_can_have_made_it() {
        let scratch = Scratch::new("links");
        let file = scratch.file("file");
        let link = scratch.0.join("link");
        symlink(&file, &link).unwrap();
        assert_eq!(said(to_append(&link, &SYSTEM)), "file is a symbolic link");
        assert_eq!(said(to_read(&link, &Rules { links: Links::Followed, ..SYSTEM })), "opened");
        let of_root = nix::unistd::geteuid().is_root();
        let expected = if of_root { "opened" } else { "file is a symbolic link" };
        assert_eq!(said(to_append(&link, &APPENDED)), expected);
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(said(to_append(&link, &APPENDED)), "file is a symbolic link");
        let dangling = scratch.0.join("dangling");
        symlink("nowhere", &dangling).unwrap();
        assert!(matches!(to_append_or_create(&dangling, 0o600, &APPENDED), Err(Refusal::Link)));
        assert!(!scratch.0.join("nowhere").exists());
    }

    #[test]
    fn a_file_with_two_names_may_be_anothers() {
        let scratch = Scratch::new("names");
        let file = scratch.file("file");
        fs::hard_link(&file, scratch.0.join("other")).unwrap();
        assert_eq!(said(to_append(&file, &APPENDED)), "file has 2 hard links");
        assert_eq!(said(to_read(&file, &Rules { one_name: false, ..SYSTEM })), "opened");
    }

    #[test]
    fn owner_kind_and_mode_are_those_of_the_open_file() {
        let scratch = Scratch::new("facts");
        let file = scratch.file("file");
        let me = nix::unistd::geteuid().as_raw();
        let rights = |owner| [owner, 0x7fff_0000];
        assert_eq!(said(to_read(&file, &Rules { owners: &rights(me), closed: true, ..SYSTEM })), "opened");
        let refused = said(to_read(&file, &Rules { owners: &rights(me + 1), ..SYSTEM }));
        assert_eq!(refused, format!("file has bad owner uid {me}"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o646)).unwrap();
        assert_eq!(said(to_read(&file, &Rules { closed: true, ..SYSTEM })), "file is world writable");
        assert_eq!(said(to_read(&scratch.0, &SYSTEM)), "file is not a regular file");
        let pipe = scratch.0.join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(said(to_read(&pipe, &SYSTEM)), "file is not a regular file");
        assert_eq!(said(to_append(Path::new("/dev/null"), &APPENDED)), "opened");
    }

    #[test]
    fn what_is_not_there_is_made_once() {
        let scratch = Scratch::new("made");
        let path = scratch.0.join("new");
        let (_, is_new) = to_append_or_create(&path, 0o600, &APPENDED).unwrap();
        let (file, again) = to_append_or_create(&path, 0o600, &APPENDED).unwrap();
        assert!(is_new && !again);
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    }
}
