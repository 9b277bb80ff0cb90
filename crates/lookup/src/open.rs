//! From `type:name` to an open table.

use std::sync::Arc;

use config::{Config, param};

use crate::client::Client;
use crate::table::cidr::Cidr;
use crate::table::combined::{self, Combined, Debug, Internal, Random};
use crate::table::fixed::{Environ, Fail, Static, Unavailable};
use crate::table::indexed::Indexed;
use crate::table::memory::Memory;
use crate::table::regex::Regex;
use crate::table::system::System;
use crate::table::utf8::Utf8;
use crate::{Kind, OpenError, Redirect, Spec, Stamp, Table};

/// What main.cf says about all tables.
#[derive(Clone, Debug)]
pub struct Settings {
    /// smtputf8_enable: keys are UTF-8, all letters fold.
    pub utf8: bool,
    /// lmdb_map_size, bytes.
    pub map_size: usize,
    /// daemon_table_open_error_is_fatal: a table that cannot be opened is an error at once, not when it is used.
    pub open_error_is_fatal: bool,
    /// What stands in for tables of Berkeley DB.
    pub redirect: Redirect,
    /// What main.cf says of tables behind a client that have no file of their own.
    pub clients: config::clients::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            utf8: true,
            map_size: 16 * 1024 * 1024,
            open_error_is_fatal: false,
            redirect: Redirect::default(),
            clients: Default::default(),
        }
    }
}

impl From<&Config> for Settings {
    /// A value that cannot be read counts as the default: the program that checks its settings reports it.
    fn from(config: &Config) -> Self {
        let default = Settings::default();
        let map_size = config.get(param::LMDB_MAP_SIZE).ok().and_then(|size| usize::try_from(size).ok());
        Settings {
            utf8: config.get(param::SMTPUTF8_ENABLE).unwrap_or(default.utf8), // smtputf8_enable
            map_size: map_size.unwrap_or(default.map_size),                   // lmdb_map_size
            // daemon_table_open_error_is_fatal
            open_error_is_fatal: config.get(param::DAEMON_TABLE_OPEN_ERROR_IS_FATAL).unwrap_or_default(),
            redirect: Redirect::of(config),
            clients: config::clients::settings(config),
        }
    }
}

/// How one table is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags {
    /// Keys are looked up as they are, without folding to lower case.
    pub keep_case: bool,
    /// Keys are content, which need not be UTF-8, and not addresses or names.
    pub bytes: bool,
    /// Source text of a hash table without an index is an alias file.
    pub alias_syntax: bool,
    /// Results of patterns must not contain parts of the key ($1), because they are trusted.
    pub no_substitution: bool,
    /// Values are names of files, and results what is in them ([`crate::contents`]).
    pub files: bool,
}

impl OpenFlags {
    /// For alias_maps and alias_database.
    pub const ALIASES: OpenFlags =
        OpenFlags { keep_case: false, bytes: false, alias_syntax: true, no_substitution: true, files: false };

    /// For tables whose results name transports, commands or files.
    pub const TRUSTED: OpenFlags = OpenFlags { alias_syntax: false, ..OpenFlags::ALIASES };
}

/// Opens a table.
///
/// # Errors
/// The name is no `type:name`, the type is unknown here, or the file cannot be opened. The error displays as the
/// sentence for the log.
pub fn open(text: &str, settings: &Settings, flags: OpenFlags) -> Result<Arc<dyn Table>, OpenError> {
    let table = unguarded(&settings.redirect.apply(Spec::parse(text)?)?, settings, flags)?;
    Ok(if settings.utf8 && !flags.bytes { Arc::new(Utf8 { table, values: !flags.files }) } else { table })
}

