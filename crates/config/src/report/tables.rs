//! Tables that settings name: types that are not there yet, types that are none, and files that are missing.

use std::path::Path;

use crate::entry::Kind;
use crate::report::feature::Feature;
use crate::report::missing::Missing;
use crate::report::{Finding, Report, Said};
use crate::restrictions::LISTS;

/// The types of tables that there are, in the order of `postconf -m`; a test of the crate that opens them holds both to
/// the same.
pub const TYPES: [&str; 19] = [
    "btree", "cdb", "cidr", "debug", "environ", "fail", "hash", "inline", "internal", "lmdb", "pcre", "pipemap",
    "randmap", "regexp", "sqlite", "static", "texthash", "unionmap", "unix",
];

/// The types that Postfix has, and that are not there yet.
const ABSENT: [&str; 12] =
    ["dbm", "ldap", "memcache", "mongodb", "mysql", "netinfo", "nis", "nisplus", "pgsql", "sdbm", "socketmap", "tcp"];

/// Types whose names are also those of other things in lists.
const AMBIGUOUS: [&str; 2] = ["internal", "tcp"];

/// Ends of names of parameters that take nothing but tables.
const OF_TABLES: [&str; 4] = ["_maps", "_checks", "_database", "_map"];

/// The tables of the type `unix`.
const OF_SYSTEM: [&str; 2] = ["passwd.byname", "group.byname"];

/// The parameters whose tables are files of aliases.
const ALIASES: [&str; 2] = ["alias_maps", "alias_database"];

/// Those that name a file which a daemon makes for itself, and keeps.
const CACHES: [&str; 5] = [
    "address_verify_map",
    "lmtp_tls_session_cache_database",
    "postscreen_cache_map",
    "smtp_tls_session_cache_database",
    "smtpd_tls_session_cache_database",
];

/// A table of Berkeley DB that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BerkeleyTable {
    /// `hash` or `btree`.
    pub kind: String,
    /// Its source.
    pub path: String,
    /// The source is one of aliases(5).
    pub is_alias: bool,
}

/// A table as a setting names it.
struct Named<'a> {
    said: &'a Said,
    text: String,
    /// The setting takes nothing else.
    certain: bool,
}

impl<'a> Named<'a> {
    /// Type and name, without `proxy:`.
    fn split(&self) -> Option<(&str, &str)> {
        self.text.strip_prefix("proxy:").unwrap_or(&self.text).split_once(':')
    }

    /// The tables that it is made of.
    fn members(&self) -> Vec<Named<'a>> {
        let listed = match self.split() {
            Some(("pipemap" | "unionmap", list)) => text::group(list).map(text::split_items).unwrap_or_default(),
            Some(("debug", table)) => vec![table],
            _ => Vec::new(),
        };
        listed.into_iter().map(|text| Named { said: self.said, text: text.to_owned(), certain: true }).collect()
    }

    /// Why a table of files cannot be opened, if its files are not there.
    fn missing_file(&self, kind: &str, name: &str) -> Option<String> {
        if kind == "unix" {
            return (!OF_SYSTEM.contains(&name)).then(|| format!("unknown table: unix:{name}"));
        }
        if !name.starts_with('/') || CACHES.contains(&self.said.name.as_str()) {
            return None;
        }
        let is_there = |path: &str| Path::new(path).exists();
        let index = format!("{name}.{}", if kind == "cdb" { "cdb" } else { "lmdb" });
        let command = if ALIASES.contains(&self.said.name.as_str()) { "postalias" } else { "postmap" };
        match kind {
            "lmdb" | "cdb" if !is_there(&index) => {
                Some(format!("there is no {index}; run \"{command} {kind}:{name}\""))
            }
            "hash" | "btree" if !is_there(&index) && !is_there(name) => {
                Some(format!("there is neither {index} nor {name}"))
            }
            "texthash" | "cidr" | "pcre" | "regexp" | "sqlite" if !is_there(name) => {
                Some(format!("there is no {name}"))
            }
            _ => None,
        }
    }

    fn finding(&self, why: &str) -> Finding {
        Finding { place: self.said.place.clone(), text: format!("{}: {}: {why}", self.said.name, self.text) }
    }
}

