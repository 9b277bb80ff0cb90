//! conf/manifest: every file and directory of an installation with its owner, group and mode.
//!
//! One list for the installer, for `postfix check`, which compares, and for `postfix set-permissions`, which puts
//! right. The names in it are those of an installation with default settings.

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Absolute, as on the installed system.
    pub path: String,
    /// `root`, or `postfix` for mail_owner.
    pub owner: String,
    /// `root`, `postfix` for the group of mail_owner, or `postdrop` for setgid_group.
    pub group: String,
    /// Permissions, with the set-gid bit.
    pub mode: u32,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A program that cargo builds under this name.
    Program(String),
    /// A file of the source tree.
    File(String),
    /// The same, but one that is already there stays: it is the administrator's.
    Configuration(String),
    /// A symbolic link to this.
    Link(String),
}

/// The manifest that belongs to these programs.
pub fn shipped() -> Vec<Entry> {
    // cannot fail: a test reads it.
    parse(include_str!("../../../conf/manifest")).unwrap_or_default()
}

/// Lines `KIND PATH OWNER:GROUP MODE [SOURCE]`; `#` starts a comment.
///
/// # Errors
/// A sentence about the first line that is none of these, with its number.
pub fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if !line.is_empty() {
            let wrong = || format!("{}: not KIND PATH OWNER:GROUP MODE [SOURCE]: {line}", at + 1);
            entries.push(entry(line).ok_or_else(wrong)?);
        }
    }
    Ok(entries)
}

fn entry(line: &str) -> Option<Entry> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (kind, path, owners, mode, source) = match words[..] {
        [kind, path, owners, mode] => (kind, path, owners, mode, None),
        [kind, path, owners, mode, source] => (kind, path, owners, mode, Some(source.to_owned())),
        _ => return None,
    };
    let kind = match kind {
        "directory" => Kind::Directory,
        "program" => Kind::Program(source.or_else(|| Some(path.rsplit('/').next()?.to_owned()))?),
        "file" => Kind::File(source?),
        "configuration" => Kind::Configuration(source?),
        "link" => Kind::Link(source?),
        _ => return None,
    };
    let (owner, group) = owners.split_once(':')?;
    let mode = u32::from_str_radix(mode, 8).ok()?;
    Some(Entry { kind, path: path.to_owned(), owner: owner.to_owned(), group: group.to_owned(), mode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kind_path_owners_mode_and_source() {
        let entries = parse("# all\nprogram /usr/sbin/postdrop root:postdrop 2755\n").expect("parsed");
        let (owner, group) = ("root".to_owned(), "postdrop".to_owned());
        let kind = Kind::Program("postdrop".to_owned());
        assert_eq!(entries, [Entry { kind, path: "/usr/sbin/postdrop".to_owned(), owner, group, mode: 0o2755 }]);
        assert!(parse("program /usr/sbin/postdrop root 2755").is_err());
        assert!(parse("directory /etc/postfix root:root 0755 x y").is_err());
    }

    #[test]
    fn the_shipped_manifest_can_be_read_and_names_no_owner_but_the_three() {
        let entries = parse(include_str!("../../../conf/manifest")).unwrap();
        assert_eq!(entries, shipped());
        for entry in entries {
            assert!(["root", "postfix"].contains(&entry.owner.as_str()), "{}", entry.path);
            assert!(["root", "postfix", "postdrop"].contains(&entry.group.as_str()), "{}", entry.path);
        }
    }
}
