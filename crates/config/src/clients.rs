//! Tables behind a database client: `ldap:`, `mysql:`, `pgsql:`, `sqlite:`, `memcache:`.
//!
//! Their settings stand in a file of their own (`mysql:/etc/postfix/x.cf`), or in main.cf under the table's name
//! (`ldap:prefix` reads `prefix_server_host`). Here is which settings a client has, and what main.cf says of
//! them; nothing is looked up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use crate::error::ConfigError;
use crate::{Config, main_cf};

/// Settings that every client but memcache has.
const COMMON: &[&str] = &["domain", "expansion_limit"];

/// Settings of SQL clients, for the old way of writing a query too.
const SQL: &[&str] = &["additional_conditions", "query", "result_format", "select_field", "table", "where_field"];

/// What every type of client has beside these.
const OWN: &[(&str, &[&str])] = &[
    (
        "ldap",
        &[
            "bind",
            "bind_dn",
            "bind_pw",
            "cache",
            "cache_expiry",
            "cache_size",
            "chase_referrals",
            "debuglevel",
            "dereference",
            "leaf_result_attribute",
            "query_filter",
            "recursion_limit",
            "result_attribute",
            "result_filter",
            "result_format",
            "sasl_authz_id",
            "sasl_mechs",
            "sasl_minssf",
            "sasl_realm",
            "scope",
            "search_base",
            "server_host",
            "server_port",
            "size_limit",
            "special_result_attribute",
            "start_tls",
            "terminal_result_attribute",
            "timeout",
            "tls_ca_cert_dir",
            "tls_ca_cert_file",
            "tls_cert",
            "tls_cipher_suite",
            "tls_key",
            "tls_random_file",
            "tls_require_cert",
            "version",
        ],
    ),
    (
        "mysql",
        &[
            "charset",
            "dbname",
            "hosts",
            "idle_interval",
            "option_file",
            "option_group",
            "password",
            "require_result_set",
            "retry_interval",
            "tls_CAfile",
            "tls_CApath",
            "tls_cert_file",
            "tls_ciphers",
            "tls_key_file",
            "tls_verify_cert",
            "user",
        ],
    ),
    (
        "pgsql",
        &["dbname", "encoding", "hosts", "idle_interval", "password", "retry_interval", "select_function", "user"],
    ),
    ("sqlite", &["dbpath"]),
    (
        "memcache",
        &[
            "backup",
            "data_size_limit",
            "domain",
            "flags",
            "key_format",
            "line_size_limit",
            "max_try",
            "memcache",
            "retry_pause",
            "timeout",
            "ttl",
        ],
    ),
];

/// The settings of main.cf that may be those of a table, by their whole names: the value, or why it has none.
pub type Settings = Arc<BTreeMap<String, Result<String, String>>>;

/// The settings whose names end as those of a client's tables do.
pub fn settings(config: &Config) -> Settings {
    let ends = || OWN.iter().flat_map(|(_, names)| names.iter()).chain(COMMON).chain(SQL);
    let is_one = |name: &str| ends().any(|end| name.strip_suffix(end).is_some_and(|before| before.ends_with('_')));
    let named = config.settings().filter(|(name, _)| is_one(name));
    let value = |name: &str| config.lookup(name).map(Option::unwrap_or_default).map_err(|error| error.to_string());
    Arc::new(named.map(|(name, _)| (name.to_owned(), value(name))).collect())
}

/// Whether the client `kind` has a setting of this name.
fn has(kind: &str, name: &str) -> bool {
    let own = OWN.iter().any(|(client, names)| *client == kind && names.contains(&name));
    let shared = kind != "memcache" && COMMON.contains(&name);
    own || shared || (kind != "memcache" && kind != "ldap" && SQL.contains(&name))
}

/// A table that a value names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientTable {
    /// `mysql`
    kind: &'static str,
    /// A file, or the beginning of names in main.cf.
    name: String,
}

/// What is odd in the file of a table.
#[derive(Debug)]
pub enum FileProblem {
    /// It cannot be read.
    Open {
        /// `mysql`
        kind: &'static str,
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The client has no such setting.
    Unused {
        /// `mysql`
        kind: &'static str,
        /// The file.
        file: PathBuf,
        /// The setting.
        name: String,
        /// Its value.
        value: String,
    },
}

impl std::fmt::Display for FileProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FileProblem::Open { kind, file, reason } => {
                write!(f, "open \"{kind}\" configuration \"{}\": {reason}", file.display())
            }
            FileProblem::Unused { kind, file, name, value } => {
                write!(f, "{kind}:{}: unused parameter: {name}={value}", file.display())
            }
        }
    }
}

