//! Reading a list: .forward, or an :include: file.
//!
//! A list gives rights: what it names is done as the carrier's user. Whose it is, and who else may write it, is asked
//! of the open file.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use ipc::carrier::{Carrier, FoundList, ListProblem, Path, Reply, Role};
use ipc::{IpcError, Server};
use sys::open::{Links, Refusal, Rules};

use super::errno;

/// Bytes of a list that are sent at once.
const PIECE: usize = 32 << 10;

/// Answers `Read`: the first of the paths that exists, and its text.
pub(crate) async fn answer(agent: &mut Server<Carrier>, paths: &[Path], role: Role) -> Result<(), IpcError> {
    let (found, file) = first(paths, role);
    agent.queue(&Reply::List(found))?;
    if let Some(mut file) = file {
        let end = loop {
            let mut piece = Vec::with_capacity(PIECE);
            // told: nobody; the next piece follows.
            match (&mut file).take(PIECE as u64).read_to_end(&mut piece) {
                Ok(0) => break Ok(()),
                Ok(_) => agent.send(&Reply::Text(piece)).await?,
                Err(error) => break Err(errno(&error)),
            }
        };
        agent.queue(&Reply::TextEnd(end))?;
    }
    agent.flush().await
}

/// Answers `Look`: who owns the list. A list that only its owner may read is found too.
pub(crate) fn look(path: &Path) -> FoundList {
    match fs::metadata(OsStr::from_bytes(&path.0)) {
        Ok(meta) => FoundList::Found { path: path.clone(), owner: meta.uid() },
        Err(error) if error.kind() == io::ErrorKind::NotFound => FoundList::None,
        Err(error) => FoundList::Unusable { path: path.clone(), why: ListProblem::System(errno(&error)) },
    }
}

/// The first of the paths that exists; one that exists and cannot be used ends the search.
fn first(paths: &[Path], role: Role) -> (FoundList, Option<File>) {
    for path in paths {
        match open(path, role) {
            Ok((file, owner)) => return (FoundList::Found { path: path.clone(), owner }, Some(file)),
            Err(ListProblem::System(code)) if is_absent(path, code) => {}
            Err(why) => return (FoundList::Unusable { path: path.clone(), why }, None),
        }
    }
    (FoundList::None, None)
}

fn open(path: &Path, role: Role) -> Result<(File, u32), ListProblem> {
    let me = nix::unistd::geteuid().as_raw();
    let (links, owners) = match role {
        Role::Forward(user) => (Links::Refused, vec![user, 0]),
        Role::Include => (Links::Followed, Vec::new()),
        Role::OwnInclude => (Links::Followed, vec![me]),
    };
    let rules = Rules { links, regular: true, one_name: false, owners: &owners, closed: true };
    let name = std::path::Path::new(OsStr::from_bytes(&path.0));
    let file = sys::open::to_read(name, &rules).map_err(|refusal| problem(name, &rules, refusal))?;
    let owner = file.metadata().map_err(|error| ListProblem::System(errno(&error)))?.uid();
    Ok((file, owner))
}

fn problem(name: &std::path::Path, rules: &Rules<'_>, refusal: Refusal) -> ListProblem {
    match refusal {
        Refusal::Link | Refusal::NotRegular | Refusal::HardLinks(_) => ListProblem::NotRegular,
        Refusal::Owner(uid) => ListProblem::Owner(uid),
        Refusal::WorldWritable => ListProblem::WorldWritable,
        // What could not be opened is not used; the name says which words tell more.
        Refusal::System(error) => match fs::symlink_metadata(name) {
            Ok(meta) if !meta.is_file() && !meta.is_symlink() => ListProblem::NotRegular,
            Ok(meta) if !rules.owners.is_empty() && !rules.owners.contains(&meta.uid()) => {
                ListProblem::Owner(meta.uid())
            }
            _ => ListProblem::System(errno(&error)),
        },
    }
}

/// A home directory that is not there, or is closed to the user, holds no list. A file that is there and cannot be read
/// is another matter.
fn is_absent(path: &Path, code: i32) -> bool {
    use nix::libc::{EACCES, ENOENT, ENOTDIR};
    let is_there = || fs::symlink_metadata(OsStr::from_bytes(&path.0)).is_ok();
    [ENOENT, ENOTDIR, EACCES].contains(&code) && !is_there()
}
