//! The guard around every table of addresses and names when smtputf8_enable is on: what goes in and what comes out is
//! UTF-8.

use std::sync::Arc;

use crate::{Table, TableError, Visitor};

const MALFORMED: &str = "malformed UTF-8 or invalid codepoint";

/// A table whose keys are UTF-8, and its values unless they are contents of files.
pub(crate) struct Utf8 {
    pub(crate) table: Arc<dyn Table>,
    pub(crate) values: bool,
}

impl Table for Utf8 {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        let name = self.name();
        let shown = || text::printable(key);
        if std::str::from_utf8(key).is_err() {
            logging::warning!("{name}: non-UTF-8 key \"{}\": {MALFORMED}", shown());
            return Ok(None);
        }
        let found = self.table.lookup(key)?;
        if let Some(value) = found.as_ref().filter(|value| self.values && std::str::from_utf8(value).is_err()) {
            let value = text::printable(value);
            logging::warning!("{name}: key \"{}\": non-UTF-8 value \"{value}\": {MALFORMED}", shown());
            return Err(TableError::failed(name, ""));
        }
        Ok(found)
    }

    fn partial_keys(&self) -> bool {
        self.table.partial_keys()
    }

    fn changed(&self) -> bool {
        self.table.changed()
    }

    fn owner(&self) -> Option<u32> {
        self.table.owner()
    }

    fn visit(&self, visitor: &mut Visitor<'_>) -> Result<(), TableError> {
        self.table.visit(visitor)
    }
}

#[cfg(test)]
mod tests {
    use crate::{OpenFlags, Settings, open};

    #[test]
    fn a_key_that_is_not_utf8_is_in_no_table_of_addresses() {
        for name in ["static:x", "regexp:{{/./ x}}", "pcre:{{/./ x}}", "inline:{a=x}"] {
            let table = open(name, &Settings::default(), OpenFlags::default()).unwrap();
            assert_eq!(table.lookup(b"\xe9").unwrap(), None, "{name}");
            assert_eq!(table.lookup(b"a").unwrap(), Some(b"x".to_vec()), "{name}");
        }
        let bytes = OpenFlags { bytes: true, ..OpenFlags::default() };
        let table = open("regexp:{{/./ x}}", &Settings::default(), bytes).unwrap();
        assert!(table.lookup(b"\xe9").unwrap().is_some());
    }

    #[test]
    fn a_value_that_is_not_utf8_is_an_error_of_the_table() {
        let table = open("pcre:{{/(.)/ $1}}", &Settings::default(), OpenFlags::default()).unwrap();
        assert!(table.lookup("\u{e9}".as_bytes()).is_err() && table.lookup(b"a").is_ok());
    }
}
