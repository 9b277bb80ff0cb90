//! Copies of the system's files below the queue directory, for daemons that have it as their root directory: an old
//! copy is a host name or a user that the daemon alone does not know.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::check::walk::walk;
use crate::instance::Instance;

/// Where copies lie.
const PLACES: [&str; 4] = ["etc", "lib", "lib64", "usr"];

/// Tells of copies that are not root's, and of those that differ from the original.
pub(crate) fn warn(instance: &Instance) {
    for place in PLACES {
        let top = instance.queue.join(place);
        if let Ok(meta) = fs::symlink_metadata(&top) {
            owned(&top, &meta);
        }
        walk(&top, |path, meta| {
            owned(path, meta);
            if meta.is_file() {
                compare(&instance.queue, path);
            }
        });
    }
}

fn owned(path: &Path, meta: &fs::Metadata) {
    if meta.uid() != 0 {
        logging::warning!("not owned by root: {}", path.display());
    }
    if !meta.is_symlink() && meta.mode() & 0o022 != 0 {
        logging::warning!("group or other writable: {}", path.display());
    }
}

fn compare(queue: &Path, copy: &Path) {
    let Ok(name) = copy.strip_prefix(queue) else { return };
    let original = Path::new("/").join(name);
    if original.is_file() && matches!(is_same(copy, &original), Ok(false)) {
        logging::warning!("{} and {} differ", copy.display(), original.display());
    }
}

fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    // name: regular files of root's, or told to be none; they are read, and nothing of them is shown.
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let mut pairs = BufReader::new(one).bytes().zip(BufReader::new(other).bytes());
    let differ = pairs.try_fold(false, |differ, (left, right)| Ok::<_, io::Error>(differ || left? != right?))?;
    Ok(!differ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_same_when_every_byte_is() {
        let folder = std::env::temp_dir().join(format!("jail-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, content: &[u8]| {
            fs::write(folder.join(name), content).unwrap();
            folder.join(name)
        };
        let (one, same) = (write("one", b"127.0.0.1 x\n"), write("same", b"127.0.0.1 x\n"));
        let (other, longer) = (write("other", b"127.0.0.1 y\n"), write("longer", b"127.0.0.1 x\n\n"));
        let results = [&same, &other, &longer].map(|copy| is_same(&one, copy).unwrap());
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(results, [true, false, false]);
    }
}
