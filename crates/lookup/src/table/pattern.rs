//! The frame of pattern tables (cidr, regexp, pcre): rules in order, `if` ... `endif` around some of them.
//!
//! A bad rule is a warning and is skipped; the table stays usable. Patterns are given complete keys only.

use crate::source::{LogicalLine, Problem, logical_lines};
use crate::{OpenError, Stamp, file};

/// What a line of a pattern table is, once its pattern is understood.
pub(crate) enum Rule<P, V> {
    /// A pattern and the result when it matches.
    Match(P, V),
    /// `if pattern`: the rules up to its `endif` count only when the pattern matches.
    If(P),
    /// `endif`
    Endif,
}

/// Rules with the lines that they stand on, and the places that `if` jumps to.
pub(crate) struct Rules<P, V> {
    rules: Vec<Numbered<P, V>>,
}

struct Numbered<P, V> {
    rule: Rule<P, V>,
    /// The line of the table, from 1.
    line: usize,
    /// For `if`: where to go on when the pattern does not match.
    end: usize,
}

/// What is to be said about a table while it is read: whole sentences for the log.
pub(crate) struct Remarks<'a> {
    kind: &'a str,
    path: &'a str,
    line: usize,
    /// The rules whose `if` is not ended yet.
    open: Vec<usize>,
    sentences: Vec<String>,
}

impl Remarks<'_> {
    /// True if there is an `if` for an `endif` to end.
    pub(crate) fn inside_if(&self) -> bool {
        !self.open.is_empty()
    }

    /// A remark about the line that is being read.
    pub(crate) fn here(&mut self, text: impl Into<String>) {
        self.at(self.line, text);
    }

    /// A remark that names no place.
    pub(crate) fn bare(&mut self, text: String) {
        self.sentences.push(text);
    }

    fn at(&mut self, line: usize, text: impl Into<String>) {
        self.sentences.push(format!("{} map {}", self.kind, Problem::at(line, text).in_file(self.path)));
    }
}

impl<P, V> Rules<P, V> {
    /// Reads the text of the table `path` of type `kind`. `parse` turns one line into a rule or says what is wrong with
    /// it; what is odd but does no harm it remarks. Returns the rules, and the sentences to warn with.
    pub(crate) fn parse(
        kind: &str,
        path: &str,
        text: &[u8],
        mut parse: impl FnMut(&LogicalLine, &mut Remarks<'_>) -> Result<Rule<P, V>, String>,
    ) -> (Self, Vec<String>) {
        let (lines, problems) = logical_lines(text);
        let sentences = problems.iter().map(|problem| problem.in_file(path)).collect();
        let mut remarks = Remarks { kind, path, line: 0, open: Vec::new(), sentences };
        let mut rules: Vec<Numbered<P, V>> = Vec::new();
        for line in &lines {
            remarks.line = line.number;
            let here = rules.len();
            match parse(line, &mut remarks) {
                Ok(Rule::Endif) => {
                    if let Some(start) = remarks.open.pop() {
                        rules[start].end = here;
                    }
                }
                Ok(rule) => {
                    if matches!(rule, Rule::If(_)) {
                        remarks.open.push(here);
                    }
                    rules.push(Numbered { rule, line: line.number, end: here });
                }
                Err(text) => remarks.here(text),
            }
        }
        while let Some(start) = remarks.open.pop() {
            rules[start].end = rules.len();
            remarks.at(rules[start].line, "IF has no matching ENDIF");
        }
        (Rules { rules }, remarks.sentences)
    }

    /// The first rule that matches, with what its pattern found. `matches` is given a pattern and its line.
    pub(crate) fn find<M>(&self, mut matches: impl FnMut(&P, usize) -> Option<M>) -> Option<(M, &V)> {
        let mut at = 0;
        while let Some(Numbered { rule, line, end }) = self.rules.get(at) {
            at += 1;
            match rule {
                Rule::Match(pattern, value) => {
                    if let Some(found) = matches(pattern, *line) {
                        return Some((found, value));
                    }
                }
                Rule::If(pattern) if matches(pattern, *line).is_none() => at = *end,
                Rule::If(_) | Rule::Endif => {}
            }
        }
        None
    }
}

/// The text of a table whose rules stand in its name: `{{rule}, {rule}}`, a line for each. None for the name of a file.
///
/// # Errors
/// Braces that are not closed, or something beside them: the sentence for the log.
pub(crate) fn inline(kind: &str, name: &str) -> Result<Option<Vec<u8>>, OpenError> {
    if !name.starts_with('{') {
        return Ok(None);
    }
    let rules = text::braced(name).and_then(|inner| text::split_items(inner).into_iter().map(text::braced).collect());
    let rules: Vec<&str> = rules.map_err(|error| OpenError::Syntax(format!("{kind} map: {error}")))?;
    Ok(Some(rules.join("\n").into_bytes()))
}

/// The file that a table was read from: when it was that text, and whose it is.
pub(crate) struct OnDisk {
    pub(crate) stamp: Stamp,
    pub(crate) owner: u32,
}

/// The text of a table of patterns, when its file was that, and whose it is.
///
/// # Errors
/// As [`inline`]; the file cannot be read.
pub(crate) fn read(kind: &str, path: &str) -> Result<(Vec<u8>, Option<OnDisk>), OpenError> {
    if let Some(text) = inline(kind, path)? {
        return Ok((text, None));
    }
    let stamp = Stamp::of(path);
    let read = file::read_owned(path).map_err(|error| OpenError::file(format!("open {path}"), &error))?;
    Ok((read.text, Some(OnDisk { stamp, owner: read.owner })))
}

/// Splits the `!` in front of a pattern off, with blanks between them: whether they negate it, and the rest.
pub(crate) fn split_marks(text: &[u8]) -> (bool, &[u8]) {
    let count = text.iter().take_while(|&&b| b == b'!' || b.is_ascii_whitespace()).count();
    let (marks, rest) = text.split_at(count);
    (marks.iter().filter(|&&b| b == b'!').count() % 2 == 1, rest)
}

/// Splits a keyword off: the letters and digits that a line begins with.
pub(crate) fn split_keyword(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count())
}

/// Splits `word rest` at the first white space.
pub(crate) fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_ascii())
}
