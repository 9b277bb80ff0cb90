//! Laws: what is written is found, a change is made as a whole, and a file that was cut is an error.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{OpenFlags, Settings, open};

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("lookup-write-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Place(directory)
    }

    fn source(&self) -> String {
        self.0.join("table").display().to_string()
    }

    fn writer(&self, map_size: usize) -> Writer {
        Writer { path: format!("{}.lmdb", self.source()).into(), map_size, create: Some(0o644), nul: true }
    }

    fn lookup(&self, key: &str) -> Option<String> {
        let table = open(&format!("lmdb:{}", self.source()), &Settings::default(), OpenFlags::default()).unwrap();
        table.lookup(key.as_bytes()).unwrap().map(|value| String::from_utf8(value).unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn entry(key: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    (key.as_bytes().to_vec(), value.as_bytes().to_vec())
}

#[test]
fn what_is_written_is_found() {
    let place = Place::new("found");
    let entries = [entry("foo", "bar"), entry("foo", "twice"), entry("key", "value")];
    let duplicates = place.writer(1 << 20).put(&entries, true, Existing::Report).unwrap();
    assert_eq!(duplicates, [1]);
    assert_eq!(place.lookup("FOO").as_deref(), Some("bar"));
    assert_eq!(place.lookup("nosuch"), None);
    assert_eq!(place.lookup(""), None);
    assert_eq!(place.lookup(&"k".repeat(600)), None);
}

#[test]
fn keys_without_nul_are_found_too() {
    let place = Place::new("nul");
    let writer = Writer { nul: false, ..place.writer(1 << 20) };
    writer.put(&[entry("foo", "bar")], true, Existing::Report).unwrap();
    assert_eq!(place.lookup("foo").as_deref(), Some("bar"));
    assert_eq!(writer.delete(&[b"foo".to_vec()]).unwrap(), 1);
    assert_eq!(place.lookup("foo"), None);
}

#[test]
fn an_update_keeps_or_replaces_what_is_there() {
    let place = Place::new("update");
    let writer = place.writer(1 << 20);
    writer.put(&[entry("a", "1"), entry("b", "1")], true, Existing::Report).unwrap();
    writer.put(&[entry("a", "2"), entry("c", "2")], false, Existing::Keep).unwrap();
    assert_eq!(place.lookup("a").as_deref(), Some("1"));
    writer.put(&[entry("a", "3")], false, Existing::Replace).unwrap();
    assert_eq!(place.lookup("a").as_deref(), Some("3"));
    assert_eq!(writer.delete(&[b"a".to_vec(), b"nosuch".to_vec(), Vec::new()]).unwrap(), 1);
    assert_eq!(place.lookup("a"), None);
    assert_eq!(place.lookup("c").as_deref(), Some("2"));
    writer.put(&[entry("z", "1")], true, Existing::Report).unwrap();
    assert_eq!(place.lookup("c"), None);
}

#[test]
fn a_full_map_grows() {
    let place = Place::new("grows");
    let entries: Vec<_> = (0..5000).map(|n| entry(&format!("key{n}"), &"v".repeat(200))).collect();
    place.writer(64 * 1024).put(&entries, true, Existing::Report).unwrap();
    assert_eq!(place.lookup("key4999").map(|value| value.len()), Some(200));
}

#[test]
fn a_key_that_is_too_long_changes_nothing() {
    let place = Place::new("long");
    let writer = place.writer(1 << 20);
    writer.put(&[entry("a", "1")], true, Existing::Report).unwrap();
    assert!(writer.put(&[entry("b", "2"), entry(&"k".repeat(600), "v")], true, Existing::Report).is_err());
    assert_eq!(place.lookup("a").as_deref(), Some("1"));
}

#[test]
fn a_truncated_file_is_an_error_not_the_end_of_the_process() {
    let place = Place::new("cut");
    let writer = place.writer(1 << 24);
    let entries: Vec<_> = (0..2000).map(|n| entry(&format!("key{n}"), &"v".repeat(200))).collect();
    writer.put(&entries, true, Existing::Report).unwrap();
    std::fs::File::options().write(true).open(&writer.path).unwrap().set_len(16 * 1024).unwrap();
    let table = open(&format!("lmdb:{}", place.source()), &Settings::default(), OpenFlags::default()).unwrap();
    assert!(table.lookup(b"key1999").unwrap_err().to_string().ends_with("file is truncated"));
    std::fs::File::options().write(true).open(&writer.path).unwrap().set_len(0).unwrap();
    assert!(table.lookup(b"key1").unwrap_err().to_string().ends_with("file is truncated"));
}

#[test]
fn a_table_changes_when_its_file_is_written_again() {
    let place = Place::new("changes");
    let writer = place.writer(1 << 20);
    writer.put(&[entry("a", "1")], true, Existing::Report).unwrap();
    let table = open(&format!("lmdb:{}", place.source()), &Settings::default(), OpenFlags::default()).unwrap();
    assert!(!table.changed());
    drop(table);
    let table = open(&format!("hash:{}", place.source()), &Settings::default(), OpenFlags::default()).unwrap();
    let other = std::fs::File::options().write(true).open(&writer.path).unwrap();
    other.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(5)).unwrap();
    assert!(table.changed());
    assert_eq!(table.lookup(b"a").unwrap(), Some(b"1".to_vec()));
}

/// All entries, and the positions of duplicates, when each entry is put in turn.
fn by_putting(entries: &[(Vec<u8>, Vec<u8>)], existing: Existing) -> (BTreeMap<Vec<u8>, Vec<u8>>, Vec<usize>) {
    let (mut all, mut duplicates) = (BTreeMap::new(), Vec::new());
    for (position, (key, value)) in entries.iter().enumerate() {
        if all.contains_key(key) && existing != Existing::Replace {
            duplicates.push(position);
        } else {
            all.insert(key.clone(), value.clone());
        }
    }
    duplicates.retain(|_| existing == Existing::Report);
    (all, duplicates)
}

proptest! {
    // Each case is some commits to disk.
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_table_that_is_made_has_what_putting_each_entry_leaves(
        entries in prop::collection::vec(
            (prop::collection::vec(0u8..3, 1..4), prop::collection::vec(1u8..=255, 0..3000)), 0..60),
        nul in any::<bool>(),
    ) {
        let place = Place::new(&format!("made-{nul}"));
        let writer = Writer { nul, ..place.writer(1 << 16) };
        for existing in [Existing::Report, Existing::Keep, Existing::Replace] {
            let duplicates = writer.put(&entries, true, existing).unwrap();
            let mut found = BTreeMap::new();
            let tree = crate::btree::Tree::open(File::open(&writer.path).unwrap()).unwrap();
            let end = usize::from(nul);
            tree.visit(&mut |key, value| {
                found.insert(key[..key.len() - end].to_vec(), value[..value.len() - end].to_vec());
            })
            .unwrap();
            prop_assert_eq!((found, duplicates), by_putting(&entries, existing));
        }
    }
}
