//! An edge between packages only goes down; nothing needs a package at the side; no program needs a program.

use super::Complaints;
use crate::workspace::{Layer, PROGRAMS, Package};

/// Edges within one layer that are wanted: formats built on smaller formats, and who says where it is found what is odd.
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
];

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
        if package.layer == PROGRAMS && crate::workspace::root().join(&package.folder).join("src/lib.rs").exists() {
            complaints.add(&manifest, 1, "a program has no lib.rs: what others need belongs into crates/");
        }
    }
}

fn refusal(from: &Package, to: &Package) -> Option<String> {
    let wanted = SAME_LAYER.contains(&(from.name.as_str(), to.name.as_str()));
    match (from.layer, to.layer) {
        (Layer::Side, _) => None,
        (_, Layer::Side) => Some("it is for tests and development".to_string()),
        (Layer::Level(a), Layer::Level(b)) if a > b || a == b && wanted => None,
        (Layer::Level(a), Layer::Level(b)) => Some(format!("an edge goes down, this one goes from layer {a} to {b}")),
    }
}
