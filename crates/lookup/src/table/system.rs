//! `unix:passwd.byname` and `unix:group.byname`: the users and the groups of this machine. The value is the entry as
//! passwd(5) and group(5) have it.

use crate::system::{self, Database, Question};
use crate::{OpenError, OpenFlags, Settings, Table, TableError, fold};

/// One of the system's databases.
pub(crate) struct System {
    name: String,
    database: Database,
    fold: bool,
    utf8: bool,
}

impl System {
    /// # Errors
    /// There is no such database.
    pub(crate) fn open(name: String, database: &str, settings: &Settings, flags: OpenFlags) -> Result<Self, OpenError> {
        let unknown = || OpenError::Syntax(format!("unknown table: {name}"));
        let database = Database::parse(database).ok_or_else(unknown)?;
        system::announce();
        Ok(System { name, database, fold: !flags.keep_case, utf8: settings.utf8 })
    }
}

impl Table for System {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        let name = if self.fold { fold::fold(key, self.utf8) } else { key.to_vec() };
        match system::answer(&Question { database: self.database, name }) {
            Some(Ok(found)) => Ok(found),
            Some(Err(reason)) => Err(TableError::failed(&self.name, reason)),
            None => Err(TableError::awaited(&self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{OpenFlags, Settings, open};

    fn found(table: &str, key: &[u8]) -> Option<String> {
        let table = open(table, &Settings::default(), OpenFlags::default()).unwrap();
        table.lookup(key).unwrap().map(|value| String::from_utf8(value).unwrap())
    }

    #[test]
    fn an_entry_is_the_line_of_its_file_and_case_does_not_count() {
        for name in [&b"root"[..], b"ROOT"] {
            assert!(found("unix:passwd.byname", name).unwrap().starts_with("root:x:0:0:"));
            assert!(found("proxy:unix:group.byname", name).unwrap().starts_with("root:x:0:"));
        }
        for name in [&b""[..], b" root", b"no-such-name-here", b"ro\0ot", &[b'a'; 10_000]] {
            assert_eq!(found("unix:passwd.byname", name), None);
            assert_eq!(found("unix:group.byname", name), None);
        }
    }

    #[test]
    fn there_are_no_other_databases() {
        for name in ["foo", "passwd.byuid", "/etc/passwd"] {
            let error = open(&format!("unix:{name}"), &Settings::default(), OpenFlags::default()).err().unwrap();
            assert_eq!(error.to_string(), format!("unknown table: unix:{name}"));
        }
    }
}
