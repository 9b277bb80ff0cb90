//! alias_maps: the tables, and who owns them.

use std::sync::Arc;

use config::{Config, ValueError, param};
use delivery::destination::List;
use lookup::{OpenError, OpenFlags, Table, TableError};

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
            // A table without a file is the administrator's, as main.cf is.
            let rights = table.owner().map_or(Rights::Default, Rights::of_owner);
            Ok(Entry { table, rights })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_first_table_that_knows_a_name_counts_and_case_does_not() {
        let text = b"alias_maps = inline:{ {a=b} }, inline:{ {a=c} {d=e} }\n";
        let config = Config::parse(text, Path::new("/proc/self/none"), &[]).unwrap();
        let aliases = Aliases::open(&config).unwrap();
        assert_eq!(aliases.find(b"a").unwrap().unwrap().0, List::of_alias(b"b".to_vec()));
        let (list, rights) = aliases.find(b"d").unwrap().unwrap();
        assert_eq!((list, rights.key()), (List::of_alias(b"e".to_vec()), "default".to_owned()));
        assert!(aliases.find(b"x").unwrap().is_none());
    }

    #[test]
    fn an_alias_has_the_rights_of_the_file_that_was_opened_and_not_of_what_has_its_name() {
        let path = std::env::temp_dir().join(format!("alias-owner-{}", std::process::id()));
        std::fs::write(&path, "a b\n").unwrap();
        let root = nix::unistd::geteuid().is_root();
        let (owner, expected) = if root {
            (7, "uid 7".to_owned())
        } else {
            let me = nix::unistd::geteuid();
            (me.as_raw(), format!("uid {me}"))
        };
        nix::unistd::chown(&path, Some(owner.into()), None).unwrap();
        let text = format!("alias_maps = texthash:{}\n", path.display());
        let config = Config::parse(text.as_bytes(), Path::new("/proc/self/none"), &[]).unwrap();
        let aliases = Aliases::open(&config).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(aliases.find(b"a").unwrap().unwrap().1.key(), expected);
        std::fs::remove_file(&path).unwrap();
    }
}
