//! Warnings about names and expressions that mean nothing.

use std::fmt;
use std::io::IsTerminal;

use config::names::Names;

use crate::options::{Mode, Options};
use crate::out::Failure;
use crate::source::Source;

/// Before the output: what nothing defines, what the files of tables have that nothing reads, malformed expressions.
pub fn warn_before(source: &Source, options: &Options) -> Result<(), Failure> {
    let names = Names::new(&source.config, &source.services);
    for table in names.client_tables() {
        for problem in table.check_file().map_err(Failure::new)? {
            warn(options, format_args!("{problem}"));
        }
    }
    for undefined in names.undefined() {
        warn_in(source, options, undefined.in_master, &format!("undefined parameter: {}", undefined.name));
    }
    for error in names.errors() {
        warn(options, format_args!("{error}"));
    }
    Ok(())
}

/// After it: what nothing reads, and what is obsolete. Of main.cf only when its parameters are shown.
pub fn warn_after(source: &Source, options: &Options) {
    let names = Names::new(&source.config, &source.services);
    let all = options.mode == Mode::MainCf;
    for unused in names.unused().into_iter().filter(|unused| all || unused.entry.is_some()) {
        let text = format!("unused parameter: {}={}", unused.name, unused.value);
        warn_in(source, options, unused.entry.is_some(), &text);
    }
    for obsolete in names.obsolete().into_iter().filter(|obsolete| all || obsolete.in_master) {
        warn_in(source, options, obsolete.in_master, &obsolete.to_string());
    }
}

fn warn_in(source: &Source, options: &Options, in_master: bool, text: &str) {
    let file = if in_master { source.master_cf.clone() } else { source.config.directory().join("main.cf") };
    warn(options, format_args!("{}: {text}", file.display()));
}

/// A warning, unless none are wanted (`-q`). What is not ASCII in it becomes `?`, byte for byte.
fn warn(options: &Options, text: fmt::Arguments<'_>) {
    if options.quiet {
        return;
    }
    let text = text.to_string();
    // What could not be decoded was one byte.
    let text = text.replace(char::REPLACEMENT_CHARACTER, "?");
    logging::warning!("{}", text::printable_ascii(text.as_bytes()));
}

/// Names the settings that have no effect yet, to an operator: what a script reads is Postfix's output, byte for byte.
pub fn warn_unimplemented(source: &Source) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    for setting in source.config.unimplemented_settings() {
        logging::warning!("{}", config::Problem::Unimplemented(setting));
    }
}
