//! pcre: and regexp: `/pattern/flags result`, in order; the first pattern that matches decides.
//!
//! The engines have limits of their own on what a pattern may cost. One that reaches them does not match, and says so
//! in the log: mail goes on, as it does with any other rule that has no opinion. A pattern is not tried on a key that
//! lacks text that its matches need, and reaches no limit then.

use sys::regex::Groups;

use super::literals::Need;
use super::pattern::{self, OnDisk, Remarks, Rule, Rules, split_keyword, split_marks};
use super::prefilter::Prefilter;
use super::program::{Program, Syntax};
use super::template::{Template, TemplateError};
use crate::source::LogicalLine;
use crate::{Kind, OpenError, OpenFlags, Table, TableError};

/// An open pcre or regexp table.
pub(crate) struct Regex {
    name: String,
    kind: Kind,
    path: String,
    rules: Rules<Pattern, Template>,
    prefilter: Prefilter,
    file: Option<OnDisk>,
}

/// What a rule asks of a key.
struct Pattern {
    wanted: Condition,
    /// `/a/!/b/`, in regexp tables: the other pattern must hold too.
    also: Option<Condition>,
    /// How many of the groups the result needs.
    groups: usize,
}

struct Condition {
    program: Program,
    negated: bool,
    /// What a key must have for the program to match.
    needs: Vec<Need>,
}

/// A pattern as it is written: `[!...]/expression/flags`.
struct Written<'t> {
    negated: bool,
    expression: &'t [u8],
    syntax: Syntax,
}

/// How a table is read.
#[derive(Clone, Copy)]
struct Reading {
    kind: Kind,
    flags: OpenFlags,
}

impl Regex {
    /// Reads the table; bad lines are logged and skipped.
    ///
    /// # Errors
    /// The file cannot be read, or the rules in the name are not in braces.
    pub(crate) fn open(name: String, path: &str, kind: Kind, flags: OpenFlags) -> Result<Self, OpenError> {
        let (text, file) = pattern::read(kind.as_str(), path)?;
        Ok(Regex { file, ..Self::of_text(name, path, &text, kind, flags) })
    }

    /// Reads a table from its text; bad lines are logged and skipped.
    pub(crate) fn of_text(name: String, path: &str, text: &[u8], kind: Kind, flags: OpenFlags) -> Self {
        let (table, sentences) = Self::parse(name, path, text, Reading { kind, flags });
        for sentence in sentences {
            logging::warning!("{sentence}");
        }
        table
    }

    fn parse(name: String, path: &str, text: &[u8], reading: Reading) -> (Self, Vec<String>) {
        let kind = reading.kind;
        let (mut rules, sentences) =
            Rules::parse(kind.as_str(), path, text, |line, remarks| rule(line, reading, remarks));
        let needs: Vec<_> = rules.patterns().map(|(at, pattern)| (at, pattern.wanted.take_needs())).collect();
        let prefilter = Prefilter::of(rules.count(), &needs);
        (Regex { name, kind, path: path.to_owned(), rules, prefilter, file: None }, sentences)
    }

    /// Whether a condition holds; what its pattern found then.
    fn holds(&self, condition: &Condition, groups: usize, key: &[u8], line: usize) -> Option<Groups> {
        match condition.program.find(key, groups) {
            Ok(Some(found)) => (!condition.negated).then_some(found),
            Ok(None) => condition.negated.then(Groups::new),
            Err(reason) => {
                let (kind, path) = (self.kind.as_str(), &self.path);
                logging::warning!("{kind} map {path}, line {line}: {reason}");
                None
            }
        }
    }

    fn matches(&self, pattern: &Pattern, key: &[u8], line: usize) -> Option<Groups> {
        let groups = self.holds(&pattern.wanted, pattern.groups, key, line)?;
        if let Some(also) = &pattern.also {
            self.holds(also, 0, key, line)?;
        }
        Some(groups)
    }
}

impl Table for Regex {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        let found = self.rules.find(&self.prefilter.possible(key), |pattern, line| self.matches(pattern, key, line));
        Ok(found.map(|(groups, template)| template.expand(|number| key.get(groups.get(number).cloned().flatten()?))))
    }

    fn partial_keys(&self) -> bool {
        false
    }

    fn changed(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.stamp.changed())
    }

    fn owner(&self) -> Option<u32> {
        self.file.as_ref().map(|file| file.owner)
    }
}

fn rule(line: &LogicalLine, reading: Reading, remarks: &mut Remarks<'_>) -> Result<Rule<Pattern, Template>, String> {
    let (word, rest) = split_keyword(&line.text);
    if word.eq_ignore_ascii_case(b"endif") {
        if !remarks.inside_if() {
            return Err("ignoring ENDIF without matching IF".to_owned());
        }
        if !rest.trim_ascii().is_empty() {
            remarks.here("ignoring extra text after ENDIF");
        }
        return Ok(Rule::Endif);
    }
    if word.eq_ignore_ascii_case(b"if") {
        return condition(rest.trim_ascii(), reading.kind, remarks).map(Rule::If);
    }
    if !word.is_empty() {
        return Err("ignoring unrecognized request".to_owned());
    }
    choice(&line.text, reading, remarks)
}

