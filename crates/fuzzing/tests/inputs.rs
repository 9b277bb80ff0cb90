//! Every input that is kept is given to its target; targets, folders of inputs and programs of `fuzz/` are the same
//! list.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The packages of a lock file with their versions.
fn locked(path: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(here(path)).unwrap();
    let field = |line: Option<&str>, name: &str| Some(line?.strip_prefix(name)?.trim_matches('"').to_owned());
    let packages = text.split("[[package]]\n").skip(1).filter_map(|package| {
        let mut lines = package.lines();
        Some((field(lines.next(), "name = ")?, field(lines.next(), "version = ")?))
    });
    packages.collect()
}

/// The names in a folder, without what follows their first dot.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.map(|name| name.split('.').next().unwrap().to_owned()).collect()
}

#[test]
fn every_kept_input_passes_its_target() {
    for (name, target) in fuzzing::TARGETS {
        let mut played = 0;
        for entry in fs::read_dir(here("inputs").join(name)).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(path).unwrap());
            played += 1;
        }
        assert!(played > 0, "{name} has no input to begin with");
        target(b"");
    }
}

#[test]
fn targets_and_their_programs_and_inputs_are_the_same_list() {
    let targets: BTreeSet<String> = fuzzing::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&here("inputs")), targets);
    assert_eq!(names(&here("../../fuzz/fuzz_targets")), targets);
    assert!(names(&here("dictionaries")).is_subset(&targets));
    let manifest = fs::read_to_string(here("../../fuzz/Cargo.toml")).unwrap();
    for name in &targets {
        let program = fs::read_to_string(here("../../fuzz/fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(program.contains(&format!("fuzzing::{name}(data)")), "{name}.rs runs its own law");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")), "{name}");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), targets.len());
}

#[test]
fn what_is_fuzzed_has_the_versions_that_are_shipped() {
    let shipped = locked("../../Cargo.lock");
    let fuzzed = locked("../../fuzz/Cargo.lock");
    assert!(fuzzed.iter().any(|(name, _)| name == "libfuzzer-sys") && shipped.len() > 100);
    for package in fuzzed {
        let known = shipped.iter().any(|(name, _)| *name == package.0);
        // Put right by a copy of the first file in the place of the second, and a build of fuzz/.
        assert!(
            !known || shipped.contains(&package),
            "fuzz/Cargo.lock has {} {}, Cargo.lock has not",
            package.0,
            package.1
        );
    }
}
