//! What stands in for tables of Berkeley DB, by non_bdb_migration_level.
//!
//! Berkeley DB is not linked. At the level `disable` a table of the types hash and btree is an LMDB file, or its source
//! text; at the others it is a table of another type under the same name, as on a system whose Postfix redirects it. A
//! level or a mapping that makes no sense leaves such tables closed.

use config::{Config, param};

use crate::{Kind, OpenError, OpenFlags, Settings, Spec, open};

/// What stands in for the two types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redirect {
    hash: To,
    btree: To,
    /// non_bdb_migration_log_redirect
    logs: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum To {
    /// An LMDB file, or the source text.
    #[default]
    Own,
    /// A table of this type.
    Other(Kind),
    /// Nothing: what is said makes no sense.
    Wrong(&'static str),
}

impl Redirect {
    /// What main.cf says.
    pub(crate) fn of(config: &Config) -> Redirect {
        let level: String = config.get(param::NON_BDB_MIGRATION_LEVEL).unwrap_or_default();
        let wrong = |why| Redirect { hash: To::Wrong(why), btree: To::Wrong(why), logs: false };
        match level.as_str() {
            "disable" => return Redirect::default(),
            "enable-redirect" | "enable-reindex" => {}
            _ => return wrong("invalid non-Berkeley-DB migration level"),
        }
        // default_database_type, default_cache_db_type
        let hash = config.get(param::DEFAULT_DATABASE_TYPE).map_or(To::Own, |kind: String| To::named(&kind));
        let btree = config.get(param::DEFAULT_CACHE_DB_TYPE).map_or(To::Own, |kind: String| To::named(&kind));
        let logs = config.get(param::NON_BDB_MIGRATION_LOG_REDIRECT).unwrap_or(true);
        let Ok(mapping) = config.get(param::NON_BDB_CUSTOM_MAPPING) else { return wrong(MAPPING) };
        let mapped =
            |name: &str, otherwise| mapping.iter().find_map(|table| To::mapped(table, name)).unwrap_or(otherwise);
        Redirect { hash: mapped("hash", hash), btree: mapped("btree", btree), logs }
    }

    /// The table that is opened, or made, for one that is named.
    ///
    /// # Errors
    /// It is of Berkeley DB, and what main.cf says about those makes no sense.
    pub fn apply(&self, spec: Spec) -> Result<Spec, OpenError> {
        let to = match spec.kind {
            Kind::Hash => self.hash,
            Kind::Btree => self.btree,
            _ => return Ok(spec),
        };
        match to {
            To::Own => Ok(spec),
            To::Wrong(why) => Err(OpenError::Syntax(format!("{spec}: {why}"))),
            To::Other(kind) => {
                let other = Spec { kind, name: spec.name.clone() };
                if self.logs {
                    logging::info!("redirecting {spec} to {other}");
                }
                Ok(other)
            }
        }
    }
}

/// Of a mapping whose table cannot be opened or whose answer is no type.
const MAPPING: &str = "non-Berkeley-DB type mapping lookup error";

impl To {
    fn named(kind: &str) -> To {
        match Kind::parse(kind) {
            Some(Kind::Hash | Kind::Btree) => To::Own,
            Some(kind) => To::Other(kind),
            None => To::Wrong("unsupported dictionary type in its place"),
        }
    }

    /// What a table of non_bdb_custom_mapping says of a type; None: nothing.
    fn mapped(table: &str, name: &str) -> Option<To> {
        let Ok(table) = open(table, &Settings::default(), OpenFlags::default()) else {
            return Some(To::Wrong(MAPPING));
        };
        match table.lookup(name.as_bytes()) {
            Ok(None) => None,
            Ok(Some(kind)) => match To::named(&String::from_utf8_lossy(&kind)) {
                To::Own => Some(To::Wrong("mapping to a legacy type")),
                other => Some(other),
            },
            Err(_) => Some(To::Wrong(MAPPING)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirected(table: &str, settings: &[(&str, &str)]) -> String {
        let settings: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let config = Config::parse(b"", std::path::Path::new("/c"), &settings).unwrap();
        match Redirect::of(&config).apply(Spec::parse(table).unwrap()) {
            Ok(spec) => spec.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn only_tables_of_berkeley_db_are_redirected_and_only_where_that_is_asked_for() {
        let (on, cdb) = (("non_bdb_migration_level", "enable-redirect"), ("default_database_type", "cdb"));
        assert_eq!(redirected("hash:/x", &[cdb]), "hash:/x");
        assert_eq!(redirected("hash:/x", &[on]), "hash:/x");
        assert_eq!(redirected("hash:/x", &[on, cdb]), "cdb:/x");
        assert_eq!(redirected("btree:/x", &[on, cdb]), "lmdb:/x");
        assert_eq!(redirected("texthash:/x", &[on, cdb]), "texthash:/x");
        let mapping = ("non_bdb_custom_mapping", "inline:{hash=lmdb}");
        assert_eq!(redirected("hash:/x", &[("non_bdb_migration_level", "enable-reindex"), cdb, mapping]), "lmdb:/x");
    }

    #[test]
    fn what_makes_no_sense_leaves_the_table_closed() {
        let on = ("non_bdb_migration_level", "enable-redirect");
        let of_level = redirected("hash:/x", &[("non_bdb_migration_level", "foo")]);
        assert_eq!(of_level, "hash:/x: invalid non-Berkeley-DB migration level");
        let legacy = redirected("hash:/x", &[on, ("non_bdb_custom_mapping", "inline:{hash=btree}")]);
        assert_eq!(legacy, "hash:/x: mapping to a legacy type");
        let broken = redirected("btree:/x", &[on, ("non_bdb_custom_mapping", "fail:x")]);
        assert_eq!(broken, "btree:/x: non-Berkeley-DB type mapping lookup error");
    }
}
