//! The file of an LMDB environment, read page by page ([`crate::index`]).
//!
//! No lock is taken, and nobody is waited for. LMDB never overwrites what its last two commits can see: what was read
//! is good when no more than one commit has come in between, else it is read again. Pages near the root are kept in
//! memory for as long as that commit is the last one ([`kept`]).
//!
//! The layout is that of LMDB 0.9, data version 1, in the byte order and word size of this machine.

mod kept;
mod page;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use self::kept::{Kept, Pages};
use self::page::{Node, OVERFLOW, Page, bytes_at, u16_at, u32_at, word_at};
use crate::index::{Found, IndexError, MAX_VALUE, Result, Source, State};

/// A number as wide as a pointer.
const WORD: usize = size_of::<usize>();
/// Before the contents of a page: its number, two bytes that are not used, flags, and two offsets or a count.
const HEADER: usize = WORD + 8;
/// A database in a meta page: two numbers of 2 bytes after one of 4, then five words.
const DATABASE: usize = 8 + 5 * WORD;
/// Where the databases begin in a meta page: after magic, version, an address and the size of the map.
const DATABASES: usize = HEADER + 8 + 2 * WORD;
/// The length of what is read of a meta page.
const META: usize = DATABASES + 2 * DATABASE + 2 * WORD;

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
/// The value is in pages of its own.
const BIG: u16 = 0x01;
/// The value is a database.
const SUB: u16 = 0x02;
/// Databases with another order of keys, or several values a key.
const OTHER_ORDER: u16 = 0x7f;
/// No tree is deeper.
/// told: who looks up: the table is damaged.
const DEEPEST: usize = 32;
/// How often a file that is being written is read again.
const ATTEMPTS: usize = 100;

/// An open file.
pub struct Tree<S> {
    source: S,
    page_size: usize,
    kept: Mutex<Option<Kept>>,
}

/// The two meta pages, of which each commit writes one.
type Metas = [[u8; META]; 2];

/// What one commit has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meta {
    transaction: u64,
    last_page: u64,
    /// How many bytes of the file LMDB maps into memory.
    map_size: u64,
    /// `None`: the table is empty.
    root: Option<u64>,
}

impl<S: Source> Tree<S> {
    /// # Errors
    /// It is no LMDB file that can be read here.
    pub fn open(source: S) -> Result<Self> {
        let mut bytes = [0; META];
        source.read_exact_at(&mut bytes, 0)?;
        let page_size = page_size(&bytes)?;
        let tree = Self { source, page_size, kept: Mutex::new(None) };
        tree.newest()?;
        Ok(tree)
    }

    /// The first of these keys that is there, as its place among them, and its value.
    ///
    /// # Errors
    /// The file cannot be read, or contradicts itself.
    pub fn get(&self, keys: &[&[u8]]) -> Result<Option<Found>> {
        match self.find_by_kept(keys) {
            Some(result) => result,
            None => self.steadily(|meta| self.find(keys, &mut Pages::of(self, &meta))),
        }
    }

    fn find(&self, keys: &[&[u8]], pages: &mut Pages<'_, S>) -> Result<Option<Found>> {
        for (which, key) in keys.iter().enumerate() {
            let Some(leaf) = self.leaf(key, pages)? else { return Ok(None) };
            if let Ok(at) = leaf.position(key)?
                && let Some(value) = self.value(&leaf.node(at)?, pages.meta)?
            {
                return Ok(Some((which, value)));
            }
        }
        Ok(None)
    }

    /// The leaf that has a key if any has.
    fn leaf(&self, key: &[u8], pages: &mut Pages<'_, S>) -> Result<Option<Arc<Page>>> {
        let Some(mut number) = pages.meta.root else { return Ok(None) };
        for _ in 0..DEEPEST {
            let page = pages.page(number)?;
            if page.is_leaf {
                return Ok(Some(page));
            }
            number = page.child(key)?;
        }
        Err(IndexError::Damaged("the tree is too deep"))
    }

    /// Visits all entries in the order of their keys.
    ///
    /// # Errors
    /// As for [`Tree::get`], and when the file was written meanwhile; some entries were visited then.
    pub fn visit(&self, visitor: &mut dyn FnMut(Vec<u8>, Vec<u8>)) -> Result<()> {
        let meta = self.newest()?;
        // A file has no more pages, whatever it says of itself: whoever finds more goes round in a circle.
        let mut pages = self.source.state()?.length / self.page_size as u64;
        if let Some(root) = meta.root {
            self.visit_below(root, DEEPEST, &meta, &mut pages, visitor)?;
        }
        match self.newest()?.transaction.checked_sub(meta.transaction) {
            Some(0 | 1) => Ok(()),
            _ => Err(IndexError::Restless),
        }
    }

    fn visit_below(
        &self,
        number: u64,
        depth: usize,
        meta: &Meta,
        pages: &mut u64,
        visitor: &mut dyn FnMut(Vec<u8>, Vec<u8>),
    ) -> Result<()> {
        if depth == 0 {
            return Err(IndexError::Damaged(CIRCLE));
        }
        take(pages, 1)?;
        let page = self.page(number, meta, Vec::new())?;
        for at in 0..page.count {
            let node = page.node(at)?;
            if !page.is_leaf {
                self.visit_below(node.child(), depth - 1, meta, pages, visitor)?;
                continue;
            }
            if node.flags & (BIG | SUB) == BIG {
                take(pages, node.size.div_ceil(self.page_size) as u64)?;
            }
            if let Some(value) = self.value(&node, meta)? {
                visitor(node.key.to_vec(), value);
            }
        }
        Ok(())
    }

