//! A recipient of a queue file on its way between processes.

use dsn::{Notify, OriginalRecipient};
use queue::Recipient;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bounds::{Weigh, bytes};

/// How it travels as an element of a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Traveling(#[serde(with = "Fields")] pub Recipient);

impl Weigh for Traveling {
    fn weight(&self) -> usize {
        self.0.weight()
    }
}

impl Weigh for Recipient {
    fn weight(&self) -> usize {
        self.original.len() + self.address.len() + self.dsn.as_stored().len()
    }
}

/// How it travels as a field.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Recipient")]
pub(crate) struct Fields {
    #[serde(with = "bytes")]
    original: Vec<u8>,
    #[serde(with = "bytes")]
    address: Vec<u8>,
    offset: u64,
    #[serde(with = "original_recipient")]
    dsn: OriginalRecipient,
    #[serde(with = "notify")]
    notify: Notify,
}

mod original_recipient {
    use super::*;

    pub fn serialize<S: Serializer>(value: &OriginalRecipient, serializer: S) -> Result<S::Ok, S::Error> {
        bytes::serialize(value.as_stored(), serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OriginalRecipient, D::Error> {
        bytes::deserialize(deserializer).map(OriginalRecipient::from_stored)
    }
}

mod notify {
    use super::*;

    pub fn serialize<S: Serializer>(value: &Notify, serializer: S) -> Result<S::Ok, S::Error> {
        value.bits().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Notify, D::Error> {
        let bits = u32::deserialize(deserializer)?;
        Notify::from_bits(bits).ok_or_else(|| D::Error::custom(format!("no NOTIFY set: {bits}")))
    }
}