/// The tables that an expanded value names, also those within others (`proxy:`, `pipemap:{...}`).
pub fn tables(value: &str) -> impl Iterator<Item = ClientTable> {
    value.split([' ', '\t', ',', '\r', '\n', '{', '}']).filter_map(|word| {
        let (kind, name) = word.strip_prefix("proxy:").unwrap_or(word).split_once(':')?;
        let (kind, _) = OWN.iter().find(|(client, _)| *client == kind)?;
        (!name.is_empty()).then(|| ClientTable { kind, name: name.to_owned() })
    })
}

impl ClientTable {
    /// Whether `name` is a setting of this table in main.cf.
    pub fn reads(&self, name: &str) -> bool {
        let setting = name.strip_prefix(self.name.as_str()).and_then(|rest| rest.strip_prefix('_'));
        !self.name.starts_with(['/', '.']) && setting.is_some_and(|setting| has(self.kind, setting))
    }

    /// What is odd in the file of this table, if it has one.
    ///
    /// # Errors
    /// The file makes no sense.
    pub fn check_file(&self) -> Result<Vec<FileProblem>, ConfigError> {
        if !self.name.starts_with('/') {
            return Ok(Vec::new());
        }
        let (kind, file) = (self.kind, PathBuf::from(&self.name));
        let content = match read(&file) {
            Ok(content) => content,
            Err(reason) => return Ok(vec![FileProblem::Open { kind, file, reason }]),
        };
        let settings = main_cf::parse(&content, &file, &mut Vec::new())?;
        let unused = settings.into_iter().filter(|setting| !has(kind, &setting.name));
        let problem = |setting: main_cf::Assignment| FileProblem::Unused {
            kind,
            file: file.clone(),
            name: setting.name,
            value: setting.value,
        };
        Ok(unused.map(problem).collect())
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let reason = |error: io::Error| net::reason(&error);
    if !fs::metadata(file).map_err(reason)?.is_file() {
        return Err("not a regular file".to_owned());
    }
    fs::read(file).map_err(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(value: &str) -> Vec<String> {
        tables(value).map(|table| format!("{}:{}", table.kind, table.name)).collect()
    }

    #[test]
    fn tables_are_found_within_others() {
        let value =
            "hash:/x, proxy:ldap:y unionmap:{pgsql:z,proxy:mysql:/w} check_client_access { sqlite:/q, a = b } LDAP:n";
        assert_eq!(names(value), ["ldap:y", "pgsql:z", "mysql:/w", "sqlite:/q"]);
    }

    #[test]
    fn a_table_reads_the_settings_that_its_client_has() {
        let reads = |table: &str, name: &str| tables(table).any(|table| table.reads(name));
        assert!(reads("ldap:y", "y_server_host"));
        assert!(reads("mysql:y", "y_hosts") && reads("mysql:y", "y_query") && reads("pgsql:y", "y_select_function"));
        assert!(!reads("ldap:y", "y_hosts") && !reads("ldap:y", "y_query") && !reads("mysql:y", "z_hosts"));
        assert!(!reads("mysql:y", "yhosts") && !reads("mysql:/y", "/y_hosts"));
        assert!(reads("memcache:m", "m_ttl") && !reads("memcache:m", "m_expansion_limit"));
    }

    #[test]
    fn settings_of_main_cf_that_may_be_those_of_a_table_have_their_values() {
        let main_cf = "a_query = x $b\nb = y\nquery = z\nc_dbpath = ${\nd_smtpd = 1\n";
        let settings = settings(&Config::parse(main_cf.as_bytes(), Path::new("/c"), &[]).unwrap());
        assert_eq!(settings.get("a_query"), Some(&Ok("x y".to_owned())));
        assert!(settings.get("c_dbpath").is_some_and(Result::is_err));
        assert_eq!(settings.len(), 2);
    }

    #[test]
    fn the_file_of_a_table_is_looked_into() {
        let folder = std::env::temp_dir().join(format!("config-clients-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("x.cf");
        fs::write(&file, "hosts = a\nbogus = 1\n").unwrap();
        let check = |table: String| match tables(&table).next().unwrap().check_file() {
            Ok(found) => found.iter().map(FileProblem::to_string).collect::<Vec<_>>().join("|"),
            Err(error) => error.to_string(),
        };
        let (file, folder_name) = (file.display(), folder.display());
        assert_eq!(check(format!("mysql:{file}")), format!("mysql:{file}: unused parameter: bogus=1"));
        assert_eq!(
            check(format!("ldap:{folder_name}")),
            format!("open \"ldap\" configuration \"{folder_name}\": not a regular file")
        );
        assert_eq!(
            check(format!("ldap:{folder_name}/none")),
            format!("open \"ldap\" configuration \"{folder_name}/none\": No such file or directory")
        );
        fs::write(folder.join("y.cf"), "hosts = a\nlonely\n").unwrap();
        assert_eq!(
            check(format!("mysql:{folder_name}/y.cf")),
            format!("{folder_name}/y.cf, line 2: missing '=' after attribute name: \"lonely\"")
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
