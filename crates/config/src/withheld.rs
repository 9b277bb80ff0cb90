//! Settings that ask for protection, a filter or a refusal that is not implemented. A program that reads one does not
//! serve as if it were not set: it refuses, as Postfix does when the thing is out of order.
//!
//! The table decides which parameters these are, and a parameter leaves them when it is implemented.

use crate::entry::{Entry, Kind};
use crate::settings::Config;
use crate::value::Value;

/// A setting that a program must not pass over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The parameter.
    pub name: &'static str,
    /// What it is set to, expanded.
    pub value: String,
}

impl Config {
    /// The settings that `program` reads and must not pass over, by name; defaults that lead to another setting count
    /// as well.
    pub fn withheld(&self, program: &str) -> Vec<Withheld> {
        let of_program = |entry: &&Entry| entry.refused && entry.programs.contains(&program);
        self.table().iter().filter(of_program).filter_map(|entry| self.withheld_setting(entry)).collect()
    }

    fn withheld_setting(&self, entry: &Entry) -> Option<Withheld> {
        if !self.is_set(entry.name) && !entry.default.contains('$') {
            return None;
        }
        let raw = self.raw(entry.name).unwrap_or_default();
        // A value that cannot be expanded is told by whoever reads it, and is certainly not nothing.
        let value = self.expanded(entry, raw).unwrap_or_else(|| raw.to_owned());
        let asks = !self.is_default(entry, &value) && !entry.asks_for_nothing(&value);
        asks.then_some(Withheld { name: entry.name, value })
    }

    /// Whether a value is the one of a main.cf that sets nothing but the level.
    fn is_default(&self, entry: &Entry, value: &str) -> bool {
        let level = self.raw("compatibility_level").unwrap_or_default().to_owned();
        let bare = Config::parse(b"", self.directory(), &[("compatibility_level".to_owned(), level)]);
        let default = bare.ok().and_then(|bare| bare.expanded(entry, entry.default));
        default.is_some_and(|default| match entry.kind {
            Kind::Bool => {
                let read = |text: &str| bool::from_text(text, entry.name, entry).ok();
                read(value).is_some() && read(value) == read(&default)
            }
            _ => default.trim() == value.trim(),
        })
    }

    fn expanded(&self, entry: &Entry, text: &str) -> Option<String> {
        if entry.kind == Kind::Raw { Some(text.to_owned()) } else { self.expand(text).ok() }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn names(content: &str, program: &str) -> Vec<&'static str> {
        let config = Config::parse(content.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap();
        config.withheld(program).iter().map(|withheld| withheld.name).collect()
    }

    #[test]
    fn nothing_is_withheld_by_defaults_at_any_level() {
        for level in ["", "compatibility_level = 2\n", "compatibility_level = 3.6\n", "compatibility_level = 3.11\n"] {
            for program in ["smtpd", "smtp", "cleanup", "local", "qmgr", "bounce", "postscreen", "tlsproxy", "virtual"]
            {
                assert!(names(level, program).is_empty(), "{level}{program}");
            }
        }
    }

    /// An example that is no default for every such parameter: it must count for all of its programs.
    #[test]
    fn every_parameter_that_is_refused_counts_when_it_is_set() {
        for entry in crate::table::TABLE.iter().filter(|entry| entry.refused) {
            let value = match entry.kind {
                Kind::Bool => "yes",
                Kind::Int => "7",
                _ => "x:y",
            };
            for program in entry.programs {
                let found = names(&format!("{} = {value}\n", entry.name), program);
                assert!(found.contains(&entry.name), "{}: {found:?}", entry.name);
            }
        }
    }

    #[test]
    fn a_default_that_leads_to_a_setting_counts_and_an_empty_value_does_not() {
        let refused = |name| crate::entry::find(name).is_some_and(|entry| entry.refused);
        let name = "smtp_delivery_status_filter";
        if refused(name) {
            assert!(names("default_delivery_status_filter = pcre:/x\n", "smtp").contains(&name));
            let off = "default_delivery_status_filter = pcre:/x\nsmtp_delivery_status_filter =\n";
            assert!(!names(off, "smtp").contains(&name));
        }
        if refused("smtpd_enforce_tls") {
            assert!(names("smtpd_enforce_tls = NO\n", "smtpd").is_empty());
            assert_eq!(names("smtpd_enforce_tls = $x\n", "smtpd"), ["smtpd_enforce_tls"]);
        }
    }
}
