//! Has a file changed since it was opened?
//!
//! A daemon that has read a file looks now and then, finishes its clients and restarts when the answer is yes.

use std::fs::{File, Metadata, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::place::{identity_below, open_directory};

/// As many links as the kernel follows.
/// told: nobody; a circle of links leads to no file.
const MOST_LINKS: usize = 40;

/// The state of a file when it was read. The file and its directory are kept open: what became of them can be seen from
/// a changed root directory too, where the file's name leads nowhere or to another file.
#[derive(Clone, Debug)]
pub struct Stamp {
    path: PathBuf,
    file: Option<Arc<File>>,
    /// The nearest directory that is there, and the name below it.
    place: Option<(Arc<OwnedFd>, PathBuf)>,
    seen: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    content: Option<Content>,
    /// What has the name: a link that is made to point elsewhere is another one, and so is a file in another's place.
    named: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
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
        // Opening a pipe must not wait for its writer.
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
        let file = opened.ok().map(Arc::new);
        let place = if file.is_some() { place_of(&path) } else { place_of(&end_of_links(path.clone())) };
        let mut stamp = Stamp { path, file, place, seen: State::default() };
        stamp.seen = stamp.state();
        stamp
    }

    /// True if the file was written since, replaced or removed, or if there was none and now is.
    pub fn changed(&self) -> bool {
        self.state() != self.seen
    }

    /// True if the name leads to another file by now, or to none: for files that others write while they are read.
    pub fn replaced(&self) -> bool {
        let now = self.state();
        let identity = |state: &State| state.content.map(|content| (content.device, content.inode, content.has_name));
        now.named != self.seen.named || identity(&now) != identity(&self.seen)
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn state(&self) -> State {
        let content = self.file.as_ref().and_then(|file| file.metadata().ok()).map(|data| Content::of(&data));
        let named = self.place.as_ref().and_then(|(directory, name)| identity_below(directory.as_fd(), name));
        State { content, named }
    }
}

/// Where a link that leads nowhere leads: there the file will appear.
fn end_of_links(mut path: PathBuf) -> PathBuf {
    for _ in 0..MOST_LINKS {
        let Ok(target) = path.read_link() else { break };
        path = path.parent().map(|parent| parent.join(&target)).unwrap_or(target);
    }
    path
}

fn place_of(path: &Path) -> Option<(Arc<OwnedFd>, PathBuf)> {
    path.ancestors().skip(1).find_map(|directory| {
        let name = path.strip_prefix(directory).ok()?;
        Some((Arc::new(open_directory(directory).ok()?), name.to_path_buf()))
    })
}

impl Content {
    fn of(metadata: &Metadata) -> Self {
        Content {
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

    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("sys-watch-{name}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_changes_when_it_is_written_replaced_or_removed() {
        let directory = Directory::new("file");
        let path = directory.0.join("file");
        let none = Stamp::of(&path);
        assert!(!none.changed());
        fs::write(&path, "a").unwrap();
        assert!(none.changed());
        let first = Stamp::of(&path);
        assert!(!first.changed());
        fs::write(&path, "ab").unwrap();
        assert!(first.changed());
        let (second, third) = (Stamp::of(&path), Stamp::of(&path));
        // The old file keeps a name.
        fs::hard_link(&path, path.with_extension("old")).unwrap();
        let other = path.with_extension("new");
        fs::write(&other, "ab").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(second.changed() && third.changed());
        let fourth = Stamp::of(&path);
        fs::remove_file(&path).unwrap();
        assert!(fourth.changed());
    }

    #[test]
    fn a_link_changes_when_it_points_elsewhere_or_what_it_points_to_does() {
        let directory = Directory::new("link");
        let (one, two, link) = (directory.0.join("one"), directory.0.join("two"), directory.0.join("link"));
        for file in [&one, &two] {
            fs::write(file, "same").unwrap();
        }
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let first = Stamp::of(&link);
        assert!(!first.changed());
        let fresh = link.with_extension("fresh");
        std::os::unix::fs::symlink(&two, &fresh).unwrap();
        fs::rename(&fresh, &link).unwrap();
        assert!(first.changed());
        let second = Stamp::of(&link);
        fs::write(&two, "other").unwrap();
        assert!(second.changed());
        fs::remove_file(&two).unwrap();
        let dangling = Stamp::of(&link);
        assert!(!dangling.changed());
        fs::write(&two, "again").unwrap();
        assert!(dangling.changed());
    }

    #[test]
    fn a_file_is_noticed_when_its_directories_are_made_too() {
        let directory = Directory::new("folder");
        let stamp = Stamp::of(directory.0.join("a/b/table"));
        fs::create_dir_all(directory.0.join("a/b")).unwrap();
        assert!(!stamp.changed());
        fs::write(directory.0.join("a/b/table"), "x").unwrap();
        assert!(stamp.changed());
    }
}
