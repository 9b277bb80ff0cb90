//! What postmap and postalias do to the file of a constant database ([`crate::cdb`]): they make it anew.
//!
//! The new file has a name of its own until it is complete and on the disk, and then takes that of the old one: a crash
//! leaves the old file or the new one, and perhaps an unfinished one beside it, which the next run writes over. Who has
//! the old file open goes on to read it. Of two that make the same table at once, one waits for the other.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use sys::open::{Refusal, SYSTEM, open_or_create};

use super::{Existing, Pair, WriteError, one_of_each_key};
use crate::cdb::{HEADER, PAIR, TABLES, hash};

/// What is written at once, bytes.
const BLOCK: usize = 256 << 10;

/// A file to be made.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The file, `NAME.cdb`.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// Keys and values end in a NUL, which no reader needs.
    pub nul: bool,
}

impl Writer {
    /// Makes a table of entries (keys already folded), in their order. Returns the positions of the duplicates.
    ///
    /// # Errors
    /// See [`WriteError`]. The old file is as it was.
    pub fn make(&self, entries: &[Pair], existing: Existing) -> Result<Vec<usize>, WriteError> {
        let hashed = |entry: &Pair| if self.nul { hash(&super::ended(&entry.0, true)) } else { hash(&entry.0) };
        let hashes: Vec<u32> = entries.iter().map(hashed).collect();
        let (mut written, duplicates) = one_of_each_key(&by_key(entries, &hashes), entries, existing);
        written.sort_unstable();
        let layout = Layout::of(entries, &written, &hashes, self.nul)?;
        let unfinished = PathBuf::from(format!("{}.tmp", self.path.display()));
        let opened = |error: io::Error| WriteError::Open(unfinished.clone(), net::reason(&error));
        let file = alone(&unfinished, self.mode & 0o666).map_err(opened)?;
        let failed =
            |error: io::Error| WriteError::Update(format!("write {}: {}", unfinished.display(), net::reason(&error)));
        let complete = || -> io::Result<()> {
            file.set_len(0)?;
            file.set_permissions(Permissions::from_mode(self.mode & 0o666))?;
            let mut output = BufWriter::with_capacity(BLOCK, &file);
            layout.write(entries, &mut output)?;
            output.flush()?;
            file.sync_all()
        };
        let renamed = |error: io::Error| WriteError::Rename(unfinished.clone(), self.path.clone(), net::reason(&error));
        let done = complete().map_err(failed).and_then(|()| fs::rename(&unfinished, &self.path).map_err(renamed));
        if done.is_err() {
            // It is of no use to anybody.
            let _ = fs::remove_file(&unfinished);
        }
        done.map(|()| duplicates)
    }
}

/// The bytes of a file with these entries, of which no two have the same key.
///
/// # Errors
/// It would be longer than 4 GiB.
pub fn encoded(entries: &[Pair]) -> Result<Vec<u8>, WriteError> {
    let hashes: Vec<u32> = entries.iter().map(|entry| hash(&entry.0)).collect();
    let written: Vec<usize> = (0..entries.len()).collect();
    let mut bytes = Vec::new();
    let layout = Layout::of(entries, &written, &hashes, false)?;
    layout.write(entries, &mut bytes).map_err(|error| WriteError::Update(net::reason(&error)))?;
    Ok(bytes)
}

/// The positions of entries, those of one key behind each other, as they came.
fn by_key(entries: &[Pair], hashes: &[u32]) -> Vec<usize> {
    let mut order: Vec<(u32, usize)> = hashes.iter().copied().zip(0..).collect();
    order.sort_unstable();
    for same in order.chunk_by_mut(|one, other| one.0 == other.0).filter(|same| same.len() > 1) {
        same.sort_by(|one, other| entries[one.1].0.cmp(&entries[other.1].0));
    }
    order.into_iter().map(|(_, at)| at).collect()
}

/// Where everything stands in a file, known before its first byte is written.
struct Layout<'w> {
    /// Which entries, in their order.
    written: &'w [usize],
    nul: bool,
    /// The first two numbers of each table.
    tables: Vec<(u32, u32)>,
    /// The slots of all tables: hash and place of an entry.
    slots: Vec<(u32, u32)>,
}

impl<'w> Layout<'w> {
    fn of(entries: &[Pair], written: &'w [usize], hashes: &[u32], nul: bool) -> Result<Self, WriteError> {
        let mut counts = [0_usize; TABLES];
        written.iter().for_each(|at| counts[hashes[*at] as usize % TABLES] += 1);
        let mut place = HEADER as u64;
        let mut places = Vec::with_capacity(written.len());
        for at in written {
            places.push(place);
            let (key, value) = &entries[*at];
            place += (PAIR + key.len() + value.len() + 2 * usize::from(nul)) as u64;
        }
        let mut first = 0;
        let mut firsts = [0; TABLES];
        let mut tables = Vec::with_capacity(TABLES);
        for (count, start) in counts.iter().zip(&mut firsts) {
            *start = first;
            let slots = 2 * count;
            tables.push((number(place)?, number(slots as u64)?));
            first += slots;
            place += (slots * PAIR) as u64;
        }
        // The last byte of the file has a place too.
        number(place)?;
        let mut slots = vec![(0, 0); first];
        for (at, place) in written.iter().zip(places) {
            let hash = hashes[*at];
            let table = hash as usize % TABLES;
            let of_table = &mut slots[firsts[table]..][..2 * counts[table]];
            let mut slot = (hash >> 8) as usize % of_table.len();
            // Half of them stay empty.
            while of_table[slot].1 != 0 {
                slot = (slot + 1) % of_table.len();
            }
            of_table[slot] = (hash, number(place)?);
        }
        Ok(Self { written, nul, tables, slots })
    }

    fn write(&self, entries: &[Pair], output: &mut impl Write) -> io::Result<()> {
        let end: &[u8] = if self.nul { b"\0" } else { b"" };
        let numbers = |output: &mut dyn Write, (one, other): (u32, u32)| {
            output.write_all(&one.to_le_bytes())?;
            output.write_all(&other.to_le_bytes())
        };
        self.tables.iter().try_for_each(|table| numbers(output, *table))?;
        for (key, value) in self.written.iter().map(|at| &entries[*at]) {
            // cannot fail: both fit into the file, whose length does
            let length = |bytes: &[u8]| (bytes.len() + end.len()) as u32;
            numbers(output, (length(key), length(value)))?;
            for part in [key, end, value, end] {
                output.write_all(part)?;
            }
        }
        self.slots.iter().try_for_each(|slot| numbers(output, *slot))
    }
}

/// A place within the file.
fn number(place: u64) -> Result<u32, WriteError> {
    u32::try_from(place).map_err(|_| WriteError::Update("a file of this type has 4 GiB at most".to_owned()))
}

/// The unfinished file, which nobody else writes, and which still has its name.
fn alone(path: &Path, mode: u32) -> io::Result<File> {
    let options = {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options
    };
    loop {
        let (file, _) = open_or_create(path, &options, mode, &SYSTEM).map_err(Refusal::into_error)?;
        // waits: commands alone make tables
        sys::lock::wait(file.as_fd())?;
        let named = match fs::symlink_metadata(path) {
            Ok(named) => named,
            // Whoever had it has finished, and each turn somebody has made the table.
            Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => continue,
            Err(error) => return Err(error),
        };
        let held = file.metadata()?;
        if (named.dev(), named.ino()) == (held.dev(), held.ino()) {
            return Ok(file);
        }
    }
}

#[cfg(test)]
mod tests;
