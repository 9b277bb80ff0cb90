//! Changes of main.cf and master.cf.

use std::path::Path;

use config::edit::{self, Action, Change, Document, Replacement};
use config::master_cf::{RawEntry, entries, is_option};

use crate::options::{Act, Mode, Options};
use crate::out::{self, Failure};
use crate::services::{self, FIELDS, Request};
use crate::source::directory;

/// Changes main.cf.
pub fn main_cf(options: &Options) -> Result<(), Failure> {
    let file = directory(options).join("main.cf");
    let changes = changes(options)?;
    let replacement = Replacement::begin(&file).map_err(Failure::new)?;
    let (content, warnings) = edit::main_cf(&replacement.content().map_err(Failure::new)?, &file, &changes);
    for warning in warnings {
        out::warning(format_args!("{warning}"));
    }
    replacement.commit(&content).map_err(Failure::new)
}

fn changes(options: &Options) -> Result<Vec<Change>, Failure> {
    require(options, "-e requires name=value argument")?;
    let mut changes: Vec<Change> = Vec::new();
    for text in &options.arguments {
        match options.act {
            Some(Act::Remove) => changes.push(Change::Remove(text.trim().to_owned())),
            Some(Act::Comment) => changes.push(Change::Comment(text.trim().to_owned())),
            _ => {
                let (name, value) = setting(text)?;
                let earlier =
                    changes.iter().position(|change| matches!(change, Change::Set { name: n, .. } if n == name));
                if let Some(Change::Set { name, value }) = earlier.map(|at| changes.remove(at)) {
                    out::warning(format_args!("ignoring earlier request: '{name} = {value}'"));
                }
                changes.push(Change::Set { name: name.to_owned(), value: value.to_owned() });
            }
        }
    }
    Ok(changes)
}

/// Changes master.cf: all requests are understood before the first one is carried out.
pub fn master_cf(options: &Options) -> Result<(), Failure> {
    require(options, "-e requires name=value argument")?;
    let file = directory(options).join("master.cf");
    let requests: Vec<MasterChange> =
        options.arguments.iter().map(|text| MasterChange::parse(text, options)).collect::<Result<_, _>>()?;
    let replacement = Replacement::begin(&file).map_err(Failure::new)?;
    let mut master = Master::parse(&replacement.content().map_err(Failure::new)?);
    for request in requests {
        master.carry_out(request)?;
    }
    replacement.commit(&master.document.render()).map_err(Failure::new)
}

/// What is asked for; the text is for warnings.
enum MasterChange<'a> {
    /// `-Me service/type=the whole entry`
    Entry { target: Request, line: String, like: Request },
    /// `-MX`, `-M#`
    Drop { target: Request, action: Action },
    /// `-Fe service/type/field=value`
    Field { target: Request, at: usize, value: &'a str, text: &'a str },
    /// `-Pe service/type/parameter=value`, `-PX` without a value
    Option { target: Request, name: &'a str, value: Option<&'a str>, text: &'a str },
}

impl<'a> MasterChange<'a> {
    fn parse(text: &'a str, options: &Options) -> Result<MasterChange<'a>, Failure> {
        let act = options.act.unwrap_or(Act::Set);
        let (request, value) = if act == Act::Set { setting(text)? } else { (text, "") };
        let parts: Vec<&str> = request.split('/').collect();
        let is_complete = |count| parts.len() == count && parts.iter().all(|part| !part.is_empty());
        let blanks = value.contains([' ', '\t']);
        let target = Request::new(request);
        match options.mode {
            Mode::MasterEntries if !is_complete(2) => Err(Failure::new("-Me, -MX or -M# requires service_name/type")),
            Mode::MasterEntries if act == Act::Set => MasterChange::entry(target, text, value),
            Mode::MasterEntries => Ok(MasterChange::Drop {
                target,
                action: if act == Act::Remove { Action::Remove } else { Action::Comment },
            }),
            Mode::MasterFields if !is_complete(3) => {
                Err(Failure::new("-Fe or -FX requires service_name/type/field_name"))
            }
            Mode::MasterFields if parts[2] == "*" => Err(Failure::new("-Fe does not accept wild-card field name")),
            Mode::MasterFields => {
                let at = FIELDS.iter().position(|name| *name == parts[2]);
                let at = at.ok_or_else(|| Failure(format!("invalid service attribute name: \"{}\"", parts[2])))?;
                if blanks && at + 1 < FIELDS.len() {
                    return Err(Failure::new("-Fe does not accept whitespace in non-command field"));
                }
                Ok(MasterChange::Field { target, at, value, text })
            }
            _ if !is_complete(3) => Err(Failure::new("-Pe or -PX requires service_name/type/parameter")),
            _ if parts[2] == "*" => Err(Failure::new("-Pe does not accept wild-card parameter name")),
            _ if blanks => Err(Failure::new("-Pe does not accept whitespace in parameter value")),
            _ => Ok(MasterChange::Option { target, name: parts[2], value: (act == Act::Set).then_some(value), text }),
        }
    }

    fn entry(target: Request, text: &str, value: &str) -> Result<MasterChange<'a>, Failure> {
        let entry = parse(value).filter(|entry| entry.fields.len() == FIELDS.len());
        let entry = entry.ok_or_else(|| Failure(format!("bad field count: \"{text}\"")))?;
        services::check_fields(&entry)?;
        services::warn_of_arguments(&entry);
        let line = services::render(&entry, &entry.arguments().0, true);
        let like = Request::exact(&entry);
        Ok(MasterChange::Entry { target, line, like })
    }
}

