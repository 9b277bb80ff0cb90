//! alias_maps: the tables, and who owns them.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use config::{Config, ValueError, param};
use delivery::destination::List;
use lookup::{OpenError, OpenFlags, Spec, Table, TableError};

use crate::place::Rights;

/// The alias tables in their order.
pub struct Aliases(Vec<Entry>);

struct Entry {
    table: Arc<dyn Table>,
    rights: Rights,
}

/// Why there are no alias tables.
#[derive(Debug)]
pub enum AliasError {
    /// The setting cannot be read.
    Setting(ValueError),
    /// A table's name makes no sense.
    Table(OpenError),
}

impl std::fmt::Display for AliasError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AliasError::Setting(error) => error.fmt(f),
            AliasError::Table(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AliasError {}

impl Aliases {
    /// Opens the tables and notes who owns them: an alias's files and commands have the rights of that owner.
    pub fn open(config: &Config) -> Result<Self, AliasError> {
        let names = config.get(param::ALIAS_MAPS).map_err(AliasError::Setting)?;
        let settings = lookup::Settings::from(config);
        let open = |name: &String| -> Result<Entry, AliasError> {
            let table = lookup::open_table(name, &settings, OpenFlags::ALIASES).map_err(AliasError::Table)?;
            Ok(Entry { table, rights: owner(name) })
        };
        names.iter().map(open).collect::<Result<_, _>>().map(Aliases)
    }

    /// What an alias stands for, and whose rights its files and commands have.
    ///
    /// # Errors
    /// A table cannot be read now.
    pub fn find(&self, name: &[u8]) -> Result<Option<(List, Rights)>, TableError> {
        for entry in &self.0 {
            if let Some(value) = entry.table.lookup(name)? {
                return Ok(Some((List::of_alias(value), entry.rights.clone())));
            }
        }
        Ok(None)
    }

    /// The name of a table whose file is no longer the one that was opened.
    pub fn changed(&self) -> Option<String> {
        self.0.iter().find(|entry| entry.table.changed()).map(|entry| entry.table.name().to_owned())
    }
}

/// A table without a file is the administrator's, as main.cf is.
fn owner(name: &str) -> Rights {
    let Ok(spec) = Spec::parse(name) else { return Rights::Default };
    let candidates = [spec.index_path(), spec.name.clone()];
    match candidates.iter().find_map(|path| std::fs::metadata(path).ok()) {
        Some(meta) => Rights::of_owner(meta.uid()),
        None => Rights::Default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_first_table_that_knows_a_name_counts_and_case_does_not() {
        let text = b"alias_maps = inline:{ {a=b} }, inline:{ {a=c} {d=e} }\n";
        let config = Config::parse(text, Path::new("/nonexistent"), &[]).unwrap();
        let aliases = Aliases::open(&config).unwrap();
        assert_eq!(aliases.find(b"a").unwrap().unwrap().0, List::of_alias(b"b".to_vec()));
        let (list, rights) = aliases.find(b"d").unwrap().unwrap();
        assert_eq!((list, rights.key()), (List::of_alias(b"e".to_vec()), "default".to_owned()));
        assert!(aliases.find(b"x").unwrap().is_none());
    }
}
