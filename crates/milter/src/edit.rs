//! Changes that a filter asks for when it has seen the whole message.

use crate::packet::{number, text};
use crate::reply::ReplyError;

/// One change. Addresses and values are as the filter wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A header behind the last one.
    Add(Header),
    /// A header in front of the one with this number, that of all headers of the file.
    Insert(u32, Header),
    /// The header of this name with this number, from 1, gets another value; an empty one takes it away.
    Change(u32, Header),
    /// A recipient more, with parameters of RCPT.
    AddRecipient(Vec<u8>, Vec<u8>),
    /// A recipient less.
    DeleteRecipient(Vec<u8>),
    /// Another sender, with parameters of MAIL.
    Sender(Vec<u8>, Vec<u8>),
}

/// A header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name: not empty, no white space, no control character.
    pub name: Vec<u8>,
    /// Its value; lines end with LF or CR LF.
    pub value: Vec<u8>,
}

impl Edit {
    /// Whether a packet with this command is a change; pieces of a new body (`b`) are none of these.
    pub fn is_one(command: u8) -> bool {
        matches!(command, b'h' | b'i' | b'm' | b'+' | b'2' | b'-' | b'e')
    }

    /// Reads a change.
    ///
    /// # Errors
    /// It makes no sense.
    pub fn parse(command: u8, data: &[u8]) -> Result<Edit, ReplyError> {
        Ok(match command {
            b'h' => Edit::Add(header(data)?),
            b'i' => {
                let (index, rest) = index(data)?;
                Edit::Insert(index, header(rest)?)
            }
            b'm' => {
                let (index, rest) = index(data)?;
                Edit::Change(index, header(rest)?)
            }
            b'+' => Edit::AddRecipient(text(data).0.to_vec(), Vec::new()),
            b'-' => Edit::DeleteRecipient(text(data).0.to_vec()),
            b'e' | b'2' => {
                let (address, rest) = text(data);
                let (address, arguments) = (address.to_vec(), text(rest).0.to_vec());
                if command == b'e' { Edit::Sender(address, arguments) } else { Edit::AddRecipient(address, arguments) }
            }
            _ => return Err(ReplyError::Broken("no change".to_owned())),
        })
    }

    /// Bytes that it holds.
    pub fn weight(&self) -> usize {
        match self {
            Edit::Add(header) | Edit::Insert(_, header) | Edit::Change(_, header) => {
                header.name.len() + header.value.len()
            }
            Edit::AddRecipient(address, arguments) | Edit::Sender(address, arguments) => {
                address.len() + arguments.len()
            }
            Edit::DeleteRecipient(address) => address.len(),
        }
    }
}

fn index(data: &[u8]) -> Result<(u32, &[u8]), ReplyError> {
    number(data).ok_or_else(|| ReplyError::Broken("input packet too short for network long".to_owned()))
}

fn header(data: &[u8]) -> Result<Header, ReplyError> {
    let (name, rest) = text(data);
    if name.is_empty() {
        return Err(ReplyError::Misconfigured("null change header name".to_owned()));
    }
    // A line end would begin another header or the body, white space in front would continue the header before.
    if name.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
        return Err(ReplyError::Misconfigured("white space or control character in header name".to_owned()));
    }
    Ok(Header { name: name.to_vec(), value: text(rest).0.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, value: &str) -> Header {
        Header { name: name.into(), value: value.into() }
    }

    #[test]
    fn every_change_is_read() {
        for (command, data, expected) in [
            (b'h', &b"X-A\x001\0"[..], Edit::Add(header("X-A", "1"))),
            (b'h', b"X-A\0", Edit::Add(header("X-A", ""))),
            (b'i', b"\0\0\0\x02X\0a\nb\0", Edit::Insert(2, header("X", "a\nb"))),
            (b'i', b"\xff\xff\xff\xffX\0a\0", Edit::Insert(u32::MAX, header("X", "a"))),
            (b'm', b"\0\0\0\x01X\0\0", Edit::Change(1, header("X", ""))),
            (b'+', b"<a@b>\0", Edit::AddRecipient(b"<a@b>".to_vec(), vec![])),
            (b'2', b"a@b\0NOTIFY=NEVER\0", Edit::AddRecipient(b"a@b".to_vec(), b"NOTIFY=NEVER".to_vec())),
            (b'-', b"a@b\0", Edit::DeleteRecipient(b"a@b".to_vec())),
            (b'e', b"a@b\0RET=HDRS", Edit::Sender(b"a@b".to_vec(), b"RET=HDRS".to_vec())),
            (b'e', b"", Edit::Sender(vec![], vec![])),
        ] {
            assert!(Edit::is_one(command));
            assert_eq!(Edit::parse(command, data), Ok(expected));
        }
    }

    #[test]
    fn a_header_without_a_good_name_or_a_number_is_refused() {
        let misconfigured = |text: &str| Err(ReplyError::Misconfigured(text.to_owned()));
        assert_eq!(Edit::parse(b'h', b"\0x\0"), misconfigured("null change header name"));
        let in_name = "white space or control character in header name";
        for name in ["X\nBcc", "X\r", " X", "X Y", "\t", "X\x7f", "\n\nbody"] {
            let data = [name.as_bytes(), b"\0x\0"].concat();
            assert_eq!(Edit::parse(b'h', &data), misconfigured(in_name), "{name:?}");
            for command in *b"im" {
                let data = [b"\0\0\0\x01", &data[..]].concat();
                assert_eq!(Edit::parse(command, &data), misconfigured(in_name), "{name:?}");
            }
        }
        assert!(matches!(Edit::parse(b'i', b"\0\0"), Err(ReplyError::Broken(_))));
    }
}
