//! Everything below a directory, without following links, and without end only as far as a human reads a list.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

/// Files that are looked at below one directory.
/// told: who runs the check.
const MOST: usize = 10_000;

/// Calls `look` for everything below `top`, directories first and by name. What cannot be read is told, and what is too
/// much as well.
pub(crate) fn walk(top: &Path, mut look: impl FnMut(&Path, &Metadata)) {
    let mut waiting: Vec<PathBuf> = children(top);
    let mut count = 0;
    while let Some(path) = waiting.pop() {
        // What is gone again is nobody's fault.
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        look(&path, &meta);
        count += 1;
        if count == MOST {
            logging::warning!("more than {MOST} files below {}: the rest is not looked at", top.display());
            return;
        }
        if meta.is_dir() {
            waiting.extend(children(&path));
        }
    }
}

/// What lies in a directory, so that the first by name is the last.
fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            logging::warning!("{}: {}", directory.display(), net::reason(&error));
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable_by(|left, right| right.cmp(left));
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_seen_once_and_links_are_not_followed() {
        let top = std::env::temp_dir().join(format!("walk-{}", std::process::id()));
        fs::create_dir_all(top.join("b/c")).unwrap();
        fs::write(top.join("b/c/d"), "").unwrap();
        fs::write(top.join("a"), "").unwrap();
        std::os::unix::fs::symlink("..", top.join("b/up")).unwrap();
        let mut seen = Vec::new();
        walk(&top, |path, _| seen.push(path.strip_prefix(&top).unwrap().display().to_string()));
        fs::remove_dir_all(&top).unwrap();
        assert_eq!(seen, ["a", "b", "b/c", "b/c/d", "b/up"]);
    }
}
