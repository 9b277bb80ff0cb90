//! `--explain`: what a parameter is, and what it is set to, for a person.

use config::names::nearest;
use config::{Config, Entry, Origin, find};

use crate::fold::Folded;
use crate::options::Options;
use crate::out::{self, Failure};
use crate::parameters::expanded;
use crate::source::Source;

/// The longest line, as far as words allow it.
const WIDTH: usize = 80;

/// Prints what is known about each parameter of the command line.
pub fn show(options: &Options) -> Result<(), Failure> {
    if options.arguments.is_empty() {
        return Err(Failure::new("--explain requires a parameter name"));
    }
    let source = Source::load(options)?;
    let mut lines = Vec::new();
    for name in &options.arguments {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        explain(&source, name, &mut lines)?;
    }
    out::lines(lines)
}

fn explain(source: &Source, name: &str, lines: &mut Vec<String>) -> Result<(), Failure> {
    let family = config::transport::family_of(name);
    let entry = find(name).or_else(|| find(family?.fallback));
    if entry.is_none() && !source.config.is_set(name) {
        let hint = nearest(name).map(|other| format!(" (did you mean {other}?)")).unwrap_or_default();
        return Err(Failure(format!("{name}: unknown parameter{hint}")));
    }
    lines.push(name.to_owned());
    value(source, name, entry, lines)?;
    if find(name).is_none()
        && let Some(family) = family
    {
        fact(lines, "default", &format!("${}", family.fallback));
    }
    match entry {
        Some(entry) => facts(&source.config, name, entry, lines),
        None => paragraph(lines, "No parameter of Postfix: main.cf defines it, for values that refer to it as $name."),
    }
    Ok(())
}

/// What is set, where, and what that comes to.
fn value(source: &Source, name: &str, entry: Option<&Entry>, lines: &mut Vec<String>) -> Result<(), Failure> {
    let config = &source.config;
    let raw = config.raw(name).or(entry.map(|entry| entry.default)).unwrap_or_default();
    let in_force = expanded(config, name, raw)?;
    let origin = match config.setting(name).map(|setting| &setting.origin) {
        None => "the default".to_owned(),
        Some(Origin::File { file, line }) => format!("{}, line {line}", file.display()),
        Some(Origin::Override) => "-o on the command line".to_owned(),
    };
    if in_force == raw || !config.is_set(name) {
        fact(lines, "value", &in_force);
    } else {
        fact(lines, "value", raw);
        fact(lines, "expanded", &in_force);
    }
    fact(lines, "from", &origin);
    for service in &source.services {
        for (_, value) in service.options().into_iter().filter(|(option, _)| option == name) {
            let kind = service.field(1).unwrap_or_default();
            let place = format!("{}, line {}", source.master_cf.display(), service.line);
            fact(lines, "but", &format!("{value} for {}/{kind} ({place})", service.name()));
        }
    }
    Ok(())
}

/// What the table says.
fn facts(config: &Config, name: &str, entry: &Entry, lines: &mut Vec<String>) {
    if entry.name == name {
        fact(lines, "default", config.default(name).unwrap_or_default());
    }
    fact(lines, "type", &entry.kind_in_words());
    if let Some(bounds) = entry.bounds_in_words() {
        fact(lines, "bounds", &bounds);
    }
    fact(lines, "read by", &entry.programs.join(", "));
    fact(lines, "version", &entry.since_in_words());
    match entry.instead {
        Some("" | "nothing") => fact(lines, "obsolete", "leave it at its default"),
        Some(other) => fact(lines, "obsolete", &format!("set {other} instead")),
        None => {}
    }
    if !entry.implemented {
        fact(lines, "state", "not implemented yet: setting it has no effect");
    }
    paragraph(lines, entry.paragraph);
}

/// A fact; further lines of it are indented as the first.
fn fact(lines: &mut Vec<String>, label: &str, text: &str) {
    let text = if text.trim().is_empty() { "(empty)" } else { text };
    lines.extend(wrapped(&format!("  {label:<9}"), text));
}

fn paragraph(lines: &mut Vec<String>, text: &str) {
    lines.push(String::new());
    lines.extend(wrapped(" ", text));
}

fn wrapped(start: &str, text: &str) -> Vec<String> {
    let mut lines: Vec<Folded> = vec![Folded::new(start, None)];
    let mut width = start.chars().count();
    for word in text.split_whitespace() {
        let more = 1 + word.chars().count();
        if width + more > WIDTH && width > start.chars().count() {
            lines.push(Folded::new(&" ".repeat(start.chars().count()), None));
            width = start.chars().count();
        }
        width += more;
        if let Some(line) = lines.last_mut() {
            line.word(word);
        }
    }
    lines.into_iter().map(|line| line.line).collect()
}
