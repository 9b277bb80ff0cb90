//! The file of a constant database (cdb, by D. J. Bernstein; cr.yp.to/cdb/cdb.txt), read piece by piece
//! ([`crate::index`]).
//!
//! 2048 bytes say where 256 hash tables are, and how many slots each has; entries follow, then the tables. The last
//! byte of a key's hash says which table has it, the rest where in it to begin to look; a slot is a hash and the place
//! of an entry, and one that is empty ends the search. All numbers have 32 bits, so no place lies beyond 4 GiB.
//!
//! Such a file is written once, and another takes its name. One that was written in place since it was opened answers
//! nothing any more: its beginning is in memory as it was. Nothing in a file makes a look-up longer than the slots and
//! entries that it may look at.

use std::time::SystemTime;

use crate::index::{Found, IndexError, MAX_VALUE, Result, Source};

/// Hash tables.
pub(crate) const TABLES: usize = 256;
/// Bytes of a pair of numbers: where a table is and its slots; a slot; the lengths of an entry.
pub(crate) const PAIR: usize = 8;
/// Bytes before the first entry.
pub(crate) const HEADER: usize = TABLES * PAIR;

/// What is read of a hash table at first, and what when that was not enough, in slots.
const FEW_SLOTS: u32 = 16;
const MANY_SLOTS: u32 = 512;
/// A search looks at no more slots: half of those in a table are empty.
/// told: who looks up: the table is damaged.
const MOST_SLOTS: u32 = 1 << 20;
/// A search looks at no more entries: hardly two keys have the same hash.
/// told: who looks up: the table is damaged.
const MOST_ENTRIES: u32 = 1000;
/// What is read of an entry beyond its key at first, in bytes.
const SHORT: usize = 248;
/// What a visit reads at once, in bytes.
const BLOCK: usize = 64 << 10;

/// An open file.
pub struct Cdb<S> {
    source: S,
    tables: Vec<Table>,
    length: u64,
    modified: SystemTime,
}

/// A hash table within the file.
#[derive(Clone, Copy)]
struct Table {
    start: u32,
    slots: u32,
}

impl<S: Source> Cdb<S> {
    /// # Errors
    /// It is no such file, or not all of one.
    pub fn open(source: S) -> Result<Self> {
        let state = source.state()?;
        let mut header = vec![0; HEADER];
        source.read_exact_at(&mut header, 0)?;
        let tables: Vec<Table> =
            header.chunks_exact(PAIR).map(pair).map(|(start, slots)| Table { start, slots }).collect();
        if !tables.iter().filter(|table| table.slots > 0).all(|table| table.is_within(state.length)) {
            return Err(IndexError::Damaged("a hash table has no place"));
        }
        Ok(Self { source, tables, length: state.length, modified: state.modified })
    }

    /// The first of these keys that is there, as its place among them, and its value.
    ///
    /// # Errors
    /// The file cannot be read, contradicts itself, or was written since it was opened.
    pub fn get(&self, keys: &[&[u8]]) -> Result<Option<Found>> {
        self.unchanged(|| {
            for (which, key) in keys.iter().enumerate() {
                if let Some(value) = self.find(key)? {
                    return Ok(Some((which, value)));
                }
            }
            Ok(None)
        })
    }

    /// Visits all entries in the order of the file.
    ///
    /// # Errors
    /// As for [`Cdb::get`]; some entries were visited then.
    pub fn visit(&self, visitor: &mut dyn FnMut(Vec<u8>, Vec<u8>)) -> Result<()> {
        let starts = self.tables.iter().filter(|table| table.slots > 0).map(|table| u64::from(table.start));
        // Without a table nothing would be found: there is nothing.
        let end = starts.min().unwrap_or_default();
        let mut blocks = Blocks { source: &self.source, end, bytes: Vec::new(), start: 0 };
        self.unchanged(|| {
            let mut at = HEADER as u64;
            while at < end {
                let lengths = pair(blocks.at(at, PAIR)?);
                let (key_length, value_length) = (lengths.0 as usize, lengths.1 as usize);
                if key_length > MAX_VALUE || value_length > MAX_VALUE {
                    return Err(IndexError::TooLong);
                }
                let entry = blocks.at(at + PAIR as u64, key_length + value_length)?;
                let (key, value) = entry.split_at(key_length);
                visitor(key.to_vec(), value.to_vec());
                at += (PAIR + key_length + value_length) as u64;
            }
            Ok(())
        })
    }

