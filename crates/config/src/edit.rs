//! Changing main.cf and master.cf by program: comments, order and everything that is not asked for stays.
//!
//! [`Document`] is the file in memory; it never touches the disk. [`Replacement`] replaces a file atomically: readers
//! see the old file or the new one, a crash or a full disk leaves one of them, and two edits at once become two in a
//! row.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use text::lossless::{decode, encode};

use crate::lines;

/// A configuration file as its physical lines, with what is to become of each logical line.
#[derive(Debug)]
pub struct Document {
    lines: Vec<Physical>,
    entries: Vec<Entry>,
    appended: Vec<String>,
    /// The last line has no newline.
    open_end: bool,
}

/// One physical line, without its newline, and the logical line it belongs to.
#[derive(Debug)]
struct Physical {
    text: Vec<u8>,
    entry: Option<usize>,
}

#[derive(Debug)]
struct Entry {
    text: String,
    action: Option<Action>,
}

/// What becomes of a logical line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// This text takes its place; it may be several physical lines.
    Replace(String),
    /// It goes.
    Remove,
    /// It becomes a comment, line by line.
    Comment,
}

impl Document {
    /// Splits a file's content.
    pub fn parse(content: &[u8]) -> Document {
        let mut document = Document {
            lines: Vec::new(),
            entries: Vec::new(),
            appended: Vec::new(),
            open_end: !content.ends_with(b"\n"),
        };
        if content.is_empty() {
            return document;
        }
        let body = content.strip_suffix(b"\n").unwrap_or(content);
        for text in body.split(|byte| *byte == b'\n') {
            document.push(text);
        }
        document
    }

    fn push(&mut self, text: &[u8]) {
        let continues = text.first().is_some_and(u8::is_ascii_whitespace);
        let entry = if lines::is_skipped(text) {
            None
        } else if continues && !self.entries.is_empty() {
            let last = self.entries.len() - 1;
            self.entries[last].text.push_str(&decode(text));
            Some(last)
        } else {
            let text = decode(text);
            self.entries.push(Entry { text, action: None });
            Some(self.entries.len() - 1)
        };
        self.lines.push(Physical { text: text.to_vec(), entry });
    }

    /// The logical lines, in order; the index of one is its handle.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.text.as_str())
    }

    /// Decides what becomes of a logical line; the last decision counts.
    pub fn act(&mut self, entry: usize, action: Action) {
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.action = Some(action);
        }
    }

    /// Adds text at the end.
    pub fn append(&mut self, text: String) {
        self.appended.push(text);
    }

    /// The file's new content.
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut replaced = None;
        for line in &self.lines {
            let action = line.entry.and_then(|entry| self.entries[entry].action.as_ref());
            match action {
                None => out.extend_from_slice(&line.text),
                Some(Action::Comment) => {
                    out.push(b'#');
                    out.extend_from_slice(&line.text);
                }
                Some(Action::Replace(text)) if replaced != line.entry => {
                    replaced = line.entry;
                    out.extend_from_slice(&encode(text));
                }
                Some(Action::Remove | Action::Replace(_)) => continue,
            }
            out.push(b'\n');
        }
        if self.open_end && self.appended.is_empty() && out.ends_with(b"\n") {
            out.pop();
        }
        for text in &self.appended {
            out.extend_from_slice(&encode(text));
            out.push(b'\n');
        }
        out
    }
}

/// A wanted change of main.cf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `name = value`, in the place of the setting or at the end.
    Set {
        /// The parameter.
        name: String,
        /// Its new value.
        value: String,
    },
    /// The setting goes.
    Remove(String),
    /// The setting becomes a comment.
    Comment(String),
}

impl Change {
    fn name(&self) -> &str {
        match self {
            Change::Set { name, .. } | Change::Remove(name) | Change::Comment(name) => name,
        }
    }
}

