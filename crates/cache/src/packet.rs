//! What a daemon and its scribe say to each other: numbered packets of fields that end in NUL ([`wire::fields`]).

use ipc::questions::MAX;
use wire::fields::{join, number, split};

/// Bytes of a packet that are left for its number.
const HEAD: usize = 16;

/// Changes of some keys, in a packet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    all: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    size: usize,
}

impl Changes {
    /// Adds a change; false if it does not fit any more. Neither key nor value has a NUL.
    pub(crate) fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> bool {
        let size = key.len() + value.map_or(0, <[u8]>::len) + "put".len() + 3;
        if HEAD + self.size + size > MAX {
            return false;
        }
        self.size += size;
        self.all.push((key.to_vec(), value.map(<[u8]>::to_vec)));
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The keys that change.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.all.iter().map(|(key, _)| key.as_slice())
    }

    /// The entries that are to be there.
    pub(crate) fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.all.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect()
    }

    /// The keys that are to go.
    pub(crate) fn gone(&self) -> Vec<Vec<u8>> {
        self.all.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key.clone()).collect()
    }

    /// The packet.
    pub(crate) fn encode(&self, count: u32) -> Vec<u8> {
        let count = count.to_string();
        let mut fields: Vec<&[u8]> = vec![count.as_bytes()];
        for (key, value) in &self.all {
            match value {
                Some(value) => fields.extend([b"put".as_slice(), key, value]),
                None => fields.extend([b"del".as_slice(), key, b""]),
            }
        }
        join(&fields)
    }

    /// Reads a packet: its number, and the changes.
    pub(crate) fn decode(packet: &[u8]) -> Option<(u32, Changes)> {
        let mut fields = packet.strip_suffix(&[0])?.split(|&byte| byte == 0);
        let count = number(fields.next()?)?;
        let mut changes = Changes::default();
        while let Some(kind) = fields.next() {
            let (key, value) = (fields.next()?, fields.next()?);
            let value = match kind {
                b"put" => Some(value),
                b"del" if value.is_empty() => None,
                _ => return None,
            };
            if key.is_empty() || !changes.push(key, value) {
                return None;
            }
        }
        Some((count, changes))
    }
}

/// What a scribe answers, and what it begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The file is open, and its descriptor comes with this; what there is to say of it, or nothing.
    Open(String),
    /// The changes are in the file.
    Done,
    /// It could not be done: the reason.
    Failed(String),
}

impl Reply {
    /// The packet that answers question `count`.
    pub(crate) fn encode(&self, count: u32) -> Vec<u8> {
        let (kind, words) = match self {
            Self::Open(note) => ("open", note.as_str()),
            Self::Done => ("done", ""),
            Self::Failed(why) => ("failed", why.as_str()),
        };
        let words = words.replace('\0', "?");
        // told: the log; words that are longer show their start.
        let words = &words.as_bytes()[..words.len().min(MAX / 2)];
        join(&[count.to_string().as_bytes(), kind.as_bytes(), words])
    }

    /// Reads a packet.
    pub(crate) fn decode(packet: &[u8]) -> Option<Reply> {
        let [_, kind, words] = split(packet)?;
        let words = || String::from_utf8_lossy(words).into_owned();
        Some(match kind {
            b"open" => Self::Open(words()),
            b"done" => Self::Done,
            b"failed" => Self::Failed(words()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn replies_come_back() {
        for reply in
            [Reply::Open(String::new()), Reply::Open("a note".to_owned()), Reply::Done, Reply::Failed("why".into())]
        {
            assert_eq!(Reply::decode(&reply.encode(7)), Some(reply));
        }
        assert!(Reply::Failed("x".repeat(100_000)).encode(u32::MAX).len() < MAX);
    }

    proptest! {
        #[test]
        fn changes_come_back(all in prop::collection::vec(("[^\0]{1,20}", prop::option::of("[^\0]{0,20}")), 0..40)) {
            let mut changes = Changes::default();
            for (key, value) in &all {
                prop_assert!(changes.push(key.as_bytes(), value.as_ref().map(String::as_bytes)));
            }
            prop_assert_eq!(Changes::decode(&changes.encode(5)), Some((5, changes)));
        }

        #[test]
        fn a_packet_is_never_too_long(lengths in prop::collection::vec((1usize..600, 0usize..2100), 1..60)) {
            let mut changes = Changes::default();
            for (key, value) in lengths {
                changes.push(&vec![b'k'; key], Some(&vec![b'v'; value]));
            }
            prop_assert!(!changes.is_empty() && changes.encode(u32::MAX).len() <= MAX);
        }

        #[test]
        fn any_packet_is_changes_or_none(packet: Vec<u8>) {
            let _ = (Changes::decode(&packet), Reply::decode(&packet));
        }
    }
}
