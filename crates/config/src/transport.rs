//! Parameters whose name starts with the name of a master.cf service: `relay_destination_rate_delay`.
//!
//! Any service of a delivery program has them; `postconf` lists them per service, and a program reads its own through
//! [`crate::Config::of_service`].

use crate::entry::Entry;
use crate::{param, table};

/// A family of per-transport parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// What follows the service name.
    pub suffix: &'static str,
    /// The parameter that gives the value when the transport's own is not set.
    pub fallback: &'static str,
}

/// The programs whose services have parameters of the queue manager (discard has none).
pub const DELIVERY_PROGRAMS: [&str; 6] = ["error", "lmtp", "local", "pipe", "smtp", "virtual"];

/// The programs whose services have a time limit of their own for the commands that they run.
const COMMAND_PROGRAMS: [&str; 2] = ["pipe", "spawn"];

/// Every family, sorted by suffix.
pub fn families() -> impl Iterator<Item = Family> {
    table::OF_SERVICE.iter().map(|&(suffix, fallback)| Family { suffix, fallback })
}

/// The per-transport families that a service of `program` (the command of its master.cf entry) has.
pub fn families_of(program: &str) -> impl Iterator<Item = Family> {
    let (delivers, commands) = (DELIVERY_PROGRAMS.contains(&program), COMMAND_PROGRAMS.contains(&program));
    families().filter(move |family| if family.is_of_commands() { commands } else { delivers })
}

/// Whether a parameter's name ends like one of a family, whatever the transport.
pub fn family_of(name: &str) -> Option<Family> {
    families()
        .filter(|family| name.len() > family.suffix.len() && name.ends_with(family.suffix))
        .max_by_key(|family| family.suffix.len())
}

impl Family {
    /// The family for which a parameter stands in.
    pub(crate) fn with_fallback(name: &str) -> Option<Family> {
        families().find(|family| family.fallback == name)
    }

    /// The others are read by the queue manager.
    fn is_of_commands(self) -> bool {
        self.fallback == param::COMMAND_TIME_LIMIT.name()
    }
}

/// The entry that says what a value of this parameter may be: its own, or that of its family.
pub fn entry_of(name: &str) -> Option<&'static Entry> {
    crate::find(name).or_else(|| crate::find(family_of(name)?.fallback))
}

/// `smtp_destination_concurrency_limit` and its like stand in the table, but there only as long as there is such a
/// service.
pub fn is_service_default(entry: &Entry) -> bool {
    family_of(entry.name).is_some_and(|family| entry.default.strip_prefix('$') == Some(family.fallback))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fallback_of_every_family_is_in_the_table() {
        for family in families() {
            assert!(crate::find(family.fallback).is_some(), "{}", family.fallback);
        }
    }

    #[test]
    fn the_longest_suffix_decides() {
        let family = family_of("relay_destination_recipient_limit").unwrap();
        assert_eq!(family.suffix, "_destination_recipient_limit");
        assert_eq!(family_of("_recipient_limit"), None);
    }
}