    /// Reads until no more than one commit has come in between.
    fn steadily<T>(&self, read: impl Fn(Meta) -> Result<T>) -> Result<T> {
        for _ in 0..ATTEMPTS {
            let seen = self.metas()?;
            let before = self.newest_of(&seen)?;
            let result = read(before);
            // Most files are not written while they are read.
            if self.both_metas()? == seen {
                return result;
            }
            let after = self.newest()?;
            let commits = after.transaction.checked_sub(before.transaction);
            match (commits, &result) {
                (Some(0), _) | (Some(1), Ok(_)) => return result,
                _ => {}
            }
        }
        Err(IndexError::Restless)
    }

    /// The meta page of the last commit; the two take turns.
    fn newest(&self) -> Result<Meta> {
        self.newest_of(&self.metas()?)
    }

    fn newest_of(&self, [one, other]: &Metas) -> Result<Meta> {
        let (one, other) = (self.parse_meta(one)?, self.parse_meta(other)?);
        Ok(if other.transaction > one.transaction { other } else { one })
    }

    /// The meta pages as they are when nobody is writing them.
    fn metas(&self) -> Result<Metas> {
        let mut seen = self.both_metas()?;
        for _ in 0..ATTEMPTS {
            let again = self.both_metas()?;
            // One that is just being written may be half of each.
            if again == seen {
                return Ok(seen);
            }
            seen = again;
        }
        Err(IndexError::Restless)
    }

    /// They are the first two pages, and cost one call together.
    fn both_metas(&self) -> Result<Metas> {
        let mut pages = vec![0; self.page_size + META];
        self.source.read_exact_at(&mut pages, 0)?;
        Ok([bytes_at(&pages, 0)?, bytes_at(&pages, self.page_size)?])
    }

    fn meta_page(&self, which: usize) -> Result<[u8; META]> {
        let mut bytes = [0; META];
        self.source.read_exact_at(&mut bytes, (which * self.page_size) as u64)?;
        Ok(bytes)
    }

    fn parse_meta(&self, bytes: &[u8; META]) -> Result<Meta> {
        if page_size(bytes)? != self.page_size {
            return Err(IndexError::Damaged("its meta pages differ"));
        }
        let main = DATABASES + DATABASE;
        if u16_at(bytes, main + 4)? & OTHER_ORDER != 0 {
            return Err(IndexError::Other("its keys have another order"));
        }
        let root = word_at(bytes, main + 8 + 4 * WORD)?;
        let end = DATABASES + 2 * DATABASE;
        Ok(Meta {
            transaction: word_at(bytes, end + WORD)?,
            last_page: word_at(bytes, end)?,
            map_size: word_at(bytes, HEADER + 8 + WORD)?,
            root: (root != usize::MAX as u64).then_some(root),
        })
    }

    /// A page, in memory that is used again.
    fn page(&self, number: u64, meta: &Meta, mut memory: Vec<u8>) -> Result<Page> {
        self.read(number, self.page_size, meta, &mut memory)?;
        Page::parse(memory, number)
    }

    /// Bytes from the beginning of a page on, in place of what was in the buffer.
    fn read(&self, number: u64, length: usize, meta: &Meta, bytes: &mut Vec<u8>) -> Result<()> {
        let pages = length.div_ceil(self.page_size) as u64;
        if number < 2 || number.checked_add(pages).is_none_or(|end| end > meta.last_page.saturating_add(1)) {
            return Err(IndexError::Damaged("a page has no place"));
        }
        let offset = number.checked_mul(self.page_size as u64).ok_or(IndexError::Damaged("a page has no place"))?;
        bytes.resize(length, 0);
        Ok(self.source.read_exact_at(bytes, offset)?)
    }

    /// Nothing for a database within the database.
    fn value(&self, node: &Node<'_>, meta: &Meta) -> Result<Option<Vec<u8>>> {
        if node.flags & SUB != 0 {
            return Ok(None);
        }
        if node.flags & BIG == 0 {
            return Ok(Some(node.data(node.size)?.to_vec()));
        }
        if node.size > MAX_VALUE {
            return Err(IndexError::TooLong);
        }
        let number = word_at(node.data(WORD)?, 0)?;
        let mut bytes = Vec::new();
        self.read(number, HEADER + node.size, meta, &mut bytes)?;
        if word_at(&bytes, 0)? != number || u16_at(&bytes, WORD + 2)? & OVERFLOW == 0 {
            return Err(IndexError::Damaged("a long value is not where it should be"));
        }
        Ok(Some(bytes[HEADER..].to_vec()))
    }
}

const CIRCLE: &str = "pages lead in a circle";

/// Each page is read once by a visit: takes some of those that are left.
fn take(pages: &mut u64, count: u64) -> Result<()> {
    *pages = pages.checked_sub(count).ok_or(IndexError::Damaged(CIRCLE))?;
    Ok(())
}

fn page_size(meta: &[u8; META]) -> Result<usize> {
    if u32_at(meta, HEADER)? != MAGIC {
        return Err(IndexError::Other("it is no LMDB file"));
    }
    if u32_at(meta, HEADER + 4)? != VERSION {
        return Err(IndexError::Other("another version of LMDB"));
    }
    match u32_at(meta, DATABASES)? as usize {
        size if size.is_power_of_two() && (512..=65536).contains(&size) => Ok(size),
        _ => Err(IndexError::Damaged("pages of an impossible size")),
    }
}

#[cfg(test)]
mod tests;
