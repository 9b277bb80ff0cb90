//! The database file of an `sqlite:` table.
//!
//! Nothing is written, and no file is made: neither the database nor what belongs to it has to be writable. Each
//! look-up sees what was committed before it. A database that is locked is waited for; a query that takes too long, or
//! has too much to say, is an error, as is one that makes no sense.
//!
//! The library locks a file for its process: what opens the file elsewhere in the same process, and closes it, takes
//! the lock away. So a file that was opened here stays open.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use nix::fcntl::AtFlags;
use nix::unistd::AccessFlags;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, Error, OpenFlags};

use crate::client::rows;
use crate::{OpenError, Stamp};

/// Queries to one database at the same time.
/// told: nobody; the next one waits.
const CONNECTIONS: usize = 4;
/// How long a database that is locked is waited for, and a connection that is free.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a query may take.
/// told: who asks, by an error.
const LONGEST: Duration = Duration::from_secs(30);
/// Steps of the library between two looks at the clock.
const STEPS: i32 = 10_000;
/// Most memory of all queries, bytes.
/// told: who asks, by an error of the library.
const MEMORY: usize = 256 << 20;
/// A file that was written so little time ago may be written again at the same time by its clock.
const RECENT: Duration = Duration::from_millis(50);

/// Why a query has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Open(String),
    Prepare(String),
    Step(String),
}

impl Failure {
    /// The sentence for the log; `query` is what was asked.
    pub(crate) fn sentence(&self, query: &str) -> String {
        match self {
            Failure::Open(why) => format!("open database: {why}"),
            Failure::Prepare(why) => format!("SQL prepare failed: {why}?"),
            Failure::Step(why) => format!("SQL step failed for query '{query}': {why}?"),
        }
    }
}

/// The file of a database, as it is now, and its absolute name.
///
/// # Errors
/// There is none that can be read. `table` is the name of the table.
pub(crate) fn find(table: &str, place: &str) -> Result<(Stamp, String), OpenError> {
    let failed =
        |what: &str, error: io::Error| OpenError::file(format!("{table}: open database {place}: {what}"), &error);
    let missing = |error: io::Error| failed("unable to open database file", error);
    let path = std::path::absolute(place).map_err(missing)?;
    let metadata = fs::metadata(&path).map_err(missing)?;
    if metadata.is_dir() {
        return Err(failed("disk I/O error", nix::errno::Errno::EISDIR.into()));
    }
    if !metadata.is_file() {
        return Err(missing(io::Error::other("not a regular file")));
    }
    nix::unistd::faccessat(nix::fcntl::AT_FDCWD, &path, AccessFlags::R_OK, AtFlags::AT_EACCESS)
        .map_err(|error| missing(error.into()))?;
    let name = path.to_string_lossy().into_owned();
    Ok((Stamp::of(path), name))
}

/// A database.
pub(crate) struct Sqlite {
    path: PathBuf,
    /// Opened with the first connection.
    file: OnceLock<File>,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Open>,
    count: usize,
}

impl Sqlite {
    /// The database at this path; nothing is opened yet.
    pub(crate) fn new(path: &str) -> Self {
        Sqlite { path: path.into(), file: OnceLock::new(), pool: Mutex::default(), returned: Condvar::new() }
    }

    /// Opens what look-ups will need, for a process that will have less rights. What fails is tried again.
    pub(crate) fn connect(&self) {
        let mut pool = self.pool();
        self.file();
        let opened: Vec<Open> = (0..CONNECTIONS).filter_map(|_| Open::new(&self.path, "readonly_shm=1").ok()).collect();
        pool.count += opened.len();
        pool.idle.extend(opened);
    }

    /// The directory that it is in, with the files that belong to it.
    pub(crate) fn directory(&self) -> PathBuf {
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        path.parent().map(Path::to_path_buf).unwrap_or(path)
    }

    /// The first column of all rows, as text, without what is NULL.
    // waits: for other queries, for whoever has locked the database, and for the disk
    pub(crate) fn ask(&self, query: &str) -> Result<Vec<Vec<u8>>, Failure> {
        let lent = self.borrow()?;
        let end = Instant::now() + LONGEST;
        while let Some(before) = self.unwatched() {
            if !before.is_recent() {
                let found = Open::new(&self.path, "immutable=1").map_err(Failure::Open)?.ask(query);
                if self.unwatched().as_ref() == Some(&before) {
                    return found;
                }
            }
            if Instant::now() > end {
                return Err(Failure::Step("the database was written all the time".to_owned()));
            }
            // waits: in a command, or in a process or thread for it
            std::thread::sleep(RECENT / 2);
        }
        lent.open().ask(query)
    }

    /// The state of a database in WAL mode that no program has open: the library cannot read it without making the
    /// files that its programs share. It is read as a file that does not change; if it did, it is read again.
    fn unwatched(&self) -> Option<State> {
        let file = self.file()?;
        let mut versions = [0; 2];
        let beside = |end: &str| {
            let name = [self.path.as_os_str().as_bytes(), end.as_bytes()].concat();
            fs::metadata(OsStr::from_bytes(&name)).ok().map(|metadata| metadata.len())
        };
        // Most databases: one system call.
        if beside("-wal").is_some_and(|length| length > 0) {
            return None;
        }
        // The file format's section 1.3.3: both are 2 in WAL mode.
        file.read_exact_at(&mut versions, 18).ok()?;
        if versions != [2, 2] || beside("-shm").is_some() {
            return None;
        }
        let metadata = file.metadata().ok()?;
        Some(State { length: metadata.len(), modified: metadata.modified().ok()?, inode: metadata.ino() })
    }

