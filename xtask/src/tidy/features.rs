//! The features of a library stand in the root manifest. What members ask for is united over whatever is built at once,
//! so that features of a member's own would have `cargo xtask run` build again what `cargo build` has built.

use toml::{Table, Value};

use super::Complaints;
use crate::failure::Outcome;
use crate::workspace::{self, Package};

const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(packages: &[Package], complaints: &mut Complaints) -> Outcome {
    for package in packages {
        let path = format!("{}/Cargo.toml", package.folder);
        let manifest = workspace::read_toml(&workspace::root().join(&path))?;
        for name in of_member(&manifest).filter(|name| packages.iter().all(|package| package.name != *name)) {
            complaints.add(&path, 1, format!("the features of `{name}` stand in the root Cargo.toml, for all members"));
        }
    }
    Ok(())
}

/// Libraries of the workspace for which a member names features.
fn of_member(manifest: &Table) -> impl Iterator<Item = &str> {
    let dependencies = TABLES.iter().filter_map(|table| manifest.get(*table)?.as_table()).flatten();
    let is_shared = |value: &Value| value.get("workspace").is_some() && value.get("features").is_some();
    dependencies.filter(move |(_, value)| is_shared(value)).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_names_no_features_of_what_all_members_share() {
        let text = "[dependencies]\na = { workspace = true, features = [\"x\"] }\nb.workspace = true\n\
                    c = { version = \"1\", features = [\"x\"] }\n[dev-dependencies]\nd = { workspace = true, features = [] }\n";
        let manifest: Table = text.parse().expect("a manifest");
        assert_eq!(of_member(&manifest).collect::<Vec<_>>(), ["a", "d"]);
    }
}
