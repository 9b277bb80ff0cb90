//! The settings of one table: a file of its own (`sqlite:/etc/postfix/x.cf`), or names in main.cf that begin with that
//! of the table (`sqlite:x`).

use std::collections::BTreeMap;
use std::path::Path;

use config::clients::Settings;
use config::{ConfigError, main_cf};

use crate::{OpenError, file};

/// The settings, and where they are from.
pub(crate) struct Values {
    /// The file, or the beginning of names: what the table is called in messages.
    source: String,
    /// The file's owner; in main.cf there is none.
    owner: Option<u32>,
    of: Of,
}

enum Of {
    File(BTreeMap<String, String>),
    MainCf(Settings),
}

impl Values {
    /// Reads the settings of the table `TYPE:source`.
    ///
    /// # Errors
    /// The file is missing, or makes no sense.
    pub(crate) fn read(source: &str, main_cf: &Settings) -> Result<Values, OpenError> {
        if !source.starts_with(['/', '.']) {
            return Ok(Values { source: source.to_owned(), owner: None, of: Of::MainCf(main_cf.clone()) });
        }
        // A directory can be opened, and not be read.
        let act = if Path::new(source).is_dir() { "read" } else { "open" };
        let read = file::read_owned(source).map_err(|error| OpenError::file(format!("{act} {source}"), &error))?;
        let values = of_text(source, &read.text).map_err(|error| OpenError::Syntax(error.to_string()))?;
        Ok(Values { source: source.to_owned(), owner: Some(read.owner), of: Of::File(values) })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    pub(crate) fn owner(&self) -> Option<u32> {
        self.owner
    }

    /// A text that may be missing.
    pub(crate) fn optional(&self, name: &str) -> Result<String, OpenError> {
        match &self.of {
            Of::File(values) => Ok(values.get(name).cloned().unwrap_or_default()),
            Of::MainCf(settings) => match settings.get(&format!("{}_{name}", self.source)) {
                Some(Ok(value)) => Ok(value.clone()),
                Some(Err(why)) => Err(OpenError::Syntax(why.clone())),
                None => Ok(String::new()),
            },
        }
    }

    /// A text that has to be there.
    pub(crate) fn required(&self, name: &str) -> Result<String, OpenError> {
        let value = self.optional(name)?;
        if value.is_empty() { Err(self.wrong("bad string length 0 < 1", name, "")) } else { Ok(value) }
    }

    /// A text with a default; that it is set to nothing is an error.
    pub(crate) fn or(&self, name: &str, default: &str) -> Result<String, OpenError> {
        if self.is_set(name) { self.required(name) } else { Ok(default.to_owned()) }
    }

    /// A number; 0 if it is missing.
    pub(crate) fn number(&self, name: &str) -> Result<i32, OpenError> {
        let value = self.optional(name)?;
        if value.is_empty() && !self.is_set(name) {
            return Ok(0);
        }
        value.parse().map_err(|_| self.wrong("bad numerical configuration", name, &value))
    }

    fn is_set(&self, name: &str) -> bool {
        match &self.of {
            Of::File(values) => values.contains_key(name),
            Of::MainCf(settings) => settings.contains_key(&format!("{}_{name}", self.source)),
        }
    }

    fn wrong(&self, what: &str, name: &str, value: &str) -> OpenError {
        let source = &self.source;
        OpenError::Syntax(match self.of {
            Of::File(_) => format!("{source}: {what}: {name} = {value}"),
            Of::MainCf(_) => format!("{what}: {source}_{name} = {value}"),
        })
    }
}

/// The settings of a text, with a warning for each that is odd.
fn of_text(source: &str, text: &[u8]) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut odd = Vec::new();
    let assignments = main_cf::parse(text, Path::new(source), &mut odd)?;
    for warning in odd {
        logging::warning!("{}", text::printable(warning.to_string().as_bytes()));
    }
    Ok(assignments.into_iter().map(|setting| (setting.name, setting.value)).collect())
}
