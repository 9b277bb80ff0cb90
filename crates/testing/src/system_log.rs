//! The system's log of a world: /dev/log, and what programs send there.

use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, PoisonError};

/// What was logged.
#[derive(Clone, Debug)]
pub struct SystemLog {
    path: String,
    socket: Arc<UnixDatagram>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl SystemLog {
    /// Listens at `path` from now on.
    pub(crate) fn at(path: &str) -> SystemLog {
        let socket = UnixDatagram::bind(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let everybody = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(path, everybody).unwrap_or_else(|e| panic!("{path}: {e}"));
        let log = SystemLog { path: path.to_owned(), socket: Arc::new(socket), lines: Arc::default() };
        let (socket, lines) = (log.socket.clone(), log.lines.clone());
        std::thread::spawn(move || {
            let mut datagram = [0; 65536];
            // Nothing at all is received when it is shut down.
            while let Ok(length @ 1..) = socket.recv(&mut datagram) {
                let text = String::from_utf8_lossy(&datagram[..length]);
                let text = text.trim_end_matches(['\0', '\n']).to_owned();
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            }
        });
        log
    }

    /// The lines after the first `from`, without priority and time (RFC 3164 4.1): `postfix/smtpd[12]: connect from
    /// ...`.
    pub fn lines(&self, from: usize) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().skip(from).map(|line| message(line).to_owned()).collect()
    }

    /// Ends this log and starts another one at the same place, as a restart of the system's log daemon does.
    pub fn restart(self) -> SystemLog {
        self.socket.shutdown(Shutdown::Both).unwrap_or_else(|e| panic!("{}: {e}", self.path));
        std::fs::remove_file(&self.path).unwrap_or_else(|e| panic!("{}: {e}", self.path));
        SystemLog::at(&self.path)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Behind `<22>Nov 25 10:00:00 `, as far as it is there.
fn message(line: &str) -> &str {
    let line = line.split_once('>').filter(|(start, _)| start.starts_with('<')).map_or(line, |(_, rest)| rest);
    let is_time =
        line.len() > 16 && line.is_char_boundary(16) && line.as_bytes()[9] == b':' && line.as_bytes()[12] == b':';
    if is_time { &line[16..] } else { line }
}
