//! Has a file changed since it was opened?
//!
//! A daemon that has a table open looks now and then, finishes its clients and restarts when the answer is yes.

use std::fs::{File, Metadata};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sys::place::{identity_below, open_directory};

/// The state of a file when it was read. The file is kept open: what became of it can be seen from a changed root
/// directory too, where its name leads nowhere.
#[derive(Clone, Debug)]
pub struct Stamp {
    path: PathBuf,
    place: Place,
    seen: Option<State>,
}

/// Where to look.
#[derive(Clone, Debug)]
enum Place {
    /// The file.
    File(Arc<File>),
    /// There is no file: the nearest directory that is there, and the name below it.
    Missing(Arc<OwnedFd>, PathBuf),
    /// Nothing can be opened: never changes.
    Nowhere,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    size: u64,
    /// A file that was replaced or removed has no name any more.
    has_name: bool,
}

impl Stamp {
    /// Notes the file as it is now. Call it before reading, so that a change while reading is noticed.
    pub fn of(path: impl AsRef<Path>) -> Stamp {
        let path = path.as_ref().to_path_buf();
        let place = match File::open(&path) {
            Ok(file) => Place::File(Arc::new(file)),
            Err(_) => missing(&path),
        };
        let mut stamp = Stamp { path, place, seen: None };
        stamp.seen = stamp.state();
        stamp
    }

    /// True if the file was written since, replaced or removed, or if there was none and now is.
    pub fn changed(&self) -> bool {
        self.state() != self.seen
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn state(&self) -> Option<State> {
        match &self.place {
            Place::File(file) => file.metadata().ok().map(|metadata| State::of(&metadata)),
            Place::Missing(directory, name) => identity_below(directory.as_fd(), name).map(|(device, inode)| State {
                device,
                inode,
                ..State::default()
            }),
            Place::Nowhere => None,
        }
    }
}

fn missing(path: &Path) -> Place {
    let open = path.ancestors().skip(1).find_map(|directory| {
        let name = path.strip_prefix(directory).ok()?;
        Some(Place::Missing(Arc::new(open_directory(directory).ok()?), name.to_path_buf()))
    });
    open.unwrap_or(Place::Nowhere)
}

impl State {
    fn of(metadata: &Metadata) -> Self {
        State {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.size(),
            has_name: metadata.nlink() > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_changes_when_it_is_written_replaced_or_removed() {
        let path = std::env::temp_dir().join(format!("lookup-stamp-{}", std::process::id()));
        let none = Stamp::of(&path);
        assert!(!none.changed());
        fs::write(&path, "a").unwrap();
        assert!(none.changed());
        let first = Stamp::of(&path);
        assert!(!first.changed());
        fs::write(&path, "ab").unwrap();
        assert!(first.changed());
        let second = Stamp::of(&path);
        let third = Stamp::of(&path);
        let other = path.with_extension("new");
        fs::write(&other, "ab").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(second.changed() && third.changed());
        let fourth = Stamp::of(&path);
        fs::remove_file(&path).unwrap();
        assert!(fourth.changed());
    }

    #[test]
    fn a_file_is_noticed_when_its_directories_are_made_too() {
        let folder = std::env::temp_dir().join(format!("lookup-stamp-folder-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let stamp = Stamp::of(folder.join("a/b/table"));
        fs::create_dir_all(folder.join("a/b")).unwrap();
        assert!(!stamp.changed());
        fs::write(folder.join("a/b/table"), "x").unwrap();
        assert!(stamp.changed());
        fs::remove_dir_all(&folder).unwrap();
    }
}
