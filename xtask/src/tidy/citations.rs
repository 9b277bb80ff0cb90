//! A name that a comment cites is there: a parameter of the table (`if slow { // smtpd_hard_error_limit`), or a name of
//! the code. What was renamed or removed is found where it is still talked about.

use std::collections::HashSet;

use super::Complaints;
use super::source::{Line, Source};
use crate::failure::Outcome;
use crate::workspace;

const TABLE: &str = "crates/config/parameters";
/// Names that are neither: of the system, of rustdoc, of a synopsis, and examples of those that a configuration makes
/// up.
const ELSEWHERE: [&str; 9] = [
    "check_client_mx_access",
    "close_range",
    "compile_fail",
    "inet_ntop",
    "io_uring",
    "prefix_server_host",
    "relay_destination_rate_delay",
    "template_file",
    "transport_destination_concurrency_limit",
];

pub(super) fn check(sources: &[Source], complaints: &mut Complaints) -> Outcome {
    let parameters = parameters()?;
    if parameters.is_empty() {
        return Ok(());
    }
    let code: HashSet<&str> =
        sources.iter().flat_map(|source| &source.lines).flat_map(|line| words(code(line))).collect();
    for source in sources {
        for (number, line) in source.numbered() {
            for name in cited(comment(line)) {
                if !parameters.contains(name) && !code.contains(name) && !ELSEWHERE.contains(&name) {
                    let what = format!("`{name}` is cited, and neither {TABLE} nor the code has such a name");
                    complaints.add(&source.path, number, what);
                }
            }
        }
    }
    Ok(())
}

/// The words of a comment that have the form of a parameter's name; not those that name a page of the manual,
/// `proc_stat(5)`.
fn cited(comment: &str) -> impl Iterator<Item = &str> {
    let form = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let is_inside = |word: &str| word.trim_matches('_') == word && word.contains('_');
    let is_page =
        |rest: &str| rest.strip_prefix('(').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let mut rest = comment;
    let found = std::iter::from_fn(move || {
        let word = words(rest).next()?;
        rest = rest.split_once(word)?.1;
        Some((word, rest))
    });
    found.filter(move |(word, rest)| form(word) && is_inside(word) && !is_page(rest)).map(|(word, _)| word)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The line without its comment, with its strings.
fn code(line: &Line) -> &str {
    line.text.strip_suffix(comment(line)).unwrap_or_default()
}

/// The comment of a line, whoever it is for; empty when there is none.
fn comment(line: &Line) -> &str {
    let text = line.text.trim_start();
    let is_doc = ["///", "//!"].iter().any(|start| text.starts_with(start)) && line.code.trim().is_empty();
    if is_doc { text } else { line.comment.as_deref().unwrap_or_default() }
}

fn parameters() -> Outcome<HashSet<String>> {
    let mut names = HashSet::new();
    for path in workspace::files()?.iter().filter(|p| p.starts_with(TABLE) && p.ends_with(".toml")) {
        let table = workspace::read_toml(&workspace::root().join(path))?;
        for (key, value) in table {
            match value {
                toml::Value::Array(entries) => names.extend(entries.iter().filter_map(entry_name)),
                toml::Value::Table(_) => drop(names.insert(key)),
                _ => {}
            }
        }
    }
    Ok(names)
}

fn entry_name(entry: &toml::Value) -> Option<String> {
    Some(entry.get("name")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_comment_is_a_citation_and_a_page_of_the_manual_is_none() {
        let cited = |text| cited(text).collect::<Vec<_>>();
        assert_eq!(cited(" smtpd_hard_error_limit"), ["smtpd_hard_error_limit"]);
        assert_eq!(cited("/// See [`a_name`], and other_name."), ["a_name", "other_name"]);
        assert!(cited(" word, _private, A_CONSTANT, proc_stat(5)").is_empty());
    }

    #[test]
    fn names_in_strings_are_there_and_names_in_comments_are_not() {
        let source = Source::new("x.rs", "/// of_doc\nlet in_code = \"in_string\"; // in_comment\n");
        let found: Vec<_> = source.lines.iter().flat_map(|line| words(code(line))).collect();
        assert_eq!(found, ["let", "in_code", "in_string"]);
        let found: Vec<_> = source.lines.iter().flat_map(|line| cited(comment(line))).collect();
        assert_eq!(found, ["of_doc", "in_comment"]);
    }
}