    fn file(&self) -> Option<&File> {
        if self.file.get().is_none() {
            let _ = self.file.set(File::open(&self.path).ok()?);
        }
        self.file.get()
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection for one query.
    fn borrow(&self) -> Result<Lent<'_>, Failure> {
        let end = Instant::now() + PATIENCE;
        let mut pool = self.pool();
        loop {
            if let Some(open) = pool.idle.pop() {
                return Ok(Lent { owner: self, open: Some(open) });
            }
            if pool.count < CONNECTIONS {
                match Open::new(&self.path, "readonly_shm=1") {
                    Ok(open) => {
                        pool.count += 1;
                        return Ok(Lent { owner: self, open: Some(open) });
                    }
                    Err(why) if pool.count == 0 => return Err(Failure::Open(why)),
                    // One that was opened with more rights comes back.
                    Err(_) => {}
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::Open("too many look-ups wait for it".to_owned()));
            }
            pool = self.returned.wait_timeout(pool, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What tells whether a file was written.
#[derive(PartialEq, Eq)]
struct State {
    length: u64,
    modified: SystemTime,
    inode: u64,
}

impl State {
    fn is_recent(&self) -> bool {
        let now = SystemTime::now();
        let age = now.duration_since(self.modified).or_else(|_| self.modified.duration_since(now));
        age.is_ok_and(|age| age < RECENT)
    }
}

/// A connection that comes back when its query is done.
struct Lent<'s> {
    owner: &'s Sqlite,
    open: Option<Open>,
}

impl Lent<'_> {
    fn open(&self) -> &Open {
        // cannot fail: it is taken by drop alone
        self.open.as_ref().expect("a connection")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.owner.pool().idle.extend(self.open.take());
        self.owner.returned.notify_one();
    }
}

/// The time by which queries end, in milliseconds from here.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now() -> u64 {
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A connection.
struct Open {
    connection: Connection,
    /// When its query ends at the latest.
    end: Arc<AtomicU64>,
}

impl Open {
    /// A connection that only reads.
    fn new(path: &Path, parameter: &str) -> Result<Open, String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri(path, parameter), flags).map_err(|error| reason(&error))?;
        let end = Arc::new(AtomicU64::new(0));
        let mut open = Open { connection, end };
        open.bound().map_err(|error| reason(&error))?;
        Ok(open)
    }

    /// No query takes more time, memory or room on a disk than is said here.
    fn bound(&mut self) -> Result<(), Error> {
        self.connection.busy_timeout(PATIENCE)?;
        let end = Arc::clone(&self.end);
        self.connection.progress_handler(STEPS, Some(move || now() > end.load(Ordering::Relaxed)))?;
        let longest = i32::try_from(rows::MAX).unwrap_or(i32::MAX);
        self.connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest)?;
        self.connection.execute_batch(&format!("PRAGMA temp_store=MEMORY; PRAGMA hard_heap_limit={MEMORY};"))
    }

    fn ask(&self, query: &str) -> Result<Vec<Vec<u8>>, Failure> {
        self.end.store(now() + u64::try_from(LONGEST.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        // What follows the first statement does not count.
        let first = Batch::new(&self.connection, query).next().map_err(|error| Failure::Prepare(reason(&error)))?;
        let mut statement = first.ok_or_else(|| Failure::Step("not an error".to_owned()))?;
        let step = |error: Error| Failure::Step(reason(&error));
        let (mut found, mut room) = (Vec::new(), rows::MAX);
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(step)? {
            let Some(text) = self.text(row.get_ref(0).map_err(step)?).map_err(step)? else { continue };
            let length = text.len() + text.len().to_string().len() + 1;
            room = room.checked_sub(length).ok_or_else(|| Failure::Step(format!("more than {} bytes", rows::MAX)))?;
            found.push(text);
        }
        Ok(found)
    }

    /// A value as text, as far as its first NUL.
    fn text(&self, value: ValueRef<'_>) -> Result<Option<Vec<u8>>, Error> {
        let text = match value {
            ValueRef::Null => return Ok(None),
            ValueRef::Integer(number) => number.to_string().into_bytes(),
            // The library has its own way to write them.
            ValueRef::Real(number) => {
                let write = "SELECT CAST(?1 AS TEXT)";
                self.connection.query_row(write, [number], |row| row.get::<_, String>(0))?.into_bytes()
            }
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                bytes.split(|&byte| byte == 0).next().unwrap_or_default().to_vec()
            }
        };
        Ok(Some(text))
    }
}

/// The library's name for a file, with a parameter.
fn uri(path: &Path, parameter: &str) -> std::ffi::OsString {
    let mut name = b"file:".to_vec();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'%' | b'?' | b'#' => name.extend_from_slice(format!("%{byte:02x}").as_bytes()),
            _ => name.push(byte),
        }
    }
    name.push(b'?');
    name.extend_from_slice(parameter.as_bytes());
    OsStringExt::from_vec(name)
}

/// The library's words.
fn reason(error: &Error) -> String {
    match error {
        Error::SqliteFailure(code, _) if code.code == rusqlite::ErrorCode::OperationInterrupted => {
            format!("no result within {} seconds", LONGEST.as_secs())
        }
        Error::SqliteFailure(_, Some(text)) => text.clone(),
        Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}
