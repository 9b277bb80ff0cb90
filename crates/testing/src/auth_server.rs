//! An authentication server in the test's own process that says what it is told to, by Dovecot's protocol.

use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What a scripted server does about a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It says these lines, in which `ID` is the number of the request.
    Say(String),
    /// It closes the connection.
    Close,
    /// Nothing.
    Nothing,
}

/// What a server with PLAIN and LOGIN says first.
pub const GREETING: &str =
    "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\tdeadbeef\nDONE\n";

/// A scripted server; dropped, it ends, and its socket is gone.
pub struct AuthServer {
    path: PathBuf,
    heard: Lines,
    connections: Connections,
}

type Lines = Arc<Mutex<Vec<String>>>;
type Connections = Arc<Mutex<Vec<UnixStream>>>;

impl AuthServer {
    /// A server at `path` that says `greeting`, and does to every `AUTH` and `CONT` line what `act` says.
    pub fn start(path: &Path, greeting: &str, act: impl Fn(&str) -> Act + Send + Sync + 'static) -> AuthServer {
        let listener = UnixListener::bind(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let opened = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666));
        opened.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let server = AuthServer { path: path.to_owned(), heard: Lines::default(), connections: Connections::default() };
        let (heard, connections) = (Arc::clone(&server.heard), Arc::clone(&server.connections));
        let (greeting, act) = (greeting.to_owned(), Arc::new(act));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                connections.lock().unwrap_or_else(PoisonError::into_inner).extend(stream.try_clone());
                let (heard, greeting, act) = (Arc::clone(&heard), greeting.clone(), Arc::clone(&act));
                std::thread::spawn(move || serve(stream, &greeting, &heard, &*act));
            }
        });
        server
    }

    /// The lines that clients have said, over all connections.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for AuthServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        for connection in self.connections.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn serve(stream: UnixStream, greeting: &str, heard: &Lines, act: &dyn Fn(&str) -> Act) {
    let mut stream = BufReader::new(stream);
    let _ = stream.get_mut().write_all(greeting.as_bytes());
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|count| count > 0) {
        let said = std::mem::take(&mut line).trim_end_matches('\n').to_owned();
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(said.clone());
        let Some(id) = said.split('\t').nth(1).filter(|_| said.starts_with("AUTH\t") || said.starts_with("CONT\t"))
        else {
            continue;
        };
        match act(&said) {
            Act::Say(text) => drop(stream.get_mut().write_all(text.replace("ID", id).as_bytes())),
            Act::Close => drop(stream.get_mut().shutdown(Shutdown::Both)),
            Act::Nothing => {}
        }
    }
}
