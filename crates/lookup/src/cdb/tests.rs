//! Laws: what is written is found, and no other bytes do harm.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;

use proptest::prelude::*;

use super::*;
use crate::index::State;
use crate::write::Pair;
use crate::write::cdb::encoded;

fn entry(key: &str, value: &str) -> Pair {
    (key.as_bytes().to_vec(), value.as_bytes().to_vec())
}

fn many(count: usize) -> Vec<Pair> {
    (0..count).map(|n| (format!("key{n}").into_bytes(), vec![b'a' + (n % 26) as u8; n % 700])).collect()
}

fn all<S: Source>(cdb: &Cdb<S>) -> Result<Vec<Pair>> {
    let mut entries = Vec::new();
    cdb.visit(&mut |key, value| entries.push((key, value)))?;
    Ok(entries)
}

#[test]
fn a_table_of_any_size_is_read_as_it_was_written() {
    for count in [0, 1, 100, 20_000] {
        let entries = many(count);
        let cdb = Cdb::open(encoded(&entries).unwrap()).unwrap();
        for (key, value) in &entries {
            assert_eq!(cdb.get(&[b"no", key]).unwrap(), Some((1, value.clone())));
        }
        for key in [&b""[..], b"key", b"key0x", &[255; 600]] {
            assert_eq!(cdb.get(&[key]).unwrap(), None);
        }
        assert_eq!(all(&cdb).unwrap(), entries);
    }
}

#[test]
fn a_hash_is_the_one_of_the_format() {
    assert_eq!(hash(b""), 5381);
    // "alpha" as another program has stored it.
    assert_eq!(hash(b"alpha").to_le_bytes(), [0x51, 0x64, 0x21, 0x0a]);
}

/// Two entries, byte by byte as another program writes them.
#[test]
fn the_bytes_are_those_of_other_programs() {
    let bytes = encoded(&[entry("beta", "two"), entry("alpha", "four")]).unwrap();
    let entries = b"\x04\0\0\0\x03\0\0\0betatwo\x05\0\0\0\x04\0\0\0alphafour";
    assert_eq!(&bytes[HEADER..HEADER + entries.len()], entries);
    let of_alpha = HEADER + entries.len();
    assert_eq!(pair(&bytes[0x51 * PAIR..]), (of_alpha as u32, 2));
    let of_beta = of_alpha + 2 * PAIR;
    assert_eq!(pair(&bytes[0x57 * PAIR..]), (of_beta as u32, 2));
    assert_eq!(bytes[of_alpha..of_beta], [0x51, 0x64, 0x21, 0x0a, 0x0f, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[of_beta..], [0x57, 0x36, 0x70, 0x7c, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // A table without slots is where it would begin.
    assert_eq!(pair(&bytes), ((HEADER + entries.len()) as u32, 0));
}

#[test]
fn a_file_that_is_cut_anywhere_is_an_error_when_it_is_opened() {
    let whole = encoded(&many(300)).unwrap();
    for length in (0..whole.len()).step_by(971) {
        let error = Cdb::open(whole[..length].to_vec()).err().unwrap().to_string();
        let expected = if length < HEADER { "file is truncated" } else { "file is damaged: a hash table has no place" };
        assert_eq!(error, expected);
    }
    assert!(Cdb::open(b"some text\n".repeat(300)).is_err());
}

/// All tables are one full table whose slots lead to one entry with another key.
fn full(hash: u32, slots: usize) -> Vec<u8> {
    let start = (HEADER + PAIR + 2) as u32;
    let numbers = |one: u32, other: u32| [one.to_le_bytes(), other.to_le_bytes()].concat();
    let entry = [numbers(1, 1), b"xy".to_vec()].concat();
    [numbers(start, slots as u32).repeat(TABLES), entry, numbers(hash, HEADER as u32).repeat(slots)].concat()
}

#[test]
fn a_look_up_in_a_full_table_ends() {
    let other = full(0, 40);
    assert_eq!(Cdb::open(other).unwrap().get(&[b"k"]).unwrap(), None);
    let same = Cdb::open(full(hash(b"k"), 2000)).unwrap();
    assert_eq!(same.get(&[b"k"]).unwrap_err().to_string(), "file is damaged: too many keys have the same hash");
    let large = Cdb::open(full(0, MOST_SLOTS as usize + 1)).unwrap();
    assert_eq!(large.get(&[b"k"]).unwrap_err().to_string(), "file is damaged: a hash table is too full");
}

#[test]
fn an_entry_that_reaches_beyond_the_file_is_an_error() {
    let whole = encoded(&[entry("k", "value")]).unwrap();
    for (at, number) in [(HEADER, u32::MAX), (HEADER + 4, 1 << 20), (HEADER + 4, u32::MAX)] {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        let cdb = Cdb::open(bytes).unwrap();
        assert!(all(&cdb).is_err(), "{at}");
        assert_eq!(cdb.get(&[b"k"]).is_err(), at > HEADER, "another key is no error");
    }
}

/// A file that is written in place after so many reads.
struct Rewritten {
    before: Vec<u8>,
    after: Vec<u8>,
    reads: Cell<usize>,
}

impl Source for Rewritten {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = if self.reads.replace(self.reads.get().saturating_sub(1)) > 0 { &self.before } else { &self.after };
        bytes.read_exact_at(buffer, offset)
    }

    fn state(&self) -> io::Result<State> {
        let bytes = if self.reads.get() > 0 { &self.before } else { &self.after };
        bytes.state()
    }
}

#[test]
fn a_file_that_is_written_in_place_has_the_old_answer_or_none() {
    let (before, after) = (encoded(&many(50)).unwrap(), encoded(&many(40)[20..]).unwrap());
    for reads in 1..10 {
        let cdb =
            Cdb::open(Rewritten { before: before.clone(), after: after.clone(), reads: Cell::new(reads) }).unwrap();
        match cdb.get(&[b"key7"]) {
            Ok(found) => assert_eq!(found, Some((0, vec![b'h'; 7]))),
            Err(error) => assert_eq!(error.to_string(), "file was written since it was opened"),
        }
    }
}

proptest! {
    #[test]
    fn any_entries_are_read_as_they_were_written(
        entries in prop::collection::btree_map(
            prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 0..600), 0..50),
    ) {
        let pairs: Vec<Pair> = entries.clone().into_iter().collect();
        let cdb = Cdb::open(encoded(&pairs).unwrap()).unwrap();
        for (key, value) in &entries {
            prop_assert_eq!(cdb.get(&[key]).unwrap(), Some((0, value.clone())));
        }
        prop_assert_eq!(all(&cdb).unwrap().into_iter().collect::<BTreeMap<_, _>>(), entries);
    }
}
