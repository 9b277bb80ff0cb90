//! Values that have a name: they travel as that, and what is no such name is refused where it is read.

use std::borrow::Cow;

use dsn::{Action, Return, Status};
use queue::{Encoding, QueueId, QueueName};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wire::cause::Cause;
use wire::verified::Standing;

use crate::bounds::Weigh;

/// A value with a name.
pub trait Word: Sized {
    /// What it is, for errors.
    const WHAT: &'static str;
    /// Its name.
    fn name(&self) -> Cow<'_, str>;
    /// The value with the name.
    fn named(name: &str) -> Option<Self>;
}

/// Writes the name.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<T: Word, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.name())
}

/// Reads a name.
///
/// # Errors
/// It is none.
pub fn deserialize<'de, T: Word, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let name: String = String::deserialize(deserializer)?;
    named(&name)
}

/// A value that may be missing: then its name is empty.
pub mod optional {
    use super::*;

    /// Writes the name.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<T: Word, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.as_ref().map(Word::name).unwrap_or_default())
    }

    /// Reads a name.
    ///
    /// # Errors
    /// It is none, and not empty.
    pub fn deserialize<'de, T: Word, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        let name: String = String::deserialize(deserializer)?;
        if name.is_empty() { Ok(None) } else { named(&name).map(Some) }
    }
}

fn named<T: Word, E: Error>(name: &str) -> Result<T, E> {
    T::named(name).ok_or_else(|| E::custom(format!("no {}: {}", T::WHAT, text::printable(name.as_bytes()))))
}

/// How such a value travels as an element of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named<T: Word>(#[serde(with = "crate::word")] pub T);

impl<T: Word> Weigh for Named<T> {
    fn weight(&self) -> usize {
        self.0.name().len()
    }
}

impl Word for Action {
    const WHAT: &'static str = "action";

    fn name(&self) -> Cow<'_, str> {
        Action::name(*self).into()
    }

    fn named(name: &str) -> Option<Self> {
        Action::parse(name.as_bytes())
    }
}

impl Word for Standing {
    const WHAT: &'static str = "standing of an address";

    fn name(&self) -> Cow<'_, str> {
        self.digit().to_string().into()
    }

    fn named(name: &str) -> Option<Self> {
        Standing::of_digit(name)
    }
}

impl Word for Status {
    const WHAT: &'static str = "enhanced status code";

    fn name(&self) -> Cow<'_, str> {
        self.to_string().into()
    }

    fn named(name: &str) -> Option<Self> {
        Status::parse(name.as_bytes())
    }
}

impl Word for Return {
    const WHAT: &'static str = "RET parameter";

    fn name(&self) -> Cow<'_, str> {
        self.parameter().unwrap_or_default().into()
    }

    fn named(name: &str) -> Option<Self> {
        if name.is_empty() { Some(Return::Unset) } else { Return::parse(name.as_bytes()) }
    }
}

impl Word for Encoding {
    const WHAT: &'static str = "encoding";

    fn name(&self) -> Cow<'_, str> {
        self.as_str().into()
    }

    fn named(name: &str) -> Option<Self> {
        Some(Encoding::parse(name.as_bytes())).filter(|encoding| encoding.as_str() == name)
    }
}

impl Word for QueueName {
    const WHAT: &'static str = "queue";

    fn name(&self) -> Cow<'_, str> {
        self.as_str().into()
    }

    fn named(name: &str) -> Option<Self> {
        QueueName::parse(name)
    }
}

impl Word for Cause {
    const WHAT: &'static str = "cause";

    fn name(&self) -> Cow<'_, str> {
        self.sentence().into()
    }

    fn named(name: &str) -> Option<Self> {
        Cause::all().find(|cause| cause.sentence() == name)
    }
}

impl Word for QueueId {
    const WHAT: &'static str = "queue ID";

    fn name(&self) -> Cow<'_, str> {
        self.as_str().into()
    }

    fn named(name: &str) -> Option<Self> {
        QueueId::parse(name.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};

    fn sent<T: Serialize>(value: &T) -> Vec<u8> {
        let mut frame = Vec::new();
        encode(value, &mut frame).unwrap();
        frame
    }

    fn comes_back<T: Word + Clone + PartialEq + std::fmt::Debug>(values: impl IntoIterator<Item = T>) {
        for value in values {
            let value = Named(value);
            assert_eq!(decode(&sent(&value)), Ok(value));
        }
    }

    #[test]
    fn every_value_is_read_back_from_its_name() {
        comes_back(Action::ALL);
        comes_back(Cause::all());
        comes_back(QueueName::ALL);
        comes_back([Encoding::Unstated, Encoding::SevenBit, Encoding::EightBit]);
        comes_back([Return::Unset, Return::Full, Return::Headers]);
        comes_back([Status::new(2, 0, 0), Status::new(5, 999, 999)]);
    }

    #[test]
    fn a_name_of_nothing_is_refused() {
        for name in ["", "../../x", "a b", "a\0"] {
            let frame = sent(&name.to_owned());
            assert!(decode::<Named<QueueId>>(&frame).is_err(), "{name}");
            assert!(decode::<Named<QueueName>>(&frame).is_err() && decode::<Named<Status>>(&frame).is_err(), "{name}");
        }
    }
}
