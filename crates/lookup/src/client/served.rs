//! The tables of clients that a process has opened, by number. A porter has those of its worker under the same numbers:
//! it gets what they are when it starts, and nothing but numbers and keys from then on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Kind;
use crate::client::sqlite::Sqlite;
use crate::client::template::{Template, Use};
use crate::client::{rows, sql};
use crate::system::Answer;

/// What has to be known of a table to ask its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) kind: Kind,
    /// What messages call it.
    pub(crate) source: String,
    pub(crate) query: Template,
    /// Where the server is: an absolute path.
    pub(crate) place: String,
}

/// A table with its server.
struct Served {
    definition: Definition,
    server: Sqlite,
}

static SERVED: Mutex<Vec<Arc<Served>>> = Mutex::new(Vec::new());

fn all() -> MutexGuard<'static, Vec<Arc<Served>>> {
    SERVED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of a table; the same for what is the same.
pub(crate) fn add(definition: Definition) -> u32 {
    let mut served = all();
    let known = served.iter().position(|known| known.definition == definition);
    let place = known.unwrap_or_else(|| {
        let server = Sqlite::new(&definition.place);
        served.push(Arc::new(Served { definition, server }));
        served.len() - 1
    });
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Whether this process has opened such a table.
pub fn any() -> bool {
    !all().is_empty()
}

/// What the tables of this process are, for the process that is to ask for it.
pub fn definitions() -> Vec<u8> {
    let mut bytes = Vec::new();
    for served in all().iter() {
        let Definition { kind, source, query, place } = &served.definition;
        for field in [kind.as_str(), source, query.text(), place] {
            // A setting has no NUL.
            bytes.extend(field.bytes().filter(|byte| *byte != 0).chain([0]));
        }
    }
    bytes
}

/// Takes over the tables of another process, and connects to their servers.
///
/// # Errors
/// The bytes are not what [`definitions`] makes.
pub fn take_over(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let fields: Vec<&str> = text.split_terminator('\0').collect();
    let (tables, rest) = fields.as_chunks::<4>();
    if !rest.is_empty() {
        return Err("a table without its end".to_owned());
    }
    for [kind, source, query, place] in tables {
        let kind = Kind::parse(kind).ok_or("no such type of tables")?;
        let query = Template::parse(query, Use::Query)?;
        let [source, place] = [source, place].map(|&text| text.to_owned());
        add(Definition { kind, source, query, place });
    }
    all().iter().for_each(|served| served.server.connect());
    Ok(())
}

/// The directories that the tables of this process have to be read in.
pub fn directories() -> Vec<PathBuf> {
    all().iter().map(|served| served.server.directory()).collect()
}

/// Asks the server of a table for a key.
pub(crate) fn ask(number: u32, key: &[u8]) -> Answer {
    let served = usize::try_from(number).ok().and_then(|number| all().get(number).cloned());
    let served = served.ok_or("no such table")?;
    served.ask(key)
}

/// Most of a query that an error shows, bytes.
/// told: nobody; the start shows which.
const SHOWN: usize = 1000;

impl Served {
    fn ask(&self, key: &[u8]) -> Answer {
        let Some(query) = self.definition.query.query(key, sql::double_quotes) else { return Ok(None) };
        let query = String::from_utf8(query).map_err(|_| "a key that is no text".to_owned())?;
        let (kind, source) = (self.definition.kind.as_str(), &self.definition.source);
        // waits: in a command, or in a process or thread for it
        let found = self.server.ask(&query).map_err(|failure| {
            let shown = query.get(..query.floor_char_boundary(SHOWN)).unwrap_or_default();
            format!("dict_{kind}_lookup: {source}: {}", failure.sentence(shown))
        })?;
        let mut answer = Vec::new();
        found.iter().for_each(|row| rows::push(&mut answer, row));
        Ok(Some(answer))
    }
}
