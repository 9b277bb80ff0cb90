//! main.cf as a list of settings, in the order of the file.
//!
//! It says what the file says; defaults, overrides and `$` expressions belong to [`crate::Config`].

use std::path::Path;

use crate::error::ConfigError;
use crate::lines::{self, Warning, WarningKind};

/// One `name = value` of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The parameter.
    pub name: String,
    /// The value, trimmed, unexpanded.
    pub value: String,
    /// The physical line the setting starts on.
    pub line: usize,
}

/// Parses the content of main.cf. Of several settings of one parameter the last counts, with a warning when it changes
/// the value.
pub fn parse(content: &[u8], file: &Path, warnings: &mut Vec<Warning>) -> Result<Vec<Assignment>, ConfigError> {
    let mut assignments: Vec<Assignment> = Vec::new();
    let mut seen = std::collections::HashMap::new();
    for line in lines::logical(content, file, warnings) {
        let (name, value) = split(&line.text).map_err(|problem| ConfigError::Syntax {
            file: file.to_path_buf(),
            line: line.first,
            problem,
            text: line.text.clone(),
        })?;
        let assignment = Assignment { name: name.to_owned(), value: value.to_owned(), line: line.first };
        match seen.get(name).copied() {
            None => {
                seen.insert(name.to_owned(), assignments.len());
                assignments.push(assignment);
            }
            Some(index) => {
                let earlier: &mut Assignment = &mut assignments[index];
                if earlier.value != assignment.value {
                    let text = format!("{}={}", earlier.name, earlier.value);
                    let kind = WarningKind::Overriding { line: line.first, earlier: text };
                    warnings.push(Warning { file: file.to_path_buf(), kind });
                }
                *earlier = assignment;
            }
        }
    }
    Ok(assignments)
}

/// The warning about a config_directory in main.cf that is not the directory which the caller has named, and where the
/// file is.
pub fn other_directory(assignments: &[Assignment], file: &Path, directory: &Path) -> Option<Warning> {
    let other = assignments.iter().find(|setting| setting.name == "config_directory")?;
    let named = directory.display().to_string();
    let earlier = format!("config_directory={named}");
    let kind = WarningKind::Overriding { line: other.line, earlier };
    (other.value != named).then(|| Warning { file: file.to_path_buf(), kind })
}

/// Splits `name = value`: the name ends at a blank or `=`, the value is trimmed.
pub fn split(text: &str) -> Result<(&str, &str), &'static str> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let end = text.find(|c: char| c.is_ascii_whitespace() || c == '=').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Err("missing attribute name");
    }
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
    match rest.strip_prefix('=') {
        Some(value) => Ok((name, value.trim_start_matches(|c: char| c.is_ascii_whitespace()))),
        None => Err("missing '=' after attribute name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<(Vec<Assignment>, Vec<String>), String> {
        let mut warnings = Vec::new();
        let list = parse(content.as_bytes(), Path::new("/etc/postfix/main.cf"), &mut warnings)
            .map_err(|error| error.to_string())?;
        Ok((list, warnings.iter().map(Warning::to_string).collect()))
    }

    #[test]
    fn blanks_around_name_and_value_are_ignored_and_inner_ones_kept() {
        let (list, _) = read("a=b\nfoo \t = x   y \nempty =\n").unwrap();
        let pairs: Vec<_> = list.iter().map(|a| (a.name.as_str(), a.value.as_str())).collect();
        assert_eq!(pairs, [("a", "b"), ("foo", "x   y"), ("empty", "")]);
    }

    #[test]
    fn of_two_settings_the_last_counts_and_a_warning_names_the_earlier() {
        let (list, warnings) = read("foo = a\n b\nx = 1\nfoo = second\n\n# comment\n value\n").unwrap();
        assert_eq!((list.len(), list[0].value.as_str(), list[0].line), (2, "second value", 4));
        assert_eq!(warnings, ["/etc/postfix/main.cf, line 4: overriding earlier entry: foo=a b"]);
    }

    #[test]
    fn a_line_without_equals_sign_is_an_error_that_names_file_and_line() {
        assert_eq!(
            read("a = b\n\nbad line\n").unwrap_err(),
            "/etc/postfix/main.cf, line 3: missing '=' after attribute name: \"bad line\""
        );
        assert_eq!(read("= x\n").unwrap_err(), "/etc/postfix/main.cf, line 1: missing attribute name: \"= x\"");
    }
}