/// Applies changes to the content of main.cf: the new content, and sentences about what was odd.
pub fn main_cf(content: &[u8], file: &Path, changes: &[Change]) -> (Vec<u8>, Vec<String>) {
    let mut document = Document::parse(content);
    let mut warnings = Vec::new();
    let names: Vec<Option<String>> = document.entries().map(|text| name_of(text).map(str::to_owned)).collect();
    for change in changes {
        let matching = names.iter().enumerate().filter(|(_, name)| name.as_deref() == Some(change.name()));
        let found: Vec<usize> = matching.map(|(index, _)| index).collect();
        if found.len() > 1 {
            let file = file.display();
            warnings.push(format!("{file}: multiple entries for \"{}\"", change.name()));
        }
        let action = match change {
            Change::Set { name, value } => Action::Replace(format!("{name} = {value}")),
            Change::Remove(_) => Action::Remove,
            Change::Comment(_) => Action::Comment,
        };
        match (found.is_empty(), action) {
            (true, Action::Replace(text)) => document.append(text),
            (_, action) => found.iter().for_each(|entry| document.act(*entry, action.clone())),
        }
    }
    (document.render(), warnings)
}

/// The parameter that a logical line of main.cf sets.
fn name_of(text: &str) -> Option<&str> {
    if text.starts_with(|c: char| c.is_ascii_whitespace()) {
        return None;
    }
    crate::main_cf::split(text).ok().map(|(name, _)| name)
}

/// Why a file could not be replaced.
#[derive(Debug)]
pub struct StoreError {
    act: &'static str,
    file: PathBuf,
    source: io::Error,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.act, self.file.display(), text::system_error(&self.source))
    }
}

impl std::error::Error for StoreError {}

/// A file about to be replaced: whoever else changes it, also Postfix's own postconf, waits until this value is gone.
#[derive(Debug)]
pub struct Replacement {
    target: PathBuf,
    temporary: PathBuf,
    /// The copy that takes the file's place, locked.
    copy: File,
}

impl Replacement {
    /// Gets hold of the file; a symbolic link is followed.
    ///
    /// # Errors
    /// There is no such file, or none can be made beside it.
    pub fn begin(path: &Path) -> Result<Replacement, StoreError> {
        let target = fs::canonicalize(path).map_err(failed("open", &absent(path)))?;
        let mut name = target.clone().into_os_string();
        name.push(".tmp");
        let temporary = PathBuf::from(name);
        loop {
            let copy = open(&temporary).map_err(failed("open", &temporary))?;
            copy.lock().map_err(failed("lock", &temporary))?;
            // While we waited another one may have put its copy in place, or have given up.
            let ours = copy.metadata().map_err(failed("open", &temporary))?;
            match fs::symlink_metadata(&temporary) {
                Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => {
                    return Ok(Replacement { target, temporary, copy });
                }
                _ => continue,
            }
        }
    }

    /// What the file holds.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn content(&self) -> Result<Vec<u8>, StoreError> {
        fs::read(&self.target).map_err(failed("open", &self.target))
    }

    /// Puts new content in its place; mode and owner stay. It is on disk before the name changes hands.
    ///
    /// # Errors
    /// The content cannot be written; the file is as it was.
    pub fn commit(self, content: &[u8]) -> Result<(), StoreError> {
        let metadata = fs::metadata(&self.target).map_err(failed("open", &self.target))?;
        let folder = self.target.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        // Open before its entry changes: an error of the disk is told to those who were there when it happened.
        let folder = File::open(folder).map_err(failed("open", folder))?;
        fill(&self.copy, content, &metadata)
            .and_then(|()| fs::rename(&self.temporary, &self.target))
            .and_then(|()| folder.sync_all())
            .map_err(failed("update", &self.target))
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // After a commit the name is gone, and nobody else has made it anew: the lock is still held.
        let named = fs::symlink_metadata(&self.temporary);
        let ours = self.copy.metadata();
        if let (Ok(named), Ok(ours)) = (named, ours)
            && (named.dev(), named.ino()) == (ours.dev(), ours.ino())
        {
            fs::remove_file(&self.temporary).ok();
        }
    }
}

