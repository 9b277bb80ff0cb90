//! Delivery to a maildir: a file a message, no locks.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::names::{Directory, make_directories};
use super::{Failure, Incoming, WRITING};

/// Writes the message to `tmp/TIME.Ppid.HOST`, and when it is on stable storage gives it a name in `new`, which is on
/// stable storage too when this returns. Readers never see a part of a message; a crash leaves at most a file in `tmp`,
/// which readers remove after 36 hours.
pub(crate) async fn deliver(
    path: &ipc::carrier::Path,
    hostname: &str,
    message: &mut Incoming<'_>,
) -> Result<(), Failure> {
    let top = Path::new(OsStr::from_bytes(&path.0));
    let hostname = safe(hostname);
    let now = now();
    let name = format!("{}.P{}.{hostname}", now.as_secs(), std::process::id());
    let unfinished = Unfinished(top.join("tmp").join(name));
    let file =
        in_directories(top, || create(&unfinished.0)).map_err(|error| failure("create", &unfinished.0, &error))?;
    write(&file, message).await?;
    let meta = file.metadata().map_err(|error| failure("stat", &unfinished.0, &error))?;
    let moment = self::now();
    let name = format!("{}.V{:x}I{:x}M{}.{hostname}", moment.as_secs(), meta.dev(), meta.ino(), moment.subsec_micros());
    let finished = top.join("new").join(name);
    let mut directory = Directory::around(&finished);
    // A link, unlike a rename, never replaces a message.
    let link = || fs::hard_link(&unfinished.0, &finished);
    let linked = link().or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        make_all(top)?;
        directory = Directory::around(&finished);
        link()
    });
    linked.map_err(|error| failure("create", &finished, &error))?;
    directory.sync(&file).map_err(|error| {
        // Not delivered: the message is tried again, and must not be there twice.
        let _ = fs::remove_file(&finished);
        failure("create", &finished, &error)
    })
}

async fn write(mut file: &File, message: &mut Incoming<'_>) -> Result<(), Failure> {
    while let Some(bytes) = message.next().await? {
        file.write_all(&bytes).map_err(|error| Failure::system(WRITING, &error))?;
    }
    file.sync_all().map_err(|error| Failure::system(WRITING, &error))
}

/// Removed when the delivery is over, whichever way.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Does something in the maildir, which is made when it is not there.
fn in_directories<T>(top: &Path, mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match act() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_all(top)?;
            act()
        }
        other => other,
    }
}

fn make_all(top: &Path) -> io::Result<()> {
    ["tmp", "new", "cur"].iter().try_for_each(|name| make_directories(&top.join(name), 0o700))
}

fn failure(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::system(format!("{what} maildir file {}", path.display()), error)
}

/// A host name that cannot leave the directory.
fn safe(hostname: &str) -> String {
    hostname.replace('/', "\\057").replace(':', "\\072")
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
