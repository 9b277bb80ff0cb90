//! What an administrator should know about his main.cf: settings that have no effect here, names that mean
//! nothing, values that cannot be understood.
//!
//! Nothing is decided here: `postfix check`, `postconf` and the daemons print what they are told.

use std::fmt;
use std::path::PathBuf;

use crate::entry::Kind;
use crate::error::ValueError;
use crate::level::Level;
use crate::names::Uses;
use crate::settings::{Config, Origin};
use crate::{entry, transport};

/// A setting of main.cf that is known, but not implemented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unimplemented {
    /// The parameter.
    pub name: String,
    /// main.cf; None for an override.
    pub file: Option<PathBuf>,
    /// Its line there.
    pub line: usize,
}

/// One sentence about main.cf, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The setting is known but has no effect yet.
    Unimplemented(Unimplemented),
    /// The name means nothing and nothing refers to it.
    Unknown {
        /// The name.
        name: String,
        /// Its value.
        value: String,
        /// main.cf.
        file: PathBuf,
        /// The line.
        line: usize,
    },
    /// The value is wrong.
    Value {
        /// What is wrong.
        error: ValueError,
        /// main.cf.
        file: PathBuf,
        /// The line.
        line: usize,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Unimplemented(Unimplemented { name, file: Some(file), line }) => {
                write!(f, "{}, line {line}: {name}: not implemented, has no effect", file.display())
            }
            Problem::Unimplemented(Unimplemented { name, .. }) => {
                write!(f, "-o {name}: not implemented, has no effect")
            }
            Problem::Unknown { name, value, file, line } => {
                write!(f, "{}, line {line}: unused parameter: {name}={value}", file.display())
            }
            Problem::Value { error, file, line } => {
                write!(f, "{}, line {line}: {error}", file.display())
            }
        }
    }
}

/// The level that this implementation behaves as when it may.
pub const CURRENT_LEVEL: Level = Level::new(3, 11);

impl Config {
    /// The notice of a program that uses a default which an old compatibility_level keeps as it was; None when
    /// the parameter is set, or when its default is today's.
    pub fn backwards_compatible_default(&self, name: &str) -> Option<String> {
        let entry = entry::find(name)?;
        if self.is_set(name) || !entry.default.contains("$compatibility_level") {
            return None;
        }
        let now = self.lookup(name).ok()??;
        let level = [("compatibility_level".to_string(), CURRENT_LEVEL.to_string())];
        let today = Config::parse(b"", self.directory(), &level).ok()?.lookup(name).ok()??;
        (now != today).then(|| format!("using backwards-compatible default setting {name}={now}"))
    }

    /// Settings of parameters that are not implemented, when they differ from the default.
    pub fn unimplemented_settings(&self) -> Vec<Unimplemented> {
        let mut found = Vec::new();
        for (name, setting) in self.settings() {
            if !self.has_no_effect(name, &setting.value) {
                continue;
            }
            let (file, line) = match &setting.origin {
                Origin::File { file, line } => (Some(file.clone()), *line),
                Origin::Override => (None, 0),
            };
            found.push(Unimplemented { name: name.to_string(), file, line });
        }
        found.sort_by_key(|setting| setting.line);
        found
    }

    /// Whether setting a parameter to this value asks for something that is not there.
    pub fn has_no_effect(&self, name: &str, value: &str) -> bool {
        entry::find(name)
            .is_some_and(|entry| !entry.implemented && !entry.legacy && !self.asks_for_nothing(entry, value))
    }

    /// Whether a value is what happens anyhow without an implementation: the default, or one that asks for nothing.
    fn asks_for_nothing(&self, entry: &entry::Entry, value: &str) -> bool {
        let expanded = self.expand(value);
        let expanded = expanded.as_deref().unwrap_or(value).trim();
        value == entry.default
            || entry.asks_for_nothing(expanded)
            || self.expand(entry.default).is_ok_and(|default| default == expanded)
    }

