//! What `public/flush` is asked and answers, byte for byte: postqueue, the SMTP server and the defer service ask.
//!
//! The server greets; the client sends one request and gets a status. A wake-up of master's, one letter instead of a
//! request, asks for the same as [`Request::Refresh`].

use std::io;

use crate::attr0::{self, Reader, Writer};
use crate::trigger;

/// The protocol's name in the greeting.
pub const PROTOCOL: &str = "queue_flush_protocol";
/// The longest request: a domain, a queue identifier, and the words around them.
/// told: the server, by an error.
pub const MAX_REQUEST: usize = 4096;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// This message waits for this site.
    Add {
        /// A domain.
        site: Vec<u8>,
        /// The message.
        queue_id: Vec<u8>,
    },
    /// All that waits for this site is to be delivered now.
    SendSite(Vec<u8>),
    /// This message is to be delivered now.
    SendFile(Vec<u8>),
    /// Lists that nobody has asked for in a long time are to be gone through.
    Refresh,
    /// All lists are to be gone through.
    Purge,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Done,
    /// It makes no sense.
    Bad,
    /// No list is kept for the site.
    Denied,
    /// It cannot be done now.
    Failed,
}

impl Request {
    /// It on the wire.
    pub fn write(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Self::Add { site, queue_id } => {
                writer.put("request", "add").put("site", site).put("queue_id", queue_id);
            }
            Self::SendSite(site) => {
                writer.put("request", "send_site").put("site", site);
            }
            Self::SendFile(queue_id) => {
                writer.put("request", "send_file").put("queue_id", queue_id);
            }
            Self::Refresh => {
                writer.put("request", "rfrsh");
            }
            Self::Purge => {
                writer.put("request", "purge");
            }
        }
        writer.end();
        writer.take()
    }

    /// Reads the request that these bytes begin with; `None`: there are not enough of them yet.
    ///
    /// # Errors
    /// They are no request.
    pub fn read(bytes: &[u8]) -> io::Result<Option<Self>> {
        if bytes.first() == Some(&trigger::WAKEUP) {
            return Ok(Some(Self::Refresh));
        }
        match Self::parse(&mut Reader::new(bytes)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            result => result.map(Some),
        }
    }

    fn parse(reader: &mut Reader<&[u8]>) -> io::Result<Self> {
        let what = reader.value_of("request")?;
        let request = match what.as_slice() {
            b"add" => Self::Add { site: reader.value_of("site")?, queue_id: reader.value_of("queue_id")? },
            b"send_site" => Self::SendSite(reader.value_of("site")?),
            b"send_file" => Self::SendFile(reader.value_of("queue_id")?),
            b"rfrsh" => Self::Refresh,
            b"purge" => Self::Purge,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "unknown request")),
        };
        reader.end()?;
        Ok(request)
    }
}

impl Status {
    /// It on the wire.
    pub fn write(self) -> Vec<u8> {
        let number = match self {
            Self::Done => "0",
            Self::Bad => "3",
            Self::Denied => "4",
            Self::Failed => "4294967295",
        };
        let mut writer = Writer::new();
        writer.put("status", number).end();
        writer.take()
    }

    /// Reads a greeting and the answer behind it; `None`: there are not enough bytes yet.
    ///
    /// # Errors
    /// They are something else.
    pub fn read(bytes: &[u8]) -> io::Result<Option<Self>> {
        match Self::parse(&mut Reader::new(bytes)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            result => result.map(Some),
        }
    }

    fn parse(reader: &mut Reader<&[u8]>) -> io::Result<Self> {
        attr0::read_greeting(reader, PROTOCOL)?;
        reader.end()?;
        let number = reader.value_of("status")?;
        reader.end()?;
        Ok(match number.as_slice() {
            b"0" => Self::Done,
            b"3" => Self::Bad,
            b"4" => Self::Denied,
            _ => Self::Failed,
        })
    }
}

/// What the server says first.
pub fn greeting() -> Vec<u8> {
    let mut writer = attr0::greeting(PROTOCOL);
    writer.end();
    writer.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Vec<Request> {
        let (site, queue_id) = (b"r.example".to_vec(), b"DAD8C552116".to_vec());
        vec![
            Request::Add { site: site.clone(), queue_id: queue_id.clone() },
            Request::SendSite(site),
            Request::SendFile(queue_id),
            Request::Refresh,
            Request::Purge,
        ]
    }

    #[test]
    fn a_request_is_read_as_soon_as_it_is_whole() {
        for request in requests() {
            let bytes = request.write();
            assert_eq!(Request::read(&bytes).unwrap().as_ref(), Some(&request));
            for end in 0..bytes.len() {
                assert_eq!(Request::read(&bytes[..end]).unwrap(), None, "{request:?} until {end}");
            }
        }
        assert_eq!(Request::read(b"W\0").unwrap(), Some(Request::Refresh));
    }

    #[test]
    fn an_answer_is_read_as_soon_as_it_is_whole() {
        for status in [Status::Done, Status::Bad, Status::Denied, Status::Failed] {
            let bytes = [greeting(), status.write()].concat();
            assert_eq!(Status::read(&bytes).unwrap(), Some(status));
            for end in 0..bytes.len() {
                assert_eq!(Status::read(&bytes[..end]).unwrap(), None, "{status:?} until {end}");
            }
        }
        assert!(Status::read(b"protocol\0other_protocol\0\0").is_err());
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        for bytes in [&b"\0"[..], b"request\0nosuch\0\0", b"site\0x\0\0", b"request\0add\0queue_id\0X\0\0"] {
            assert!(Request::read(bytes).is_err(), "{bytes:?}");
        }
    }
}
