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

    /// The arguments as they are shown and edited, and what is wrong with them. Options come one by one (`-vo a=b` is
    /// `-v`, `-o`, `a=b`), groups without their braces, those of settings without the blanks around the `=`.
    pub fn arguments(&self) -> (Vec<String>, Vec<EntryProblem>) {
        let mut problems = Vec::new();
        let mut arguments: Vec<String> = Vec::new();
        let mut options = true;
        for word in Words(trim(&self.arguments)) {
            let braced = word.starts_with('{');
            let text = if braced { inside(word, &mut problems) } else { word };
            let is_value = options && arguments.last().is_some_and(|last| last == "-o");
            options = options && (is_value || is_option(text));
            if is_value {
                arguments.push(if braced { setting(text, &mut problems) } else { text.to_owned() });
                continue;
            }
            match text.find('o').filter(|_| options && !braced) {
                None => arguments.push(text.to_owned()),
                Some(at) => {
                    arguments.extend((at > 1).then(|| text[..at].to_string()));
                    arguments.push("-o".to_owned());
                    arguments.extend((at + 1 < text.len()).then(|| text[at + 1..].to_string()));
                }
            }
        }
        (arguments, problems)
    }

    /// The settings of its `-o` options, the last of each name; what is none is skipped.
    pub fn options(&self) -> Vec<(String, String)> {
        let (arguments, _) = self.arguments();
        let mut settings: Vec<(String, String)> = Vec::new();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next().filter(|argument| is_option(argument)) {
            if argument != "-o" {
                continue;
            }
            if let Some(Ok((name, value))) = arguments.next().as_deref().map(crate::main_cf::split) {
                settings.retain(|(other, _)| other != name);
                settings.push((name.to_owned(), value.to_owned()));
            }
        }
        settings
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
            RawEntry { line: line.first, fields, arguments: arguments.to_owned() }
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

/// Whether an argument is one of the options that stand before the others.
pub fn is_option(argument: &str) -> bool {
    argument.starts_with('-') && !["-", "--"].contains(&argument)
}

/// Words between blanks; blanks within braces separate nothing.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let mut depth = 0usize;
        let end = self.0.find(|c| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && is_blank(c)
        });
        let (word, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest.trim_start_matches(is_blank);
        (!word.is_empty()).then_some(word)
    }
}

/// What stands within the braces that a word starts with, as well as it can be told.
fn inside<'a>(word: &'a str, problems: &mut Vec<EntryProblem>) -> &'a str {
    match closing(word) {
        None => {
            problems.push(EntryProblem::MissingBrace(word.to_owned()));
            trim(&word[1..])
        }
        Some(end) => {
            if end + 1 < word.len() {
                problems.push(EntryProblem::AfterBrace(word.to_owned()));
            }
            trim(&word[1..end])
        }
    }
}

/// `name=value` without blanks around the `=`.
fn setting(text: &str, problems: &mut Vec<EntryProblem>) -> String {
    match crate::main_cf::split(text) {
        Ok((name, value)) => format!("{name}={value}"),
        Err(problem) => {
            problems.push(EntryProblem::Setting(problem, text.to_owned()));
            text.to_owned()
        }
    }
}

/// Splits arguments at blanks; `{ a b }` is one argument without its braces and the blanks next to them.
pub fn split_arguments(text: &str) -> Result<Vec<String>, EntryProblem> {
    let mut arguments = Vec::new();
    let mut rest = trim(text);
    while !rest.is_empty() {
        if rest.starts_with('{') {
            let end = closing(rest).ok_or_else(|| EntryProblem::MissingBrace(rest.to_owned()))?;
            let after = &rest[end + 1..];
            if !(after.is_empty() || after.starts_with(is_blank)) {
                return Err(EntryProblem::AfterBrace(rest.to_owned()));
            }
            arguments.push(trim(&rest[1..end]).to_owned());
            rest = after.trim_start_matches(is_blank);
        } else {
            let end = rest.find(is_blank).unwrap_or(rest.len());
            arguments.push(rest[..end].to_string());
            rest = rest[end..].trim_start_matches(is_blank);
        }
    }
    Ok(arguments)
}

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
    fn a_group_that_does_not_end_is_an_error() {
        assert_eq!(split_arguments("-o { a = b").unwrap_err().to_string(), "missing '}' in \"{ a = b\"");
        assert_eq!(split_arguments("{a}b c").unwrap_err().to_string(), "syntax error after '}' in \"{a}b c\"");
    }

    #[test]
    fn arguments_are_shown_one_by_one_and_what_is_wrong_is_told() {
        let shown = |arguments: &str| {
            let entry = RawEntry { line: 1, fields: Vec::new(), arguments: arguments.to_owned() };
            let (arguments, problems) = entry.arguments();
            let problems = problems.iter().map(EntryProblem::to_string).collect::<Vec<_>>();
            (arguments.join("|"), problems.join("|"))
        };
        for (arguments, wanted, problems) in [
            ("-o {a = b c} -o {d=e}", "-o|a=b c|-o|d=e", ""),
            ("-vDo a=b -vox=3 -s5 -sxo k=2", "-vD|-o|a=b|-v|-o|x=3|-s5|-sx|-o|k=2", ""),
            ("-o {x = y", "-o|x=y", "missing '}' in \"{x = y\""),
            ("-o {x = y}z -o k=2", "-o|x=y|-o|k=2", "syntax error after '}' in \"{x = y}z\""),
            ("-o {x y} -o q=1", "-o|x y|-o|q=1", "missing '=' after attribute name: \"x y\""),
            ("-o {} -o q=1", "-o||-o|q=1", "missing attribute name: \"\""),
            ("-o x = y -o q=1", "-o|x|=|y|-o|q=1", ""),
            ("{-o} {x=1} -o a={b c}", "-o|x=1|-o|a={b c}", ""),
            ("flags=x argv=/bin/a -o x=1 {a b} t{u v}", "flags=x|argv=/bin/a|-o|x=1|a b|t{u v}", ""),
            ("-o", "-o", ""),
        ] {
            assert_eq!(shown(arguments), (wanted.to_owned(), problems.to_owned()), "{arguments}");
        }
    }
}