/// What follows `if`.
fn condition(text: &[u8], kind: Kind, remarks: &mut Remarks<'_>) -> Result<Pattern, String> {
    let (written, extra) = written(text, kind, remarks)?;
    let extra = extra.trim_ascii();
    if !extra.is_empty() {
        let extra = text::printable(extra);
        remarks.here(format!("ignoring extra text after IF statement: \"{extra}\""));
        remarks.here("do not prepend whitespace to statements between IF and ENDIF");
    }
    Ok(Pattern { wanted: written.compile()?, also: None, groups: 0 })
}

/// `[!]/pattern/flags result`
fn choice(text: &[u8], reading: Reading, remarks: &mut Remarks<'_>) -> Result<Rule<Pattern, Template>, String> {
    let kind = reading.kind;
    let (first, rest) = written(text, kind, remarks)?;
    let (second, result) = match rest.starts_with(b"!") {
        true if kind == Kind::Regexp => {
            let (second, result) = written(rest, kind, remarks)?;
            (Some(second), result)
        }
        _ => (None, rest),
    };
    let result = result.trim_ascii();
    if result.is_empty() {
        remarks.here("no replacement text: using empty string");
    }
    let template = match reading.flags.files {
        true => Template::literal(pattern::content(result)?),
        false => Template::parse(result).map_err(|error| bad_replacement(error, kind, remarks))?,
    };
    let groups = template.last_group();
    if groups > 0 && first.negated {
        return Err("$number found in negative match replacement text: skipping this rule".to_owned());
    }
    if groups > 0 && reading.flags.no_substitution {
        return Err("regular expression substitution is not allowed: skipping this rule".to_owned());
    }
    let wanted = first.compile()?;
    if groups > wanted.program.groups() {
        return Err(format!("out of range replacement index \"{groups}\": skipping this rule"));
    }
    let also = second.map(|second| second.compile()).transpose()?;
    Ok(Rule::Match(Pattern { wanted, also, groups }, template))
}

/// Says what is wrong with a result; returns why its rule is skipped.
fn bad_replacement(error: TemplateError, kind: Kind, remarks: &mut Remarks<'_>) -> String {
    match error {
        TemplateError::Syntax(what, text) => remarks.bare(format!("{what}: \"{text}\"")),
        TemplateError::NotNumeric(name) => remarks.here(format!("non-numeric replacement index \"{name}\"")),
        TemplateError::Zero(name) => {
            let range = if kind == Kind::Pcre { "out of range" } else { "out-of-range" };
            remarks.here(format!("{range} replacement index \"{name}\""));
        }
    }
    "bad replacement syntax: skipping this rule".to_owned()
}

/// Reads `[!]/pattern/flags`. What follows begins with `!` if another pattern does.
fn written<'t>(text: &'t [u8], kind: Kind, remarks: &mut Remarks<'_>) -> Result<(Written<'t>, &'t [u8]), String> {
    let (negated, body) = split_marks(text);
    let Some((&delimiter, body)) = body.split_first() else {
        return Err("no regexp: skipping this rule".to_owned());
    };
    let end = closing(body, delimiter).ok_or_else(|| {
        let what = if kind == Kind::Pcre { "ignoring" } else { "skipping" };
        format!("no closing regexp delimiter \"{}\": {what} this rule", text::printable(&[delimiter]))
    })?;
    let (expression, rest) = (&body[..end], &body[end + 1..]);
    let ends = |b: &u8| b.is_ascii_whitespace() || (*b == b'!' && kind == Kind::Regexp);
    let (letters, rest) = rest.split_at(rest.iter().position(ends).unwrap_or(rest.len()));
    let syntax = Syntax::parse(kind, letters, remarks)?;
    Ok((Written { negated, expression, syntax }, rest))
}

impl Written<'_> {
    fn compile(&self) -> Result<Condition, String> {
        let program = Program::compile(self.expression, &self.syntax)?;
        Ok(Condition { program, negated: self.negated, needs: self.syntax.needs(self.expression) })
    }
}

impl Condition {
    /// What a key must have for the condition to hold: for a negated one nothing is sure.
    fn take_needs(&mut self) -> Vec<Need> {
        let needs = std::mem::take(&mut self.needs);
        if self.negated { Vec::new() } else { needs }
    }
}

/// Position of the closing delimiter; a backslash hides the character behind it.
fn closing(text: &[u8], delimiter: u8) -> Option<usize> {
    let mut at = 0;
    while let Some(&b) = text.get(at) {
        match b {
            b'\\' => at += 2,
            b if b == delimiter => return Some(at),
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests;
