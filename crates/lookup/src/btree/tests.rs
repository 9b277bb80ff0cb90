//! Laws: what LMDB has written is read as LMDB reads it, and no other bytes do harm.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::write::{Existing, Writer};

impl Source for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        buffer.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// The bytes of a table as LMDB writes it.
fn written(name: &str, steps: &[Entries]) -> Vec<u8> {
    let path = path(name);
    let writer = Writer { path: path.clone(), map_size: 1 << 20, create: Some(0o600), nul: false };
    for entries in steps {
        let entries: Vec<_> = entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        writer.put(&entries, false, Existing::Replace).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    bytes
}

fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("lookup-btree-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

fn many(count: usize, length: impl Fn(usize) -> usize) -> Entries {
    (0..count).map(|n| (format!("key{n:06}").into_bytes(), vec![b'a' + (n % 26) as u8; length(n)])).collect()
}

fn entries<S: Source>(tree: &Tree<S>) -> Result<Entries> {
    let mut entries = Entries::new();
    tree.visit(&mut |key, value| drop(entries.insert(key, value)))?;
    Ok(entries)
}

#[test]
fn a_table_of_any_size_is_read_as_it_was_written() {
    for (count, length) in [(0, 1), (1, 1), (100, 10), (5000, 40), (20_000, 3)] {
        let all = many(count, |_| length);
        let tree = Tree::open(written("sizes", std::slice::from_ref(&all))).unwrap();
        for (key, value) in &all {
            assert_eq!(tree.get(key).unwrap().as_ref(), Some(value));
        }
        for key in [&b""[..], b"key", b"key000000x", b"zzz", &[255; 511]] {
            assert_eq!(tree.get(key).unwrap(), None);
        }
        assert_eq!(entries(&tree).unwrap(), all);
    }
}

#[test]
fn values_longer_than_a_page_are_read_from_pages_of_their_own() {
    let entries = many(60, |n| n * 997);
    let tree = Tree::open(written("long", std::slice::from_ref(&entries))).unwrap();
    for (key, value) in &entries {
        assert_eq!(tree.get(key).unwrap().as_ref(), Some(value));
    }
}

#[test]
fn what_several_commits_have_left_is_the_last_one() {
    let (first, second) = (many(3000, |_| 20), many(1500, |_| 30));
    let tree = Tree::open(written("commits", &[first.clone(), second.clone()])).unwrap();
    let expected: Entries = first.into_iter().chain(second).collect();
    assert_eq!(entries(&tree).unwrap(), expected);
}

#[test]
fn a_file_that_is_cut_anywhere_answers_right_or_says_that_it_is_truncated() {
    let entries = many(2000, |n| n % 60);
    let whole = written("cut", std::slice::from_ref(&entries));
    for length in (0..whole.len()).step_by(1371) {
        let cut = whole[..length].to_vec();
        let tree = match Tree::open(cut) {
            Ok(tree) => tree,
            Err(error) => {
                assert_eq!(error.to_string(), "file is truncated");
                continue;
            }
        };
        for (key, value) in entries.iter().step_by(97) {
            match tree.get(key) {
                Ok(found) => assert_eq!(found.as_ref(), Some(value)),
                Err(error) => assert_eq!(error.to_string(), "file is truncated"),
            }
        }
    }
}

#[test]
fn a_file_that_says_it_is_larger_than_it_is_ends_all_the_same() {
    // Each of many entries leads to the same long value.
    let mut bytes = written("lies", &[many(60, |n| if n == 0 { 60_000 } else { 5_000 })]);
    let claimed = (1u64 << 40).to_ne_bytes();
    let end = DATABASES + 2 * DATABASE;
    let page_size = Tree::open(bytes.clone()).unwrap().page_size;
    for page in [0, page_size] {
        bytes[page + end..page + end + WORD].copy_from_slice(&claimed);
    }
    assert_eq!(entries(&Tree::open(bytes.clone()).unwrap()).unwrap().len(), 60);
    let tree = Tree::open(bytes.clone()).unwrap();
    let root = usize::try_from(tree.newest().unwrap().root.unwrap()).unwrap();
    let page = root * tree.page_size;
    let first = page + usize::from(u16_at(&bytes, page + HEADER).unwrap());
    let entry: Vec<u8> = bytes[first..first + 8 + 9 + WORD].to_vec();
    for at in 1..tree.page(root as u64, &tree.newest().unwrap()).unwrap().count {
        let start = page + usize::from(u16_at(&bytes, page + HEADER + 2 * at).unwrap());
        bytes[start..start + entry.len()].copy_from_slice(&entry);
    }
    let error = Tree::open(bytes).unwrap().visit(&mut |_, _| {}).unwrap_err();
    assert_eq!(error.to_string(), "file is damaged: pages lead in a circle");
}

/// A file that somebody writes while it is read: other bytes after so many reads.
struct Changing {
    contents: Vec<Vec<u8>>,
    reads: RefCell<usize>,
    every: usize,
}

impl Source for Changing {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let turn = self.reads.replace_with(|reads| *reads + 1) / self.every;
        self.contents[turn.min(self.contents.len() - 1)].read_exact_at(buffer, offset)
    }

    fn length(&self) -> io::Result<u64> {
        self.contents.iter().map(Source::length).next_back().expect("a file has contents")
    }
}

#[test]
fn an_answer_is_that_of_one_commit_however_many_come_in_between() {
    let path = path("changing");
    let writer = Writer { path: path.clone(), map_size: 1 << 20, create: Some(0o600), nul: false };
    let contents: Vec<Vec<u8>> = (0..40)
        .map(|n| {
            let entries: Vec<_> = (0..400).map(|key| (format!("key{key}").into_bytes(), vec![n; 30])).collect();
            writer.put(&entries, true, Existing::Replace).unwrap();
            std::fs::read(&path).unwrap()
        })
        .collect();
    std::fs::remove_file(&path).unwrap();
    for every in 1..20 {
        let changing = Changing { contents: contents.clone(), reads: RefCell::new(0), every };
        let Ok(tree) = Tree::open(changing) else { continue };
        let value = tree.get(b"key77").unwrap().expect("every commit has the key");
        assert!(value.len() == 30 && value.iter().all(|byte| *byte == value[0]));
        // One that takes too long may also say so.
        if let Ok(all) = entries(&tree) {
            assert_eq!(all.len(), 400);
            assert!(all.values().all(|value| value == &all[&b"key77"[..]]));
        }
    }
}

proptest! {
    // Each case is a commit to disk.
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_entries_come_back(all in prop::collection::btree_map(
        prop::collection::vec(any::<u8>(), 1..60), prop::collection::vec(any::<u8>(), 0..3000), 0..60)) {
        let tree = Tree::open(written("any", std::slice::from_ref(&all))).unwrap();
        prop_assert_eq!(entries(&tree).unwrap(), all);
    }
}

proptest! {
    #[test]
    fn no_damage_ends_the_process_or_leads_in_a_circle(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
        thread_local! { static WHOLE: Vec<u8> = written("damage", &[many(1500, |n| n % 90), many(20, |n| n * 300)]); }
        let mut bytes = WHOLE.with(Clone::clone);
        let length = bytes.len();
        for (at, byte) in damage {
            bytes[at.index(length)] = byte;
        }
        if let Ok(tree) = Tree::open(bytes) {
            for key in [&b"key000000"[..], b"key000777", b"key001499", b"nosuch"] {
                let _ = tree.get(key);
            }
            let _ = entries(&tree);
        }
    }

    #[test]
    fn no_bytes_are_more_than_an_error(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        prop_assert!(Tree::open(bytes).is_err());
    }
}
