//! The ordered tables of one parameter: the first table that has the key answers.

use std::sync::Arc;

use crate::search::Key;
use crate::{OpenError, OpenFlags, Settings, Table, TableError, open_table};

/// The reason of the error for a table that answers with nothing: a mistake in the table, not a failure of it.
pub const EMPTY_RESULT: &str = "empty string result";

/// The tables of a parameter such as transport_maps.
#[derive(Clone)]
pub struct Maps {
    title: String,
    tables: Vec<Arc<dyn Table>>,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The table's value.
    pub value: Vec<u8>,
    /// The part of the address that the key did not contain, with its delimiter: `+detail`. For
    /// propagate_unmatched_extensions.
    pub extension: Option<Vec<u8>>,
    /// True if the key was `@domain`, so that a value `@other` stands for the same local part.
    pub whole_domain: bool,
}

impl Maps {
    /// Opens every table of a list. `settings` is the configuration. `title` is the parameter's name, for log lines.
    /// Tables that cannot be opened are logged now and fail when used.
    ///
    /// # Errors
    /// An item is no `type:name`.
    pub fn open(settings: impl Into<Settings>, title: &str, list: &str, flags: OpenFlags) -> Result<Maps, OpenError> {
        let settings = &settings.into();
        let items = text::split_list(list).into_iter();
        let tables = items.map(|item| open_table(item, settings, flags)).collect::<Result<_, _>>()?;
        Ok(Maps { title: title.to_owned(), tables })
    }

    /// No tables at all.
    pub fn none(title: &str) -> Maps {
        Maps { title: title.to_owned(), tables: Vec::new() }
    }

    /// The parameter's name.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// True if there is no table.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// True if a table's file is no longer what was opened; the name of that table.
    pub fn changed(&self) -> Option<&str> {
        self.tables.iter().find(|table| table.changed()).map(|table| table.name())
    }

    /// Looks one complete key up in all tables.
    ///
    /// # Errors
    /// A table that comes before the answer failed; logged.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.lookup_in(key, false)
    }

    /// Looks a part of a key (a parent domain, a bare local part) up, in tables of fixed strings only.
    ///
    /// # Errors
    /// As [`Maps::lookup`].
    pub fn lookup_partial(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.lookup_in(key, true)
    }

    /// Tries keys in order; see [`crate::search`] for the orders of each kind of table.
    ///
    /// # Errors
    /// As [`Maps::lookup`]; keys after a failure are not tried.
    pub fn search(&self, keys: &[Key]) -> Result<Option<Found>, TableError> {
        if self.is_empty() {
            return Ok(None);
        }
        for key in keys {
            for text in key.texts() {
                if let Some(value) = self.lookup_in(text, key.partial)? {
                    let Key { extension, whole_domain, .. } = key.clone();
                    return Ok(Some(Found { value, extension, whole_domain }));
                }
            }
        }
        Ok(None)
    }

    fn lookup_in(&self, key: &[u8], partial: bool) -> Result<Option<Vec<u8>>, TableError> {
        for table in &self.tables {
            if partial && !table.partial_keys() {
                continue;
            }
            let found = table.lookup(key).inspect_err(|error| error.log_key(key))?;
            match found {
                Some(value) if value.is_empty() => {
                    let error = TableError::failed(table.name(), EMPTY_RESULT);
                    let shown = text::printable(key);
                    let subject = &self.title;
                    logging::warning!("{subject} lookup of {shown} returns an empty string result");
                    logging::warning!("{subject} should return NO RESULT in case of NOT FOUND");
                    return Err(error);
                }
                Some(value) => return Ok(Some(value)),
                None => {}
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps(list: &str) -> Maps {
        Maps::open(Settings::default(), "test_maps", list, OpenFlags::default()).unwrap()
    }

    #[test]
    fn the_first_table_that_has_the_key_answers() {
        let maps = maps("inline:{a=1} inline:{a=2, b=3}");
        assert_eq!(maps.lookup(b"A").unwrap(), Some(b"1".to_vec()));
        assert_eq!(maps.lookup(b"b").unwrap(), Some(b"3".to_vec()));
        assert_eq!(maps.lookup(b"c").unwrap(), None);
    }

    #[test]
    fn an_unavailable_table_is_an_error_when_it_is_reached() {
        let maps = maps("inline:{a=1}, texthash:/proc/self/none");
        assert!(maps.lookup(b"a").is_ok());
        let error = maps.lookup(b"b").unwrap_err();
        let reason = "open database /proc/self/none: No such file or directory";
        assert_eq!(error.to_string(), format!("texthash:/proc/self/none is unavailable. {reason}"));
    }

    #[test]
    fn an_unknown_type_is_a_temporary_error_but_no_type_at_all_is_refused() {
        assert!(maps("nosuch:x").lookup(b"a").is_err());
        assert!(Maps::open(Settings::default(), "t", "plain", OpenFlags::default()).is_err());
    }

    #[test]
    fn an_unavailable_table_is_an_error_at_once_where_that_is_wanted() {
        let settings = Settings { open_error_is_fatal: true, ..Settings::default() };
        assert!(Maps::open(settings, "t", "texthash:/proc/self/none", OpenFlags::default()).is_err());
    }

    #[test]
    fn patterns_never_see_parts_of_keys() {
        let maps = maps("static:all");
        assert_eq!(maps.lookup_partial(b"example.com").unwrap(), None);
        assert_eq!(maps.lookup(b"user@example.com").unwrap(), Some(b"all".to_vec()));
    }

    #[test]
    fn an_empty_result_is_an_error_not_an_answer() {
        assert!(maps("inline:{a=}").lookup(b"a").is_err());
    }
}
