//! The workspace as files: its root, its packages and their layers, its sources, and how cargo is called.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use toml::{Table, Value};

use crate::failure::{Failure, Outcome};

/// The folder of the root manifest.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// One member of the workspace.
pub struct Package {
    pub name: String,
    /// Relative to the root: `crates/net`, `smtpd`.
    pub folder: String,
    pub layer: Layer,
    /// Names of the workspace's own packages that it needs outside of tests.
    pub needs: Vec<String>,
    /// Names of the programs that it builds.
    pub programs: Vec<String>,
}

impl Package {
    /// The file with the `main` of one of its programs, relative to the root.
    pub fn main_of(&self, program: &str) -> String {
        let file = if program == self.name { "main" } else { program };
        format!("{}/src/{file}.rs", self.folder)
    }
}

/// Where a package stands: an edge between packages only goes down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layer {
    Level(i64),
    /// Tests and development commands: may need anything, and nothing else may need them.
    Side,
}

/// The layer of the programs.
pub const PROGRAMS: Layer = Layer::Level(6);

/// All members, in the order of the root manifest.
pub fn packages() -> Outcome<Vec<Package>> {
    let manifest = read_toml(&root().join("Cargo.toml"))?;
    let folders = manifest["workspace"]["members"].as_array().cloned().unwrap_or_default();
    folders.iter().filter_map(Value::as_str).map(package).collect()
}

/// Names of all programs of the mail system: what an installation or an instance needs.
pub fn programs() -> Outcome<Vec<String>> {
    let packages = packages()?;
    Ok(packages.into_iter().filter(|p| p.layer == PROGRAMS).flat_map(|p| p.programs).collect())
}

fn package(folder: &str) -> Outcome<Package> {
    let path = root().join(folder).join("Cargo.toml");
    let manifest = read_toml(&path)?;
    let name = text(&manifest, "package", "name").ok_or_else(|| missing(&path, "package.name"))?;
    let layer = manifest
        .get("package")
        .and_then(|p| p.get("metadata"))
        .and_then(|m| m.get("layer"))
        .ok_or_else(|| missing(&path, "package.metadata.layer"))?;
    let layer = match layer {
        Value::Integer(level) => Layer::Level(*level),
        Value::String(word) if word == "side" => Layer::Side,
        _ => return Err(missing(&path, "package.metadata.layer (a number, or \"side\")")),
    };
    let tables = ["dependencies", "build-dependencies"];
    let needs = tables.iter().filter_map(|t| manifest.get(*t)?.as_table()).flat_map(|t| t.keys().cloned()).collect();
    let mut programs = Vec::new();
    if root().join(folder).join("src/main.rs").exists() {
        programs.push(name.clone());
    }
    let bins = manifest.get("bin").and_then(Value::as_array).cloned().unwrap_or_default();
    for bin in bins.iter().filter_map(|b| b.get("name")?.as_str()) {
        if !programs.iter().any(|p| p == bin) {
            programs.push(bin.to_owned());
        }
    }
    Ok(Package { name, folder: folder.to_owned(), layer, needs, programs })
}

/// A TOML file as a table; the failure names the file.
pub fn read_toml(path: &Path) -> Outcome<Table> {
    let text = read(path)?;
    text.parse().map_err(|e| Failure::about(path.display(), e))
}

/// A text file; the failure names the file.
pub fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|e| Failure::about(path.display(), e))
}

fn text(manifest: &Table, table: &str, key: &str) -> Option<String> {
    Some(manifest.get(table)?.get(key)?.as_str()?.to_owned())
}

fn missing(path: &Path, what: &str) -> Failure {
    Failure(format!("{}: no {what}", path.display()))
}

/// All files of the source tree, relative to the root and sorted; not what builds or version control keep there.
pub fn files() -> Outcome<Vec<String>> {
    let (root, mut found, mut folders) = (root(), Vec::new(), vec![String::new()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            match entry.file_type()? {
                kind if kind.is_dir() && !matches!(name.as_str(), "target" | ".git") => folders.push(path),
                kind if kind.is_file() && name != ".git" => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Where cargo builds to: by the environment, or by a setting of cargo's that is nowhere in this workspace.
pub fn target() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let usual = || root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    FOLDER.get_or_init(|| told_by_cargo().unwrap_or_else(usual)).clone()
}

fn told_by_cargo() -> Option<PathBuf> {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).stderr(Stdio::null()).output().ok()?;
    target_directory(&String::from_utf8_lossy(&output.stdout))
}

/// From the answer of `cargo metadata`, which is JSON; a name with what JSON writes otherwise is left to the default.
fn target_directory(metadata: &str) -> Option<PathBuf> {
    let (_, rest) = metadata.split_once("\"target_directory\":\"")?;
    let (folder, _) = rest.split_once('"')?;
    (!folder.is_empty() && !folder.contains('\\')).then(|| PathBuf::from(folder))
}

/// `cargo ARGS` at the root, output on the terminal.
pub fn cargo(args: &[&str]) -> Outcome {
    run(Command::new(env!("CARGO")).args(args).current_dir(root()))
}

/// Runs a command to its end; any status but 0 is a failure that names it.
pub fn run(command: &mut Command) -> Outcome {
    let shown = shown(command);
    let status = command.stdin(Stdio::null()).status().map_err(|e| Failure::about(&shown, e))?;
    if status.success() { Ok(()) } else { Err(Failure(format!("`{shown}` ended with {status}"))) }
}

/// Standard output of a command that must succeed.
pub fn output(command: &mut Command) -> Outcome<String> {
    let shown = shown(command);
    let out = command.stdin(Stdio::null()).output().map_err(|e| Failure::about(&shown, e))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        return Err(Failure(format!("`{shown}` ended with {}: {}", out.status, said.trim())));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_one_that_cargo_names() {
        let found = |text| target_directory(text);
        let answer = r#"{"packages":[],"target_directory":"/a folder/target","version":1}"#;
        assert_eq!(found(answer), Some("/a folder/target".into()));
        assert_eq!((found("{}"), found(r#"{"target_directory":"/a\"b"}"#)), (None, None));
        assert!(told_by_cargo().is_some_and(|folder| folder.is_absolute()));
    }
}
