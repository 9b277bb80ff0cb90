//! conf/manifest: every file and directory of an installation with owner, group and mode; it installs and verifies.

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    /// Absolute, as on the installed system.
    pub path: String,
    pub owner: String,
    pub group: String,
    pub mode: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    /// A program that cargo builds.
    Program(String),
    /// A file of the source tree.
    File(String),
    /// The same, but one that is already there stays: it is the administrator's.
    Configuration(String),
    /// A symbolic link to this.
    Link(String),
}

/// The manifest of the source tree.
pub fn read() -> Outcome<Vec<Entry>> {
    let path = workspace::root().join("conf/manifest");
    parse(&workspace::read(&path)?).map_err(|e| Failure(format!("conf/manifest:{e}")))
}

/// Lines `KIND PATH OWNER:GROUP MODE [SOURCE]`; `#` starts a comment.
fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if !line.is_empty() {
            entries.push(
                entry(line).ok_or_else(|| format!("{}: not KIND PATH OWNER:GROUP MODE [SOURCE]: {line}", at + 1))?,
            );
        }
    }
    Ok(entries)
}

fn entry(line: &str) -> Option<Entry> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (kind, path, owners, mode) = (words.first()?, words.get(1)?, words.get(2)?, words.get(3)?);
    let source = words.get(4).map(|s| s.to_string());
    let kind = match *kind {
        "directory" => Kind::Directory,
        "program" => Kind::Program(source.or_else(|| Some(path.rsplit('/').next()?.to_string()))?),
        "file" => Kind::File(source?),
        "configuration" => Kind::Configuration(source?),
        "link" => Kind::Link(source?),
        _ => return None,
    };
    let (owner, group) = owners.split_once(':')?;
    let mode = u32::from_str_radix(mode, 8).ok()?;
    Some(Entry { kind, path: path.to_string(), owner: owner.to_string(), group: group.to_string(), mode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kind_path_owners_mode_and_source() {
        let entries = parse("# all\nprogram /usr/sbin/postdrop root:postdrop 2755\n").expect("parsed");
        let (owner, group) = ("root".to_string(), "postdrop".to_string());
        let kind = Kind::Program("postdrop".to_string());
        assert_eq!(entries, [Entry { kind, path: "/usr/sbin/postdrop".to_string(), owner, group, mode: 0o2755 }]);
        assert!(parse("program /usr/sbin/postdrop root 2755").is_err());
    }

    #[test]
    fn every_program_is_installed_under_its_name() {
        let entries = read().expect("read");
        for program in workspace::programs().expect("programs") {
            let installed = |e: &Entry| e.path.rsplit('/').next() == Some(&program) && e.kind != Kind::Directory;
            assert!(entries.iter().any(installed), "conf/manifest has no {program}");
        }
    }

    #[test]
    fn the_manifest_of_the_source_tree_can_be_read_and_its_sources_exist() {
        for entry in read().expect("read") {
            if let Kind::File(source) | Kind::Configuration(source) = entry.kind {
                assert!(workspace::root().join(&source).exists(), "{source}");
            }
        }
    }
}
