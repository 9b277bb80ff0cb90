//! Settings that have no effect here, and defaults that an old level keeps as they were.
//!
//! Nothing is decided here: `postfix check`, `postconf` and the daemons print what they are told.

use crate::level::Level;
use crate::settings::{Config, Origin};
use crate::{entry, report};

/// The level that this implementation behaves as when it may.
pub const CURRENT_LEVEL: Level = Level::new(3, 11);

/// How notices about defaults that are kept begin.
pub const OLD_DEFAULT: &str = "using backwards-compatible default setting";

impl Config {
    /// The notice of a program that uses a default which an old compatibility_level keeps as it was; None when the
    /// parameter is set, or when its default is today's.
    pub fn backwards_compatible_default(&self, name: &str) -> Option<String> {
        let entry = entry::find(name)?;
        if self.is_set(name) || !entry.default.contains("$compatibility_level") {
            return None;
        }
        let now = self.lookup(name).ok()??;
        let level = [("compatibility_level".to_owned(), CURRENT_LEVEL.to_string())];
        let today = Config::parse(b"", self.directory(), &level).ok()?.lookup(name).ok()??;
        (now != today).then(|| format!("{OLD_DEFAULT} {name}={now}"))
    }

    /// One sentence about all settings of parameters that are not implemented, when they differ from the default.
    pub fn without_effect(&self) -> Option<String> {
        let without = self.settings().filter(|(name, setting)| self.has_no_effect(name, &setting.value));
        let mut settings: Vec<(usize, &str)> = without
            .map(|(name, setting)| match &setting.origin {
                Origin::File { line, .. } => (*line, name),
                Origin::Override => (0, name),
            })
            .collect();
        settings.sort_unstable();
        let names: Vec<&str> = settings.iter().map(|(_, name)| *name).collect();
        let lines: Vec<usize> = settings.into_iter().map(|(line, _)| line).filter(|line| *line > 0).collect();
        let place = if lines.is_empty() { String::new() } else { format!(" (lines {})", report::ranges(&lines)) };
        let file = self.directory().join("main.cf");
        let sentence = || format!("{}: settings that are not there yet{place}: {}", file.display(), names.join(", "));
        (!names.is_empty()).then(sentence)
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
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn without_effect(content: &str) -> Option<String> {
        Config::parse(content.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap().without_effect()
    }

    #[test]
    fn settings_without_effect_are_named_with_their_lines() {
        let waiting = crate::table::TABLE.iter().filter(|entry| !entry.implemented && !entry.legacy && !entry.computed);
        let mut waiting = waiting.filter(|entry| entry.kind == crate::Kind::Int);
        let (Some(one), Some(other)) = (waiting.next(), waiting.next()) else { return };
        let main_cf = format!("# a comment\n{} = 7777\n{} = 7777\n", one.name, other.name);
        let sentence = format!("settings that are not there yet (lines 2, 3): {}, {}", one.name, other.name);
        assert_eq!(without_effect(&main_cf), Some(format!("/etc/postfix/main.cf: {sentence}")));
        assert_eq!(without_effect(&format!("{} = {}\n", one.name, one.default)), None);
    }

    #[test]
    fn a_value_that_asks_for_nothing_needs_no_report() {
        for (name, values) in crate::table::NEEDLESS {
            assert!(values.iter().all(|value| without_effect(&format!("{name} = {value}\n")).is_none()), "{name}");
        }
        assert_eq!(without_effect("smtp_tls_CAfile =\n"), None);
    }

    #[test]
    fn an_old_level_that_keeps_an_old_default_is_told() {
        let notice = |content: &str, name| {
            let config = Config::parse(content.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap();
            config.backwards_compatible_default(name)
        };
        let text = "using backwards-compatible default setting inet_protocols=ipv4".to_owned();
        assert_eq!(notice("", "inet_protocols"), Some(text));
        assert_eq!(notice("compatibility_level = 3.6\n", "inet_protocols"), None);
        assert_eq!(notice("inet_protocols = ipv4\n", "inet_protocols"), None);
        assert_eq!(notice("", "smtpd_banner"), None);
    }
}
