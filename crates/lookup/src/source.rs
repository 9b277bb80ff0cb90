//! The text of a table: lines `key whitespace value`, as postmap and texthash read them.
//!
//! A bad line is a [`Problem`] beside the entries, never the end of the table.

use std::fmt;

/// A line that follows the rules: comments gone, continuation lines joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalLine {
    /// Number of the first physical line, from 1.
    pub number: usize,
    /// The text, without line ends and without white space at its end.
    pub text: Vec<u8>,
}

/// An entry of a table's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub line: usize,
    /// The key as written, quotes included.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// Something wrong with a line. Displays without the file's name, which is the caller's to say: `FILE, line N: TEXT`
/// or, when there is no line to name, `FILE: TEXT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, if the message names one.
    pub line: Option<usize>,
    /// The last line, if it names several.
    pub last: Option<usize>,
    /// What is wrong.
    pub text: String,
}

impl Problem {
    /// The whole sentence.
    pub fn in_file(&self, file: &str) -> String {
        match (self.line, self.last) {
            (Some(line), Some(last)) => format!("{file}, line {line}-{last}: {}", self.text),
            (Some(line), None) => format!("{file}, line {line}: {}", self.text),
            (None, _) => format!("{file}: {}", self.text),
        }
    }

    pub(crate) fn at(line: usize, text: impl Into<String>) -> Self {
        Problem { line: Some(line), last: None, text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How much of a line without a beginning is shown, in characters.
/// told: nobody; the problem shows the start of a line.
const SHOWN: usize = 30;

/// The logical lines of a text. Empty lines and lines whose first visible character is `#` are skipped, even between a
/// line and its continuation; a line that begins with white space continues the one before.
pub fn logical_lines(text: &[u8]) -> (Vec<LogicalLine>, Vec<Problem>) {
    let mut lines: Vec<LogicalLine> = Vec::new();
    let mut problems = Vec::new();
    let mut orphan: Option<Vec<u8>> = None;
    let mut ends: Vec<usize> = Vec::new();
    for (index, line) in text.split(|&b| b == b'\n').enumerate() {
        let visible = line.trim_ascii_start();
        if visible.is_empty() || visible[0] == b'#' {
            continue;
        }
        if visible.len() == line.len() {
            lines.push(LogicalLine { number: index + 1, text: line.to_vec() });
            ends.push(index + 1);
        } else if let (Some(last), Some(end)) = (lines.last_mut(), ends.last_mut()) {
            last.text.extend_from_slice(line);
            *end = index + 1;
        } else {
            orphan.get_or_insert_default().extend_from_slice(line);
        }
    }
    if let Some(orphan) = orphan {
        let shown = String::from_utf8_lossy(&orphan);
        // told: see there.
        let short: String = shown.chars().take(SHOWN).collect();
        let dots = if shown.chars().count() > SHOWN { "..." } else { "" };
        let text = format!("logical line must not start with whitespace: \"{short}{dots}\"");
        problems.push(Problem { line: None, last: None, text });
    }
    for (line, end) in lines.iter_mut().zip(ends) {
        // A line ends for every reader where it ends for those that are written in C.
        let null = line.text.iter().position(|&b| b == 0);
        if null.is_some() {
            let last = (end > line.number).then_some(end);
            problems.push(Problem { last, ..Problem::at(line.number, "text after null byte may be ignored") });
        }
        let length = null.unwrap_or(line.text.len());
        // told: who reads the problem above; blanks at the end are no part of a line.
        line.text.truncate(line.text[..length].trim_ascii_end().len());
    }
    (lines, problems)
}

/// The logical lines of a source text. With `utf8`, those that are not UTF-8 are problems and no lines.
pub(crate) fn readable_lines(text: &[u8], utf8: bool) -> (Vec<LogicalLine>, Vec<Problem>) {
    let (lines, mut problems) = logical_lines(text);
    if !utf8 {
        return (lines, problems);
    }
    let (good, bad): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| std::str::from_utf8(&line.text).is_ok());
    problems.extend(bad.iter().map(|line| {
        let shown = text::printable(&line.text);
        Problem::at(line.number, format!("non-UTF-8 input \"{shown}\" -- ignoring this line"))
    }));
    (good, problems)
}

/// The entries and problems of a table's source text. With `utf8` (smtputf8_enable), lines that are not UTF-8 are
/// problems.
pub fn entries(text: &[u8], utf8: bool) -> (Vec<Entry>, Vec<Problem>) {
    let (lines, mut problems) = readable_lines(text, utf8);
    let mut entries = Vec::with_capacity(lines.len());
    for LogicalLine { number, text } in lines {
        let Some(length) = key_length(&text) else {
            let shown = String::from_utf8_lossy(&text);
            problems.push(Problem::at(number, format!("unbalanced '\"' in '{shown}' -- ignoring this line")));
            continue;
        };
        let value = text[length..].trim_ascii();
        if value.is_empty() {
            problems.push(Problem::at(number, "expected format: key whitespace value"));
            continue;
        }
        if text[..length].ends_with(b":") {
            let text = "record is in \"key: value\" format; is this an alias file?";
            problems.push(Problem::at(number, text));
        }
        entries.push(Entry { line: number, key: text[..length].to_vec(), value: value.to_vec() });
    }
    problems.sort_by_key(|problem| problem.line);
    (entries, problems)
}

/// The length of the key: up to the first white space outside double quotes. None if a quote is left open.
fn key_length(text: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (i, &b) in text.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b if !quoted && b.is_ascii_whitespace() => return Some(i),
            _ => {}
        }
    }
    (!quoted).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(usize, String, String)> {
        let string = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        entries(text.as_bytes(), true).0.into_iter().map(|e| (e.line, string(e.key), string(e.value))).collect()
    }

