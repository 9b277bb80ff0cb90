//! What can go wrong with a table: when it is opened, and when it is used.

use std::fmt;

/// Why a table could not be opened. Displays as the sentence that the log shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// There is no `:` in the name.
    NotTypeName(String),
    /// No such table type here.
    UnsupportedType(String),
    /// The file could not be opened: what was opened (`open database X.lmdb`), and the system's reason.
    File {
        /// What was attempted.
        action: String,
        /// Why it failed.
        reason: String,
    },
    /// The table's text is wrong (inline, static).
    Syntax(String),
}

impl OpenError {
    pub(crate) fn file(action: impl Into<String>, error: &std::io::Error) -> Self {
        OpenError::File { action: action.into(), reason: net::reason(error) }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotTypeName(text) => {
                write!(f, "open dictionary: expecting \"type:name\" form instead of \"{text}\"")
            }
            OpenError::UnsupportedType(kind) => write!(f, "unsupported dictionary type: {kind}"),
            OpenError::File { action, reason } => write!(f, "{action}: {reason}"),
            OpenError::Syntax(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for OpenError {}

/// The reason where there is none to tell.
pub(crate) const FAILED: &str = "Application error";

/// A lookup that gave no answer. Never the same as "not found".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableError {
    table: String,
    reason: String,
    unavailable: bool,
    /// The answer is asked for, and the search is made again when it is there ([`crate::settled`]).
    awaited: bool,
}

impl TableError {
    /// No failure: the search ends here for now.
    pub(crate) fn awaited(table: &str) -> Self {
        TableError { awaited: true, ..Self::failed(table, "no answer yet") }
    }

    /// Whether the search is made again: nobody is to hear of it.
    pub fn is_awaited(&self) -> bool {
        self.awaited
    }

    /// The same of a table that has the failed one within it.
    pub(crate) fn within(self, table: &str) -> Self {
        TableError { table: table.to_owned(), unavailable: false, ..self }
    }

    pub(crate) fn unavailable(table: &str, reason: &str) -> Self {
        TableError { table: table.to_owned(), reason: reason.to_owned(), unavailable: true, awaited: false }
    }

    pub(crate) fn failed(table: &str, reason: impl fmt::Display) -> Self {
        TableError { table: table.to_owned(), reason: reason.to_string(), unavailable: false, awaited: false }
    }

    /// Logs that the search in what `title` names ended with it.
    pub(crate) fn log(&self, title: &str) {
        if self.awaited {
            return;
        }
        logging::warning!("{self}");
        logging::warning!("{title}: {}: table lookup problem", self.table);
    }

    /// Logs that the look-up of a key ended with it.
    pub(crate) fn log_key(&self, key: &[u8]) {
        if self.awaited {
            return;
        }
        if self.unavailable || !(self.reason.is_empty() || self.reason == FAILED) {
            logging::warning!("{self}");
        }
        // told: nobody; the start shows which.
        let shown = text::printable(&key[..key.len().min(100)]);
        logging::warning!("{} lookup error for \"{shown}\"", self.table);
    }

    /// The `type:name` of the table.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The reason without the name of the table.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TableError { table, reason, unavailable, .. } = self;
        if *unavailable {
            write!(f, "{table} is unavailable. {reason}")
        } else if reason.is_empty() {
            write!(f, "table {table}: query error")
        } else {
            write!(f, "table {table}: query error: {reason}")
        }
    }
}

impl std::error::Error for TableError {}
