//! The frame of pattern tables (cidr, regexp, pcre): rules in order, `if` ... `endif` around some of them.
//!
//! A bad rule is a warning and is skipped; the table stays usable. Patterns are given complete keys only.

use crate::source::{LogicalLine, Problem, logical_lines};

/// What a line of a pattern table is, once its pattern is understood.
pub(crate) enum Rule<P, V> {
    /// A pattern and the result when it matches.
    Match(P, V),
    /// `if pattern`: the rules up to its `endif` count only when the pattern matches.
    If(P),
    /// `endif`
    Endif,
}

/// Rules with the places that `if` jumps to.
pub(crate) struct Rules<P, V> {
    rules: Vec<(Rule<P, V>, usize)>,
}

impl<P, V> Rules<P, V> {
    /// Reads a table's text. `parse` turns one line into a rule or says what is wrong with it; what is odd but does no
    /// harm it adds to the notes. Returns the rules, and the lines to warn about.
    pub(crate) fn parse(
        text: &[u8],
        mut parse: impl FnMut(&LogicalLine, &mut Vec<String>) -> Result<Rule<P, V>, String>,
    ) -> (Self, Vec<Problem>) {
        let (lines, mut problems) = logical_lines(text);
        let mut rules: Vec<(Rule<P, V>, usize)> = Vec::new();
        let mut open: Vec<(usize, usize)> = Vec::new();
        for line in &lines {
            let here = rules.len();
            let mut notes = Vec::new();
            let rule = parse(line, &mut notes);
            problems.extend(notes.into_iter().map(|text| Problem::at(line.number, text)));
            match rule {
                Ok(Rule::Endif) => match open.pop() {
                    Some((start, _)) => {
                        rules[start].1 = here;
                        rules.push((Rule::Endif, here));
                    }
                    None => problems.push(Problem::at(line.number, "ignoring ENDIF without matching IF")),
                },
                Ok(rule) => {
                    if matches!(rule, Rule::If(_)) {
                        open.push((here, line.number));
                    }
                    rules.push((rule, here));
                }
                Err(text) => problems.push(Problem::at(line.number, text)),
            }
        }
        for (start, number) in open.into_iter().rev() {
            rules[start].1 = rules.len();
            problems.push(Problem::at(number, "IF has no matching ENDIF"));
        }
        (Rules { rules }, problems)
    }

    /// The first rule that matches, with what its pattern found.
    pub(crate) fn find<M>(
        &self,
        mut matches: impl FnMut(&P) -> Result<Option<M>, String>,
    ) -> Result<Option<(M, &V)>, String> {
        let mut at = 0;
        while let Some((rule, end)) = self.rules.get(at) {
            at += 1;
            match rule {
                Rule::Match(pattern, value) => {
                    if let Some(found) = matches(pattern)? {
                        return Ok(Some((found, value)));
                    }
                }
                Rule::If(pattern) if matches(pattern)?.is_none() => at = *end,
                Rule::If(_) | Rule::Endif => {}
            }
        }
        Ok(None)
    }
}

/// The text of a table whose rules stand in its name: `{{rule}, {rule}}`.
pub(crate) fn inline(name: &str) -> Option<Vec<u8>> {
    let inner = name.strip_prefix('{')?.strip_suffix('}')?;
    Some(text::split_list(inner).join("\n").into_bytes())
}

/// Splits `word rest` at the first white space.
pub(crate) fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_ascii())
}
