//! How much may travel: the largest field, list and frame, for both directions of every service.
//!
//! A type of this crate has no field and no list without one of these bounds, so that it fits a frame whatever it
//! holds; a list that may be longer travels in [`Chunk`]s. Who makes a message that is larger is told
//! ([`IpcError::TooLarge`]), and nothing of it is sent; who receives one refuses it. `tests/largest.rs` sends every
//! message at its largest.
//!
//! [`IpcError::TooLarge`]: crate::IpcError::TooLarge

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most bytes of an address, a nexthop, a path, a command: more than a header of the default header_size_limit holds.
/// told: who makes the message ([`IpcError::TooLarge`](crate::IpcError::TooLarge)).
pub const MAX_BYTES: usize = 256 << 10;
/// Most bytes of a text for people, a name, an identifier, a status. Texts are cut to it where they are made ([`cut`]).
/// told: as above; texts are cut by whom they are made.
pub const MAX_TEXT: usize = 16 << 10;
/// Most bytes of a block of content or of queue file records.
/// told: as above.
pub const MAX_BLOCK: usize = 2 << 20;
/// Most elements of a list.
/// told: as above; longer lists are several chunks.
pub const MAX_ITEMS: usize = 1000;
/// A chunk with this many bytes is not added to; so that it has at most one element more.
pub const FULL: usize = 512 << 10;
/// Most bytes of a frame. The largest message is a chunk, or a request to a carrier.
/// told: as above.
pub const MAX_FRAME: usize = 4 << 20;

/// A text that fits a field: its start, if it is longer. Only for what people read.
pub fn cut(mut text: String) -> String {
    // told: see below.
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    // told: nobody; it is the text that tells, and a log line or report of this length shows its start alone.
    text.truncate(end.unwrap_or(0));
    text
}

/// How many bytes an element adds to a frame, roughly: those of its fields.
pub trait Weigh {
    /// Bytes.
    fn weight(&self) -> usize;
}

impl Weigh for String {
    fn weight(&self) -> usize {
        self.len()
    }
}

/// Some elements of a list: at most [`MAX_ITEMS`], and at most one behind the first [`FULL`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk<T>(Vec<T>);

/// Splits a list into chunks; none for an empty list.
pub fn chunks<T: Weigh>(list: impl IntoIterator<Item = T>) -> impl Iterator<Item = Chunk<T>> {
    let mut rest = list.into_iter();
    std::iter::from_fn(move || {
        let mut chunk = Chunk(Vec::new());
        let mut weight = 0;
        while chunk.0.len() < MAX_ITEMS && weight < FULL {
            let Some(item) = rest.next() else { break };
            weight += item.weight();
            chunk.0.push(item);
        }
        (!chunk.0.is_empty()).then_some(chunk)
    })
}

impl<T> Chunk<T> {
    /// Its elements, of which there is at least one.
    pub fn items(&self) -> &[T] {
        &self.0
    }
}

impl<T> IntoIterator for Chunk<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T: Serialize> Serialize for Chunk<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        check(self.0.len(), MAX_ITEMS, "a list of", " elements").map_err(serde::ser::Error::custom)?;
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Chunk<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items: Vec<T> = deserializer.deserialize_seq(Items(PhantomData))?;
        if items.is_empty() { Err(D::Error::custom("an empty chunk")) } else { Ok(Chunk(items)) }
    }
}

/// A list of at most [`MAX_ITEMS`] elements and [`FULL`] bytes, for lists that the configuration bounds.
pub(crate) mod list {
    use super::*;

