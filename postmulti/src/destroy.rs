//! The end of an instance: what it has made goes, what it does not know stays.
//!
//! Nothing is removed while mail may be in the queue, or while the instance runs. Only names that this mail system
//! makes itself are removed, one by one, and directories only when they are empty.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use config::param;

use crate::instances::Instance;

/// Queues whose files are messages.
const QUEUES: [&str; 6] = ["maildrop", "incoming", "active", "deferred", "hold", "corrupt"];
/// The other directories below the queue directory.
const OTHERS: [&str; 9] = ["bounce", "defer", "flush", "pid", "private", "public", "saved", "spare", "trace"];
/// Files that daemons leave in the data directory.
const DATA: [&str; 2] = ["master.lock", "prng_exch"];

/// Whether it may be removed.
pub(crate) fn check(instance: &Instance) -> Result<(), String> {
    let (queue, _) = directories(instance)?;
    let directory = instance.directory.display();
    let lock = queue.join("pid/master.pid");
    if sys::lock::is_held(&lock).map_err(|error| format!("{}: {}", lock.display(), net::reason(&error)))? {
        return Err(format!("Instance '{directory}' is not stopped"));
    }
    match QUEUES.iter().any(|name| has_file(&queue.join(name))) {
        true => Err(format!("Instance '{directory}' mail queue is not empty")),
        false => Ok(()),
    }
}

/// Removes what the mail system has made.
pub(crate) fn remove(instance: &Instance) -> Result<(), String> {
    let (queue, data) = directories(instance)?;
    for name in QUEUES.iter().chain(&OTHERS) {
        let path = queue.join(name);
        empty(&path, name);
        gone(&path, fs::remove_dir(&path));
    }
    gone(&queue, fs::remove_dir(&queue));
    for name in DATA {
        let path = data.join(name);
        gone(&path, fs::remove_file(&path));
    }
    gone(&data, fs::remove_dir(&data));
    for name in ["main.cf", "master.cf"] {
        let path = instance.directory.join(name);
        gone(&path, fs::remove_file(&path));
    }
    gone(&instance.directory, fs::remove_dir(&instance.directory));
    Ok(())
}

fn directories(instance: &Instance) -> Result<(PathBuf, PathBuf), String> {
    let place = |param| instance.config.get(param).map_err(|error: config::ValueError| error.to_string());
    Ok((place(param::QUEUE_DIRECTORY)?, place(param::DATA_DIRECTORY)?))
}

/// Whether something that is no directory is in a queue, which is spread over two levels of directories at most.
fn has_file(path: &Path) -> bool {
    entries(path).into_iter().any(|(path, kind)| if kind.is_dir() { has_file(&path) } else { true })
}

/// Removes what daemons leave in a directory: sockets, locks, logs of messages that are gone, directories of a queue.
fn empty(path: &Path, name: &str) {
    for (path, kind) in entries(path) {
        let is_ours = match name {
            "private" | "public" => kind.is_socket() || kind.is_fifo(),
            "pid" | "bounce" | "defer" | "flush" | "spare" | "trace" => kind.is_file(),
            _ => false,
        };
        if kind.is_dir() {
            empty(&path, name);
            // One that is not empty is told of with what is above it.
            let _ = fs::remove_dir(&path);
        } else if is_ours {
            gone(&path, fs::remove_file(&path));
        }
    }
}

/// What is in a directory; nothing in one that is not there.
fn entries(path: &Path) -> Vec<(PathBuf, fs::FileType)> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.file_type().ok()?))).collect()
}

/// A warning about what stays.
fn gone(path: &Path, removed: io::Result<()>) {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            logging::warning!("{} is not removed: {}", path.display(), net::reason(&error));
        }
        _ => {}
    }
}
