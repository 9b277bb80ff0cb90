//! Laws: what LMDB has written is read as LMDB reads it, and no other bytes do harm.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::write::Existing;
use crate::write::lmdb::Writer;

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
            assert_eq!(tree.get(&[key]).unwrap(), Some((0, value.clone())));
        }
        for key in [&b""[..], b"key", b"key000000x", b"zzz", &[255; 511]] {
            assert_eq!(tree.get(&[key]).unwrap(), None);
        }
        assert_eq!(entries(&tree).unwrap(), all);
    }
}

#[test]
fn values_longer_than_a_page_are_read_from_pages_of_their_own() {
    let entries = many(60, |n| n * 997);
    let tree = Tree::open(written("long", std::slice::from_ref(&entries))).unwrap();
    for (key, value) in &entries {
        assert_eq!(tree.get(&[key]).unwrap(), Some((0, value.clone())));
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
            match tree.get(&[key]) {
                Ok(found) => assert_eq!(found, Some((0, value.clone()))),
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
    for at in 1..tree.page(root as u64, &tree.newest().unwrap(), Vec::new()).unwrap().count {
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
    length: u64,
}

impl Source for Changing {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let turn = self.reads.replace_with(|reads| *reads + 1) / self.every;
        self.contents[turn.min(self.contents.len() - 1)].read_exact_at(buffer, offset)
    }

    fn state(&self) -> io::Result<State> {
        // As large as its mapping, so that nothing is known by the time of the last write.
        Ok(State { length: self.length, written: SystemTime::UNIX_EPOCH, modified: SystemTime::UNIX_EPOCH })
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
        let changing = Changing { contents: contents.clone(), reads: RefCell::new(0), every, length: 1 << 20 };
        let Ok(tree) = Tree::open(changing) else { continue };
        let (_, value) = tree.get(&[b"key77"]).unwrap().expect("every commit has the key");
        assert!(value.len() == 30 && value.iter().all(|byte| *byte == value[0]));
        let mut last = value[0];
        for key in [&b"key0"[..], b"key399", b"key77", b"key199"].iter().cycle().take(60) {
            // Whatever is kept in memory, an answer is that of the last commit or later ones.
            let (which, value) = tree.get(&[b"nosuch", key]).unwrap().expect("every commit has the key");
            assert!(which == 1 && value.len() == 30 && value.iter().all(|byte| *byte == value[0]) && value[0] >= last);
            last = value[0];
        }
        // One that takes too long may also say so.
        if let Ok(all) = entries(&tree) {
            assert_eq!(all.len(), 400);
            assert!(all.values().all(|value| value == &all[&b"key77"[..]]));
        }
    }
}

#[test]
fn a_look_up_in_a_large_table_reads_one_leaf() {
    let contents = vec![written("reads", &[many(20_000, |_| 30)])];
    let length = contents[0].len() as u64;
    let tree = Tree::open(Changing { contents, reads: RefCell::new(0), every: usize::MAX, length }).unwrap();
    let keys: Vec<String> = (0..20_000).step_by(17).map(|n| format!("key{n:06}")).collect();
    let reads = |tree: &Tree<Changing>| *tree.source.reads.borrow();
    keys.iter().for_each(|key| assert!(tree.get(&[key.as_bytes()]).unwrap().is_some()));
    let before = reads(&tree);
    keys.iter().for_each(|key| assert!(tree.get(&[b"nosuch", key.as_bytes()]).unwrap().is_some()));
    assert!(reads(&tree) - before <= keys.len() + 1);
    let kept = tree.kept.lock().unwrap();
    assert!(kept.as_ref().is_some_and(|kept| kept.pages.len() * tree.page_size <= 1 << 20));
}

#[test]
fn another_file_copied_over_a_table_is_seen_though_its_meta_pages_are_the_same() {
    let path = path("copied");
    let [one, other] = ["1", "2"].map(|value| {
        let entries = (0..3000).map(|n| (format!("key{n}").into_bytes(), value.repeat(30).into_bytes()));
        written("copied-from", &[entries.collect()])
    });
    assert_eq!(one[..META], other[..META]);
    std::fs::write(&path, &one).unwrap();
    let file = File::open(&path).unwrap();
    let is_old = || SystemTime::now().duration_since(file.state().unwrap().written).is_ok_and(|age| age > kept::TICK);
    let tree = Tree::open(file.try_clone().unwrap()).unwrap();
    for bytes in [&other, &one, &other] {
        while !is_old() {
            std::thread::yield_now();
        }
        let before = tree.get(&[b"key77"]).unwrap().unwrap();
        assert!(tree.kept.lock().unwrap().is_some());
        std::fs::write(&path, bytes).unwrap();
        assert_ne!(tree.get(&[b"key77"]).unwrap().unwrap(), before);
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn readers_beside_a_writer_have_answers_of_one_commit_and_never_of_an_older_one() {
    let path = path("beside");
    let writer = Writer { path: path.clone(), map_size: 1 << 22, create: Some(0o600), nul: false };
    let commit = |n: u8| {
        let entries: Vec<_> = (0..800).map(|key| (format!("key{key}").into_bytes(), vec![n; 40])).collect();
        writer.put(&entries, !n.is_multiple_of(3), Existing::Replace).unwrap();
    };
    commit(0);
    let tree = Tree::open(File::open(&path).unwrap()).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (tree, done) = (&tree, &done);
            scope.spawn(move || {
                let mut last = 0;
                for turn in 0.. {
                    let finished = done.load(std::sync::atomic::Ordering::SeqCst);
                    let key = format!("key{}", (turn * 7 + reader) % 800);
                    match tree.get(&[key.as_bytes()]) {
                        Ok(value) => {
                            let (_, value) = value.expect("every commit has the key");
                            assert!(value.len() == 40 && value.iter().all(|byte| *byte == value[0]));
                            assert!(value[0] >= last);
                            last = value[0];
                        }
                        Err(error) => assert!(matches!(error, IndexError::Restless)),
                    }
                    if finished {
                        return assert_eq!(last, 60);
                    }
                }
            });
        }
        (1..=60).for_each(commit);
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    std::fs::remove_file(&path).unwrap();
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
                let _ = tree.get(&[key]);
            }
            let _ = entries(&tree);
        }
    }

    #[test]
    fn no_bytes_are_more_than_an_error(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        prop_assert!(Tree::open(bytes).is_err());
    }
}
