//! The frame of pattern tables (cidr, regexp, pcre): rules in order, `if` ... `endif` around some of them.
//!
//! A bad rule is a warning and is skipped; the table stays usable. Patterns are given complete keys only.

use crate::source::{LogicalLine, Problem, logical_lines};
use crate::{OpenError, Stamp, contents, file};

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
    /// The rules that are an `if`.
    conditions: Marks,
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
        let mut conditions = Marks::of(rules.len());
        let is_condition =
            |(at, numbered): (usize, &Numbered<P, V>)| matches!(numbered.rule, Rule::If(_)).then_some(at);
        rules.iter().enumerate().filter_map(is_condition).for_each(|at| conditions.mark(at));
        (Rules { rules, conditions }, remarks.sentences)
    }

    /// The patterns of all rules, each with the place of its rule, for [`Marks`].
    pub(crate) fn patterns(&mut self) -> impl Iterator<Item = (usize, &mut P)> {
        self.rules.iter_mut().enumerate().filter_map(|(at, numbered)| match &mut numbered.rule {
            Rule::Match(pattern, _) | Rule::If(pattern) => Some((at, pattern)),
            Rule::Endif => None,
        })
    }

    /// How many rules there are.
    pub(crate) fn count(&self) -> usize {
        self.rules.len()
    }

    /// The first rule that matches, with what its pattern found. `matches` is given a pattern and its line; it is not
    /// asked about those that are not in `possible`, which do not match.
    pub(crate) fn find<M>(&self, possible: &Marks, mut matches: impl FnMut(&P, usize) -> Option<M>) -> Option<(M, &V)> {
        let mut from = 0;
        while let Some(at) = possible.next_with(&self.conditions, from) {
            let Numbered { rule, line, end } = self.rules.get(at)?;
            from = at + 1;
            match rule {
                Rule::Match(pattern, value) => {
                    if let Some(found) = matches(pattern, *line) {
                        return Some((found, value));
                    }
                }
                Rule::If(pattern) if !possible.has(at) || matches(pattern, *line).is_none() => from = *end,
                Rule::If(_) | Rule::Endif => {}
            }
        }
        None
    }
}

/// A set of the rules of a table.
#[derive(Clone)]
pub(crate) struct Marks {
    /// One bit for each rule.
    words: Vec<u64>,
}

impl Marks {
    /// None of so many rules.
    pub(crate) fn of(count: usize) -> Self {
        Marks { words: vec![0; count.div_ceil(BITS)] }
    }

    /// Adds a rule.
    pub(crate) fn mark(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / BITS) {
            *word |= 1 << (at % BITS);
        }
    }

    fn has(&self, at: usize) -> bool {
        self.words.get(at / BITS).is_some_and(|word| word >> (at % BITS) & 1 == 1)
    }

    /// The first rule from a place on that is in this set or in the other, which is as large.
    fn next_with(&self, other: &Marks, from: usize) -> Option<usize> {
        let words = self.words.iter().zip(&other.words).map(|(one, other)| one | other);
        let mut kept = u64::MAX << (from % BITS);
        for (number, word) in words.enumerate().skip(from / BITS) {
            if word & kept != 0 {
                return Some(number * BITS + (word & kept).trailing_zeros() as usize);
            }
            kept = u64::MAX;
        }
        None
    }
}

const BITS: usize = u64::BITS as usize;

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

/// What is in the files that a result names.
///
/// # Errors
/// Why its rule is skipped.
pub(crate) fn content(result: &[u8]) -> Result<Vec<u8>, String> {
    contents::of_files(result).map_err(|why| format!("{why}: skipping this rule"))
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn marks_are_met_in_order_from_any_place_on(
            count in 0usize..300,
            places in prop::collection::btree_set(0usize..300, 0..20),
            others in prop::collection::btree_set(0usize..300, 0..20),
            from in 0usize..320,
        ) {
            let among = |places: &BTreeSet<usize>| {
                let mut marks = Marks::of(count);
                places.iter().filter(|at| **at < count).for_each(|at| marks.mark(*at));
                marks
            };
            let expected = places.union(&others).copied().find(|at| (from..count).contains(at));
            prop_assert_eq!(among(&places).next_with(&among(&others), from), expected);
        }
    }
}
