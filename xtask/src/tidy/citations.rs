//! A parameter cited at the end of a line (`if slow { // smtpd_hard_error_limit`) stands in the parameter table.

use super::Complaints;
use super::source::Source;
use crate::failure::Outcome;
use crate::workspace;
use std::collections::HashSet;

const TABLE: &str = "crates/config/parameters";

pub(super) fn check(sources: &[Source], complaints: &mut Complaints) -> Outcome {
    let known = parameters()?;
    if known.is_empty() {
        return Ok(());
    }
    for source in sources {
        for (number, line) in source.numbered() {
            let Some(name) = line.comment.as_deref().and_then(cited) else { continue };
            if !known.contains(name) && !is_transport_parameter(name) {
                complaints.add(&source.path, number, format!("`{name}` is cited, and {TABLE} has no such parameter"));
            }
        }
    }
    Ok(())
}

/// The comment, if it is one word of the form of a parameter's name.
fn cited(comment: &str) -> Option<&str> {
    let word = comment.strip_prefix(' ')?;
    let form = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    (form && word.contains('_') && !word.starts_with('_')).then_some(word)
}

/// `transport_destination_concurrency_limit` stands for the parameter of any transport.
fn is_transport_parameter(name: &str) -> bool {
    name.starts_with("transport_")
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
    Some(entry.get("name")?.as_str()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::cited;

    #[test]
    fn only_a_lone_parameter_name_is_a_citation() {
        assert_eq!(cited(" smtpd_hard_error_limit"), Some("smtpd_hard_error_limit"));
        assert_eq!(cited(" see smtpd_hard_error_limit"), None);
        assert_eq!(cited(" word"), None);
    }
}
