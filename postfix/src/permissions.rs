//! `postfix set-permissions`: owners, groups and modes as the manifest has them.
//!
//! Root acts here on names in directories that others may write to: every file is opened without following a link, and
//! changed by its descriptor; a file with a second name may be another's, and stays.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

use config::manifest::Kind;
use nix::dir::{Dir, Type};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use sys::identity::is_root;
use sys::open::{Links, Refusal, Rules, to_read};

use crate::files::{self, Owners, Placed};
use crate::instance::Instance;
use crate::layout;

/// Nothing on the way is followed, and nobody is waited for.
const CAREFUL: OFlag = OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);

/// Puts right what is there, and makes directories that are missing.
pub(crate) fn set(instance: &Instance) -> Result<(), String> {
    if !is_root() {
        return Err("set-permissions is reserved for the superuser".to_owned());
    }
    layout::create_missing(instance)?;
    let owners = Owners::of(instance)?;
    for placed in files::of(instance, &owners).iter().filter(|it| !matches!(it.entry.kind, Kind::Link(_))) {
        match put_right(placed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(|error| format!("{}: {}", placed.path.display(), net::reason(&error)))?,
        }
        let holds_files = placed.uid == owners.mail.0 && placed.entry.kind == Kind::Directory;
        if holds_files {
            contents(&placed.path, owners.mail)?;
        }
    }
    Ok(())
}

fn put_right(placed: &Placed) -> io::Result<()> {
    let rules = Rules { links: Links::Refused, regular: false, one_name: true, owners: &[], closed: false };
    let file = to_read(&placed.path, &rules).map_err(Refusal::into_error)?;
    let meta = file.metadata()?;
    if (meta.uid(), meta.gid()) != (placed.uid, placed.gid) {
        fchown(&file, Some(placed.uid), Some(placed.gid))?;
    }
    // A configuration file may be for fewer eyes than a new one.
    let is_configuration = matches!(placed.entry.kind, Kind::Configuration(_));
    let mode = if is_configuration { meta.mode() & placed.entry.mode & 0o777 } else { placed.entry.mode };
    // After the owner: to change that takes the set-gid bit away.
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
}

/// The files below a directory of mail_owner become those of the present one.
fn contents(path: &Path, owner: (u32, u32)) -> Result<(), String> {
    let failed = |error: io::Error| format!("{}: {}", path.display(), net::reason(&error));
    let directory = nix::fcntl::open(path, CAREFUL | OFlag::O_DIRECTORY, Mode::empty());
    below(directory.map_err(|error| failed(error.into()))?, owner).map_err(failed)
}

fn below(directory: OwnedFd, owner: (u32, u32)) -> io::Result<()> {
    let mut entries = Dir::from_fd(directory.try_clone()?)?;
    for entry in entries.iter() {
        let entry = entry?;
        let name = entry.file_name();
        // Sockets are made anew at every start.
        let is_of_interest = matches!(entry.file_type(), Some(Type::File | Type::Directory) | None);
        if !is_of_interest || [c".", c".."].contains(&name) {
            continue;
        }
        // What is gone, or is no file, is not ours to change.
        let Ok(opened) = nix::fcntl::openat(directory.as_fd(), name, CAREFUL, Mode::empty()) else { continue };
        let file = File::from(opened);
        let meta = file.metadata()?;
        if meta.is_dir() || meta.is_file() && meta.nlink() == 1 {
            if meta.uid() != owner.0 {
                let mode = meta.permissions();
                fchown(&file, Some(owner.0), Some(owner.1))?;
                file.set_permissions(mode)?;
            }
            if meta.is_dir() {
                below(file.into(), owner)?;
            }
        }
    }
    Ok(())
}
