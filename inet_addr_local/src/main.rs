//! inet_addr_local - show the addresses of this machine as the mail system finds them
//!
//! # Synopsis
//! `inet_addr_local [--method name] [protocols]`
//!
//! `inet_addr_local --list-methods`
//!
//! # Description
//! Writes a line `address/netmask` for every address of every interface that is up, IPv4 before IPv6, otherwise in the
//! system's order. That is what `inet_interfaces = all` listens on and what decides whether mail is for this machine; on a
//! new platform it is the first program to try. It reads no configuration: `protocols` is in the syntax of
//! `inet_protocols`, and `all` when it is missing. Further arguments are ignored.
//!
//! `--method` asks the system in that way instead of the platform's own; `--list-methods` writes the names of the methods
//! that this platform has, the default first.
//!
//! # Diagnostics
//! Standard error has the words of `protocols`, what the kernel lacks, what was left out and how many addresses were found,
//! under the name that the program was called by. Exit status 1: no address was found, the system refused to list them, or
//! the command line cannot be understood.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use logging::{Severity, emit_text, info, warning};
use net::discover::{self, Discover, Method};
use net::interfaces::{Interface, list_family};
use net::{Protocols, Shown, protocols};

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_else(|| "inet_addr_local".into());
    let called = called.to_string_lossy().into_owned();
    logging::set_up_command(&called, false);
    match run(&called) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            emit_text(Severity::Fatal, format_args!("{why}"));
            ExitCode::FAILURE
        }
    }
}

fn run(called: &str) -> Result<(), String> {
    let options = options()?;
    if options.list {
        return write(&methods());
    }
    let method = match &options.method {
        Some(name) => named(name)?,
        None => discover::default_here().map_err(|error| error.to_string())?,
    };
    let protocols = protocols(called, options.protocols.as_deref().unwrap_or("all"))?;
    let found = addresses(method.as_ref(), protocols)?;
    match found.len() {
        0 => return Err("cannot find any active network interfaces".to_owned()),
        1 => warning!("found only one active network interface"),
        _ => {}
    }
    let mut lines = String::new();
    for interface in &found {
        let _ = writeln!(lines, "{}/{}", Shown(interface.address), Shown(interface.mask()));
    }
    write(&lines)
}

/// Finds the addresses, a family after the other, and tells of each.
fn addresses(method: &dyn Discover, protocols: Protocols) -> Result<Vec<Interface>, String> {
    let mut all = Vec::new();
    for family in protocols.families() {
        let (found, warnings) = list_family(method, family).map_err(|error| error.to_string())?;
        for text in warnings {
            warning!("{text}");
        }
        info!("inet_addr_local: configured {} {family} addresses", found.len());
        all.extend(found);
    }
    Ok(all)
}

/// The families that are asked for and that the kernel has.
fn protocols(called: &str, value: &str) -> Result<Protocols, String> {
    for word in protocols::words(value).take_while(|word| Protocols::parse(word).is_ok()) {
        info!("name_mask: {word}");
    }
    let asked = Protocols::parse_as(called, value).map_err(|error| error.to_string())?;
    let (protocols, lacking) = asked.probe().map_err(|error| error.to_string())?;
    for text in lacking {
        warning!("{called}: {text}");
    }
    Ok(protocols)
}

fn named(name: &str) -> Result<Box<dyn Discover>, String> {
    const REMEDY: &str = "--list-methods shows those that are";
    let method = Method::named(name).ok_or_else(|| format!("unknown method \"{name}\"; {REMEDY} available"))?;
    let platform = net::PLATFORM.name;
    method.here().ok_or_else(|| format!("method {method} is not available on this platform ({platform}); {REMEDY}"))
}

fn methods() -> String {
    let names = Method::all_here().into_iter().enumerate();
    names.map(|(at, method)| format!("{method}{}\n", if at == 0 { " (default)" } else { "" })).collect()
}

fn write(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| format!("write standard output: {}", net::reason(&error)))
}

#[derive(Default)]
struct Options {
    list: bool,
    method: Option<String>,
    protocols: Option<String>,
}

fn options() -> Result<Options, String> {
    const USAGE: &str = "usage: inet_addr_local [--method name] [--list-methods] [protocols]";
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next().map_err(|error| format!("{error}; {USAGE}"))? {
        match argument {
            lexopt::Arg::Long("list-methods") => options.list = true,
            lexopt::Arg::Long("method") => {
                let name = parser.value().map_err(|error| format!("{error}; {USAGE}"))?;
                options.method = Some(name.to_string_lossy().into_owned());
            }
            lexopt::Arg::Value(word) if options.protocols.is_none() => {
                options.protocols = Some(word.to_string_lossy().into_owned());
            }
            lexopt::Arg::Value(_) => {}
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(options)
}