impl Report<'_> {
    /// Tables whose types nobody knows, and those whose files are not there.
    pub(super) fn wrong_tables(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for table in self.tables() {
            let Some((kind, name)) = table.split() else {
                if table.certain {
                    found.push(table.finding("expecting \"type:name\" form"));
                }
                continue;
            };
            let is_known = TYPES.contains(&kind) || ABSENT.contains(&kind);
            if table.certain && !is_known {
                found.push(table.finding(&format!("unsupported dictionary type: {kind}")));
            } else if let Some(why) = table.missing_file(kind, name).filter(|_| !self.is_redirected(kind)) {
                found.push(table.finding(&why));
            }
        }
        found
    }

    /// Whether a table of this type is one of another (non_bdb_migration_level).
    fn is_redirected(&self, kind: &str) -> bool {
        let level = self.config.lookup("non_bdb_migration_level").ok().flatten().unwrap_or_default();
        matches!(kind, "hash" | "btree") && level != "disable"
    }

    /// Tables of types that are not there yet.
    pub(super) fn missing_tables(&self) -> Vec<Missing> {
        let absent = |table: &Named<'_>| {
            let (kind, _) = table.split()?;
            let kind = ABSENT.into_iter().find(|known| *known == kind)?;
            let is_table = table.certain || !AMBIGUOUS.contains(&kind);
            let feature = Feature::Tables(kind);
            let (place, what) = (table.said.place.clone(), table.said.name.clone());
            is_table.then_some(Missing { feature, place, what, demands: true })
        };
        self.tables().iter().filter_map(absent).collect()
    }

    /// The tables of Berkeley DB in files, each once.
    pub fn berkeley_tables(&self) -> Vec<BerkeleyTable> {
        let mut found: Vec<BerkeleyTable> = Vec::new();
        let mut add = |kind: &str, path: &str, is_alias| {
            let is_known = found.iter().any(|table| table.kind == kind && table.path == path);
            if matches!(kind, "hash" | "btree") && path.starts_with('/') && !is_known {
                found.push(BerkeleyTable { kind: kind.to_owned(), path: path.to_owned(), is_alias });
            }
        };
        // Those of aliases have a default that is one.
        for name in ALIASES {
            let list = self.config.lookup(name).ok().flatten().unwrap_or_default();
            for (kind, path) in text::split_list(&list).into_iter().filter_map(|item| item.split_once(':')) {
                add(kind, path, true);
            }
        }
        for (kind, path) in self.tables().iter().filter_map(Named::split) {
            add(kind, path, false);
        }
        found
    }

    /// The tables of settings that have an effect.
    fn tables(&self) -> Vec<Named<'_>> {
        let mut tables: Vec<Named<'_>> = Vec::new();
        for said in &self.said {
            let Some(entry) = said.entry().filter(|entry| entry.implemented && !entry.legacy) else { continue };
            if LISTS.contains(&entry.name) {
                continue;
            }
            let only_tables = OF_TABLES.iter().any(|end| said.name.ends_with(end));
            if entry.kind != Kind::List && !only_tables {
                continue;
            }
            let tables_of = said.items().into_iter().map(|item| {
                let text = item.trim_start_matches('!').to_owned();
                Named { said, certain: only_tables, text }
            });
            tables.extend(tables_of.filter(|table| only_tables || is_table(table)));
        }
        let of_restrictions = self.tables_of_restrictions().into_iter();
        tables.extend(of_restrictions.map(|(said, text)| Named { said, text, certain: true }));
        let mut at = 0;
        while let Some(table) = tables.get(at) {
            let members = table.members();
            tables.extend(members);
            at += 1;
        }
        tables
    }
}

/// Whether an item of a list is a table beyond doubt.
fn is_table(item: &Named<'_>) -> bool {
    item.split().is_some_and(|(kind, name)| {
        let is_file = match kind {
            "unix" => OF_SYSTEM.contains(&name),
            // A file, or the beginning of names in main.cf.
            "sqlite" => true,
            _ => name.starts_with('/') || name.starts_with('{'),
        };
        is_file && TYPES.contains(&kind) || ABSENT.contains(&kind) && !AMBIGUOUS.contains(&kind)
    })
}
