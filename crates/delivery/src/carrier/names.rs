//! Names on stable storage: a message is where its reader finds it when its name is on the disk, not only its text.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The directory of a file that may get a name. Open before that happens: a write error is told to descriptors that
/// were open when it occurred.
pub(crate) struct Directory(Option<File>);

impl Directory {
    /// The directory in which `path` is a name.
    pub(crate) fn around(path: &Path) -> Self {
        let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        // name: of a directory that is synced; another one costs a sync, and nothing is read. One that may be written
        // and not read is synced with its whole file system.
        Directory(File::open(directory).ok())
    }

    /// Waits until the names in it are on the disk; `file` has one of them.
    ///
    /// # Errors
    /// The disk has not got them.
    pub(crate) fn sync(&self, file: &File) -> io::Result<()> {
        match &self.0 {
            Some(directory) => match directory.sync_all() {
                // Some file systems sync no directories: there the file's own sync has to do.
                Err(error) if error.raw_os_error() == Some(nix::libc::EINVAL) => file.sync_all(),
                other => other,
            },
            None => sys::storage::sync_file_system(file.as_fd()),
        }
    }
}

/// Makes a directory and those above it that are missing, each with its name on the disk.
///
/// # Errors
/// Those of mkdir(2) and fsync(2).
pub(crate) fn make_directories(path: &Path, mode: u32) -> io::Result<()> {
    let create = || DirBuilder::new().mode(mode).create(path);
    let made = match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().ok_or(error)?;
            make_directories(parent, mode)?;
            create()
        }
        made => made,
    };
    match made {
        // Another delivery was faster, perhaps only just now.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        made => made?,
    }
    let directory = Directory::around(path);
    // name: as above.
    directory.sync(&File::open(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_that_several_deliveries_make_at_once_are_made_for_all_of_them() {
        let top = std::env::temp_dir().join(format!("carrier-directories-{}", std::process::id()));
        for round in 0..50 {
            let path = top.join(round.to_string()).join("a/b/c");
            std::thread::scope(|scope| {
                let makers: Vec<_> = (0..4).map(|_| scope.spawn(|| make_directories(&path, 0o700))).collect();
                makers.into_iter().for_each(|maker| maker.join().unwrap().unwrap());
            });
            assert!(path.is_dir());
        }
        std::fs::remove_dir_all(top).unwrap();
    }
}
