//! Services of master.cf: entries, fields and `-o` options, shown.

use std::borrow::Cow;
use std::path::Path;

use config::Config;
use config::master_cf::{RawEntry, is_option};

use crate::fold::{self, Folded};
use crate::options::{Mode, Options};
use crate::out::{self, Failure};
use crate::source::Source;
use crate::{json, names};

/// The names of the fields, as `-F` has them.
pub const FIELDS: [&str; 8] =
    ["service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit", "command"];

/// Where the fields of a printed entry start.
const COLUMNS: [usize; 8] = [0, 11, 17, 25, 33, 41, 49, 57];

/// Prints the services that the command line asks for.
pub fn show(options: &Options) -> Result<(), Failure> {
    let source = Source::load(options)?;
    names::warn_before(&source)?;
    let requests = options.arguments.iter().map(|text| Request::shown(text, options.mode));
    let requests = requests.collect::<Result<Vec<Request>, Failure>>()?;
    let mut matched = vec![false; requests.len()];
    let mut lines = Vec::new();
    for entry in &source.services {
        for (item, line) in items(entry, options, &source)? {
            let mut wanted = requests.is_empty();
            for (request, matched) in requests.iter().zip(&mut matched) {
                if request.matches(entry, item.as_deref()) {
                    (wanted, *matched) = (true, true);
                }
            }
            if wanted && options.json {
                lines.push(json::member(&qualified(entry, item.as_deref()), &line));
            } else if wanted {
                lines.push(line);
            }
        }
    }
    for (text, _) in options.arguments.iter().zip(matched).filter(|(_, matched)| !matched) {
        out::warning(format_args!("unmatched request: \"{text}\""));
    }
    out::lines(lines)?;
    names::warn_after(&source, options);
    Ok(())
}

/// `service[/type[/name]]`; `*` and what is left out match everything.
#[derive(Debug)]
pub struct Request {
    parts: Vec<String>,
}

impl Request {
    /// Splits a request at its slashes; a service name may contain none here.
    pub fn new(text: &str) -> Request {
        Request { parts: text.splitn(3, '/').map(str::to_owned).collect() }
    }

    /// A request for something that can be shown.
    ///
    /// # Errors
    /// It has too many parts, or names a field that no service has.
    fn shown(text: &str, mode: Mode) -> Result<Request, Failure> {
        let parts: Vec<&str> = text.split('/').collect();
        let fields = mode == Mode::MasterFields;
        match parts.as_slice() {
            [_, _, _, ..] if mode == Mode::MasterEntries => Err(Failure::new("-M option requires service_name[/type]")),
            [_, _, _, _, ..] if mode == Mode::MasterOptions => {
                Err(Failure::new("-P option requires service_name[/type[/parameter]]"))
            }
            [_, _, _, _, ..] if fields => Err(Failure::new("-F option requires service_name[/type/field]")),
            [_, _, name] if fields && !["", "*"].contains(name) && !FIELDS.contains(name) => {
                Err(Failure(format!("invalid service attribute name: \"{name}\"")))
            }
            _ => Ok(Request::new(text)),
        }
    }

    /// The entries of the same name and type.
    pub fn exact(entry: &RawEntry) -> Request {
        Request { parts: vec![entry.name().to_owned(), entry.field(1).unwrap_or_default().to_owned()] }
    }

    /// Whether an entry, and an item of it if there is one, is meant.
    pub fn matches(&self, entry: &RawEntry, item: Option<&str>) -> bool {
        let part = |at: usize, text: &str| match self.parts.get(at).map(String::as_str) {
            None | Some("*" | "") => true,
            Some(wanted) => wanted == text,
        };
        part(0, entry.name()) && part(1, entry.field(1).unwrap_or_default()) && item.is_none_or(|item| part(2, item))
    }
}

/// Refuses an entry that the supervisor would refuse, and warns of arguments that it would.
pub fn check(entry: &RawEntry, master_cf: &Path) -> Result<(), Failure> {
    if entry.fields.len() < FIELDS.len() {
        let file = master_cf.display();
        return Err(Failure(format!("file {file}: line {}: bad field count", entry.line)));
    }
    warn_of_arguments(entry);
    check_fields(entry)
}

