//! Questions whose answers the worker waits for where it stands: of tables that are searched outside of what
//! [`lookup::settled`] wraps, and in threads.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lookup::system::{Answer, Question};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use super::client::{LONGEST_ANSWER, entry_of, request_of, unsent, whole};
use super::packet::Reply;

/// Seconds that an answer is waited for.
const PATIENCE: u16 = 60;

/// The asking end; one question at a time.
pub(super) struct Direct(Mutex<Asked>);

struct Asked {
    socket: OwnedFd,
    number: u32,
}

impl Direct {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let limit = TimeVal::seconds(PATIENCE.into());
        setsockopt(&socket, sockopt::ReceiveTimeout, &limit)?;
        setsockopt(&socket, sockopt::SendTimeout, &limit)?;
        Ok(Self(Mutex::new(Asked { socket, number: 0 })))
    }

    // waits: for the user database; other sessions of this worker with it
    pub(super) fn ask(&self, question: &Question) -> Answer {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match asked.reply(question) {
            Ok((Reply::Follows(length), Some(connection))) => whole(rest_of(connection), length).map(Some),
            Ok((reply, _)) => entry_of(reply),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(format!("no answer within {PATIENCE} seconds"))
            }
            Err(error) => Err(text::system_error(&error)),
        }
    }
}

impl Asked {
    /// The reply, and the connection that comes with it.
    fn reply(&mut self, question: &Question) -> io::Result<(Reply, Option<OwnedFd>)> {
        self.number = self.number.wrapping_add(1);
        let request = request_of(question.clone());
        let Some(packet) = request.encode(self.number) else { return Ok((unsent(&request), None)) };
        sys::descriptor::send_with(self.socket.as_fd(), &packet, &[])?;
        let mut buffer = vec![0; ipc::questions::MAX_ANSWER];
        let end = Instant::now() + Duration::from_secs(PATIENCE.into());
        while Instant::now() < end {
            let (count, attached) = match sys::descriptor::receive_with(self.socket.as_fd(), &mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if count == 0 {
                return Err(nix::errno::Errno::EPIPE.into());
            }
            let (number, reply) = Reply::numbered(&buffer[..count]).ok_or(nix::errno::Errno::EBADMSG)?;
            // The answer to one that nobody waited for any longer comes first.
            if number == self.number {
                return Ok((reply, attached.into_iter().next()));
            }
        }
        Err(nix::errno::Errno::EAGAIN.into())
    }
}

/// An answer that is too long for a packet.
fn rest_of(connection: OwnedFd) -> io::Result<Vec<u8>> {
    setsockopt(&connection, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE.into()))?;
    let mut answer = Vec::new();
    // told: a length that is another one is an error
    UnixStream::from(connection).take(LONGEST_ANSWER as u64).read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::porter::{pair, server};
    use crate::service::Outside;
    use lookup::system::Database;

    fn question(name: &[u8]) -> Question {
        Question { database: Database::Users, name: name.to_vec() }
    }

    #[test]
    fn an_entry_comes_and_who_is_not_there_has_none() {
        let (ours, theirs) = pair().unwrap();
        std::thread::spawn(move || server::serve(theirs, vec![Outside::UserDatabase]));
        let direct = Direct::new(ours).unwrap();
        assert!(direct.ask(&question(b"root")).unwrap().unwrap().starts_with(b"root:x:0:0:"));
        for name in [&b"no-such-user-here"[..], b"a\0b", b"\xff", &[b'a'; 5000]] {
            assert_eq!(direct.ask(&question(name)), Ok(None));
        }
    }

    #[test]
    fn an_answer_that_came_too_late_is_not_taken_for_that_of_the_next_question() {
        let (ours, theirs) = pair().unwrap();
        let direct = Direct::new(ours).unwrap();
        for (number, reply) in [(0, Reply::Entry(b"late".to_vec())), (1, Reply::No)] {
            sys::descriptor::send_with(theirs.as_fd(), &reply.encode(number), &[]).unwrap();
        }
        assert_eq!(direct.ask(&question(b"root")), Ok(None));
    }

    #[test]
    fn a_porter_that_is_gone_is_an_error_and_no_unknown_user() {
        let (ours, theirs) = pair().unwrap();
        drop(theirs);
        assert_eq!(Direct::new(ours).unwrap().ask(&question(b"root")), Err("Broken pipe".to_owned()));
    }

    #[test]
    fn rows_of_a_database_come_as_a_whole_however_long_they_are() {
        let _table = crate::porter::databases::tests::table();
        let (ours, theirs) = pair().unwrap();
        std::thread::spawn(move || server::serve(theirs, vec![Outside::Databases]));
        let direct = Direct::new(ours).unwrap();
        let ask = |key: &[u8]| direct.ask(&Question { database: Database::Client(0), name: key.to_vec() });
        for (key, length) in crate::porter::databases::tests::LENGTHS {
            let rows = ask(key.as_bytes()).unwrap().unwrap();
            assert_eq!(
                rows,
                length.map_or(String::new(), |length| format!("{length}:{}", "0".repeat(length))).as_bytes()
            );
        }
        // A number of zeros that is none.
        assert_eq!(ask(&[b'a'; 102_400]), Ok(Some(b"0:".to_vec())));
        assert!(ask(&[b'a'; 200_000]).is_err());
        let of_no_table = direct.ask(&Question { database: Database::Client(77), name: b"x".to_vec() });
        assert_eq!(of_no_table, Err("no such table".to_owned()));
    }
}