    pub fn serialize<T: Serialize + Weigh, S: Serializer>(items: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        check(items).map_err(serde::ser::Error::custom)?;
        items.serialize(serializer)
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
    where
        T: Deserialize<'de> + Weigh,
        D: Deserializer<'de>,
    {
        let items: Vec<T> = deserializer.deserialize_seq(Items(PhantomData))?;
        check(&items).map_err(D::Error::custom)?;
        Ok(items)
    }

    fn check<T: Weigh>(items: &[T]) -> Result<(), String> {
        super::check(items.len(), MAX_ITEMS, "a list of", " elements")?;
        super::check(items.iter().map(Weigh::weight).sum(), FULL, "a list of", " bytes")
    }
}

/// Elements, of which no more than [`MAX_ITEMS`] are begun with.
struct Items<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX_ITEMS} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let announced = items.size_hint().unwrap_or(0);
        check(announced, MAX_ITEMS, "a list of", " elements").map_err(A::Error::custom)?;
        let mut found = Vec::with_capacity(announced);
        while let Some(item) = items.next_element()? {
            found.push(item);
        }
        Ok(found)
    }
}

/// Bytes of at most [`MAX_BYTES`].
pub(crate) mod bytes {
    use super::*;

    pub fn serialize<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        super::check(value.len(), MAX_BYTES, "a field of", " bytes").map_err(serde::ser::Error::custom)?;
        serializer.serialize_bytes(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let value: Vec<u8> = serde_bytes::deserialize(deserializer)?;
        super::check(value.len(), MAX_BYTES, "a field of", " bytes").map_err(D::Error::custom)?;
        Ok(value)
    }
}

/// Bytes of at most [`MAX_BLOCK`].
pub(crate) mod block {
    use super::*;

    pub fn serialize<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        super::check(value.len(), MAX_BLOCK, "a block of", " bytes").map_err(serde::ser::Error::custom)?;
        serializer.serialize_bytes(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let value: Vec<u8> = serde_bytes::deserialize(deserializer)?;
        super::check(value.len(), MAX_BLOCK, "a block of", " bytes").map_err(D::Error::custom)?;
        Ok(value)
    }
}

/// Texts of at most [`MAX_TEXT`] bytes: one, or a fixed number of them.
pub(crate) mod text {
    use super::*;

    pub trait Texts: Serialize {
        fn longest(&self) -> usize;
    }

    impl Texts for String {
        fn longest(&self) -> usize {
            self.len()
        }
    }

    impl Texts for (String, String) {
        fn longest(&self) -> usize {
            self.0.len().max(self.1.len())
        }
    }

    impl<const N: usize> Texts for [String; N]
    where
        Self: Serialize,
    {
        fn longest(&self) -> usize {
            self.iter().map(String::len).max().unwrap_or(0)
        }
    }

    pub fn serialize<T: Texts, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        super::check(value.longest(), MAX_TEXT, "a text of", " bytes").map_err(serde::ser::Error::custom)?;
        value.serialize(serializer)
    }

    pub fn deserialize<'de, T: Texts + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let value = T::deserialize(deserializer)?;
        super::check(value.longest(), MAX_TEXT, "a text of", " bytes").map_err(D::Error::custom)?;
        Ok(value)
    }
}

fn check(length: usize, limit: usize, what: &str, unit: &str) -> Result<(), String> {
    if length > limit { Err(format!("{what} {length}{unit}")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_the_list_in_its_order_and_none_is_too_large() {
        let list: Vec<String> = (0..3500).map(|n| "x".repeat(n)).collect();
        let split: Vec<Chunk<String>> = chunks(list.clone()).collect();
        assert!(split.iter().all(|chunk| (1..=MAX_ITEMS).contains(&chunk.items().len())));
        assert!(split.iter().all(|chunk| chunk.items().iter().map(String::len).sum::<usize>() < FULL + 3500));
        assert_eq!(split.into_iter().flatten().collect::<Vec<_>>(), list);
        assert_eq!(chunks(Vec::<String>::new()).count(), 0);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let long = "ä".repeat(MAX_TEXT);
        assert_eq!(cut(long).len(), MAX_TEXT);
        assert_eq!(cut(format!("a{}", "ä".repeat(MAX_TEXT))).len(), MAX_TEXT - 1);
        assert_eq!(cut("short".to_owned()), "short");
    }
}
