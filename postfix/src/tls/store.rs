//! Files with keys and certificates in the configuration directory. A file is there whole or not at all, is nobody
//! else's to read before it is, and takes the place of none.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::tls::key::Kind;

/// Largest file with keys or certificates, bytes.
/// told: the caller, by an error.
const MAX_FILE: u64 = 1 << 20;

/// The names of a new pair: certificate and key. Their time is the next one that no other pair has.
pub(super) fn names(folder: &Path, kind: Kind) -> (PathBuf, PathBuf) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut unix = i64::try_from(now).unwrap_or(0);
    loop {
        let at = sys::time::utc(unix);
        let date = format!("{}{:02}{:02}", at.year, at.month, at.day);
        let name = |what: &str| {
            let prefix = kind.prefix();
            folder.join(format!("{prefix}{what}-{date}-{:02}{:02}{:02}.pem", at.hour, at.minute, at.second))
        };
        let names = (name("cert"), name("key"));
        if ![&names.0, &names.1].into_iter().any(|path| fs::symlink_metadata(path).is_ok()) {
            return names;
        }
        unix += 1;
    }
}

/// Makes a file. `what` names it in errors.
///
/// # Errors
/// There is one of this name, or it cannot be written.
pub(super) fn create(path: &Path, what: &str, mode: u32, content: &str) -> Result<(), String> {
    let mut hidden = path.as_os_str().to_owned();
    hidden.push(".tmp");
    let hidden = PathBuf::from(hidden);
    let written = fill(&hidden, mode, content).and_then(|()| fs::hard_link(&hidden, path));
    // A left-over would only be in the way of a file of the same second.
    let _ = fs::remove_file(&hidden);
    written.and_then(|()| sync(path)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("New {what} file already exists: {}", path.display()),
        _ => format!("error writing {what} file {}: {}", path.display(), net::reason(&error)),
    })
}

fn fill(path: &Path, mode: u32, content: &str) -> io::Result<()> {
    // name: new, in root's directory.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())?;
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    file.sync_all()
}

/// The entry of a file is on disk.
fn sync(path: &Path) -> io::Result<()> {
    // name: root's directory.
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// What is in a file, which may be a key.
///
/// # Errors
/// It cannot be read.
pub(super) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for the usual key, which is not copied then.
    let mut text = Zeroizing::new(Vec::with_capacity(1 << 16));
    sys::content::append(sys::content::open(path)?, MAX_FILE, &mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn pairs_of_the_same_second_have_different_names() {
        let folder = std::env::temp_dir().join(format!("postfix-tls-names-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut made = std::collections::BTreeSet::new();
        for _ in 0..5 {
            let (certificate, key) = names(&folder, Kind::Ecdsa);
            create(&certificate, "certificate", 0o644, "").unwrap();
            assert!(key.file_name().unwrap().to_str().unwrap().starts_with("eckey-2"));
            assert!(made.insert(key));
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_key_is_its_owners_alone_and_never_takes_the_place_of_another() {
        let folder = std::env::temp_dir().join(format!("postfix-tls-store-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("key.pem");
        create(&path, "private key", 0o600, "secret").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = create(&path, "private key", 0o600, "other").unwrap_err();
        assert_eq!(again, format!("New private key file already exists: {}", path.display()));
        assert_eq!(read(&path).unwrap().as_slice(), b"secret");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }
}
