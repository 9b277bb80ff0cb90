//! An edge between packages only goes down; nothing needs a package at the side; no program needs a program.

use super::Complaints;
use super::source::Source;
use crate::workspace::{Layer, PROGRAMS, Package};

/// Edges within one layer that are wanted: formats built on smaller formats, and who says where it is found what is
/// odd.
const SAME_LAYER: &[(&str, &str)] = &[
    ("dsn", "address"),
    ("logging", "dsn"),
    ("queue", "dsn"),
    ("dns", "net"),
    ("dns", "logging"),
    ("message", "address"),
    ("smtp-protocol", "address"),
    ("smtp-protocol", "dsn"),
    ("smtp-protocol", "net"),
    ("wire", "dsn"),
    ("delivery", "daemon"),
    ("smtp-client", "tls"),
];

/// The program folders with a library, and why: what several programs are made of, to be compiled once.
const WITH_LIBRARY: &[(&str, &str)] = &[("smtp", "smtp and lmtp are one agent")];

pub(super) fn check(packages: &[Package], complaints: &mut Complaints) {
    for (at, package) in packages.iter().enumerate() {
        if packages[..at].iter().any(|other| other.folder == package.folder) {
            complaints.add("Cargo.toml", 1, format!("`{}` stands twice among the members", package.folder));
        }
        let manifest = format!("{}/Cargo.toml", package.folder);
        for name in &package.needs {
            let Some(needed) = packages.iter().find(|p| p.name == *name) else { continue };
            if let Some(why) = refusal(package, needed) {
                complaints.add(&manifest, 1, format!("`{}` must not need `{name}`: {why}", package.name));
            }
        }
        let path = format!("{}/src/lib.rs", package.folder);
        if package.layer == PROGRAMS
            && let Ok(text) = crate::workspace::read(&crate::workspace::root().join(&path))
        {
            library(&Source::new(&path, &text), &package.folder, complaints);
        }
    }
}

/// A program is no library. One that has a library all the same keeps its modules to itself: the compiler reports code
/// that nobody uses for as long as nobody outside could.
fn library(source: &Source, folder: &str, complaints: &mut Complaints) {
    if !WITH_LIBRARY.iter().any(|(listed, _)| *listed == folder) {
        complaints.add(&source.path, 1, "a program has no lib.rs: what others need belongs into crates/");
    }
    let offers = |code: &str| code.starts_with("pub mod ") || code.starts_with("pub use ");
    for (number, _) in source.numbered().filter(|(_, line)| offers(&line.code)) {
        complaints.add(&source.path, number, "the library of a program offers functions for `main`, and no module");
    }
}

fn refusal(from: &Package, to: &Package) -> Option<String> {
    let wanted = SAME_LAYER.contains(&(from.name.as_str(), to.name.as_str()));
    match (from.layer, to.layer) {
        (Layer::Side, _) => None,
        (_, Layer::Side) => Some("it is for tests and development".to_owned()),
        (Layer::Level(a), Layer::Level(b)) if a > b || a == b && wanted => None,
        (Layer::Level(a), Layer::Level(b)) => Some(format!("an edge goes down, this one goes from layer {a} to {b}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_a_library_only_for_its_own_programs() {
        let complaints = |folder: &str, text: &str| {
            let mut found = Complaints::default();
            library(&Source::new("x/src/lib.rs", text), folder, &mut found);
            found.0.len()
        };
        assert_eq!(complaints("smtpd", "mod a;\n"), 1);
        assert_eq!(complaints("smtp", "mod a;\n\npub fn run() {}\n"), 0);
        assert_eq!(complaints("smtp", "mod a;\npub mod b;\npub use a::A;\n"), 2);
    }
}