/// The file that Postfix fails to open when there is none: its copy first, and then itself.
fn absent(path: &Path) -> PathBuf {
    let has_folder = path.parent().is_some_and(Path::is_dir);
    let mut name = path.as_os_str().to_owned();
    name.push(if has_folder { " for reading" } else { ".tmp" });
    PathBuf::from(name)
}

fn failed(act: &'static str, file: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let file = file.to_path_buf();
    move |source| StoreError { act, file, source }
}

/// A left-over of a crashed edit is used again; a link is not followed.
fn open(temporary: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(nix::libc::O_NOFOLLOW).open(temporary)
}

fn fill(mut file: &File, content: &[u8], like: &fs::Metadata) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.set_len(0)?;
    file.write_all(content)?;
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (like.uid(), like.gid()) {
        std::os::unix::fs::fchown(file, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(fs::Permissions::from_mode(like.mode() & 0o7777))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# A comment\nfoo = bar\n more\n\nnets = a,\n\t# inside\n    b\nfoo = second\n# foo = c\n";

    fn edit(changes: &[Change]) -> (String, Vec<String>) {
        let (content, warnings) = main_cf(FILE.as_bytes(), Path::new("main.cf"), changes);
        (String::from_utf8(content).unwrap(), warnings)
    }

    fn set(name: &str, value: &str) -> Change {
        Change::Set { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_setting_is_replaced_in_its_place_and_comments_stay() {
        let (text, warnings) = edit(&[set("nets", "x y")]);
        assert_eq!(text, "# A comment\nfoo = bar\n more\n\nnets = x y\n\t# inside\nfoo = second\n# foo = c\n");
        assert!(warnings.is_empty());
    }

    #[test]
    fn a_setting_that_stands_twice_is_replaced_twice_with_a_warning() {
        let (text, warnings) = edit(&[set("foo", "1")]);
        assert_eq!(text, "# A comment\nfoo = 1\n\nnets = a,\n\t# inside\n    b\nfoo = 1\n# foo = c\n");
        assert_eq!(warnings, ["main.cf: multiple entries for \"foo\""]);
    }

    #[test]
    fn a_new_setting_is_appended_and_an_unknown_one_is_not_removed() {
        let (text, _) = edit(&[set("new", "1"), Change::Remove("nosuch".to_owned())]);
        assert_eq!(text, format!("{FILE}new = 1\n"));
    }

    #[test]
    fn commenting_out_keeps_every_line() {
        let (text, _) = edit(&[Change::Comment("nets".to_owned())]);
        assert!(text.contains("\n#nets = a,\n\t# inside\n#    b\n"), "{text}");
    }

    #[test]
    fn storing_keeps_the_mode_and_follows_a_link() {
        let folder = std::env::temp_dir().join(format!("config-edit-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (file, link) = (folder.join("real.cf"), folder.join("main.cf"));
        fs::write(&file, "a = b\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        fs::write(folder.join("real.cf.tmp"), "left over, and longer than the new content").unwrap();
        Replacement::begin(&link).unwrap().commit(b"a = c\n").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"a = c\n");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_end_without_newline_stays_so_unless_something_follows() {
        let edit = |changes: &[Change]| {
            let (content, _) = main_cf(b"a = 1\nb = 2", Path::new("main.cf"), changes);
            String::from_utf8(content).unwrap()
        };
        assert_eq!(edit(&[set("a", "3")]), "a = 3\nb = 2");
        assert_eq!(edit(&[set("b", "3")]), "a = 1\nb = 3");
        assert_eq!(edit(&[set("c", "3")]), "a = 1\nb = 2\nc = 3\n");
    }

    #[test]
    fn edits_at_the_same_time_are_done_one_after_the_other() {
        let folder = std::env::temp_dir().join(format!("config-edits-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("main.cf");
        fs::write(&file, "").unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let file = &file;
                scope.spawn(move || {
                    for turn in 0..10 {
                        let replacement = Replacement::begin(file).unwrap();
                        let change = set(&format!("p{number}_{turn}"), "x");
                        let (content, _) = main_cf(&replacement.content().unwrap(), file, &[change]);
                        replacement.commit(&content).unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 80);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }
}
