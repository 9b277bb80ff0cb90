//! What a worker asks its porter, and what it is told.

use wire::fields::{join, number, split};

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// Is there a user of this name?
    User(Vec<u8>),
    /// What does the user database have under this name?
    UserEntry(Vec<u8>),
    /// What does the group database have under this name?
    GroupEntry(Vec<u8>),
    /// What does the server of a table behind a client have: `NUMBER KEY`, the number of the table.
    Rows(Vec<u8>),
    /// A connection to the stream socket of this name.
    Connect(Vec<u8>),
    /// A connection to a server: `PORT HOST`.
    Dial(Vec<u8>),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// There is such a user; or the connection comes with this packet.
    Yes,
    /// There is no such user, or no such entry.
    No,
    /// The entry.
    Entry(Vec<u8>),
    /// An entry of so many bytes, too long for a packet: it comes on the connection that comes with this one.
    Follows(usize),
    /// Neither can be said now: an error of the system, and its number where it has one.
    Failed(String, Option<i32>),
}

impl Request {
    /// The packet; `None` for a text that cannot be one field.
    pub(super) fn encode(&self, number: u32) -> Option<Vec<u8>> {
        let (kind, value) = match self {
            Self::User(name) => ("user", name),
            Self::UserEntry(name) => ("user-entry", name),
            Self::GroupEntry(name) => ("group-entry", name),
            Self::Rows(question) => ("rows", question),
            Self::Connect(path) => ("connect", path),
            Self::Dial(server) => ("dial", server),
        };
        let packet = join(&[number.to_string().as_bytes(), kind.as_bytes(), value]);
        // Whatever a header has for an address may be a key.
        let longest = if matches!(self, Self::Rows(_)) { ipc::questions::LONGEST } else { ipc::questions::MAX };
        (packet.len() <= longest && !value.contains(&0)).then_some(packet)
    }

    /// Reads a packet: its number, and the request.
    pub(super) fn decode(packet: &[u8]) -> Option<(u32, Self)> {
        let [count, kind, value] = split(packet)?;
        let request = match kind {
            b"user" => Self::User(value.to_vec()),
            b"user-entry" => Self::UserEntry(value.to_vec()),
            b"group-entry" => Self::GroupEntry(value.to_vec()),
            b"rows" => Self::Rows(value.to_vec()),
            b"connect" => Self::Connect(value.to_vec()),
            b"dial" => Self::Dial(value.to_vec()),
            _ => return None,
        };
        Some((number(count)?, request))
    }
}

impl Reply {
    /// The packet that answers request `number`.
    pub(super) fn encode(&self, number: u32) -> Vec<u8> {
        let number = number.to_string();
        let errno = |errno: Option<i32>| errno.unwrap_or(0).to_string();
        match self {
            Self::Yes => join(&[number.as_bytes(), b"yes", b"", b""]),
            Self::No => join(&[number.as_bytes(), b"no", b"", b""]),
            Self::Entry(line) => join(&[number.as_bytes(), b"entry", line, b""]),
            Self::Follows(length) => join(&[number.as_bytes(), b"follows", length.to_string().as_bytes(), b""]),
            Self::Failed(why, code) => {
                join(&[number.as_bytes(), b"failed", why.replace('\0', "?").as_bytes(), errno(*code).as_bytes()])
            }
        }
    }

    /// Reads a packet.
    pub(super) fn decode(packet: &[u8]) -> Option<Self> {
        Self::numbered(packet).map(|(_, reply)| reply)
    }

    /// Reads a packet: the number of the request, and the reply.
    pub(super) fn numbered(packet: &[u8]) -> Option<(u32, Self)> {
        let [count, kind, why, errno] = split(packet)?;
        Some((number(count)?, Self::read(kind, why, errno)?))
    }

    fn read(kind: &[u8], why: &[u8], errno: &[u8]) -> Option<Self> {
        match kind {
            b"entry" => Some(Self::Entry(why.to_vec())),
            b"follows" => std::str::from_utf8(why).ok()?.parse().ok().map(Self::Follows),
            b"yes" => Some(Self::Yes),
            b"no" => Some(Self::No),
            b"failed" => {
                let errno = number(errno)?;
                let errno = i32::try_from(errno).ok().filter(|errno| *errno != 0);
                Some(Self::Failed(String::from_utf8_lossy(why).into_owned(), errno))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_replies_come_back() {
        let others = [Request::Connect(b"/run/x".to_vec()), Request::Dial(b"25 localhost".to_vec())];
        let of_tables = [Request::UserEntry(b"alice".to_vec()), Request::GroupEntry(b"adm".to_vec())];
        let of_clients = [Request::User(b"alice".to_vec()), Request::Rows(b"0 a b@c".to_vec())];
        for request in of_clients.into_iter().chain(others).chain(of_tables) {
            assert_eq!(Request::decode(&request.encode(7).unwrap()), Some((7, request)));
        }
        let failed = [Reply::Failed("no route".into(), Some(113)), Reply::Failed("own words".into(), None)];
        let entries = [Reply::Entry(b"a:x:1:".to_vec()), Reply::Follows(100_000)];
        for reply in [Reply::Yes, Reply::No].into_iter().chain(entries).chain(failed) {
            assert_eq!(Reply::decode(&reply.encode(7)), Some(reply));
        }
    }

    #[test]
    fn a_name_cannot_smuggle_a_field() {
        assert_eq!(Request::User(b"bob\0x".to_vec()).encode(1), None);
    }

    #[test]
    fn a_name_that_does_not_fit_is_no_request() {
        assert_eq!(Request::User(vec![b'a'; 5000]).encode(1), None);
        let of_header = Request::Rows(vec![b'a'; 102_400]);
        assert_eq!(Request::decode(&of_header.encode(1).unwrap()), Some((1, of_header)));
        assert_eq!(Request::Rows(vec![b'a'; 200_000]).encode(1), None);
    }
}
