//! Logical lines of main.cf, master.cf and table source files.
//!
//! A physical line that starts with a blank continues the logical line before it; lines that are empty or whose first
//! non-blank is `#` are dropped wherever they stand, also in the middle of a logical line. The reader never fails: what
//! is odd becomes a [`Warning`] with its place, and the rest is still read.

use std::fmt;
use std::path::{Path, PathBuf};

/// One logical line, without its newline, leading and trailing blanks kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The first physical line, from 1.
    pub first: usize,
    /// The last physical line that contributed.
    pub last: usize,
    /// The text; invalid UTF-8 is replaced.
    pub text: String,
}

/// Something odd in a file that is read nevertheless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file.
    pub file: PathBuf,
    /// What is odd.
    pub kind: WarningKind,
}

/// What a [`Warning`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WarningKind {
    /// A first line that starts with a blank continues nothing and is skipped.
    LeadingBlank {
        /// The text of the line.
        text: String,
    },
    /// A NUL byte; what follows it on the line is kept out.
    Null {
        /// First physical line.
        first: usize,
        /// Last physical line.
        last: usize,
    },
    /// The same parameter stood above; this one counts.
    Overriding {
        /// First physical line of the new setting.
        line: usize,
        /// The setting that no longer counts, `name=value`.
        earlier: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.kind {
            WarningKind::LeadingBlank { .. } => write!(f, "{file}: {}", self.sentence()),
            WarningKind::Null { first, last } if first != last => {
                write!(f, "{file}, line {first}-{last}: {}", self.sentence())
            }
            WarningKind::Null { .. } | WarningKind::Overriding { .. } => {
                write!(f, "{file}, line {}: {}", self.line(), self.sentence())
            }
        }
    }
}

impl Warning {
    /// The line that it is about; 0 when nobody knows.
    pub fn line(&self) -> usize {
        match self.kind {
            WarningKind::LeadingBlank { .. } => 0,
            WarningKind::Null { first: line, .. } | WarningKind::Overriding { line, .. } => line,
        }
    }

    /// What is odd, without its place.
    pub fn sentence(&self) -> String {
        match &self.kind {
            WarningKind::LeadingBlank { text } => {
                // told: nobody; the message shows the start of a line that is refused.
                let short: String = text.chars().take(30).collect();
                let dots = if text.chars().count() > 30 { "..." } else { "" };
                format!("logical line must not start with whitespace: \"{short}{dots}\"")
            }
            WarningKind::Null { .. } => "text after null byte may be ignored".to_owned(),
            WarningKind::Overriding { earlier, .. } => format!("overriding earlier entry: {earlier}"),
        }
    }
}

/// The logical lines of a file's content. `file` is for the warnings.
pub fn logical(content: &[u8], file: &Path, warnings: &mut Vec<Warning>) -> Vec<Line> {
    let mut lines: Vec<(usize, usize, Vec<u8>)> = Vec::new();
    for (number, physical) in physical(content) {
        if is_skipped(physical) {
            continue;
        }
        match lines.last_mut() {
            Some((_, last, text)) if physical.first().is_some_and(u8::is_ascii_whitespace) => {
                text.extend_from_slice(physical);
                *last = number;
            }
            _ => lines.push((number, number, physical.to_vec())),
        }
    }
    lines.into_iter().filter_map(|line| accept(line, file, warnings)).collect()
}

/// Whether a physical line is empty, blank or a comment.
pub fn is_skipped(physical: &[u8]) -> bool {
    match physical.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => true,
        Some(byte) => *byte == b'#',
    }
}

/// Physical lines with their numbers from 1, without the newline.
fn physical(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let body = content.strip_suffix(b"\n").unwrap_or(content);
    body.split(|byte| *byte == b'\n').enumerate().map(|(index, line)| (index + 1, line))
}

fn accept((first, last, mut bytes): (usize, usize, Vec<u8>), file: &Path, warnings: &mut Vec<Warning>) -> Option<Line> {
    let mut warn = |kind| warnings.push(Warning { file: file.to_path_buf(), kind });
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        warn(WarningKind::Null { first, last });
        // told: who reads the warning above.
        bytes.truncate(at);
    }
    let text = text::lossless::decode(&bytes);
    if text.starts_with(|c: char| c.is_ascii_whitespace()) {
        warn(WarningKind::LeadingBlank { text });
        return None;
    }
    Some(Line { first, last, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> (Vec<(usize, usize, String)>, Vec<String>) {
        let mut warnings = Vec::new();
        let lines = logical(content, Path::new("main.cf"), &mut warnings);
        let lines = lines.into_iter().map(|line| (line.first, line.last, line.text)).collect();
        (lines, warnings.iter().map(Warning::to_string).collect())
    }

    #[test]
    fn a_comment_does_not_end_a_logical_line() {
        let (lines, warnings) = read(b"abc\n#def\n\n ghi\njkl\n");
        assert_eq!(lines, [(1, 4, "abc ghi".to_owned()), (5, 5, "jkl".to_owned())]);
        assert!(warnings.is_empty());
    }

    #[test]
    fn a_continuation_of_nothing_is_skipped_with_a_warning_and_the_rest_is_read() {
        let (lines, warnings) = read(b"# top\n  a = b\n  c\nx = y\n");
        assert_eq!(lines, [(4, 4, "x = y".to_owned())]);
        assert_eq!(warnings, ["main.cf: logical line must not start with whitespace: \"  a = b  c\""]);
    }

    #[test]
    fn text_after_a_null_byte_is_dropped_with_a_warning() {
        let (lines, warnings) = read(b"a = b\0c\nd = e\n");
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].2, "a = b");
        assert_eq!(warnings, ["main.cf, line 1: text after null byte may be ignored"]);
    }

    #[test]
    fn the_last_line_counts_without_a_newline_too() {
        assert_eq!(read(b"a = b").0, [(1, 1, "a = b".to_owned())]);
        assert!(read(b"").0.is_empty());
    }
}
