//! Delivery to a maildir: a file a message, no locks.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Failure, Incoming};

/// Writes the message to `tmp/TIME.Ppid.HOST`, and when it is on stable storage gives it a name in `new`. Readers never
/// see a part of a message; a crash leaves at most a file in `tmp`, which readers remove after 36 hours.
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
    let file = create(top, &unfinished.0)?;
    write(&file, &unfinished.0, message).await?;
    let meta = file.metadata().map_err(|error| failure("stat", &unfinished.0, &error))?;
    let moment = self::now();
    let name = format!("{}.V{:x}I{:x}M{}.{hostname}", moment.as_secs(), meta.dev(), meta.ino(), moment.subsec_micros());
    let finished = top.join("new").join(name);
    // A link, unlike a rename, never replaces a message.
    fs::hard_link(&unfinished.0, &finished).map_err(|error| failure("create", &finished, &error))
}

async fn write(mut file: &File, path: &Path, message: &mut Incoming<'_>) -> Result<(), Failure> {
    while let Some(bytes) = message.next().await? {
        file.write_all(&bytes).map_err(|error| failure("write", path, &error))?;
    }
    file.sync_all().map_err(|error| failure("write", path, &error))
}

/// Removed when the delivery is over, whichever way.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn create(top: &Path, path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut result = options.open(path);
    if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        for directory in [top.join("tmp"), top.join("new"), top.join("cur")] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
            made.map_err(|error| failure("create", path, &error))?;
        }
        result = options.open(path);
    }
    result.map_err(|error| failure("create", path, &error))
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
