//! What tlsmgr asks its keeper, and what it is told: numbered packets; files, and what tables say, come as
//! a descriptor.

use std::io;

use wire::fields::{join, number, split};

/// Bytes of a file with keys and certificates, and of what a table gives for one name.
/// told: the log, by the service that needs it.
pub(crate) const LARGEST: usize = 400 << 10;
/// Files for one name.
/// told: as above.
const MOST_SOURCES: usize = 64;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Opens a file, by its place in the list that the keeper was started with.
    File(u32),
    /// Looks a server name up in tables, by their place in the list that the keeper was started with.
    /// tls_server_sni_maps
    Name(u32, String),
}

impl Request {
    /// The packet.
    pub(crate) fn encode(&self, count: u32) -> Vec<u8> {
        let (kind, place, name) = match self {
            Self::File(place) => ("file", place, String::new()),
            Self::Name(place, name) => ("name", place, name.replace('\0', "")),
        };
        let (count, place) = (count.to_string(), place.to_string());
        join(&[count.as_bytes(), kind.as_bytes(), place.as_bytes(), name.as_bytes()])
    }

    /// Reads a packet: its number, and the request.
    pub(crate) fn decode(packet: &[u8]) -> Option<(u32, Request)> {
        let [count, kind, place, name] = split(packet)?;
        let place = number(place)?;
        let request = match kind {
            b"file" => Self::File(place),
            b"name" => Self::Name(place, String::from_utf8(name.to_vec()).ok()?),
            _ => return None,
        };
        Some((number(count)?, request))
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// It comes with this packet.
    Attached,
    /// No table knows the name.
    Unknown,
    /// The reason why not.
    Failed(String),
}

impl Reply {
    /// The packet that answers request `count`.
    pub(crate) fn encode(&self, count: u32) -> Vec<u8> {
        let (kind, value) = match self {
            Self::Attached => ("attached", String::new()),
            Self::Unknown => ("unknown", String::new()),
            Self::Failed(why) => ("failed", ipc::cut(why.replace('\0', "?"))),
        };
        // told: the log; a reason that is longer shows its start.
        let value = &value.as_bytes()[..value.len().min(2000)];
        join(&[count.to_string().as_bytes(), kind.as_bytes(), value])
    }

    /// Reads a packet.
    pub(crate) fn decode(packet: &[u8]) -> Option<Reply> {
        let [_, kind, value] = split(packet)?;
        Some(match kind {
            b"attached" => Self::Attached,
            b"unknown" => Self::Unknown,
            b"failed" => Self::Failed(String::from_utf8_lossy(value).into_owned()),
            _ => return None,
        })
    }
}

/// One thing that a table names or holds: what warnings call it, and its bytes or why there are none.
pub(crate) type Source = (String, Result<Vec<u8>, String>);

/// What a table gives for one name, as bytes for a stream.
pub(crate) fn write_sources(sources: &[Source]) -> Vec<u8> {
    let mut out = Vec::new();
    for (label, content) in sources {
        let (mark, bytes) = match content {
            Ok(bytes) => (0u8, bytes.as_slice()),
            Err(why) => (1u8, why.as_bytes()),
        };
        out.push(mark);
        for part in [label.as_bytes(), bytes] {
            out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(part);
        }
    }
    out
}

/// The same, read.
///
/// # Errors
/// It is none, or too much.
pub(crate) fn read_sources(mut bytes: &[u8]) -> io::Result<Vec<Source>> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "malformed answer of the keeper");
    let mut sources = Vec::new();
    while let Some((mark, rest)) = bytes.split_first() {
        bytes = rest;
        let label = part(&mut bytes).ok_or_else(malformed)?;
        let content = part(&mut bytes).ok_or_else(malformed)?;
        let label = String::from_utf8_lossy(label).into_owned();
        let content = match mark {
            0 => Ok(content.to_vec()),
            _ => Err(String::from_utf8_lossy(content).into_owned()),
        };
        if sources.len() >= MOST_SOURCES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 64 files for one name"));
        }
        sources.push((label, content));
    }
    Ok(sources)
}

fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *bytes = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_and_replies_come_back() {
        for request in [Request::File(7), Request::Name(1, "mx.test".to_owned())] {
            assert_eq!(Request::decode(&request.encode(3)), Some((3, request)));
        }
        for reply in [Reply::Attached, Reply::Unknown, Reply::Failed("why".to_owned())] {
            assert_eq!(Reply::decode(&reply.encode(3)), Some(reply));
        }
        assert!(Reply::Failed("x".repeat(100_000)).encode(1).len() < ipc::questions::MAX);
    }

    proptest! {
        #[test]
        fn sources_come_back(sources: Vec<(String, Result<Vec<u8>, String>)>) {
            prop_assume!(sources.len() <= MOST_SOURCES);
            prop_assert_eq!(read_sources(&write_sources(&sources)).unwrap(), sources);
        }

        #[test]
        fn any_bytes_are_sources_or_an_error(bytes: Vec<u8>) {
            let _ = read_sources(&bytes);
            let _ = (Request::decode(&bytes), Reply::decode(&bytes));
        }
    }
}
