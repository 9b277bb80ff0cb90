//! From the command line to the exit status: which option is answered by what.

use std::process::ExitCode;

use crate::options::{Mode, Options};
use crate::{change, explain, out, parameters, services, templates};

/// Shows or changes what the command line asks for.
///
/// # Errors
/// A sentence, printable: a file cannot be read, parsed or replaced, or an option makes no sense.
pub(crate) fn run() -> Result<ExitCode, String> {
    let done = Options::parse(std::env::args_os().skip(1)).and_then(|options| act(&options));
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(failure) => Err(text::printable_ascii(&text::lossless::encode(&failure.to_string()))),
    }
}

fn act(options: &Options) -> Result<(), out::Failure> {
    match options.mode {
        Mode::MainCf if options.is_change() => change::main_cf(options),
        Mode::MainCf => parameters::show(options),
        Mode::MasterEntries | Mode::MasterFields | Mode::MasterOptions if options.is_change() => {
            change::master_cf(options)
        }
        Mode::MasterEntries | Mode::MasterFields | Mode::MasterOptions => services::show(options),
        Mode::TableTypes => out::lines(lookup::Kind::ALL.iter().map(|kind| kind.as_str())),
        Mode::LockTypes => out::lines(["flock", "fcntl", "dotlock"]),
        Mode::ServerSaslTypes => out::lines([config::report::SERVER_TYPE]),
        Mode::ClientSaslTypes => out::lines([config::report::CLIENT_TYPE]),
        Mode::Tls => match options.tls.as_str() {
            "public-key-algorithms" => out::lines(["ecdsa", "rsa"]),
            // Those of OpenSSL, which is not there.
            "compile-version" | "run-version" => Ok(()),
            other => Err(out::Failure(format!("unknown 'postconf -T' mode: {other}"))),
        },
        Mode::ReportTexts | Mode::ReportTemplates => templates::show(options),
        Mode::Explain => explain::show(options),
    }
}
