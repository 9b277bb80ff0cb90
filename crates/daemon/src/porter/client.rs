//! The worker's side: asking its porter.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ipc::Questions;
use ipc::questions::Answer;
use lookup::system::{Database, Question};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::OnceCell;

use super::packet::{Reply, Request};

/// How long an answer is waited for. The client of an SMTP server waits for five minutes (RFC 5321 4.5.3.2.3).
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a user is known to exist. That there is none is never remembered: he may be added at any moment.
const MEMORY: Duration = Duration::from_secs(30);
/// Longest answer in bytes, packet or not.
/// told: who asks, by an error.
pub(super) const LONGEST_ANSWER: usize = 8 << 20;
/// Users that are remembered.
const REMEMBERED: usize = 1000;

/// A worker's porter.
pub struct Porter {
    questions: Questions,
    /// Users that exist, and when that was said.
    known: RefCell<HashMap<Vec<u8>, Instant>>,
    /// Names that are being looked up: one look-up serves all who ask at the same time.
    asked: RefCell<HashMap<Vec<u8>, Rc<Lookup>>>,
}

type Lookup = OnceCell<Result<bool, PorterError>>;

/// Why there is no answer. Display is the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PorterError {
    reason: String,
    errno: Option<i32>,
}

impl fmt::Display for PorterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for PorterError {}

impl PorterError {
    fn malformed() -> Self {
        Self { reason: "malformed answer of the porter".to_owned(), errno: None }
    }
}

impl From<PorterError> for io::Error {
    fn from(error: PorterError) -> Self {
        error.errno.map_or_else(|| io::Error::other(error.reason), io::Error::from_raw_os_error)
    }
}

impl Porter {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self { questions: Questions::new(socket), known: RefCell::default(), asked: RefCell::default() }
    }

    /// A porter for tests of workers, in a thread of this process: the same service without its walls.
    ///
    /// # Errors
    /// Those of socketpair(2), and of a thread that cannot be started.
    // tests: of programs, which are other crates.
    pub fn in_a_thread() -> io::Result<Self> {
        use super::{AddressFamily, SockFlag, SockType, server, socketpair};
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        use super::Outside::{Databases, Servers, UnixSockets, UserDatabase};
        let duties = vec![UserDatabase, UnixSockets, Servers, Databases];
        std::thread::Builder::new().name("porter".into()).spawn(move || server::serve(theirs, duties))?;
        Ok(Self::new(ours))
    }

    /// Whether the user database has a user of this name.
    ///
    /// # Errors
    /// The database says neither yes nor no, or takes too long.
    pub async fn has_user(&self, name: &[u8]) -> Result<bool, PorterError> {
        if self.known.borrow().get(name).is_some_and(|since| since.elapsed() < MEMORY) {
            return Ok(true);
        }
        let asked =
            Asked { porter: self, name, lookup: Rc::clone(self.asked.borrow_mut().entry(name.to_vec()).or_default()) };
        let answer = asked.lookup.get_or_init(|| self.look_up(name)).await.clone();
        if answer == Ok(true) {
            self.remember(name);
        }
        answer
    }

    async fn look_up(&self, name: &[u8]) -> Result<bool, PorterError> {
        match self.ask(Request::User(name.to_vec())).await? {
            (Reply::Yes, _) => Ok(true),
            (Reply::No, _) => Ok(false),
            (Reply::Failed(reason, errno), _) => Err(PorterError { reason, errno }),
            (Reply::Entry(_) | Reply::Follows(_), _) => Err(PorterError::malformed()),
        }
    }

    /// What a table says whose database only the porter reaches.
    pub(crate) async fn entry(&self, question: Question) -> lookup::system::Answer {
        match self.ask(request_of(question)).await {
            Ok((Reply::Follows(length), Some(connection))) => {
                let read = tokio::time::timeout(PATIENCE, rest_of(connection, length)).await;
                read.map_err(|_| "no answer within 60 seconds".to_owned())?.map(Some)
            }
            Ok((reply, _)) => entry_of(reply),
            Err(error) => Err(error.to_string()),
        }
    }

    fn remember(&self, name: &[u8]) {
        let mut known = self.known.borrow_mut();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(name.to_vec(), Instant::now());
    }

    /// A connection to a stream socket outside of the queue directory.
    ///
    /// # Errors
    /// Those of connect(2), or there is no porter any more.
    pub async fn connect(&self, path: &Path) -> io::Result<UnixStream> {
        let connection = self.connection(Request::Connect(path.as_os_str().as_bytes().to_vec())).await?;
        UnixStream::from_std(connection.into())
    }

    /// A connection to a server by name or address; it does not block.
    ///
    /// # Errors
    /// Those of connect(2), the name is not known, or there is no porter any more.
    pub async fn dial(&self, host: &str, port: u16) -> io::Result<OwnedFd> {
        self.connection(Request::Dial(format!("{port} {host}").into_bytes())).await
    }

    async fn connection(&self, request: Request) -> io::Result<OwnedFd> {
        match self.ask(request).await? {
            (Reply::Yes, Some(connection)) => {
                sys::descriptor::set_nonblocking(std::os::fd::AsFd::as_fd(&connection), true)?;
                Ok(connection)
            }
            (Reply::Failed(reason, errno), _) => Err(PorterError { reason, errno }.into()),
            (Reply::Yes | Reply::No | Reply::Entry(_) | Reply::Follows(_), _) => Err(PorterError::malformed().into()),
        }
    }

    async fn ask(&self, request: Request) -> Result<(Reply, Option<OwnedFd>), PorterError> {
        let own = |reason: &str| PorterError { reason: reason.to_owned(), errno: None };
        if request.encode(0).is_none() {
            return Ok((unsent(&request), None));
        }
        let question = |number| request.encode(number).unwrap_or_default();
        let Answer { packet, descriptor } = tokio::time::timeout(PATIENCE, self.questions.ask(question, None))
            .await
            .map_err(|_| own("no answer within 60 seconds"))?
            .map_err(|error| PorterError { reason: text::system_error(&error), errno: error.raw_os_error() })?;
        let reply = Reply::decode(&packet).ok_or_else(PorterError::malformed)?;
        Ok((reply, descriptor))
    }

    /// Receives answers for as long as the porter lives.
    pub async fn listen(&self) {
        self.questions.listen().await;
    }
}