    /// What was read, if the file is as it was when it was opened.
    fn unchanged<T>(&self, read: impl FnOnce() -> Result<T>) -> Result<T> {
        let result = read();
        let state = self.source.state()?;
        let is_same = (state.length, state.modified) == (self.length, self.modified);
        if is_same { result } else { Err(IndexError::Rewritten) }
    }

    fn find(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let hash = hash(key);
        let table = self.tables[hash as usize % TABLES];
        if table.slots == 0 {
            return Ok(None);
        }
        let (mut at, mut entries) = ((hash >> 8) % table.slots, 0);
        let (mut left, mut wanted) = (table.slots.min(MOST_SLOTS), FEW_SLOTS);
        let mut bytes = [0; MANY_SLOTS as usize * PAIR];
        while left > 0 {
            let count = wanted.min(left).min(table.slots - at);
            let slots = &mut bytes[..count as usize * PAIR];
            self.source.read_exact_at(slots, table.slot(at))?;
            for (found, place) in slots.chunks_exact(PAIR).map(pair) {
                if place == 0 {
                    return Ok(None);
                }
                if found != hash {
                    continue;
                }
                if let Some(value) = self.value(place, key)? {
                    return Ok(Some(value));
                }
                entries += 1;
                if entries == MOST_ENTRIES {
                    return Err(IndexError::Damaged("too many keys have the same hash"));
                }
            }
            (left, at, wanted) = (left - count, (at + count) % table.slots, MANY_SLOTS);
        }
        match table.slots {
            0..=MOST_SLOTS => Ok(None),
            _ => Err(IndexError::Damaged("a hash table is too full")),
        }
    }

    /// The value of the entry at this place, if its key is this one.
    fn value(&self, place: u32, key: &[u8]) -> Result<Option<Vec<u8>>> {
        const NO_PLACE: IndexError = IndexError::Damaged("an entry has no place");
        let place = u64::from(place);
        let there = self.length.checked_sub(place).filter(|_| place >= HEADER as u64).ok_or(NO_PLACE)?;
        let there = usize::try_from(there).unwrap_or(usize::MAX);
        let mut bytes = vec![0; there.min(PAIR + key.len() + SHORT)];
        self.source.read_exact_at(&mut bytes, place)?;
        let (lengths, rest) = bytes.split_at_checked(PAIR).ok_or(NO_PLACE)?;
        let (key_length, value_length) = pair(lengths);
        if key_length as usize != key.len() || !rest.starts_with(key) {
            return Ok(None);
        }
        let (start, length) = (PAIR + key.len(), value_length as usize);
        if length > MAX_VALUE {
            return Err(IndexError::TooLong);
        }
        if length > there - start {
            return Err(NO_PLACE);
        }
        let read = bytes.len();
        bytes.resize(start + length, 0);
        if bytes.len() > read {
            self.source.read_exact_at(&mut bytes[read..], place + read as u64)?;
        }
        bytes.drain(..start);
        Ok(Some(bytes))
    }
}

impl Table {
    fn is_within(&self, length: u64) -> bool {
        self.start as usize >= HEADER && self.slot(self.slots) <= length
    }

    /// Where a slot is.
    fn slot(&self, number: u32) -> u64 {
        u64::from(self.start) + u64::from(number) * PAIR as u64
    }
}

/// The bytes of a file, in large pieces.
struct Blocks<'s, S> {
    source: &'s S,
    /// There is nothing from here on.
    end: u64,
    bytes: Vec<u8>,
    /// Where they are in the file.
    start: u64,
}

impl<S: Source> Blocks<'_, S> {
    fn at(&mut self, place: u64, length: usize) -> Result<&[u8]> {
        let left = self.end.saturating_sub(place);
        if length as u64 > left {
            return Err(IndexError::Damaged("an entry has no place"));
        }
        let known = place.checked_sub(self.start).and_then(|skipped| usize::try_from(skipped).ok());
        let known = known.filter(|skipped| skipped.saturating_add(length) <= self.bytes.len());
        let skipped = match known {
            Some(skipped) => skipped,
            None => {
                self.bytes.resize(left.min(BLOCK.max(length) as u64) as usize, 0);
                self.source.read_exact_at(&mut self.bytes, place)?;
                self.start = place;
                0
            }
        };
        Ok(&self.bytes[skipped..skipped + length])
    }
}

/// Two numbers that stand behind each other; missing bytes are zeros.
fn pair(bytes: &[u8]) -> (u32, u32) {
    let number = |at: usize| {
        let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    (number(0), number(4))
}

/// What a key is found by.
pub(crate) fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381, |hash: u32, byte| hash.wrapping_shl(5).wrapping_add(hash) ^ u32::from(*byte))
}

#[cfg(test)]
mod tests;
