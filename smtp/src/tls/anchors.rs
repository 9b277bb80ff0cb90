//! Trust anchor files (smtp_tls_trust_anchor_file, tafile).
//!
//! Policies name them while mail is delivered, and then no file is in reach any more. So the tables are searched for
//! names of such files when the program starts, and the files are read; a table that changes starts the program anew.
//! What a plug-in names later is not there, and its mail waits.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use lookup::{Kind, Spec};
use tls::Anchors;

/// Bytes of one table that are searched.
/// told: the log, when a policy names a file that was not read.
const MOST_SEARCHED: u64 = 256 << 20;
/// Files that are kept.
/// told: the log, when a policy names one of the others.
const MOST_FILES: usize = 1000;
/// Combinations of files that are kept.
/// told: nobody; others are made again.
const MOST_MADE: usize = 1000;

/// The files that policies may name.
#[derive(Default)]
pub struct Shelf {
    files: HashMap<PathBuf, Result<Vec<u8>, String>>,
    made: RefCell<HashMap<Vec<PathBuf>, Rc<Anchors>>>,
}

impl Shelf {
    /// Reads what these tables name, as smtp_tls_policy_maps has them, and these files.
    pub fn fill(tables: &str, files: &[PathBuf]) -> Self {
        let mut shelf = Self::default();
        let listed = text::split_list(tables);
        let named = listed.into_iter().flat_map(names_in_table);
        for path in files.iter().cloned().chain(named) {
            if shelf.files.len() < MOST_FILES {
                let content = Anchors::read(&path).map_err(|error| net::reason(&error));
                shelf.files.insert(path, content);
            }
        }
        shelf
    }

    /// What some files hold together.
    ///
    /// # Errors
    /// The first that cannot be used, and why.
    pub fn take(&self, files: &[PathBuf]) -> Result<Rc<Anchors>, String> {
        if let Some(known) = self.made.borrow().get(files) {
            return Ok(Rc::clone(known));
        }
        let mut anchors = Anchors::pinned();
        for path in files {
            let failed = |why: &str| format!("{}: {why}", path.display());
            let content = self.files.get(path).ok_or_else(|| failed("No such file or directory"))?;
            let content = content.as_ref().map_err(|why| failed(why))?;
            if !anchors.pin(content) {
                return Err(failed("no trust anchor found"));
            }
        }
        let anchors = Rc::new(anchors);
        let mut made = self.made.borrow_mut();
        if made.len() < MOST_MADE {
            made.insert(files.to_vec(), Rc::clone(&anchors));
        }
        Ok(anchors)
    }
}

/// The files that one table names.
fn names_in_table(table: &str) -> Vec<PathBuf> {
    let Ok(spec) = Spec::parse(table) else { return Vec::new() };
    if matches!(spec.kind, Kind::Inline | Kind::Static) {
        return names_in(table.as_bytes());
    }
    // The source or what postmap has made of it, whichever is asked.
    let suffixes = ["", ".lmdb", ".cdb", ".db"];
    let files = suffixes.iter().filter_map(|suffix| contents(Path::new(&format!("{}{suffix}", spec.name))).ok());
    files.flat_map(|content| names_in(&content)).collect()
}

fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    if fs::metadata(path)?.is_file() {
        // told: the log, when a policy names a file that was not read.
        File::open(path)?.take(MOST_SEARCHED).read_to_end(&mut content)?;
    }
    Ok(content)
}

/// The values of `tafile=` in a text, or in a file that has such texts in it.
fn names_in(content: &[u8]) -> Vec<PathBuf> {
    const NAME: &[u8] = b"tafile";
    let mut names = Vec::new();
    let mut rest = content;
    while let Some(at) = rest.windows(NAME.len()).position(|window| window.eq_ignore_ascii_case(NAME)) {
        rest = rest.get(at + NAME.len()..).unwrap_or_default();
        let Some(value) = rest.trim_ascii_start().strip_prefix(b"=") else { continue };
        let value = value.trim_ascii_start();
        let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'}' | b'"' | 0);
        let end = value.iter().position(ends).unwrap_or(value.len());
        if let Some(name) = value.get(..end).and_then(|name| str::from_utf8(name).ok()).filter(|name| !name.is_empty())
        {
            names.push(name.into());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use testing::certificates::Authority;

    #[test]
    fn the_files_that_tables_name_are_found() {
        let names = |text: &str| names_in(text.as_bytes());
        assert_eq!(names("d.test secure tafile=/a.pem TAFILE=/b.pem,x\n"), [Path::new("/a.pem"), Path::new("/b.pem")]);
        assert_eq!(names("d.test secure { tafile = /a.pem } match=x"), [Path::new("/a.pem")]);
        assert_eq!(names("x\0secure tafile=/a.pem\0y"), [Path::new("/a.pem")]);
        assert_eq!(names("tafile /a.pem, tafile="), Vec::<PathBuf>::new());
        assert_eq!(names_in_table("inline:{ {d.test=secure tafile=/a.pem} }"), [Path::new("/a.pem")]);
    }

    #[test]
    fn a_file_that_was_read_is_there_when_it_is_out_of_reach() {
        let folder = std::env::temp_dir().join(format!("shelf-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (anchor, table, empty) = (folder.join("ca.pem"), folder.join("policy"), folder.join("empty.pem"));
        fs::write(&anchor, &Authority::root("Lab Root CA").certificate().pem).unwrap();
        fs::write(&empty, "nothing").unwrap();
        fs::write(&table, format!("d.test secure tafile={} tafile={}\n", anchor.display(), empty.display())).unwrap();
        let shelf = Shelf::fill(&format!("texthash:{}", table.display()), &[]);
        fs::remove_dir_all(&folder).unwrap();
        let first = shelf.take(std::slice::from_ref(&anchor)).unwrap();
        assert!(first.is_pinned() && Rc::ptr_eq(&first, &shelf.take(&[anchor]).unwrap()));
        assert!(shelf.take(&[empty]).err().unwrap().ends_with("no trust anchor found"));
        let missing = shelf.take(&["/proc/self/none".into()]).err().unwrap();
        assert_eq!(missing, "/proc/self/none: No such file or directory");
    }

    proptest! {
        #[test]
        fn any_table_is_searched_to_its_end(content in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(names_in(&content).len() <= content.len());
        }
    }
}