/// Warns of arguments that the supervisor would refuse.
pub fn warn_of_arguments(entry: &RawEntry) {
    for problem in entry.arguments().1 {
        out::warning(format_args!("master.cf: {problem}"));
    }
}

/// Refuses fields that mean nothing.
pub fn check_fields(entry: &RawEntry) -> Result<(), Failure> {
    let mut text = entry.fields.join(" ");
    if !entry.arguments.is_empty() {
        text = format!("{text} {}", entry.arguments);
    }
    (0..FIELDS.len()).try_for_each(|at| check_field(at, entry.field(at).unwrap_or_default(), &text))
}

/// Refuses a value that means nothing in the field at an index; `text` is where it stands.
pub fn check_field(at: usize, value: &str, text: &str) -> Result<(), Failure> {
    let valid = match at {
        1 => ["inet", "unix", "fifo", "pass", "unix-dgram"].contains(&value),
        2..=4 => ["-", "y", "n"].contains(&value),
        5 => value == "-" || is_number(value.strip_suffix('?').unwrap_or(value)),
        6 => value == "-" || is_number(value),
        _ => !value.is_empty(),
    };
    if valid { Ok(()) } else { Err(Failure(format!("invalid {} field \"{value}\" in \"{text}\"", FIELDS[at]))) }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What an entry gives to print: itself, its fields, or its options, with the name of the item.
fn items(entry: &RawEntry, options: &Options, source: &Source) -> Result<Vec<(Option<String>, String)>, Failure> {
    match options.mode {
        Mode::MasterFields => {
            let mut found = Vec::new();
            for (at, name) in FIELDS.iter().enumerate() {
                let line = label(entry, name, options);
                found.push((Some(name.to_string()), field_line(entry, at, line, options, source)?));
            }
            Ok(found)
        }
        Mode::MasterOptions => {
            let mut settings = entry.options();
            settings.sort();
            let mut found = Vec::new();
            for (name, value) in settings {
                let mut line = label(entry, &name, options);
                let value = if options.expand { expand_for(entry, source, &value)? } else { value };
                if !options.hide_values {
                    value.split_whitespace().for_each(|word| line.word(word));
                }
                found.push((Some(name), line.line));
            }
            Ok(found)
        }
        _ if options.json => {
            let mut line = Folded::new(&entry.fields.join(" "), None);
            push_arguments(&mut line, &arguments(entry, options, source)?);
            Ok(vec![(None, line.line)])
        }
        _ => Ok(vec![(None, render(entry, &arguments(entry, options, source)?, options.fold))]),
    }
}

/// A line that goes on with the value of a field; the last one has the arguments too.
fn field_line(
    entry: &RawEntry,
    at: usize,
    mut line: Folded,
    options: &Options,
    source: &Source,
) -> Result<String, Failure> {
    if !options.hide_values {
        line.word(entry.field(at).unwrap_or_default());
        if at + 1 == FIELDS.len() {
            push_arguments(&mut line, &arguments(entry, options, source)?);
        }
    }
    Ok(line.line)
}

/// `service/type`, and `/name` of an item.
fn qualified(entry: &RawEntry, item: Option<&str>) -> String {
    let service = format!("{}/{}", entry.name(), entry.field(1).unwrap_or_default());
    item.map_or(service.clone(), |name| format!("{service}/{name}"))
}

/// `service/type/name =`, as far as it is wanted.
fn label(entry: &RawEntry, name: &str, options: &Options) -> Folded {
    let start = match (options.hide_names || options.json, options.hide_values) {
        (true, false) => String::new(),
        (_, true) => qualified(entry, Some(name)),
        (false, false) => format!("{} =", qualified(entry, Some(name))),
    };
    Folded::new(&start, options.fold.then_some(fold::MASTER_CF))
}

/// The printed form of an entry.
pub fn render(entry: &RawEntry, arguments: &[String], folded: bool) -> String {
    let mut start = String::new();
    for (at, column) in COLUMNS.iter().enumerate() {
        let width = text::lossless::encoded_len(&start);
        // A field that is too long pushes the next one to the right.
        let gap = if at == 0 { 0 } else { column.saturating_sub(width).max(1) };
        start.push_str(&" ".repeat(gap));
        start.push_str(entry.field(at).unwrap_or_default());
    }
    let mut line = Folded::new(&start, folded.then_some(fold::MASTER_CF));
    push_arguments(&mut line, arguments);
    line.line
}

/// Options stand on lines of their own, each with its value; what has blanks in it needs its braces.
fn push_arguments(line: &mut Folded, arguments: &[String]) {
    let mut options = true;
    let mut after_option = false;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let first_plain = options && !is_option(argument);
        options = options && !first_plain;
        // Postfix forgets the braces of the first argument behind the options.
        let text = if first_plain { argument.into() } else { braced(argument) };
        let value = if options && argument == "-o" { arguments.next() } else { None };
        if let Some(value) = value {
            line.new_line(&format!("-o {}", braced(value)));
        } else if after_option {
            line.new_line(&text);
        } else {
            line.word(&text);
        }
        after_option = value.is_some();
    }
}