    /// Settings of main.cf whose name is no parameter, and that no other setting refers to.
    pub fn unknown_settings(&self) -> Vec<Problem> {
        let used = Uses::of_main_cf(self);
        let mut found = Vec::new();
        for (name, setting) in self.settings() {
            let Origin::File { file, line } = &setting.origin else { continue };
            let known = entry::find(name).is_some_and(entry::Entry::is_name) || transport::family_of(name).is_some();
            if known || used.has(name) {
                continue;
            }
            found.push(Problem::Unknown {
                name: name.to_string(),
                value: setting.value.clone(),
                file: file.clone(),
                line: *line,
            });
        }
        found
    }

    /// Everything that `postfix check` tells about main.cf, in the order of the file.
    pub fn check(&self) -> Vec<Problem> {
        let mut found: Vec<Problem> = self.unimplemented_settings().into_iter().map(Problem::Unimplemented).collect();
        found.extend(self.unknown_settings());
        for (name, setting) in self.settings() {
            let Origin::File { file, line } = &setting.origin else { continue };
            let Some(entry) = entry::find(name) else { continue };
            if entry.kind != Kind::Raw
                && let Some(error) = self.value_error(name, entry)
            {
                found.push(Problem::Value { error, file: file.clone(), line: *line });
            }
        }
        found.sort_by_key(line_of);
        found
    }
}

/// The line of a problem, for sorting.
fn line_of(problem: &Problem) -> usize {
    match problem {
        Problem::Unimplemented(Unimplemented { line, .. })
        | Problem::Unknown { line, .. }
        | Problem::Value { line, .. } => *line,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn check(content: &str) -> Vec<String> {
        let config = Config::parse(content.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap();
        config.check().iter().map(Problem::to_string).collect()
    }

    #[test]
    fn check_names_file_line_and_value_of_everything_odd() {
        let found = check("foo = 1\nbar = 2\nmyorigin = $bar\nhopcount_limit = 5x\nx_recipient_limit = 1\n");
        let found: Vec<_> = found.iter().filter(|text| !text.ends_with("no effect")).collect();
        assert_eq!(
            found,
            [
                "/etc/postfix/main.cf, line 1: unused parameter: foo=1",
                "/etc/postfix/main.cf, line 4: bad numerical configuration: hopcount_limit = 5x",
            ]
        );
    }

    #[test]
    fn a_setting_without_effect_is_named_with_its_line() {
        let waiting = crate::table::TABLE.iter().find(|entry| !entry.implemented && !entry.legacy);
        let Some(entry) = waiting else { return };
        let found = check(&format!("# a comment\n{} = 7\n", entry.name));
        let sentence = format!("/etc/postfix/main.cf, line 2: {}: not implemented, has no effect", entry.name);
        assert!(found.contains(&sentence), "{found:?}");
        assert!(check(&format!("{} = {}\n", entry.name, entry.default)).is_empty());
    }

    #[test]
    fn a_value_that_asks_for_nothing_needs_no_report() {
        for (name, values) in crate::table::NEEDLESS {
            assert!(values.iter().all(|value| check(&format!("{name} = {value}\n")).is_empty()), "{name}");
        }
        assert!(check("smtp_tls_CAfile =\n").is_empty());
    }

    #[test]
    fn an_old_level_that_keeps_an_old_default_is_told() {
        let notice = |content: &str, name| {
            let config = Config::parse(content.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap();
            config.backwards_compatible_default(name)
        };
        let text = "using backwards-compatible default setting inet_protocols=ipv4".to_string();
        assert_eq!(notice("", "inet_protocols"), Some(text));
        assert_eq!(notice("compatibility_level = 3.6\n", "inet_protocols"), None);
        assert_eq!(notice("inet_protocols = ipv4\n", "inet_protocols"), None);
        assert_eq!(notice("", "smtpd_banner"), None);
    }

    #[test]
    fn a_restriction_class_is_a_known_name() {
        assert!(check("smtpd_restriction_classes = strict\nstrict = reject\n").iter().all(|p| !p.contains("strict=")));
    }
}
