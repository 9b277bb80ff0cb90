//! Tables in memory: texthash, inline, and the source text of a hash table without its index.

use std::collections::HashMap;

use crate::fold::fold;
use crate::source::{self, Entry, Problem};
use crate::{OpenError, OpenFlags, Settings, Stamp, Table, TableError, Visitor, alias, contents, file};

/// A table whose entries are all in memory.
pub(crate) struct Memory {
    name: String,
    entries: HashMap<Vec<u8>, Vec<u8>>,
    order: Vec<Vec<u8>>,
    fold: bool,
    utf8: bool,
    files: bool,
    stamps: Vec<Stamp>,
    owner: Option<u32>,
}

impl Memory {
    fn new(name: String, settings: &Settings, flags: OpenFlags) -> Self {
        Memory {
            name,
            entries: HashMap::new(),
            order: Vec::new(),
            fold: !flags.keep_case,
            utf8: settings.utf8,
            files: flags.files,
            stamps: Vec::new(),
            owner: None,
        }
    }

    /// Reads a source text into memory. `watch` is a file whose appearance makes this table outdated as well.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn from_file(
        name: String,
        path: &str,
        watch: Option<&str>,
        settings: &Settings,
        flags: OpenFlags,
    ) -> Result<Self, OpenError> {
        let mut table = Memory::new(name, settings, flags);
        table.stamps.extend(watch.map(Stamp::of));
        table.stamps.push(Stamp::of(path));
        let file::Owned { text, owner } =
            file::read_owned(path).map_err(|error| OpenError::file(format!("open database {path}"), &error))?;
        table.owner = Some(owner);
        // What stands for an index leaves out what postmap would; a table that is a text has every line.
        table.add_text(path, &text, settings.utf8 && watch.is_some(), flags);
        Ok(table)
    }

    /// The table of a source text.
    pub(crate) fn of_text(name: String, text: &[u8], settings: &Settings, flags: OpenFlags) -> Self {
        let mut table = Memory::new(name, settings, flags);
        table.add_text("(text)", text, false, flags);
        table
    }

    fn add_text(&mut self, file: &str, text: &[u8], without_malformed: bool, flags: OpenFlags) {
        let entries = if flags.alias_syntax { alias::entries } else { source::entries };
        let (entries, problems) = entries(text, without_malformed);
        self.add(file, entries, problems);
    }

    /// `inline:{ key=value, { key = text with blanks } }`.
    ///
    /// # Errors
    /// No braces around the entries, or an entry without `=`.
    pub(crate) fn inline(name: String, text: &str, settings: &Settings, flags: OpenFlags) -> Result<Self, OpenError> {
        let what = if flags.files { "filename" } else { "value" };
        let syntax = |reason: &dyn std::fmt::Display| {
            OpenError::Syntax(format!("{reason}: \"{name}\"; need \"inline:{{name={what}...}}\""))
        };
        let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).filter(|inner| !inner.is_empty());
        let inner = inner.ok_or_else(|| syntax(&"bad syntax"))?;
        let items = text::split_items(inner);
        if items.is_empty() {
            return Err(syntax(&"empty table"));
        }
        let mut table = Memory::new(name.clone(), settings, flags);
        for item in items {
            let item = match item.starts_with('{') {
                true => text::braced(item).map_err(|error| syntax(&error))?,
                false => item,
            };
            let entry = item.split_once('=').ok_or_else(|| syntax(&"missing '=' after attribute name"))?;
            let value = table.value(entry.1.trim().as_bytes()).map_err(|why| syntax(&why))?;
            table.set(entry.0.trim().as_bytes(), &value);
        }
        Ok(table)
    }

    fn add(&mut self, file: &str, entries: Vec<Entry>, mut problems: Vec<Problem>) {
        for problem in &mut problems {
            // The entry is not stored here: say so, where postmap says it by other means.
            if problem.text.starts_with("expected format") {
                problem.text.push_str(" -- ignoring this line");
            }
        }
        for entry in entries {
            let value = match self.value(&entry.value) {
                Ok(value) => value,
                Err(why) => {
                    problems.push(Problem::at(entry.line, format!("{why}: skipping this entry")));
                    continue;
                }
            };
            if !self.insert(&entry.key, &value) {
                let key = String::from_utf8_lossy(&entry.key).into_owned();
                problems.push(Problem::at(entry.line, format!("duplicate entry: \"{key}\"")));
            }
        }
        problems.sort_by_key(|problem| problem.line);
        for problem in problems {
            logging::warning!("{}", problem.in_file(file));
        }
    }

    /// The value that a text stands for.
    fn value(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        if self.files { contents::of_files(text) } else { Ok(text.to_vec()) }
    }

    /// False if the key is there already: the first entry stays.
    fn insert(&mut self, key: &[u8], value: &[u8]) -> bool {
        let key = self.folded(key);
        if self.entries.contains_key(&key) {
            return false;
        }
        self.order.push(key.clone());
        self.entries.insert(key, value.to_vec());
        true
    }

    /// The last value of a key counts.
    fn set(&mut self, key: &[u8], value: &[u8]) {
        if !self.insert(key, value) {
            self.entries.insert(self.folded(key), value.to_vec());
        }
    }

    fn folded(&self, key: &[u8]) -> Vec<u8> {
        if self.fold { fold(key, self.utf8) } else { key.to_vec() }
    }
}

impl Table for Memory {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        Ok(self.entries.get(&self.folded(key)).cloned())
    }

    fn owner(&self) -> Option<u32> {
        self.owner
    }

    fn changed(&self) -> bool {
        self.stamps.iter().any(Stamp::changed)
    }

    fn visit(&self, visitor: &mut Visitor<'_>) -> Result<(), TableError> {
        for key in &self.order {
            if let Some(value) = self.entries.get(key) {
                visitor(key, value);
            }
        }
        Ok(())
    }
}
