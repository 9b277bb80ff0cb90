//! Warnings about names and expressions that mean nothing.

use std::io::{self, IsTerminal};

use config::names::{Names, nearest};

use crate::options::{Mode, Options};
use crate::out::{self, Failure};
use crate::source::Source;

/// Before the output: what nothing defines, what the files of tables have that nothing reads, comments that are none,
/// malformed expressions.
pub fn warn_before(source: &Source) -> Result<(), Failure> {
    let names = Names::new(&source.config, &source.services);
    for table in names.client_tables() {
        for problem in table.check_file().map_err(Failure::new)? {
            out::warning(format_args!("{problem}"));
        }
    }
    for undefined in names.undefined() {
        warn_in(source, undefined.in_master, &format!("undefined parameter: {}", undefined.name));
    }
    for comment in names.comments() {
        warn_in(source, comment.in_master, &comment.text);
    }
    for error in names.errors() {
        out::warning(format_args!("{error}"));
    }
    Ok(())
}

/// After it, unless `-q` says that nobody wants to hear of it: what nothing reads, and what is obsolete. Of main.cf
/// only when its parameters are shown.
pub fn warn_after(source: &Source, options: &Options) {
    if options.quiet {
        return;
    }
    let names = Names::new(&source.config, &source.services);
    let (unused, obsolete) = (names.unused(), names.obsolete());
    let main = (options.mode == Mode::MainCf).then_some(None);
    let services = source.services.iter().map(|entry| Some(entry.line));
    for place in main.into_iter().chain(services) {
        for unused in unused.iter().filter(|unused| unused.entry == place) {
            let hint = suggestion(&unused.name);
            let text = format!("unused parameter: {}={}{hint}", unused.name, unused.value);
            warn_in(source, place.is_some(), &text);
        }
        for obsolete in obsolete.iter().filter(|obsolete| obsolete.entry == place) {
            warn_in(source, place.is_some(), &obsolete.to_string());
        }
    }
    if obsolete.iter().any(|obsolete| options.mode == Mode::MainCf || obsolete.entry.is_some()) {
        out::warning(format_args!("See https://www.postfix.org/DEPRECATION_README.html for details"));
    }
}

/// ` (did you mean NAME?)` for what is nearly a parameter, when a person reads it.
pub fn suggestion(name: &str) -> String {
    match nearest(name).filter(|_| io::stderr().is_terminal()) {
        Some(other) => format!(" (did you mean {other}?)"),
        None => String::new(),
    }
}

fn warn_in(source: &Source, in_master: bool, text: &str) {
    let file = if in_master { source.master_cf.clone() } else { source.config.directory().join("main.cf") };
    out::warning(format_args!("{}: {text}", file.display()));
}

/// Names the settings that have no effect yet, to an operator: what a script reads is Postfix's output, byte for byte.
pub fn warn_unimplemented(source: &Source) {
    if !io::stderr().is_terminal() {
        return;
    }
    if let Some(sentence) = source.config.without_effect() {
        logging::warning!("{sentence}");
    }
}