fn unguarded(spec: &Spec, settings: &Settings, flags: OpenFlags) -> Result<Arc<dyn Table>, OpenError> {
    let name = spec.to_string();
    let path = spec.name.as_str();
    Ok(match spec.kind {
        Kind::Lmdb | Kind::Cdb => Arc::new(Indexed::open(spec, settings, flags)?),
        Kind::Hash | Kind::Btree => return berkeley(spec, settings, flags),
        Kind::Texthash => {
            let flags = OpenFlags { alias_syntax: false, ..flags };
            Arc::new(Memory::from_file(name, path, None, settings, flags)?)
        }
        Kind::Inline => Arc::new(Memory::inline(name, path, settings, flags)?),
        Kind::Static => Arc::new(Static::new(name, path, flags)?),
        Kind::Cidr => Arc::new(Cidr::open(name, path, flags)?),
        Kind::Environ => Arc::new(Environ { name, keep_case: flags.keep_case, utf8: settings.utf8 }),
        Kind::Fail => Arc::new(Fail { name }),
        Kind::Pipemap | Kind::Unionmap => Arc::new(Combined::open(spec, settings, flags)?),
        Kind::Randmap => Arc::new(Random::open(spec, flags)?),
        Kind::Debug => Arc::new(Debug::open(spec, settings, flags)?),
        Kind::Internal => Arc::new(Internal { name }),
        Kind::Unix => Arc::new(System::open(name, path, settings, flags)?),
        Kind::Sqlite => Arc::new(Client::open(spec, settings, flags)?),
        Kind::Pcre | Kind::Regexp => Arc::new(Regex::open(name, path, spec.kind, flags)?),
    })
}

/// A table of the lines of a text, as its file would have them.
///
/// # Errors
/// The type has no text.
pub fn of_text(kind: Kind, text: &[u8], settings: &Settings, flags: OpenFlags) -> Result<Arc<dyn Table>, OpenError> {
    let name = format!("{}:(text)", kind.as_str());
    Ok(match kind {
        Kind::Texthash => Arc::new(Memory::of_text(name, text, settings, flags)),
        Kind::Cidr => Arc::new(Cidr::parse(name, "(text)", text, flags)),
        Kind::Pcre | Kind::Regexp => Arc::new(Regex::of_text(name, "(text)", text, kind, flags)),
        other => return Err(OpenError::UnsupportedType(other.as_str().to_owned())),
    })
}

/// Opens a table; when that fails, logs the error and returns a table whose every lookup fails, so that mail is
/// deferred until the table is there. A text that is no `type:name` at all is an error.
///
/// # Errors
/// [`OpenError::NotTypeName`]: the setting itself is wrong, a program must not start with it. With
/// daemon_table_open_error_is_fatal any error.
pub fn open_table(text: &str, settings: &Settings, flags: OpenFlags) -> Result<Arc<dyn Table>, OpenError> {
    match open(text, settings, flags) {
        Err(error @ OpenError::NotTypeName(_)) => Err(error),
        Err(error) if settings.open_error_is_fatal => Err(error),
        Err(error) => {
            logging::error!("{error}");
            let watched = watched(text, settings);
            let table = Unavailable { name: text.to_owned(), reason: error.to_string(), watched };
            Ok(Arc::new(table))
        }
        Ok(table) => Ok(table),
    }
}

/// The files that a table needs which could not be opened.
fn watched(text: &str, settings: &Settings) -> Vec<Stamp> {
    let Ok(spec) = Spec::parse(text) else { return Vec::new() };
    match spec.kind {
        Kind::Debug => watched(spec.name.trim_start_matches("debug:"), settings),
        Kind::Pipemap | Kind::Unionmap => {
            let members = combined::members(&spec, "type:name").unwrap_or_default();
            members.into_iter().flat_map(|member| watched(member, settings)).collect()
        }
        Kind::Sqlite => Client::watched(&spec, settings),
        kind if kind.has_index() => vec![Stamp::of(spec.index_path())],
        _ => vec![Stamp::of(&spec.name)],
    }
}

/// A Berkeley DB table: from the lmdb file that our postmap writes for it, else from its source text. Berkeley DB's own
/// files are not read.
fn berkeley(spec: &Spec, settings: &Settings, flags: OpenFlags) -> Result<Arc<dyn Table>, OpenError> {
    let (name, index, source) = (spec.to_string(), spec.index_path(), spec.name.as_str());
    if std::fs::exists(&index).unwrap_or(false) {
        return Ok(Arc::new(Indexed::open(spec, settings, flags)?));
    }
    // Which of postmap and postalias made the index can only be seen from the text.
    let aliases = || crate::file::read(source).is_ok_and(|text| crate::alias::is_alias_text(&text));
    let flags = OpenFlags { alias_syntax: flags.alias_syntax || aliases(), ..flags };
    match Memory::from_file(name, source, Some(&index), settings, flags) {
        Ok(table) => {
            let command = if flags.alias_syntax { "postalias" } else { "postmap" };
            logging::warning!("{spec}: no {index}, using the source text; run \"{command} {spec}\"");
            Ok(Arc::new(table))
        }
        Err(OpenError::File { reason, .. }) => {
            Err(OpenError::File { action: format!("open database {index}"), reason })
        }
        Err(other) => Err(other),
    }
}
