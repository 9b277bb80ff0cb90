//! Entries of master.cf as fields, and the arguments of a command with their `{...}` groups.

use std::path::Path;

use super::EntryProblem;
use crate::lines::{self, Warning};

/// One entry as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEntry {
    /// Its first physical line.
    pub line: usize,
    /// The first eight fields, or as many as there are.
    pub fields: Vec<String>,
    /// What follows them, unsplit, without the blanks around it.
    pub arguments: String,
}

impl RawEntry {
    /// The field at an index from 0.
    pub fn field(&self, at: usize) -> Option<&str> {
        self.fields.get(at).map(String::as_str)
    }

    /// The settings of its `-o` options; what is none is skipped.
    pub fn options(&self) -> Vec<(String, String)> {
        let arguments = split_arguments(&self.arguments).unwrap_or_default();
        let options = option_texts(&arguments);
        let settings = options.into_iter().filter_map(|text| crate::main_cf::split(text).ok());
        settings.map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    /// The service name.
    pub fn name(&self) -> &str {
        self.field(0).unwrap_or_default()
    }
}

/// The entries of a master.cf, in its order.
pub fn entries(content: &[u8], file: &Path, warnings: &mut Vec<Warning>) -> Vec<RawEntry> {
    lines::logical(content, file, warnings)
        .into_iter()
        .map(|line| {
            let (fields, arguments) = split_fields(&line.text);
            RawEntry { line: line.first, fields, arguments: arguments.to_string() }
        })
        .collect()
}

/// How many fields stand before the arguments.
const FIELDS: usize = 8;

fn split_fields(text: &str) -> (Vec<String>, &str) {
    let mut fields = Vec::with_capacity(FIELDS);
    let mut rest = trim(text);
    while fields.len() < FIELDS && !rest.is_empty() {
        let end = rest.find(is_blank).unwrap_or(rest.len());
        fields.push(rest[..end].to_string());
        rest = rest[end..].trim_start_matches(is_blank);
    }
    (fields, rest)
}

/// Splits arguments at blanks; `{ a b }` is one argument without its braces and the blanks next to them.
pub fn split_arguments(text: &str) -> Result<Vec<String>, EntryProblem> {
    let mut arguments = Vec::new();
    let mut rest = trim(text);
    while !rest.is_empty() {
        if rest.starts_with('{') {
            let end = closing(rest).ok_or_else(|| EntryProblem::MissingBrace(rest.to_string()))?;
            let after = &rest[end + 1..];
            if !(after.is_empty() || after.starts_with(is_blank)) {
                return Err(EntryProblem::AfterBrace(rest.to_string()));
            }
            arguments.push(trim(&rest[1..end]).to_string());
            rest = after.trim_start_matches(is_blank);
        } else {
            let end = rest.find(is_blank).unwrap_or(rest.len());
            arguments.push(rest[..end].to_string());
            rest = rest[end..].trim_start_matches(is_blank);
        }
    }
    Ok(arguments)
}

/// The values of the `-o` options: options end at the first other argument (pipe's `argv=` has its own).
pub(crate) fn option_texts(arguments: &[String]) -> Vec<&str> {
    let mut found = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let Some(letters) = argument.strip_prefix('-').filter(|letters| !letters.is_empty()) else { break };
        let Some(at) = letters.find(WITH_VALUE) else { continue };
        let (letter, attached) = letters[at..].split_at(1);
        let value = match attached {
            "" => arguments.next().map_or("", String::as_str),
            attached => attached,
        };
        if letter == "o" {
            found.push(value);
        }
    }
    found
}

/// The daemon options that have a value.
const WITH_VALUE: [char; 7] = ['i', 'm', 'n', 'o', 'r', 's', 't'];

/// Where the brace that `text` starts with is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_in_braces_is_one_argument_and_inner_braces_stay() {
        let text = "-v -o { syslog_name = foo bar } -o smtp_helo_timeout=5 -o { x = {y} }";
        assert_eq!(
            split_arguments(text).unwrap(),
            ["-v", "-o", "syslog_name = foo bar", "-o", "smtp_helo_timeout=5", "-o", "x = {y}"]
        );
        assert_eq!(split_arguments("a{b c}d").unwrap(), ["a{b", "c}d"]);
    }

    #[test]
    fn options_end_at_the_first_other_argument() {
        let options = |text: &str| {
            let arguments = split_arguments(text).unwrap();
            option_texts(&arguments).into_iter().map(str::to_string).collect::<Vec<_>>()
        };
        assert_eq!(options("-v -m 5 -o a=b -vo c=d -oe=f argv=x -o no=1"), ["a=b", "c=d", "e=f"]);
        assert_eq!(options("flags=R user=x argv=/bin/x -o y"), Vec::<String>::new());
    }

    #[test]
    fn a_group_that_does_not_end_is_an_error() {
        assert_eq!(split_arguments("-o { a = b").unwrap_err().to_string(), "missing '}' in \"{ a = b\"");
        assert_eq!(split_arguments("{a}b c").unwrap_err().to_string(), "syntax error after '}' in \"{a}b c\"");
    }
}
