//! Lookup tables and match lists: every `type:name` and every list of hosts, networks or domains in main.cf.
//!
//! A table that cannot be opened does not stop a program: the problem is logged, and each use of the table is a
//! [`TableError`], which callers turn into a temporary failure. Nothing here decides what a lookup result means, and
//! nothing here gives up mail because a table is broken.
//!
//! | file | concept |
//! |---|---|
//! | `spec`, `open` | `type:name`, and from there to an open table; `redirect` what stands in for Berkeley DB |
//! | `table/` | one file a table type |
//! | `index` | what indexed files have in common; `btree` the file of an lmdb table, `cdb` that of a cdb table |
//! | `client/` | tables whose values a database server has: settings, queries, results |
//! | `source` | the lines of postmap source files; `alias` the lines of alias files |
//! | `contents` | values that name files |
//! | `write` | what postmap and postalias do to an indexed file |
//! | `maps` | the ordered tables of one parameter |
//! | `search` | which keys an address is looked up by, in which order |
//! | `addresses` | the addresses that a value holds |
//! | `record_filter` | which records of the name service count |
//! | `own_domains` | which domains are this system's |
//! | `match_list`, `domain_list` | patterns: names, networks, files, tables, `!` |
//! | `system` | how tables ask what is out of reach of their process, and who waits for it |
//! | `fold` | case folding of keys |
//! | `watch` | has a file changed since it was opened? |

mod addresses;
pub mod alias;
pub mod btree;
pub mod cdb;
pub mod client;
pub mod contents;
mod domain_list;
mod error;
mod file;
pub mod fold;
pub mod index;
mod maps;
mod match_list;
mod open;
mod own_domains;
mod parent_style;
mod patterns;
mod record_filter;
mod redirect;
pub mod search;
pub mod source;
mod spec;
pub mod system;
mod table;
pub mod write;

pub use domain_list::DomainList;
pub use error::{OpenError, TableError};
pub use maps::{EMPTY_RESULT, Found, Maps};
pub use match_list::MatchList;
pub use open::{OpenFlags, Settings, of_text, open, open_table};
pub use own_domains::OwnDomains;
pub use parent_style::ParentStyle;
pub use patterns::ListError;
pub use record_filter::record_filter;
pub use redirect::Redirect;
pub use spec::{Kind, Spec};
pub use sys::watch::Stamp;
pub use system::settled;

/// A visitor of table entries: key and value.
pub type Visitor<'v> = dyn FnMut(&[u8], &[u8]) + 'v;

/// An open lookup table.
pub trait Table: Send + Sync {
    /// `type:name`, for log lines.
    fn name(&self) -> &str;

    /// The value for a key. Fixed-string tables fold the key as they were opened; pattern tables see it as it is.
    ///
    /// # Errors
    /// The table is unavailable or could not be read: the caller must treat its own result as temporary.
    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError>;

    /// False for tables of patterns, which are given a complete address or name only, never a part of one.
    fn partial_keys(&self) -> bool {
        true
    }

    /// True if the table's file is no longer the one that was opened: time for the program to restart.
    fn changed(&self) -> bool {
        false
    }

    /// The user who owns the file that the table is read from, as it was opened: its name may lead elsewhere by now.
    /// `None` for tables without a file, and for those that are not there.
    fn owner(&self) -> Option<u32> {
        None
    }

    /// Visits all entries in the order of the table.
    ///
    /// # Errors
    /// The table type has no such list, or reading failed.
    fn visit(&self, visitor: &mut Visitor<'_>) -> Result<(), TableError> {
        let _ = visitor;
        Err(TableError::failed(self.name(), "sequence operation is not supported"))
    }
}