/// master.cf and its entries; an entry's index is that of its logical line.
struct Master {
    document: Document,
    /// As they are to be.
    entries: Vec<Option<RawEntry>>,
    /// As they were: what requests match.
    original: Vec<Option<RawEntry>>,
}

impl Master {
    fn parse(content: &[u8]) -> Master {
        let document = Document::parse(content);
        let entries: Vec<_> = document.entries().map(parse).collect();
        Master { document, original: entries.clone(), entries }
    }

    fn carry_out(&mut self, change: MasterChange<'_>) -> Result<(), Failure> {
        match change {
            MasterChange::Entry { target, line, like } => {
                // One entry, in the place of the first, is what comes of those that are meant or would be alike.
                let mut found =
                    self.matching(|entry| target.matches(entry, None) || like.matches(entry, None)).into_iter();
                match found.next() {
                    Some(at) => self.document.act(at, Action::Replace(line)),
                    None => self.document.append(line),
                }
                found.for_each(|at| self.document.act(at, Action::Remove));
                Ok(())
            }
            MasterChange::Drop { target, action } => {
                let found = self.matching(|entry| target.matches(entry, None));
                found.into_iter().for_each(|at| self.document.act(at, action.clone()));
                Ok(())
            }
            MasterChange::Field { target, at, value, text } => self.update(&target, text, |entry| {
                services::check_field(at, value, value)?;
                if at + 1 == FIELDS.len() {
                    let (command, arguments) = value.split_once([' ', '\t']).unwrap_or((value, ""));
                    entry.fields[at] = command.to_owned();
                    entry.arguments = arguments.trim().to_owned();
                } else {
                    entry.fields[at] = value.to_owned();
                }
                Ok(entry.arguments().0)
            }),
            MasterChange::Option { target, name, value, text } => {
                self.update(&target, text, |entry| Ok(with_option(entry.arguments().0, name, value)))
            }
        }
    }

    fn matching(&self, is_meant: impl Fn(&RawEntry) -> bool) -> Vec<usize> {
        let entries = self.original.iter().enumerate();
        entries.filter(|(_, entry)| entry.as_ref().is_some_and(&is_meant)).map(|(at, _)| at).collect()
    }

    /// Changes the entries that are meant; the third part of the request is not looked at.
    fn update(
        &mut self,
        target: &Request,
        text: &str,
        change: impl Fn(&mut RawEntry) -> Result<Vec<String>, Failure>,
    ) -> Result<(), Failure> {
        let found = self.matching(|entry| target.matches(entry, None));
        if found.is_empty() {
            out::warning(format_args!("unmatched service_name/type: \"{text}\""));
        }
        for at in found {
            let Some(entry) = self.entries[at].as_mut() else { continue };
            services::warn_of_arguments(entry);
            let arguments = change(entry)?;
            entry.arguments = services::joined(&arguments);
            services::check_fields(entry)?;
            let line = services::render(entry, &arguments, true);
            self.document.act(at, Action::Replace(line));
        }
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
    ["-o".to_owned(), setting]
}

/// One logical line as an entry; None when it is none.
fn parse(text: &str) -> Option<RawEntry> {
    let mut found = entries(text.replace('\n', " ").as_bytes(), Path::new("master.cf"), &mut Vec::new());
    found.pop()
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
