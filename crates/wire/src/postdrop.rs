//! What sendmail and postdrop say to each other over pipes: a greeting with the queue identifier, records, a status.

use std::io::{self, BufRead};

use crate::attr0::{self, Reader, Writer};

/// The protocol's name in the greeting.
pub const PROTOCOL: &str = "postdrop_protocol";

/// postdrop's first words.
pub fn greeting(queue_id: &str) -> Vec<u8> {
    let mut writer = attr0::greeting(PROTOCOL);
    writer.put("queue_id", queue_id).end();
    writer.take()
}

/// Reads postdrop's first words: the queue identifier.
///
/// # Errors
/// Something else greets, or nothing does.
pub fn read_greeting(input: impl BufRead) -> io::Result<Vec<u8>> {
    let mut reader = Reader::new(input);
    attr0::read_greeting(&mut reader, PROTOCOL)?;
    let queue_id = reader.value_of("queue_id")?;
    reader.end()?;
    Ok(queue_id)
}

/// postdrop's last words: status bits (0 for success) and a reason.
pub fn result(status: u32, reason: &str) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.put_number("status", status).put("reason", reason).end();
    writer.take()
}

/// Reads postdrop's last words.
///
/// # Errors
/// postdrop ended without them.
pub fn read_result(input: impl BufRead) -> io::Result<(u32, Vec<u8>)> {
    let mut reader = Reader::new(input);
    let status = reader.value_of("status")?;
    let reason = reader.value_of("reason")?;
    reader.end()?;
    let status = std::str::from_utf8(&status).ok().and_then(|text| text.parse().ok());
    Ok((status.ok_or_else(|| io::Error::other("no status"))?, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_understand_each_other() {
        assert_eq!(greeting("ABC"), b"protocol\0postdrop_protocol\0queue_id\0ABC\0\0");
        let dialog = [greeting("ABC"), result(64, "no recipients specified")].concat();
        let mut input = dialog.as_slice();
        assert_eq!(read_greeting(&mut input).unwrap(), b"ABC");
        assert_eq!(read_result(&mut input).unwrap(), (64, b"no recipients specified".to_vec()));
        assert!(read_result(&mut input).is_err());
    }
}
