//! The items of a list of patterns: text, `type:table`, `/file` with more of them, each possibly negated by `!`.
//!
//! Reading a list never fails because of a file or a table: the pattern is kept and is an error when the search reaches
//! it, so that a list of trusted hosts is neither shorter nor longer than its author wrote it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::source::logical_lines;
use crate::{OpenError, OpenFlags, ParentStyle, Settings, Stamp, Table, TableError, file, open_table};

/// How deep `/file` may name `/file`.
/// told: the search that reaches it, by an error.
const MAX_DEPTH: usize = 20;

/// A list that cannot be used at all: the setting is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListError {
    /// A lone `!`.
    NoPattern(String),
    /// An item that is no `type:name`.
    Table(OpenError),
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListError::NoPattern(parameter) => write!(f, "{parameter}: no pattern after '!'"),
            ListError::Table(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ListError {}

/// An item of a list.
#[derive(Clone)]
pub(crate) struct Pattern {
    pub negated: bool,
    pub what: What,
}

/// What an item names.
#[derive(Clone)]
pub(crate) enum What {
    /// A name, a domain, an address or a network, in lower case.
    Text(Vec<u8>),
    /// A table.
    Table(Arc<dyn Table>),
    /// Something that could not be read: every search that comes here is an error.
    Broken(TableError),
}

/// The items of a list in order, the files they came from, and how names are compared with them.
#[derive(Clone)]
pub(crate) struct Patterns {
    pub title: String,
    pub items: Vec<Pattern>,
    stamps: Vec<Stamp>,
    parents: ParentStyle,
    utf8: bool,
}

impl Patterns {
    /// Reads a list. `title` is the parameter's name.
    pub(crate) fn parse(
        settings: &Settings,
        title: &str,
        list: &str,
        parents: ParentStyle,
    ) -> Result<Patterns, ListError> {
        let mut patterns =
            Patterns { title: title.to_owned(), items: Vec::new(), stamps: Vec::new(), parents, utf8: settings.utf8 };
        patterns.add_list(settings, list, false, 0)?;
        Ok(patterns)
    }

    /// A name as patterns and tables have it.
    pub(crate) fn folded(&self, name: &[u8]) -> Vec<u8> {
        crate::fold::fold(name, self.utf8)
    }

    /// The first pattern that matches decides; a match with `!` means no.
    pub(crate) fn search(&self, matches: impl Fn(&Pattern) -> Result<bool, TableError>) -> Result<bool, TableError> {
        for pattern in &self.items {
            if matches(pattern)? {
                return Ok(!pattern.negated);
            }
        }
        Ok(false)
    }

    /// Whether a pattern has this name, or one that stands for what is below it.
    pub(crate) fn name_matches(&self, pattern: &Pattern, name: &[u8]) -> Result<bool, TableError> {
        match &pattern.what {
            What::Text(text) => Ok(text == name || self.parents.is_parent(text, name)),
            What::Table(table) => {
                let parents = self.parents.parents(name).filter(|_| table.partial_keys());
                for key in std::iter::once(name).chain(parents) {
                    if self.has(table.as_ref(), key)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            What::Broken(error) => Err(self.logged(error.clone())),
        }
    }

    /// Whether a table has the key; what is wrong with the table is logged.
    pub(crate) fn has(&self, table: &dyn Table, key: &[u8]) -> Result<bool, TableError> {
        table.lookup(key).map(|found| found.is_some()).map_err(|error| self.logged(error))
    }

    /// The name of a table or file that is no longer what was read.
    pub(crate) fn changed(&self) -> Option<String> {
        let tables = self.items.iter().filter_map(|item| match &item.what {
            What::Table(table) if table.changed() => Some(table.name().to_owned()),
            _ => None,
        });
        let files = self.stamps.iter().filter(|stamp| stamp.changed());
        tables.chain(files.map(|stamp| stamp.path().display().to_string())).next()
    }

    /// The error that ends a search, which the log has then.
    pub(crate) fn logged(&self, error: TableError) -> TableError {
        error.log(&self.title);
        error
    }

    fn add_list(&mut self, settings: &Settings, list: &str, negated: bool, depth: usize) -> Result<(), ListError> {
        let (items, comment) = text::split_list_before_comment(list);
        // A list that somebody cut by mistake is told, in main.cf and in a file that it names.
        if let Some(comment) = comment {
            logging::warning!("{}: {}", self.title, text::printable(comment.to_string().as_bytes()));
        }
        for item in items {
            let pattern = item.trim_start_matches('!');
            let negated = negated != ((item.len() - pattern.len()) % 2 == 1);
            if pattern.is_empty() {
                return Err(ListError::NoPattern(self.title.clone()));
            }
            if pattern.starts_with('/') {
                self.add_file(settings, pattern, negated, depth)?;
            } else {
                let what = self.read(settings, pattern)?;
                self.items.push(Pattern { negated, what });
            }
        }
        Ok(())
    }

    fn add_file(&mut self, settings: &Settings, path: &str, negated: bool, depth: usize) -> Result<(), ListError> {
        self.stamps.push(Stamp::of(path));
        let read = if depth < MAX_DEPTH { file::read(path) } else { Err(std::io::Error::other("nested too deeply")) };
        match read {
            Ok(bytes) => {
                for line in logical_lines(&bytes).0 {
                    let list = String::from_utf8_lossy(&line.text).into_owned();
                    self.add_list(settings, &list, negated, depth + 1)?;
                }
            }
            Err(error) => {
                let reason = format!("open file {path}: {}", net::reason(&error));
                logging::error!("{reason}");
                let error = TableError::unavailable(&format!("non-existent:{path}"), &reason);
                self.items.push(Pattern { negated, what: What::Broken(error) });
            }
        }
        Ok(())
    }

    fn read(&self, settings: &Settings, pattern: &str) -> Result<What, ListError> {
        if pattern.starts_with('[') || !pattern.contains(':') {
            return Ok(What::Text(crate::fold::fold(pattern.as_bytes(), settings.utf8)));
        }
        if let Some(bracketed) = net::brackets::in_list(pattern) {
            let title = &self.title;
            if first_time(pattern) {
                logging::warning!("{title}: IPv6 address \"{pattern}\" must be enclosed in []: write \"{bracketed}\"");
            }
            let kind = pattern.split(':').next().unwrap_or_default();
            let reason = OpenError::UnsupportedType(kind.to_owned()).to_string();
            return Ok(What::Broken(TableError::unavailable(pattern, &reason)));
        }
        open_table(pattern, settings, OpenFlags::default()).map(What::Table).map_err(ListError::Table)
    }
}

/// True the first time that this process asks for this text: lists default to each other, one warning is enough.
fn first_time(pattern: &str) -> bool {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(pattern.to_owned())
}