    fn problems(text: &str) -> Vec<String> {
        entries(text.as_bytes(), true).1.iter().map(|p| p.in_file("f")).collect()
    }

    #[test]
    fn comments_and_blank_lines_do_not_end_a_logical_line() {
        let text = "# c\nfoo bar\n  cont inued\n\n  # c\n more\n";
        assert_eq!(pairs(text), [(2, "foo".into(), "bar  cont inued more".into())]);
    }

    #[test]
    fn quotes_keep_white_space_in_the_key_and_stay_in_it() {
        assert_eq!(pairs("\"a b\"@c  x y \n"), [(1, "\"a b\"@c".into(), "x y".into())]);
        assert_eq!(pairs("\"e\\\" f\" x"), [(1, "\"e\\\" f\"".into(), "x".into())]);
    }

    #[test]
    fn bad_lines_are_named_and_skipped() {
        assert_eq!(problems("a b\nonlykey\n"), ["f, line 2: expected format: key whitespace value"]);
        assert_eq!(problems("\"bad x\n y\n"), ["f, line 1: unbalanced '\"' in '\"bad x y' -- ignoring this line"]);
        assert_eq!(problems("  lead\na b\n"), ["f: logical line must not start with whitespace: \"  lead\""]);
        assert_eq!(problems("a: b\n"), ["f, line 1: record is in \"key: value\" format; is this an alias file?"]);
        assert_eq!(pairs("a: b\n").len(), 1);
    }

    #[test]
    fn lines_that_are_not_utf8_or_go_on_behind_a_nul_are_no_entries() {
        let (found, problems) = entries(b"a b\n\xff c\nd\0e f\n", true);
        assert_eq!(found.len(), 1);
        let texts: Vec<_> = problems.iter().map(|p| p.in_file("f")).collect();
        assert_eq!(
            texts,
            [
                "f, line 2: non-UTF-8 input \"? c\" -- ignoring this line",
                "f, line 3: text after null byte may be ignored",
                "f, line 3: expected format: key whitespace value"
            ]
        );
        assert_eq!(entries(b"\xff c\n", false).0.len(), 1);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_entry_is_empty(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            for entry in entries(&text, false).0 {
                prop_assert!(!entry.key.is_empty() && !entry.value.is_empty());
            }
        }
    }
}
