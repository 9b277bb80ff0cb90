//! The queue as JSON, one object a line. No I/O but the output.

use std::io::{self, BufRead, Write};

use wire::showq::{Reader, Recipient};

/// Prints a listing.
///
/// # Errors
/// The listing is malformed or cut, or the output cannot be written.
pub fn print<R: BufRead>(listing: &mut Reader<R>, out: &mut impl Write) -> io::Result<()> {
    while let Some(header) = listing.next_message()? {
        write!(
            out,
            "{{\"queue_name\": {}, \"queue_id\": {}, \"arrival_time\": {}, \"message_size\": {}, \
             \"forced_expire\": {}, \"sender\": {}, \"recipients\": [",
            quoted(&header.queue_name),
            quoted(&header.queue_id),
            header.time,
            header.size,
            header.forced_expire,
            quoted(&header.sender)
        )?;
        let mut separator = "";
        while let Some(recipient) = listing.next_recipient()? {
            out.write_all(separator.as_bytes())?;
            print_recipient(&recipient, out)?;
            separator = ", ";
        }
        writeln!(out, "]}}")?;
    }
    Ok(())
}

fn print_recipient(recipient: &Recipient, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{{")?;
    if let Some((original, _)) = &recipient.modern {
        write!(out, "\"orig_address\": {}, ", quoted(original))?;
    }
    write!(out, "\"address\": {}", quoted(&recipient.address))?;
    if !recipient.reason.is_empty() {
        write!(out, ", \"delay_reason\": {}", quoted(&recipient.reason))?;
    }
    write!(out, "}}")
}

/// A JSON string. What cannot be printed becomes `?`, as in Postfix's.
fn quoted(text: &[u8]) -> String {
    text::json_string(&text::printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captured_listing_is_printed_as_postfix_prints_it() {
        let listing = include_bytes!("../../crates/wire/tests/fixtures/showq.bin");
        let mut out = Vec::new();
        print(&mut Reader::new(listing.as_slice()).unwrap(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), include_str!("../tests/fixtures/postqueue-j.txt"));
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(quoted(b"a\"b\\c\x01\n\t/\xc3\xa9\x7f\xff"), "\"a\\\"b\\\\c???/\u{e9}??\"");
    }
}
