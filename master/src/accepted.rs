//! The main.cf in force, for the time when the one on disk is another.
//!
//! As with Postfix, a worker reads main.cf when it starts, and so an edit reaches new workers before anybody reloads.
//! But a main.cf that would end the worker, or that a reload has refused, must reach nobody: every worker inherits a
//! descriptor with the text that was accepted last, and reads that one instead; after a refused reload in any case,
//! else if it sees for itself that the one on disk is of no use.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;

/// The accepted main.cf.
#[derive(Debug, Default, Clone)]
pub(crate) struct Accepted {
    /// Its text as a file without a name. None when there was no room for it: then the one on disk is read.
    pub file: Option<Rc<OwnedFd>>,
    /// The main.cf on disk was refused, or is not that of the service: nobody is to read it.
    pub alone: bool,
}

impl Accepted {
    pub(crate) fn new(text: &[u8]) -> Self {
        let file = in_memory(text).or_else(|_| without_name(text));
        let file = file.inspect_err(|error| logging::warning!("no copy of main.cf: {}", net::reason(error)));
        Self { file: file.ok().map(Rc::new), alone: false }
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn in_memory(text: &[u8]) -> io::Result<OwnedFd> {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = std::fs::File::from(memfd_create(c"main.cf", flags)?);
    file.write_all(text)?;
    // No worker can change what the next one reads.
    // name: in root's directory.
    let seals = SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn in_memory(_text: &[u8]) -> io::Result<OwnedFd> {
    Err(nix::errno::Errno::ENOSYS.into())
}

/// Below the queue directory, where only the owner of the mail system writes.
fn without_name(text: &[u8]) -> io::Result<OwnedFd> {
    let path = Path::new("pid/main.cf");
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(text);
    // No worker can change what the next one reads.
    // name: in root's directory.
    let readable = OpenOptions::new().read(true).open(path);
    std::fs::remove_file(path)?;
    written?;
    Ok(readable?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn the_accepted_text_is_in_a_file_without_a_name() {
        let accepted = Accepted::new(b"inet_protocols = all\n");
        let file = std::fs::File::from(accepted.file.unwrap().try_clone().unwrap());
        let mut text = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut text, 0).unwrap();
        assert_eq!(text, b"inet_protocols = all\n");
    }

    #[test]
    fn the_accepted_text_cannot_be_changed_by_who_has_its_descriptor() {
        let accepted = Accepted::new(b"inet_protocols = all\n");
        let file = std::fs::File::from(accepted.file.unwrap().try_clone().unwrap());
        assert!(file.write_all_at(b"x", 0).is_err());
        assert!(file.set_len(0).is_err());
    }
}
