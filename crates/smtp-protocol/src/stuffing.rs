//! Content on its way to a server: CR LF after every line, a dot before every dot, long lines broken.
//!
//! A content that holds a line of one dot must never end the message early, however the caller cuts its lines into
//! pieces. RFC 5321 4.5.2.

/// Writes one message. Make a new one for each.
#[derive(Debug)]
pub struct Stuffer {
    limit: Option<usize>,
    column: usize,
    within_line: bool,
    broken: bool,
}

impl Stuffer {
    /// `limit` is the longest line on the wire in bytes, without CR LF (smtp_line_length_limit); longer ones go on in a
    /// new line that begins with a blank. `None` leaves lines as they are.
    pub fn new(limit: Option<usize>) -> Stuffer {
        Stuffer { limit: limit.filter(|limit| *limit > 0), column: 0, within_line: false, broken: false }
    }

    /// A line had to be broken.
    pub fn broke_lines(&self) -> bool {
        self.broken
    }

    /// Appends a line, or with `ended` false a piece of one, to `out`. The text holds no LF.
    pub fn text(&mut self, text: &[u8], ended: bool, out: &mut Vec<u8>) {
        if text.is_empty() && !ended {
            return;
        }
        if !std::mem::replace(&mut self.within_line, true) && text.first() == Some(&b'.') {
            out.push(b'.');
        }
        match self.limit {
            Some(limit) => self.break_lines(text, limit, out),
            None => out.extend_from_slice(text),
        }
        if ended {
            out.extend_from_slice(b"\r\n");
            self.within_line = false;
            self.column = 0;
        }
    }

    /// Appends the end of data. A last line without an end gets one.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.within_line {
            self.text(b"", true, out);
        }
        out.extend_from_slice(b".\r\n");
    }

    fn break_lines(&mut self, mut text: &[u8], limit: usize, out: &mut Vec<u8>) {
        while self.column + text.len() > limit {
            let (now, later) = text.split_at(limit.saturating_sub(self.column));
            out.extend_from_slice(now);
            out.extend_from_slice(b"\r\n ");
            text = later;
            // The blank counts only while there is room for text beside it.
            self.column = usize::from(limit > 1);
            self.broken = true;
        }
        out.extend_from_slice(text);
        self.column += text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stuff(limit: Option<usize>, pieces: &[(&[u8], bool)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut stuffer = Stuffer::new(limit);
        for (text, ended) in pieces {
            stuffer.text(text, *ended, &mut out);
        }
        stuffer.end(&mut out);
        out
    }

    #[test]
    fn a_dot_is_doubled_only_at_the_start_of_a_line() {
        assert_eq!(stuff(None, &[(b".", true), (b"a", false), (b".b", true)]), b"..\r\na.b\r\n.\r\n");
    }

    #[test]
    fn an_empty_piece_does_not_hide_the_start_of_a_line() {
        assert_eq!(stuff(None, &[(b"", true), (b".", true)]), b"\r\n..\r\n.\r\n");
    }

    #[test]
    fn an_empty_unfinished_piece_changes_nothing() {
        assert_eq!(stuff(None, &[(b"", false), (b".", true)]), b"..\r\n.\r\n");
    }

    #[test]
    fn a_line_that_fits_is_not_broken() {
        assert_eq!(stuff(Some(3), &[(b"abc", true)]), b"abc\r\n.\r\n");
        assert_eq!(stuff(Some(3), &[(b"abcd", true)]), b"abc\r\n d\r\n.\r\n");
    }

    #[test]
    fn a_last_line_without_an_end_gets_one() {
        assert_eq!(stuff(None, &[(b"a", false)]), b"a\r\n.\r\n");
    }

    proptest! {
        #[test]
        fn the_end_of_data_appears_once_and_at_the_end(
            pieces in prop::collection::vec(("[.a ]{0,12}", any::<bool>()), 0..12),
            limit in prop::option::of(1usize..9),
        ) {
            let pieces: Vec<(&[u8], bool)> = pieces.iter().map(|(text, ended)| (text.as_bytes(), *ended)).collect();
            let wire = stuff(limit, &pieces);
            let lines: Vec<&[u8]> = wire.split(|byte| *byte == b'\n').collect();
            let ends = lines.iter().filter(|line| **line == b".\r").count();
            prop_assert_eq!(ends, 1);
            prop_assert!(wire.ends_with(b".\r\n"));
            if let Some(limit) = limit.filter(|limit| *limit > 1) {
                // A doubled dot is transparent: it does not count.
                prop_assert!(lines.iter().all(|line| line.len() <= limit + 2));
            }
        }
    }
}
