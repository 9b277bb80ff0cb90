//! Warnings about names and expressions that mean nothing.

use std::io::{self, IsTerminal};

use config::names::Names;

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

/// After it, unless `-q` says that nobody wants to hear of it: what nothing reads, and what is obsolete. Of main.cf only
/// when its parameters are shown.
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

/// The parameter that a typing error could have made this name of: one letter in eight may be wrong, at most three.
pub fn nearest(name: &str) -> Option<&'static str> {
    let limit = (name.len() / 8).clamp(1, 3);
    let candidates =
        config::table::TABLE.iter().filter(|entry| !entry.legacy && entry.name.len().abs_diff(name.len()) <= limit);
    let distances = candidates.map(|entry| (strsim::osa_distance(name, entry.name), entry.name));
    distances.filter(|(distance, _)| *distance <= limit).min().map(|(_, name)| name)
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
    for setting in source.config.unimplemented_settings() {
        logging::warning!("{}", config::Problem::Unimplemented(setting));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_recognised_and_another_name_is_not() {
        assert_eq!(nearest("smtpd_tls_sercurity_level"), Some("smtpd_tls_security_level"));
        assert_eq!(nearest("mydistination"), Some("mydestination"));
        assert_eq!(nearest("releyhost"), Some("relayhost"));
        assert_eq!(nearest("inet_protocol"), Some("inet_protocols"));
        assert_eq!(nearest("mua_client_restrictions"), None);
        assert_eq!(nearest("foo"), None);
        assert_eq!(nearest(&"x".repeat(100_000)), None);
    }
}
