//! From the command line to the exit status: the addresses are found in one way, and shown.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use logging::{info, warning};
use net::discover::{self, Discover, Method};
use net::interfaces::{Interface, list_family};
use net::{Protocols, Shown, protocols};

use crate::options::Options;

/// The name that this program was called by.
pub(crate) fn called() -> String {
    let called = std::env::args_os().next().unwrap_or_else(|| "inet_addr_local".into());
    called.to_string_lossy().into_owned()
}

/// Shows the addresses, or the methods of this platform. Messages speak of the program as `called`.
///
/// # Errors
/// A sentence: no address was found, or the command line cannot be understood.
pub(crate) fn run(called: &str) -> Result<ExitCode, String> {
    let options = Options::parse(std::env::args_os().skip(1))?;
    if options.list {
        write(&methods())?;
        return Ok(ExitCode::SUCCESS);
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
    write(&lines)?;
    Ok(ExitCode::SUCCESS)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_that_is_shown_can_be_asked_for_and_the_default_comes_first() {
        let shown = methods();
        let names: Vec<&str> = shown.lines().collect();
        assert_eq!(names.iter().filter(|name| name.ends_with(" (default)")).count(), 1);
        assert!(names[0].ends_with(" (default)"), "{shown}");
        for name in names {
            assert!(named(name.trim_end_matches(" (default)")).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_method_that_is_none_is_told_from_one_of_another_platform() {
        let refusal = |name| named(name).err().unwrap_or_default();
        assert!(refusal("bogus").starts_with("unknown method \"bogus\"; --list-methods"));
        let elsewhere = Method::ALL.into_iter().find(|method| method.here().is_none());
        if let Some(method) = elsewhere {
            assert!(refusal(&method.to_string()).contains("is not available on this platform"), "{method}");
        }
    }

    #[test]
    fn families_are_those_that_are_asked_for_one_after_the_other() {
        let method = discover::default_here().unwrap();
        let found = |protocols| addresses(method.as_ref(), protocols).unwrap();
        assert!(found(Protocols::V4).iter().all(|it| it.address.is_ipv4()));
        assert!(found(Protocols::V6).iter().all(|it| it.address.is_ipv6()));
        assert!(found(Protocols::BOTH).is_sorted_by_key(|it| it.address.is_ipv6()));
    }

    #[test]
    fn protocols_are_words_of_inet_protocols_and_a_bad_one_names_the_program() {
        assert!(protocols("me", "ipv4").is_ok_and(|found| found == Protocols::V4));
        assert!(protocols("me", "ipv5").unwrap_err().contains("ipv5"));
    }
}