/// The request that a question of a table is.
pub(super) fn request_of(question: Question) -> Request {
    match question.database {
        Database::Users => Request::UserEntry(question.name),
        Database::Groups => Request::GroupEntry(question.name),
        Database::Client(number) => Request::Rows([format!("{number} ").as_bytes(), &question.name].concat()),
    }
}

/// The answer to a request that makes no packet: no user and no socket has a name that long, or one with a NUL. What a
/// database has is its own matter.
pub(super) fn unsent(request: &Request) -> Reply {
    match request {
        Request::Rows(_) => Reply::Failed("a key that is too long for a question to a database".to_owned(), None),
        _ => Reply::No,
    }
}

/// An answer that is too long for a packet.
async fn rest_of(connection: OwnedFd, length: usize) -> Result<Vec<u8>, String> {
    let read = async {
        sys::descriptor::set_nonblocking(std::os::fd::AsFd::as_fd(&connection), true)?;
        let mut answer = Vec::new();
        let connection = UnixStream::from_std(connection.into())?;
        // told: who asks; a length that is another one is an error
        connection.take(LONGEST_ANSWER as u64).read_to_end(&mut answer).await?;
        Ok(answer)
    };
    whole(read.await, length)
}

/// The answer, if nothing is missing.
pub(super) fn whole(read: io::Result<Vec<u8>>, length: usize) -> Result<Vec<u8>, String> {
    let answer = read.map_err(|error| text::system_error(&error))?;
    if answer.len() == length { Ok(answer) } else { Err(PorterError::malformed().to_string()) }
}

/// What a reply says to the question of a table.
pub(super) fn entry_of(reply: Reply) -> lookup::system::Answer {
    match reply {
        Reply::Entry(line) => Ok(Some(line)),
        Reply::No => Ok(None),
        Reply::Failed(reason, _) => Err(reason),
        Reply::Yes | Reply::Follows(_) => Err(PorterError::malformed().to_string()),
    }
}

