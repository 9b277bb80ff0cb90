//! The scribe: the process beside a daemon that writes the file of its cache.
//!
//! It is the same program under another argument, as $mail_owner, with one directory in reach. LMDB, which it writes
//! with, maps the file into memory: a file that somebody cuts short, or that leads LMDB astray, ends the scribe and
//! nobody else. The daemon ends after its clients then, and the next one begins with a look at the file.
//!
//! What it must never do: read what a client wrote, other than the entries that it writes; open another file.
//!
//! A file is looked at before LMDB gets it: each page that the table leads to is read and understood. Then an entry is
//! written as it was. A file that fails the one is put aside; so is one that the other has killed the scribe with.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lookup::btree::Tree;
use lookup::index::IndexError;
use lookup::write::{Existing, WriteError, Writer};
use lookup::{Kind, Spec};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use sandbox::{Needs, Reach, Walls};
use sys::identity::Identity;
use sys::open::{Refusal, SYSTEM};
use sys::process::{Spawn, own_program, spawn};

use crate::packet::{Changes, Reply};
use crate::place::Place;

/// The argument that makes a daemon's program a scribe.
const SCRIBE: &str = "--scribe";
/// The word for a file that is to be put aside.
const ANEW: &str = "anew";
/// The word for one that is to be used.
const AS_IT_IS: &str = "as-it-is";
/// The descriptor of the socket to the daemon.
const SOCKET: i32 = 3;
/// Permissions of the file, as Postfix's have them; its directory is closed to others.
const MODE: u32 = 0o644;
/// Seconds that a file may take until it is open: another program may have it locked.
const PATIENCE: i64 = 60;
/// Seconds that a daemon which ends waits for its last changes to be taken.
const LAST_WORDS: i64 = 10;
/// The entry that each cache has: when it was swept last.
pub const LAST_SWEEP: &[u8] = b"_LAST_CACHE_CLEANUP_COMPLETED_";

/// What a scribe has opened.
pub(crate) struct Opened {
    pub(crate) file: File,
    /// Changes go here.
    pub(crate) socket: OwnedFd,
    /// What there is to say of the file, or nothing.
    pub(crate) note: String,
}

/// Starts the scribe, and waits until the file is open. The inner error is what the scribe says about the file.
pub(crate) fn start(
    program: &'static str,
    place: &Place,
    owner: Option<&Identity>,
) -> io::Result<Result<Opened, String>> {
    if let Some(opened) = begin(program, place, owner, AS_IT_IS)? {
        return Ok(opened);
    }
    // It has died of the file.
    let anew = begin(program, place, owner, ANEW)?;
    anew.ok_or_else(|| io::Error::other("it ended before it had opened its file"))
}

/// None: it ended without a word.
fn begin(
    program: &'static str,
    place: &Place,
    owner: Option<&Identity>,
    how: &str,
) -> io::Result<Option<Result<Opened, String>>> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    setsockopt(&ours, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE))?;
    setsockopt(&ours, sockopt::SendTimeout, &TimeVal::seconds(LAST_WORDS))?;
    // It ends when our end of the socket does; it is nobody's to wait for.
    drop(spawn(&Spawn {
        path: own_program()?,
        arguments: vec![
            program.into(),
            SCRIBE.into(),
            how.into(),
            place.map_size.to_string().into(),
            place.path.clone().into(),
        ],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        descriptors: vec![(SOCKET, theirs.as_fd())],
        identity: owner.cloned(),
        directory: Some("/".into()),
        own_group: true,
    })?);
    drop(theirs);
    let mut buffer = vec![0; ipc::questions::MAX];
    let (count, descriptors) = match sys::descriptor::receive_with(ours.as_fd(), &mut buffer) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
        other => other?,
    };
    if count == 0 {
        return Ok(None);
    }
    setsockopt(&ours, sockopt::ReceiveTimeout, &TimeVal::seconds(0))?;
    match (Reply::decode(&buffer[..count]), descriptors.into_iter().next()) {
        (Some(Reply::Open(note)), Some(file)) => Ok(Some(Ok(Opened { file: file.into(), socket: ours, note }))),
        (Some(Reply::Failed(why)), _) => Ok(Some(Err(why))),
        _ => Err(io::Error::other("malformed answer of the scribe")),
    }
}

