//! A page of a tree, and the numbers in it. Every offset is checked where it is used.

use super::{HEADER, IndexError, Result, WORD};

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
pub(super) const OVERFLOW: u16 = 0x04;
/// Keys of one length, which only sorted duplicates have.
const LEAF2: u16 = 0x20;

/// A page of a tree.
pub(super) struct Page {
    pub(super) number: u64,
    bytes: Vec<u8>,
    pub(super) is_leaf: bool,
    pub(super) count: usize,
}

/// One entry of a page.
pub(super) struct Node<'p> {
    pub(super) key: &'p [u8],
    pub(super) flags: u16,
    /// Length of the value.
    pub(super) size: usize,
    /// The two halves of that, as they stand: in a branch they are the lower part of a page's number.
    low: u32,
    rest: &'p [u8],
}

impl Page {
    pub(super) fn parse(bytes: Vec<u8>, number: u64) -> Result<Self> {
        let flags = u16_at(&bytes, WORD + 2)?;
        let is_leaf = match flags & (BRANCH | LEAF | OVERFLOW | LEAF2) {
            BRANCH => false,
            LEAF => true,
            _ => return Err(IndexError::Damaged("a page is of another kind")),
        };
        if word_at(&bytes, 0)? != number {
            return Err(IndexError::Damaged("a page has another number"));
        }
        let lower = usize::from(u16_at(&bytes, WORD + 4)?);
        let count = lower.checked_sub(HEADER).ok_or(IndexError::Damaged("a page has no entries"))? / 2;
        if lower > bytes.len() || (count == 0 && !is_leaf) {
            return Err(IndexError::Damaged("a page has no entries"));
        }
        Ok(Self { number, bytes, is_leaf, count })
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn node(&self, at: usize) -> Result<Node<'_>> {
        let start = usize::from(u16_at(&self.bytes, HEADER + 2 * at)?);
        let node = self.bytes.get(start..).ok_or(IndexError::Damaged("an entry has no place"))?;
        let halves = [u16_at(node, 0)?, u16_at(node, 2)?].map(u32::from);
        let low =
            if cfg!(target_endian = "little") { halves[0] | halves[1] << 16 } else { halves[1] | halves[0] << 16 };
        let length = usize::from(u16_at(node, 6)?);
        let (Some(key), Some(rest)) = (node.get(8..8 + length), node.get(8 + length..)) else {
            return Err(IndexError::Damaged("a key has no place"));
        };
        Ok(Node { key, flags: u16_at(node, 4)?, size: low as usize, low, rest })
    }

    /// Where a key is, or where it would be.
    pub(super) fn position(&self, key: &[u8]) -> Result<std::result::Result<usize, usize>> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.node(middle)?.key.cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(Ok(middle)),
            }
        }
        Ok(Err(low))
    }

    /// The page below a branch that may have the key. The first key of a branch is empty: it stands for all lower ones.
    pub(super) fn child(&self, key: &[u8]) -> Result<u64> {
        let at = match self.position(key)? {
            Ok(at) => at,
            Err(at) => at.saturating_sub(1),
        };
        Ok(self.node(at)?.child())
    }
}

impl<'p> Node<'p> {
    pub(super) fn child(&self) -> u64 {
        let high = if WORD > 4 { u64::from(self.flags) << 32 } else { 0 };
        u64::from(self.low) | high
    }

    pub(super) fn data(&self, length: usize) -> Result<&'p [u8]> {
        self.rest.get(..length).ok_or(IndexError::Damaged("a value has no place"))
    }
}

pub(super) fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let slice = at.checked_add(N).and_then(|end| bytes.get(at..end));
    slice.and_then(|slice| slice.try_into().ok()).ok_or(IndexError::Damaged("a number has no place"))
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    bytes_at(bytes, at).map(u16::from_ne_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    bytes_at(bytes, at).map(u32::from_ne_bytes)
}

pub(super) fn word_at(bytes: &[u8], at: usize) -> Result<u64> {
    bytes_at(bytes, at).map(usize::from_ne_bytes).map(|word| word as u64)
}