/// One who waits for a look-up; the last one takes it away.
struct Asked<'p> {
    porter: &'p Porter,
    name: &'p [u8],
    lookup: Rc<Lookup>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        // The map's own and this one; an answer is for those who waited for it.
        if Rc::strong_count(&self.lookup) == 2 || self.lookup.initialized() {
            let mut asked = self.porter.asked.borrow_mut();
            if asked.get(self.name).is_some_and(|lookup| Rc::ptr_eq(lookup, &self.lookup)) {
                asked.remove(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::porter::databases;

    use tokio::io::AsyncWriteExt;

    fn run<F: Future<Output = ()>>(test: impl FnOnce(Rc<Porter>) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap();
        runtime.block_on(async {
            let porter = Rc::new(Porter::in_a_thread().unwrap());
            let listener = Rc::clone(&porter);
            tokio::task::spawn_local(async move { listener.listen().await });
            test(porter).await;
        });
    }

    #[test]
    fn users_of_the_system_are_known_and_strangers_are_not() {
        run(|porter| async move {
            assert_eq!(porter.has_user(b"root").await, Ok(true));
            assert_eq!(porter.has_user(b"no-such-user-here").await, Ok(false));
            assert_eq!(porter.has_user(&[b'a'; 5000]).await, Ok(false));
            assert_eq!(porter.has_user(b"a\0b").await, Ok(false));
            assert!(porter.known.borrow().contains_key(&b"root"[..]));
            assert!(!porter.known.borrow().contains_key(&b"no-such-user-here"[..]));
        });
    }

    #[test]
    fn a_name_that_many_ask_for_is_looked_up_once_and_then_forgotten() {
        run(|porter| async move {
            let many = (0..50).map(|_| {
                let porter = Rc::clone(&porter);
                tokio::task::spawn_local(async move { porter.has_user(b"no-such-user-here").await })
            });
            let many: Vec<_> = many.collect();
            tokio::task::yield_now().await;
            assert_eq!(porter.asked.borrow().len(), 1);
            for one in many {
                assert_eq!(one.await.unwrap(), Ok(false));
            }
            assert!(porter.asked.borrow().is_empty());
        });
    }

    #[test]
    fn who_gives_up_waiting_leaves_nothing_behind() {
        run(|porter| async move {
            drop(tokio::time::timeout(Duration::ZERO, porter.has_user(b"no-such-user-here")).await);
            assert!(porter.asked.borrow().is_empty());
        });
    }

    #[test]
    fn a_server_is_reached_by_its_name_or_its_address() {
        run(|porter| async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            for host in ["127.0.0.1", "localhost"] {
                let near = porter.dial(host, port).await.unwrap();
                let (mut far, _) = listener.accept().await.unwrap();
                drop(near);
                assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
            }
            assert!(porter.dial("127.0.0.1 x", port).await.is_err());
            drop(listener);
            assert_eq!(porter.dial("127.0.0.1", port).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        });
    }

    #[test]
    fn a_connection_is_passed_on_and_an_error_keeps_its_number() {
        run(|porter| async move {
            let path = std::env::temp_dir().join(format!("porter-{}", std::process::id()));
            let _ = std::fs::remove_file(&path);
            let missing = porter.connect(&path).await.unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
            let listener = tokio::net::UnixListener::bind(&path).unwrap();
            let mut near = porter.connect(&path).await.unwrap();
            let (mut far, _) = listener.accept().await.unwrap();
            near.write_all(b"x").await.unwrap();
            assert_eq!(far.read_u8().await.unwrap(), b'x');
            std::fs::remove_file(&path).unwrap();
        });
    }

    #[test]
    fn the_rows_of_a_database_come_as_a_whole_however_long_they_are() {
        run(|porter| async move {
            let table = databases::tests::table();
            let asked = Rc::clone(&porter);
            lookup::system::reach_later(Rc::new(move |question| {
                let porter = Rc::clone(&asked);
                Box::pin(async move { porter.entry(question).await })
            }));
            for (key, length) in databases::tests::LENGTHS {
                let found = lookup::settled(|| table.lookup(key.as_bytes())).await.unwrap();
                assert_eq!(found.map(|value| value.len()), length, "{key}");
            }
            let of_header = lookup::settled(|| table.lookup(&[b'a'; 102_400])).await;
            assert_eq!(of_header.unwrap(), None);
            let too_long = lookup::settled(|| table.lookup(&[b'a'; 200_000])).await;
            assert!(too_long.is_err_and(|error| !error.is_awaited()));
        });
    }
}