/// Runs this program as a scribe, if that is what its first argument says.
pub fn run_as_scribe(program: &str) -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != SCRIBE {
        return None;
    }
    // The name in ps(1).
    let _ = fs::write("/proc/self/comm", format!("{program}-scribe"));
    let how = arguments.next()?;
    let map_size = arguments.next()?.to_str()?.parse().ok()?;
    let path = PathBuf::from(arguments.next()?);
    Some(match serve_alone(&path, map_size, how == ANEW) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn serve_alone(path: &Path, map_size: usize, is_anew: bool) -> io::Result<()> {
    let socket = sys::descriptor::inherit(SOCKET)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let needs = Needs { paths: vec![(folder.to_path_buf(), Reach::Write)], ..Needs::default() };
    let walls = Walls::prepare(&needs).map_err(io::Error::other)?;
    sys::privilege::drop_capabilities()?;
    sys::privilege::forbid_new_privileges()?;
    sys::privilege::limit_processes(0)?;
    walls.close().map_err(io::Error::other)?;
    serve(&socket, path, map_size, is_anew)
}

/// Serves until the daemon is gone.
pub(crate) fn serve(socket: &OwnedFd, path: &Path, map_size: usize, is_anew: bool) -> io::Result<()> {
    let name = path.with_extension("").display().to_string();
    let writer = Writer::of(&Spec { kind: Kind::Lmdb, name }, map_size, Some(MODE), Some(true));
    match open(path, &writer, is_anew) {
        Ok((file, note)) => send(socket, &Reply::Open(note), 0, Some(&file))?,
        Err(why) => return send(socket, &Reply::Failed(why), 0, None),
    }
    ipc::questions::serve(socket.as_fd(), |packet| {
        let (number, changes) = Changes::decode(packet).ok_or(nix::errno::Errno::EBADMSG)?;
        let reply = write(&writer, &changes).map_or_else(|error| Reply::Failed(error.to_string()), |()| Reply::Done);
        let has_failed = matches!(reply, Reply::Failed(_));
        // A daemon that has ended leaves changes behind.
        let _ = send(socket, &reply, number, None);
        match has_failed.then(|| look_at(path)) {
            // A file that makes no sense any more is for the next scribe to put aside.
            Some(Err(Flaw::Damage(_))) => Err(nix::errno::Errno::EUCLEAN.into()),
            _ => Ok(()),
        }
    })
}

fn send(socket: &OwnedFd, reply: &Reply, number: u32, file: Option<&File>) -> io::Result<()> {
    let attached: Vec<_> = file.iter().map(|file| file.as_fd()).collect();
    sys::descriptor::send_with(socket.as_fd(), &reply.encode(number), &attached).map(drop)
}

fn write(writer: &Writer, changes: &Changes) -> Result<(), WriteError> {
    let (entries, gone) = (changes.entries(), changes.gone());
    if !entries.is_empty() {
        writer.add(&entries, Existing::Replace)?;
    }
    if !gone.is_empty() {
        writer.delete(&gone)?;
    }
    Ok(())
}

/// Why a file is not used as it is.
enum Flaw {
    /// It makes no sense.
    Damage(String),
    /// It cannot be read: the sentence.
    System(String),
}

/// The file, open for reading, and what there is to say of it.
///
/// # Errors
/// It cannot be opened or written: the sentence.
fn open(path: &Path, writer: &Writer, is_anew: bool) -> Result<(File, String), String> {
    let mut note = String::new();
    let flaw = match look_at(path) {
        Ok(_) if is_anew => Some("LMDB cannot write it".to_owned()),
        Ok(_) => None,
        Err(Flaw::Damage(why)) => Some(why),
        Err(Flaw::System(why)) => return Err(why),
    };
    if let Some(why) = flaw {
        let aside = path.with_added_extension("damaged");
        let shown = path.display();
        fs::rename(path, &aside).map_err(|error| opening(path, &text::system_error(&error)))?;
        note = format!("{shown}: {why}: put aside as {}, and begun anew", aside.display());
    }
    write_as_it_was(path, writer).map_err(|error| error.to_string())?;
    let file = sys::open::to_read(path, &SYSTEM).map_err(|refusal| opening(path, &refused(refusal)))?;
    Ok((file, note))
}

/// Reads the whole file; what it has for the entry that every cache has. A file that is not there, or empty, is fine.
fn look_at(path: &Path) -> Result<Option<Vec<u8>>, Flaw> {
    let file = match sys::open::to_read(path, &SYSTEM) {
        Ok(file) => file,
        Err(Refusal::System(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(refusal) => return Err(Flaw::System(opening(path, &refused(refusal)))),
    };
    // As LMDB leaves it when it is killed before its first commit.
    if file.metadata().is_ok_and(|data| data.len() == 0) {
        return Ok(None);
    }
    let flaw = |error: IndexError| match error {
        IndexError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            Flaw::System(opening(path, &text::system_error(&error)))
        }
        // Another system writes it: it makes sense to that one.
        IndexError::Restless => Flaw::System(opening(path, &IndexError::Restless.to_string())),
        other => Flaw::Damage(other.to_string()),
    };
    let tree = Tree::open(file).map_err(flaw)?;
    tree.visit(&mut |_, _| {}).map_err(flaw)?;
    let ended = [LAST_SWEEP, &[0]].concat();
    Ok(tree.get(&[&ended]).map_err(flaw)?.map(|(_, value)| crate::kept::without_nul(value)))
}

/// Has LMDB make the file, or write an entry as it was: if it dies of that, it does so before anybody relies on it.
fn write_as_it_was(path: &Path, writer: &Writer) -> Result<(), WriteError> {
    let value = look_at(path).ok().flatten();
    let is_there = value.is_some();
    writer.add(&[(LAST_SWEEP.to_vec(), value.unwrap_or_else(|| b"0".to_vec()))], Existing::Replace)?;
    if is_there { Ok(()) } else { writer.delete(&[LAST_SWEEP.to_vec()]).map(drop) }
}

fn opening(path: &Path, reason: &str) -> String {
    format!("open database {}: {reason}", path.display())
}

fn refused(refusal: Refusal) -> String {
    text::system_error(&refusal.into_error())
}
