//! One entry a parameter: what the table knows, and the typed constant that programs read it with.
//!
//! An entry never holds a value in force; that is [`crate::Config`]'s.

use std::marker::PhantomData;

/// What a parameter's value means, and so how it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, `$name` expanded.
    Text,
    /// Text that the reading program expands itself (a reply, a command, an address with `$user`).
    Raw,
    /// `yes` or `no`.
    Bool,
    /// A whole number.
    Int,
    /// A time: a number and a unit; the field is what a number without one counts, in seconds.
    Duration {
        /// Seconds of the default unit.
        unit: u32,
    },
    /// A time that may be a fraction of a second: as `Duration`, with the unit `ms`, which is also that of a bare
    /// number.
    Milliseconds,
    /// Words separated by blanks and commas, `{...}` groups kept together.
    List,
    /// A file or directory name.
    Path,
}

impl Kind {
    /// The word in the parameter table.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Raw => "raw",
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Duration { .. } | Kind::Milliseconds => "duration",
            Kind::List => "list",
            Kind::Path => "path",
        }
    }
}

/// One parameter of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name in main.cf.
    pub name: &'static str,
    /// The default as `postconf -d` prints it, `$name` unexpanded; empty when `computed`.
    pub default: &'static str,
    /// The default depends on the machine or the process (`myhostname`, `process_id`).
    pub computed: bool,
    /// How the value is parsed.
    pub kind: Kind,
    /// The smallest value allowed (seconds for a time, also for one in milliseconds, bytes for a text).
    pub min: Option<i64>,
    /// The largest value allowed (seconds for a time).
    pub max: Option<i64>,
    /// The programs that read it.
    pub programs: &'static [&'static str],
    /// The Postfix version that introduced it, when newer than the oldest that is documented.
    pub since: Option<&'static str>,
    /// Read only where another parameter's default names it; not listed by `postconf -d`.
    pub legacy: bool,
    /// It is obsolete: what to set in its place; empty when nothing is to be set.
    pub instead: Option<&'static str>,
    /// Setting it has its effect in this implementation.
    pub implemented: bool,
    /// It is not implemented, and a setting of it asks for something that must not be left out in silence: a demand, a
    /// filter, protection. Its programs refuse to serve instead ([`crate::Config::withheld`]).
    pub refused: bool,
    /// What it does; empty when not implemented.
    pub paragraph: &'static str,
    /// The file of `parameters/` it stands in.
    pub subject: &'static str,
}

impl Entry {
    /// Whether main.cf may set it: some old names are read only where a default names them, and mean nothing else.
    pub fn is_name(&self) -> bool {
        !self.legacy || self.instead.is_some()
    }

    /// Whether an expanded value asks for nothing: one of the table's `needless` values, or an empty list, name or
    /// text.
    pub fn asks_for_nothing(&self, value: &str) -> bool {
        let value = value.trim();
        let is_empty = value.is_empty() && matches!(self.kind, Kind::List | Kind::Text | Kind::Path);
        let needless = crate::table::NEEDLESS.iter().find(|(known, _)| *known == self.name);
        is_empty || needless.is_some_and(|(_, values)| values.contains(&value))
    }
}

/// The entry of a parameter of the table.
pub fn find(name: &str) -> Option<&'static Entry> {
    let table = crate::table::TABLE;
    table.binary_search_by(|entry| entry.name.cmp(name)).ok().map(|at| &table[at])
}

/// A parameter with the type of its value: `config.get(param::SMTPD_TIMEOUT)`.
#[derive(Debug)]
pub struct Param<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Param<T> {
    /// Names a parameter of the table; only generated code does.
    pub const fn new(name: &'static str) -> Self {
        Param { name, value: PhantomData }
    }

    /// The name in main.cf.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> Clone for Param<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Param<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_by_name_without_duplicates() {
        let table = crate::table::TABLE;
        assert!(table.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn every_default_is_a_value_of_its_type_within_its_bounds() {
        let level = [("compatibility_level".to_owned(), "3.11".to_owned())];
        for overrides in [&[][..], &level[..]] {
            let config = crate::Config::parse(b"", std::path::Path::new("/etc/postfix"), overrides).unwrap();
            for entry in crate::table::TABLE.iter().filter(|entry| !entry.legacy && !entry.computed) {
                // virtual has no default for it: it must be set where virtual delivers.
                if entry.name == "virtual_mailbox_base" {
                    continue;
                }
                let value = match entry.kind {
                    Kind::Raw => entry.default.to_owned(),
                    _ => config.lookup(entry.name).unwrap().unwrap_or_default(),
                };
                assert_eq!(crate::value::check(&value, entry.name, entry), Ok(()), "{}", entry.name);
            }
        }
    }

    #[test]
    fn a_parameter_of_the_table_is_found_and_another_is_not() {
        assert_eq!(find("inet_protocols").map(|entry| entry.kind), Some(Kind::Text));
        assert!(find("no_such_parameter").is_none());
    }
}