/// Arguments as the file has them.
pub fn joined(arguments: &[String]) -> String {
    arguments.iter().map(|argument| braced(argument)).collect::<Vec<_>>().join(" ")
}

fn braced(argument: &str) -> Cow<'_, str> {
    if argument.contains([' ', '\t']) { format!("{{{argument}}}").into() } else { argument.into() }
}

/// The arguments of an entry, expanded with `-x`.
fn arguments(entry: &RawEntry, options: &Options, source: &Source) -> Result<Vec<String>, Failure> {
    let (mut arguments, _) = entry.arguments();
    if options.expand {
        // The values of settings alone: what pipe makes of `${recipient}` is its own business.
        for at in 1..arguments.len() {
            if arguments[at - 1] == "-o" {
                arguments[at] = expand_for(entry, source, &arguments[at])?;
            }
        }
    }
    Ok(arguments)
}

/// Expands a text as the service would see it: its own options win over main.cf.
fn expand_for(entry: &RawEntry, source: &Source, text: &str) -> Result<String, Failure> {
    let own = entry.options();
    let mut scope = |name: &str| match own.iter().rev().find(|(option, _)| option == name) {
        Some((_, value)) => Some(expand_main(&source.config, value)),
        None if name == "service_name" => Some(entry.name().to_owned()),
        None => source.config.raw(name).map(|raw| expand_main(&source.config, raw)),
    };
    match config::expand::expand(text, &mut scope) {
        Ok(text) => Ok(text.as_text().to_owned()),
        Err(error) => {
            out::warning(format_args!("{error}"));
            Err(Failure::new("macro processing error"))
        }
    }
}

fn expand_main(config: &Config, text: &str) -> String {
    config.expand_noting(text).map(|(text, _)| text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_nothing_could_match_is_refused() {
        let said = |text: &str, mode: Mode| Request::shown(text, mode).err().map(|failure| failure.0);
        for text in ["smtp", "smtp/unix", "smtp/unix/", "*/*/*", "smtp/unix/chroot"] {
            assert_eq!(said(text, Mode::MasterFields), None, "{text}");
        }
        let bad = |name: &str| Some(format!("invalid service attribute name: \"{name}\""));
        assert_eq!(said("smtp/unix/foo", Mode::MasterFields), bad("foo"));
        assert_eq!(said("*/*/Chroot", Mode::MasterFields), bad("Chroot"));
        let shape = |text: &str| Some(text.to_owned());
        assert_eq!(said("a/b/c/d", Mode::MasterFields), shape("-F option requires service_name[/type/field]"));
        assert_eq!(said("a/b/c", Mode::MasterEntries), shape("-M option requires service_name[/type]"));
        assert_eq!(said("a/b/c/d", Mode::MasterOptions), shape("-P option requires service_name[/type[/parameter]]"));
        assert_eq!(said("a/b/c", Mode::MasterOptions), None);
    }
}
