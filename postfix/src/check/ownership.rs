//! Owners and modes that let others in, or the mail system out: everything in the manifest, and what lies in the
//! directories whose word root takes.
//!
//! It looks and changes nothing; `postfix set-permissions` puts right what the manifest knows.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use config::manifest::Kind;
use config::param;

use crate::check::walk::walk;
use crate::files::{self, Owners, Placed};
use crate::instance::Instance;

/// Written by others than the owner.
const OTHERS_WRITE: u32 = 0o022;
/// Runs with the rights of its group, for everybody.
const SET_GID: u32 = 0o2111;

/// Tells of all of them; only root's installation has owners that differ.
pub(crate) fn warn(instance: &Instance) {
    let Ok(owners) = Owners::of(instance) else { return };
    let names = Names::of(instance);
    for placed in files::of(instance, &owners) {
        if let Ok(meta) = fs::symlink_metadata(&placed.path) {
            installed(instance, &placed, &meta, &names);
        }
    }
    root_alone(&instance.commands);
    configuration(instance);
    contents(instance, &owners, &names);
}

/// What the accounts are called.
struct Names {
    mail: String,
    submission: String,
}

impl Names {
    fn of(instance: &Instance) -> Self {
        let get = |name| instance.config.get(name).unwrap_or_default();
        Self { mail: get(param::MAIL_OWNER), submission: get(param::SETGID_GROUP) }
    }
}

fn installed(instance: &Instance, placed: &Placed, meta: &Metadata, names: &Names) {
    let (entry, path) = (&placed.entry, placed.path.as_path());
    // Of a link nothing is read; the files of the configuration directory are looked at with all that are there.
    let is_configuration = path != instance.config.directory() && path.starts_with(instance.config.directory());
    if matches!(entry.kind, Kind::Link(_)) || meta.is_symlink() || is_configuration {
        return;
    }
    if meta.uid() != placed.uid {
        let owner = if entry.owner == "root" { "root" } else { &names.mail };
        logging::warning!("not owned by {owner}: {}", path.display());
    }
    if entry.group == "postdrop" && meta.gid() != placed.gid {
        logging::warning!("not owned by group {}: {}", names.submission, path.display());
    }
    let is_program = matches!(entry.kind, Kind::Program(_));
    if is_program && entry.mode & SET_GID == SET_GID && meta.mode() & SET_GID != SET_GID {
        logging::warning!("not set-gid or not owner+group+world executable: {}", path.display());
    }
    if is_program && meta.mode() & 0o6000 & !entry.mode != 0 {
        logging::warning!("set-uid or set-gid: {}", path.display());
    }
    if meta.mode() & OTHERS_WRITE & !entry.mode != 0 {
        logging::warning!("group or other writable: {}", path.display());
    } else if entry.kind == Kind::Directory && path.starts_with(&instance.queue) {
        access(path, entry.mode, meta.mode() & 0o777);
    }
}

/// A directory of the queue whose mode lets others look in, or does not let in whom it is for.
fn access(path: &Path, wanted: u32, mode: u32) {
    if mode != wanted {
        logging::warning!("mode is {mode:04o}, not {wanted:04o}: {}", path.display());
    }
}

/// What root executes or believes is root's, and nobody else writes to it.
fn root_alone(path: &Path) {
    if let Ok(meta) = fs::symlink_metadata(path) {
        owned(path, &meta, 0, "root");
        not_writable(path, &meta);
    }
}

fn owned(path: &Path, meta: &Metadata, uid: u32, name: &str) {
    if meta.uid() != uid {
        logging::warning!("not owned by {name}: {}", path.display());
    }
}

fn not_writable(path: &Path, meta: &Metadata) {
    if !meta.is_symlink() && meta.mode() & OTHERS_WRITE != 0 {
        logging::warning!("group or other writable: {}", path.display());
    }
}

/// main.cf, master.cf, tables: whatever lies in the configuration directory.
fn configuration(instance: &Instance) {
    walk(instance.config.directory(), |path, meta| {
        owned(path, meta, 0, "root");
        not_writable(path, meta);
    });
}

/// The files of the data directory, and those in directories of the queue that hold no mail.
fn contents(instance: &Instance, owners: &Owners, names: &Names) {
    walk(&instance.data, |path, meta| {
        owned(path, meta, owners.mail.0, &names.mail);
        not_writable(path, meta);
    });
    for name in ["corrupt", "private", "public", "saved"] {
        walk(&instance.queue.join(name), |path, meta| owned(path, meta, owners.mail.0, &names.mail));
    }
    walk(&instance.queue.join("pid"), |path, meta| {
        owned(path, meta, 0, "root");
        not_writable(path, meta);
    });
}
