//! The keeper: the small root process beside tlsmgr, which opens files with private keys.
//!
//! It is the same program under another argument. What it may open it is told once, when it starts: a list of files,
//! and the tables of tls_server_sni_maps with the files that those name. After that it is asked for a place in the
//! list, or for a server name, over a private socket of packets.
//!
//! What it must never do: open a file by a name that somebody sends, parse a key, write anything, speak with anybody
//! but tlsmgr.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daemon::threads::{Limits, Threads};
use lookup::{Maps, OpenFlags, Settings};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use sandbox::{Needs, Reach, Walls};
use sys::process::{Spawn, own_program, spawn};

use crate::packet::{LARGEST, Reply, Request, Source, write_sources};
use crate::rights::Rights;

/// The argument that makes tlsmgr's program a keeper.
const KEEPER: &str = "--keeper";
/// The descriptor of the socket to tlsmgr.
const SOCKET: i32 = 3;
/// The descriptor from which it reads what it may open.
const DUTIES: i32 = 4;
/// Files that are opened, and names that are looked up, at the same time.
const LIMITS: Limits = Limits { threads: 8, waiting: 10_000 };
/// Bytes of what it may open.
/// told: the log, by the end of the keeper.
const LONGEST: u64 = 4 << 20;

/// Starts the keeper; it has the rights of this process for as long as this end of the socket is open.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start(program: &'static str, rights: &Rights) -> io::Result<OwnedFd> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    let (mut rope, duties) = UnixStream::pair()?;
    drop(spawn(&Spawn {
        path: own_program()?,
        arguments: vec![program.into(), KEEPER.into()],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        descriptors: vec![(SOCKET, theirs.as_fd()), (DUTIES, duties.as_fd())],
        identity: None,
        directory: None,
        own_group: false,
    })?);
    let lines = [rights.names.as_slice(), &[String::new()], rights.paths.as_slice()].concat();
    drop(duties);
    // The keeper reads to the end before it does anything else.
    rope.write_all(lines.join("\0").as_bytes())?;
    Ok(ours)
}

