//! The queue as `mailq` has shown it for decades; scripts count its columns. No I/O but the output.

use std::io::{self, BufRead, Write};

use wire::showq::{Header, Reader};

/// Widths of the columns.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    title: &'static str,
    id: usize,
    size: usize,
    time: usize,
    recipient: usize,
}

impl Layout {
    /// For `enable_long_queue_ids` or not.
    pub fn new(long_ids: bool) -> Self {
        if long_ids {
            let title = "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------";
            Self { title, id: 17, size: 8, time: 19, recipient: 47 }
        } else {
            let title = "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------";
            Self { title, id: 11, size: 7, time: 20, recipient: 41 }
        }
    }
}

/// Column at which a reason ends, if it is short enough.
const REASON_END: usize = 76;
const BLANKS: [u8; REASON_END] = [b' '; REASON_END];

/// Prints a listing.
///
/// # Errors
/// The listing is malformed or cut, or the output cannot be written.
pub fn print<R: BufRead>(listing: &mut Reader<R>, layout: Layout, out: &mut impl Write) -> io::Result<()> {
    let (mut count, mut bytes) = (0u64, 0i64);
    while let Some(header) = listing.next_message()? {
        if count == 0 {
            writeln!(out, "{}", layout.title)?;
        }
        count += 1;
        bytes = bytes.saturating_add(header.size);
        print_header(&header, layout, out)?;
        let mut last_reason = Vec::new();
        while let Some(recipient) = listing.next_recipient()? {
            if recipient.reason != last_reason {
                print_reason(&recipient.reason, out)?;
                last_reason.clone_from(&recipient.reason);
            }
            out.write_all(&BLANKS[..layout.recipient])?;
            out.write_all(text::printable(&recipient.address).as_bytes())?;
            out.write_all(b"\n")?;
        }
        out.write_all(b"\n")?;
    }
    match count {
        0 => writeln!(out, "Mail queue is empty"),
        1 => writeln!(out, "-- {} Kbytes in 1 Request.", bytes / 1024),
        _ => writeln!(out, "-- {} Kbytes in {count} Requests.", bytes / 1024),
    }
}

fn print_reason(reason: &[u8], out: &mut impl Write) -> io::Result<()> {
    let reason = if reason.is_empty() { "reason unavailable".into() } else { text::printable(reason) };
    let padding = REASON_END.saturating_sub(reason.len());
    out.write_all(&BLANKS[..padding])?;
    writeln!(out, "({reason})")
}

fn print_header(header: &Header, layout: Layout, out: &mut impl Write) -> io::Result<()> {
    let mut id = text::printable(&header.queue_id);
    id.push_str(match header.queue_name.as_slice() {
        b"active" => "*",
        b"hold" => "!",
        _ => "",
    });
    if header.forced_expire {
        id.push('#');
    }
    let time = message::date::asctime(header.time);
    let Layout { id: id_width, size: size_width, time: time_width, .. } = layout;
    writeln!(
        out,
        "{id:id_width$} {:size_width$} {:time_width$.time_width$} {}",
        header.size,
        time,
        text::printable(&header.sender)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::showq::{Recipient, Writer};

    fn printed(listing: &[u8], long_ids: bool) -> String {
        let mut out = Vec::new();
        print(&mut Reader::new(listing).unwrap(), Layout::new(long_ids), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_captured_listing_is_printed_as_postfix_prints_it() {
        let listing = include_bytes!("../../crates/wire/tests/fixtures/showq.bin");
        let expected = include_str!("../tests/fixtures/postqueue-p.txt");
        // The times of the day depend on the zone.
        let without_times = |text: &str| -> Vec<String> {
            let cut = |line: &str| match line.split_at_checked(46) {
                Some((start, end)) if !line.starts_with([' ', '-']) => format!("{}{end}", &start[..27]),
                _ => line.to_owned(),
            };
            text.lines().map(cut).collect()
        };
        assert_eq!(without_times(&printed(listing, true)), without_times(expected));
    }

    #[test]
    fn an_empty_queue_has_a_sentence() {
        let mut writer = Writer::new();
        writer.end();
        assert_eq!(printed(&writer.take(), false), "Mail queue is empty\n");
    }

    #[test]
    fn short_identifiers_have_narrower_columns_and_states_have_a_mark() {
        let mut writer = Writer::new();
        let header =
            Header { queue_id: b"DAD8C552116".to_vec(), size: 338, sender: b"a@b".to_vec(), ..Header::default() };
        for (queue, forced_expire) in [("active", true), ("hold", false), ("deferred", true), ("incoming", false)] {
            writer.message(&Header { queue_name: queue.into(), forced_expire, ..header.clone() });
        }
        let recipient = |reason: &str| Recipient { address: b"x@y".to_vec(), reason: reason.into(), modern: None };
        writer.recipient(&recipient("same"));
        writer.recipient(&recipient("same"));
        writer.recipient(&recipient(&"r".repeat(80)));
        writer.recipient(&recipient(""));
        writer.end();
        let text = printed(&writer.take(), false);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------");
        let starts: Vec<_> = lines.iter().filter(|line| line.starts_with("DAD")).map(|line| &line[..20]).collect();
        assert_eq!(
            starts,
            ["DAD8C552116*#     33", "DAD8C552116!     338", "DAD8C552116#     338", "DAD8C552116     338 "]
        );
        let tail = &lines[8..];
        assert_eq!(tail[0], format!("{:72}(same)", ""));
        assert_eq!(tail[1], format!("{:41}x@y", ""));
        assert_eq!(tail[2], tail[1]);
        assert_eq!(tail[3], format!("({})", "r".repeat(80)));
        assert_eq!(tail[5], format!("{:58}(reason unavailable)", ""));
        assert_eq!(lines.last(), Some(&"-- 1 Kbytes in 4 Requests."));
    }
}
