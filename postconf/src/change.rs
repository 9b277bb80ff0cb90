//! Changes of main.cf and master.cf.

use std::fs;
use std::path::Path;

use config::edit::{self, Action, Change, Document};
use config::master_cf::{RawEntry, entries, is_option};

use crate::options::{Act, Mode, Options};
use crate::out::Failure;
use crate::services::{self, FIELDS, Request};
use crate::source::{directory, open_failure};

/// Changes main.cf.
pub fn main_cf(options: &Options) -> Result<(), Failure> {
    let file = directory(options).join("main.cf");
    let changes = changes(options)?;
    let content = read(&file)?;
    let (content, warnings) = edit::main_cf(&content, &file, &changes);
    for warning in warnings {
        logging::warning!("{warning}");
    }
    edit::store(&file, &content).map_err(Failure::new)
}

fn changes(options: &Options) -> Result<Vec<Change>, Failure> {
    require(options, "-e requires name=value argument")?;
    let mut changes: Vec<Change> = Vec::new();
    for text in &options.arguments {
        match options.act {
            Some(Act::Remove) => changes.push(Change::Remove(text.trim().to_string())),
            Some(Act::Comment) => changes.push(Change::Comment(text.trim().to_string())),
            _ => {
                let (name, value) = setting(text)?;
                let earlier =
                    changes.iter().position(|change| matches!(change, Change::Set { name: n, .. } if n == name));
                if let Some(Change::Set { name, value }) = earlier.map(|at| changes.remove(at)) {
                    logging::warning!("ignoring earlier request: '{name} = {value}'");
                }
                changes.push(Change::Set { name: name.to_string(), value: value.to_string() });
            }
        }
    }
    Ok(changes)
}

/// Changes master.cf.
pub fn master_cf(options: &Options) -> Result<(), Failure> {
    require(options, "-e requires name=value argument")?;
    let file = directory(options).join("master.cf");
    let mut master = Master::load(&file)?;
    for text in &options.arguments {
        match (options.mode, options.act) {
            (Mode::MasterEntries, Some(Act::Set)) => master.set_entry(text)?,
            (Mode::MasterEntries, Some(act)) => master.drop_entry(text, act)?,
            (Mode::MasterFields, _) => master.set_field(text)?,
            (_, Some(Act::Remove)) => master.set_option(text, None)?,
            _ => {
                let (request, value) = setting(text)?;
                if value.contains([' ', '\t']) {
                    return Err(Failure::new("-Pe does not accept whitespace in parameter value"));
                }
                master.set_option(request, Some(value))?;
            }
        }
    }
    edit::store(&file, &master.document.render()).map_err(Failure::new)
}

/// master.cf and its entries; an entry's index is that of its logical line.
struct Master {
    document: Document,
    entries: Vec<Option<RawEntry>>,
}

impl Master {
    fn load(file: &Path) -> Result<Master, Failure> {
        let document = Document::parse(&read(file)?);
        let mut parsed = Vec::new();
        for text in document.entries() {
            parsed.push(parse(text));
        }
        Ok(Master { document, entries: parsed })
    }

    /// `service/type=the whole entry`
    fn set_entry(&mut self, text: &str) -> Result<(), Failure> {
        let (request, value) = setting(text)?;
        exact(request)?;
        let entry = parse(value).filter(|entry| entry.fields.len() == FIELDS.len());
        let entry = entry.ok_or_else(|| Failure(format!("bad field count: \"{text}\"")))?;
        services::check_fields(&entry)?;
        let line = services::render(&entry, &entry.arguments().0, true);
        let found = self.matching(&Request::new(request));
        for at in &found {
            self.document.act(*at, Action::Replace(line.clone()));
        }
        if found.is_empty() {
            self.document.append(line);
        }
        Ok(())
    }

    fn drop_entry(&mut self, request: &str, act: Act) -> Result<(), Failure> {
        exact(request)?;
        let action = if act == Act::Remove { Action::Remove } else { Action::Comment };
        for at in self.matching(&Request::new(request)) {
            self.document.act(at, action.clone());
        }
        Ok(())
    }