/// Runs this program as a keeper, if that is what its first argument says.
pub(crate) fn run_as_keeper(program: &str) -> Option<ExitCode> {
    if std::env::args_os().nth(1)? != KEEPER {
        return None;
    }
    // The name in ps(1).
    let _ = std::fs::write("/proc/self/comm", format!("{program}-keeper"));
    Some(if serve_alone().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn serve_alone() -> io::Result<()> {
    let socket = sys::descriptor::inherit(SOCKET)?;
    let duties = File::from(sys::descriptor::inherit(DUTIES)?);
    let mut words = Vec::new();
    sys::content::append(duties, LONGEST, &mut words)?;
    let duties = String::from_utf8(words).map_err(|_| nix::errno::Errno::EILSEQ)?;
    let store = Store::read(&duties);
    let needs = Needs { paths: vec![("/".into(), Reach::Read)], threads: true, ..Needs::default() };
    let walls = Walls::prepare(&needs).map_err(io::Error::other)?;
    sys::privilege::hide_from_own_user()?;
    sys::privilege::keep_reading_rights()?;
    sys::privilege::forbid_new_privileges()?;
    walls.close().map_err(io::Error::other)?;
    serve(socket, store)
}

/// What the keeper may open.
struct Store {
    paths: Vec<String>,
    /// The tables of each list, each with its type and name.
    lists: Vec<Vec<Sni>>,
}

/// A table of server names.
struct Sni {
    kind: String,
    name: String,
    maps: Mutex<Arc<Maps>>,
}

impl Store {
    fn read(duties: &str) -> Store {
        let mut words = duties.split('\0');
        let names: Vec<&str> = words.by_ref().take_while(|word| !word.is_empty()).collect();
        let open = |item: &str| {
            let kind = item.split(':').next().unwrap_or_default().to_owned();
            let maps = Mutex::new(Arc::new(open_maps(item)?));
            Some(Sni { kind, name: item.to_owned(), maps })
        };
        let lists = names.iter().map(|list| text::split_list(list).into_iter().filter_map(open).collect());
        Store { lists: lists.collect(), paths: words.map(str::to_owned).collect() }
    }

    /// What stands for a name; its parent domains have a leading dot.
    fn look_up(&self, list: usize, name: &str) -> Result<Option<Vec<Source>>, String> {
        for table in self.lists.get(list).into_iter().flatten() {
            if let Some(value) = table.look_up(name)? {
                return table.sources(name, &value).map(Some);
            }
        }
        Ok(None)
    }
}

fn open_maps(item: &str) -> Option<Maps> {
    // What is wrong with it is logged.
    Maps::open(Settings::default(), "tls_server_sni_maps", item, OpenFlags::default()).ok()
}

impl Sni {
    /// The table as it is now.
    fn maps(&self) -> Arc<Maps> {
        let mut maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
        if maps.changed().is_some()
            && let Some(now) = open_maps(&self.name)
        {
            *maps = Arc::new(now);
        }
        Arc::clone(&maps)
    }

    fn look_up(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let (maps, failed) = (self.maps(), |_| problem(name));
        let mut found = maps.lookup(name.as_bytes()).map_err(failed)?;
        let mut rest = name;
        while found.is_none()
            && let Some((_, parent)) = rest.split_once('.')
        {
            found = maps.lookup_partial(format!(".{parent}").as_bytes()).map_err(failed)?;
            rest = parent;
        }
        Ok(found)
    }

    fn sources(&self, name: &str, value: &[u8]) -> Result<Vec<Source>, String> {
        let label = format!("SNI data for {name}");
        let names_files = has_files(&self.kind);
        match STANDARD.decode(value.trim_ascii()) {
            Ok(bytes) if !names_files => return Ok(vec![(label, Ok(bytes))]),
            // hash: and btree: may be their source, and name files then.
            Err(_) if !names_files && !["hash", "btree"].contains(&self.kind.as_str()) => {
                let (table, shown) = (&self.name, text::printable(value));
                logging::warning!("table {table}: key {name}: malformed BASE64 value: {shown}");
                return Err(problem(name));
            }
            _ => {}
        }
        let list = String::from_utf8_lossy(value).into_owned();
        let read = |file: &str| open(file).and_then(read).map_err(|error| opening(file, &error));
        // One object after the other, whatever the files are.
        let contents: Vec<Vec<u8>> = text::split_list(&list).into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(vec![(label, Ok(contents.join(&b'\n')))])
    }
}

fn problem(name: &str) -> String {
    format!("tls_server_sni_maps: {name} map lookup problem")
}

/// Tables that name files; others hold what postmap -F has put in.
fn has_files(kind: &str) -> bool {
    ["texthash", "inline", "regexp", "pcre", "static", "cidr", "randmap", "unionmap"].contains(&kind)
}

fn opening(file: &str, error: &io::Error) -> String {
    format!("open {}: {}", text::printable(file.as_bytes()), text::system_error(error))
}

fn open(path: &str) -> io::Result<File> {
    let file = sys::content::open(path.as_ref())?;
    // What else there may be has no end.
    if file.metadata()?.is_file() { Ok(file) } else { Err(nix::errno::Errno::EINVAL.into()) }
}

fn read(file: File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    sys::content::append(file, LARGEST as u64, &mut content)?;
    Ok(content)
}

/// Serves until tlsmgr is gone.
fn serve(socket: OwnedFd, store: Store) -> io::Result<()> {
    let socket = Arc::new(socket);
    let replies = Arc::clone(&socket);
    let threads = Threads::new(LIMITS, move |(number, request): (u32, Request)| {
        // A tlsmgr that is gone ends this process soon.
        let _ = obey(&store, &replies, number, &request);
    });
    ipc::questions::serve(socket.as_fd(), |packet| {
        let request = Request::decode(packet).ok_or(nix::errno::Errno::EBADMSG)?;
        match threads.push(request) {
            Err(((number, _), error)) => answer(&socket, number, &Reply::Failed(text::system_error(&error)), &[]),
            Ok(()) => Ok(()),
        }
    })
}

fn obey(store: &Store, socket: &OwnedFd, number: u32, request: &Request) -> io::Result<()> {
    match request {
        Request::File(place) => {
            let path = store.paths.get(*place as usize).map(String::as_str);
            match path.map_or_else(|| Err(nix::errno::Errno::EPERM.into()), open) {
                Ok(file) => answer(socket, number, &Reply::Attached, &[file.as_fd()]),
                Err(error) => answer(socket, number, &Reply::Failed(text::system_error(&error)), &[]),
            }
        }
        Request::Name(list, name) => match store.look_up(*list as usize, name) {
            Ok(Some(sources)) => {
                let (mut rope, end) = UnixStream::pair()?;
                answer(socket, number, &Reply::Attached, &[end.as_fd()])?;
                drop(end);
                rope.write_all(&write_sources(&sources))
            }
            Ok(None) => answer(socket, number, &Reply::Unknown, &[]),
            Err(why) => answer(socket, number, &Reply::Failed(why), &[]),
        },
    }
}

fn answer(socket: &OwnedFd, number: u32, reply: &Reply, attached: &[BorrowedFd<'_>]) -> io::Result<()> {
    sys::descriptor::send_with(socket.as_fd(), &reply.encode(number), attached).map(drop)
}

/// A keeper in a thread of this process, with its rights.
#[cfg(test)]
pub(crate) fn in_a_thread(rights: &Rights) -> OwnedFd {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let lines = [rights.names.as_slice(), &[String::new()], rights.paths.as_slice()].concat();
    let store = Store::read(&lines.join("\0"));
    std::thread::spawn(move || serve(theirs, store));
    ours
}
