//! Tables behind a database client: a key becomes a query, and the rows of its answer become a value.
//!
//! What such tables have in common is here and in the files beside it; a client adds how its server is reached. The
//! servers are not in reach of a daemon that serves strangers: it knows what its tables are (`served`), and its porter
//! asks (`crate::system`). A command asks itself.
//!
//! | file | concept |
//! |---|---|
//! | `values` | the settings of a table, from its file or from main.cf |
//! | `template` | `%` expressions of queries and results |
//! | `sql` | the query of an SQL server, and its quotes |
//! | `rows` | an answer on its way between two processes |
//! | `served` | the tables that this process, or the one that it asks for, has opened |
//! | `sqlite` | the database of an `sqlite:` table |
//!
//! What it must never do: take an error for "not found", or bring a part of a key into a query without its quoting.

pub(crate) mod rows;
pub mod served;
pub mod sql;
pub(crate) mod sqlite;
pub mod template;
pub(crate) mod values;

use std::cell::Cell;

use crate::system::{self, Question};
use crate::{
    DomainList, Kind, OpenError, OpenFlags, ParentStyle, Settings, Spec, Stamp, Table, TableError, contents, fold,
};
use served::Definition;
use template::{Template, Use};
use values::Values;

/// Tables within each other (`domain`) that are opened.
/// told: who opens them, by an error.
const MAX_DEPTH: usize = 20;

/// An open table of a client.
pub(crate) struct Client {
    /// `type:name`.
    name: String,
    kind: Kind,
    /// The file of its settings, or the beginning of their names.
    source: String,
    query: Template,
    format: Template,
    /// Most values; 0: any number.
    expansion_limit: usize,
    /// Only addresses in these are asked for.
    domains: Option<DomainList>,
    /// What its process calls it.
    number: u32,
    flags: OpenFlags,
    utf8: bool,
    owner: Option<u32>,
    /// The file that is the database.
    database: Stamp,
}

impl Client {
    /// Opens a table. The database has to be there; it is read at the first look-up.
    ///
    /// # Errors
    /// A setting is missing or makes no sense, or there is no database.
    pub(crate) fn open(spec: &Spec, settings: &Settings, flags: OpenFlags) -> Result<Self, OpenError> {
        let _within = Within::enter(spec)?;
        let name = spec.to_string();
        let values = Values::read(&spec.name, &settings.clients)?;
        let source = values.source().to_owned();
        let place = values.required("dbpath")?;
        let text = sql::query(&values)?;
        let format = values.or("result_format", "%s")?;
        let expansion_limit = usize::try_from(values.number("expansion_limit")?).unwrap_or(0);
        let domains = values.optional("domain")?;
        for expression in sql::unquoted(&text) {
            logging::warning!("{name}: query >{text}< contains >{expression}< without the recommended '' quotes");
        }
        let query = sql::template(&source, &text)?;
        let wrong = |text| OpenError::Syntax(format!("db_common_parse: {source}: Invalid result template: {text}"));
        let format = Template::parse(&format, Use::Result).map_err(wrong)?;
        let domains = match domains.is_empty() {
            true => None,
            false => Some(
                DomainList::open(settings.clone(), &source, &domains, ParentStyle::Never)
                    .map_err(|error| OpenError::Syntax(error.to_string()))?,
            ),
        };
        let (database, path) = sqlite::find(&name, &place)?;
        let definition = Definition { kind: spec.kind, source: source.clone(), query: query.clone(), place: path };
        let (kind, number, owner) = (spec.kind, served::add(definition), values.owner());
        let utf8 = settings.utf8;
        Ok(Client { name, kind, source, query, format, expansion_limit, domains, number, flags, utf8, owner, database })
    }

    /// The files whose change may mend a table that cannot be opened.
    pub(crate) fn watched(spec: &Spec, settings: &Settings) -> Vec<Stamp> {
        let file = spec.name.starts_with(['/', '.']).then(|| Stamp::of(&spec.name));
        let values = Values::read(&spec.name, &settings.clients).ok();
        let database = values.and_then(|values| values.required("dbpath").ok()).map(Stamp::of);
        file.into_iter().chain(database).collect()
    }

    /// Whether a look-up can have a result at all: other keys make no query.
    fn is_for(&self, key: &[u8]) -> Result<bool, TableError> {
        if let Some(domains) = &self.domains {
            let (local, domain) = address::split(key);
            let domain = domain.filter(|domain| !domain.is_empty() && !local.is_empty());
            let Some(domain) = domain else { return Ok(false) };
            if !domains.matches(domain).map_err(|error| error.within(&self.name))? {
                return Ok(false);
            }
        }
        Ok(self.query.suits(key) && self.format.suits(key))
    }

    /// The value that rows make; `is_new` is whether the log hears of what is odd in them.
    fn value(&self, key: &[u8], rows: Vec<Vec<u8>>, is_new: bool) -> Result<Option<Vec<u8>>, TableError> {
        let mut values: Vec<Vec<u8>> = Vec::new();
        for row in rows {
            if row.is_empty() {
                if is_new {
                    let shown = text::printable(key);
                    logging::warning!("table \"{}\": empty lookup result for: \"{shown}\" -- ignored", self.name);
                }
                continue;
            }
            values.extend(self.format.value(key, &row));
        }
        if self.expansion_limit > 0 && values.len() > self.expansion_limit {
            let (kind, shown) = (self.kind.as_str(), text::printable(key));
            logging::warning!("dict_{kind}_lookup: {}: Expansion limit exceeded for key '{shown}'", self.source);
            return Err(TableError::failed(&self.name, format!("more than {} values", self.expansion_limit)));
        }
        Ok((!values.is_empty()).then(|| values.join(&b',')))
    }
}

impl Table for Client {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        let key = if self.flags.keep_case { key.to_vec() } else { fold::fold(key, self.utf8) };
        if key.is_empty() {
            logging::warning!("table \"{}\": empty query string -- ignored", self.name);
            return Ok(None);
        }
        // No database has a text with a NUL in it, or one that is none.
        if key.contains(&0) || std::str::from_utf8(&key).is_err() || !self.is_for(&key)? {
            return Ok(None);
        }
        let question = Question { database: system::Database::Client(self.number), name: key };
        let Some(answer) = system::answer(&question) else { return Err(TableError::awaited(&self.name)) };
        let is_new = system::is_news(&question);
        let answer = answer.and_then(|rows| rows::decode(&rows.unwrap_or_default()).ok_or_else(rows::malformed));
        let rows = answer.map_err(|why| {
            logging::warning!("{}", text::printable(why.as_bytes()));
            TableError::failed(&self.name, "")
        })?;
        let key = question.name;
        match self.value(&key, rows, is_new)? {
            Some(value) if self.flags.files => contents::decode(&self.name, &key, &value).map(Some).map_err(|why| {
                logging::warning!("{why}");
                TableError::failed(&self.name, "")
            }),
            found => Ok(found),
        }
    }

    /// A database that others write is the same; one that was put in its place is not.
    fn changed(&self) -> bool {
        self.database.replaced() || self.domains.as_ref().is_some_and(|domains| domains.changed().is_some())
    }

    fn owner(&self) -> Option<u32> {
        self.owner
    }
}

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// One table that is being opened, for as long as it takes.
struct Within;

impl Within {
    fn enter(spec: &Spec) -> Result<Within, OpenError> {
        if DEPTH.get() >= MAX_DEPTH {
            return Err(OpenError::Syntax(format!("{spec}: more than {MAX_DEPTH} tables within each other")));
        }
        DEPTH.set(DEPTH.get() + 1);
        Ok(Within)
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

#[cfg(test)]
mod tests;
