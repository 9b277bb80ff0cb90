//! `postfix tls`: TLS turned on in main.cf, keys, certificates and requests for them, DANE records.
//!
//! What it says, and what it makes of main.cf, is what Postfix's script of that name does: people have procedures that
//! are built on it. It knows the certificates of smtpd_tls_cert_file and smtpd_tls_eccert_file, not those of
//! smtpd_tls_chain_files, and says so.

mod certificate;
mod client;
mod deployed;
mod key;
mod options;
mod server;
mod store;

use std::process::ExitCode;

use crate::instance::Instance;
use crate::settings;

/// Under which lines stand in the log.
const NAME: &str = "postfix-tls-script";

/// Carries out a command.
///
/// # Errors
/// A sentence: it is not done.
pub(crate) fn run(instance: &Instance, words: &[String]) -> Result<ExitCode, String> {
    logging::set_program(NAME);
    let (command, words) = words.split_first().map_or(("", words), |(command, rest)| (command.as_str(), rest));
    match command {
        "all-default-client" => all_default(words, command, || client::is_default(instance)),
        "all-default-server" => all_default(words, command, || server::is_default(instance)),
        "enable-client" => done(client::enable(instance, words)),
        "enable-server" => done(server::enable(instance, words)),
        "new-server-key" => done(server::new_key(instance, words)),
        "new-server-cert" => done(server::new_certificate(instance, words)),
        "deploy-server-cert" => done(deployed::deploy(instance, words)),
        "output-server-csr" => done(deployed::print_request(instance, words)),
        "output-server-tlsa" => done(deployed::print_records(instance, words)),
        other => {
            logging::error!("unknown tls command: '{}'", text::printable(other.as_bytes()));
            Err("usage: postfix tls enable-client (or enable-server, new-server-key, new-server-cert, \
                 deploy-server-cert, output-server-csr, output-server-tlsa, all-default-client, all-default-server)"
                .to_owned())
        }
    }
}

fn done(result: Result<(), String>) -> Result<ExitCode, String> {
    result.map(|()| ExitCode::SUCCESS)
}

/// The answer is the exit status.
fn all_default(words: &[String], command: &str, is_default: impl FnOnce() -> bool) -> Result<ExitCode, String> {
    if !words.is_empty() {
        return Err(format!("usage: postfix tls {command}"));
    }
    Ok(if is_default() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says something of several lines.
fn tell(lines: &str) {
    for line in lines.lines() {
        logging::info!("{line}");
    }
}

fn tell_to_reload() {
    tell("Run the command:\n  # postfix reload\nif you want the new settings to take effect immediately.");
}

/// Whether main.cf says something for one of these parameters.
fn is_any_set(instance: &Instance, names: &[&str]) -> bool {
    let says = |name: &&str| instance.config.setting(name).is_some_and(|setting| !setting.value.trim().is_empty());
    names.iter().any(says)
}

/// The source of random numbers that main.cf gets: nothing here reads it, and another Postfix may.
fn random_source(instance: &Instance, wanted: Option<String>) -> (String, String) {
    let configured = || instance.config.lookup("tls_random_source").ok().flatten().filter(|text| !text.is_empty());
    let source = wanted.or_else(configured).unwrap_or_else(|| "dev:/dev/urandom".to_owned());
    ("tls_random_source".to_owned(), source)
}

/// Writes settings into main.cf, each in the place of the one that is there.
fn set(instance: &Instance, wanted: &[(&str, String)]) -> Result<(), String> {
    let file = instance.config.directory().join("main.cf");
    let change =
        |(name, value): &(&str, String)| config::edit::Change::Set { name: (*name).to_owned(), value: value.clone() };
    let changes: Vec<_> = wanted.iter().map(change).collect();
    settings::replace(&file, |content| {
        let (content, warnings) = config::edit::main_cf(content, &file, &changes);
        warnings.iter().for_each(|warning| logging::warning!("{warning}"));
        content
    })
}