    /// `service/type/field=value`
    fn set_field(&mut self, text: &str) -> Result<(), Failure> {
        let (request, value) = setting(text)?;
        let field = request.splitn(3, '/').nth(2).unwrap_or_default();
        let Some(at) = FIELDS.iter().position(|name| *name == field) else {
            return Err(Failure(format!("invalid service attribute name: \"{field}\"")));
        };
        services::check_field(at, value, value)?;
        let found = self.matching(&Request::new(request));
        if found.is_empty() {
            logging::warning!("unmatched service_name/type: \"{text}\"");
        }
        for index in found {
            self.update(index, |entry| {
                if at + 1 == FIELDS.len() {
                    let (command, arguments) = value.split_once([' ', '\t']).unwrap_or((value, ""));
                    entry.fields[at] = command.to_string();
                    entry.arguments = arguments.trim().to_string();
                } else {
                    entry.fields[at] = value.to_string();
                }
                entry.arguments().0
            })?;
        }
        Ok(())
    }

    /// `service/type/parameter`, set to a value or removed.
    fn set_option(&mut self, request: &str, value: Option<&str>) -> Result<(), Failure> {
        let mut parts = request.splitn(3, '/');
        let (Some(_), Some(_), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Failure(format!("-Pe or -PX requires service_name/type/parameter: \"{request}\"")));
        };
        let found = self.matching(&Request::new(request));
        if found.is_empty() {
            logging::warning!("unmatched service_name/type: \"{request}\"");
        }
        for index in found {
            self.update(index, |entry| with_option(entry.arguments().0, name, value))?;
        }
        Ok(())
    }

    /// The entries that a request means; its third part is not looked at.
    fn matching(&self, request: &Request) -> Vec<usize> {
        let entries = self.entries.iter().enumerate();
        entries
            .filter(|(_, entry)| entry.as_ref().is_some_and(|e| request.matches(e, None)))
            .map(|(at, _)| at)
            .collect()
    }

    fn update(&mut self, at: usize, change: impl FnOnce(&mut RawEntry) -> Vec<String>) -> Result<(), Failure> {
        let Some(entry) = self.entries[at].as_mut() else { return Ok(()) };
        let arguments = change(entry);
        entry.arguments = services::joined(&arguments);
        services::check_fields(entry)?;
        let line = services::render(entry, &arguments, true);
        self.document.act(at, Action::Replace(line));
        Ok(())
    }
}

/// The arguments with an `-o` option changed in its place, added behind the other options, or removed.
fn with_option(arguments: Vec<String>, name: &str, value: Option<&str>) -> Vec<String> {
    let mut setting = value.map(|value| format!("{name}={value}"));
    let mut out = Vec::new();
    let mut options = true;
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if options && !is_option(&argument) {
            options = false;
            out.extend(setting.take().into_iter().flat_map(option));
        }
        if !(options && argument == "-o") {
            out.push(argument);
            continue;
        }
        let other = arguments.next().unwrap_or_default();
        if config::main_cf::split(&other).is_ok_and(|(option, _)| option == name) {
            out.extend(setting.take().into_iter().flat_map(option));
        } else {
            out.extend(option(other));
        }
    }
    out.extend(setting.into_iter().flat_map(option));
    out
}

fn option(setting: String) -> [String; 2] {
    ["-o".to_string(), setting]
}

/// One logical line as an entry; None when it is none.
fn parse(text: &str) -> Option<RawEntry> {
    let mut found = entries(text.replace('\n', " ").as_bytes(), Path::new("master.cf"), &mut Vec::new());
    found.pop()
}

fn exact(request: &str) -> Result<(), Failure> {
    match request.split('/').count() {
        2 => Ok(()),
        _ => Err(Failure::new("-Me, -MX or -M# requires service_name/type")),
    }
}

fn setting(text: &str) -> Result<(&str, &str), Failure> {
    config::main_cf::split(text).map_err(|problem| Failure(format!("{problem}: \"{text}\"")))
}

fn require(options: &Options, sentence: &str) -> Result<(), Failure> {
    if options.arguments.iter().any(|argument| argument.contains('\n')) {
        return Err(Failure::new("-e, -X, or -# accepts no multi-line input"));
    }
    match (options.arguments.is_empty(), options.act) {
        (true, Some(Act::Set)) => Err(Failure::new(sentence)),
        (true, _) => Err(Failure::new("missing service argument")),
        (false, _) => Ok(()),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| Failure(open_failure(file, &error)))
}
