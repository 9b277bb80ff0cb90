//! Directories that the mail system needs and makes itself: those of the manifest below the queue directory, and the data
//! directory.
//!
//! Only what is missing in an existing place is made. A queue directory that does not exist is a typing error, or a file
//! system that is not mounted: an empty queue in its place would hide the mail.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};

use config::manifest::Kind;
use sys::identity::is_root;

use crate::files::{self, Owners, Placed};
use crate::instance::Instance;

/// Makes what is missing; what is there stays as it is.
pub(crate) fn create_missing(instance: &Instance) -> Result<(), String> {
    let owners = Owners::of(instance)?;
    let is_ours = |it: &&Placed| it.path == instance.data || it.path.parent() == Some(&instance.queue);
    let directories = files::of(instance, &owners);
    let missing = directories.iter().filter(|it| it.entry.kind == Kind::Directory).filter(is_ours);
    missing.into_iter().try_for_each(|directory| {
        create(directory).map_err(|error| format!("create {}: {}", directory.path.display(), net::reason(&error)))
    })
}

fn create(directory: &Placed) -> io::Result<()> {
    let (path, mode) = (&directory.path, directory.entry.mode);
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        made => made?,
    }
    // name: just made, in a directory of root's.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if is_root() { chown(path, Some(directory.uid), Some(directory.gid)) } else { Ok(()) }
}
