//! Sets travel as their number: what a later version adds to one is kept on its way.

use queue::{SendOptions, Trace};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cleanup::Flags;

/// A set with a number.
pub trait Set: Sized {
    /// Its number.
    fn number(&self) -> u32;
    /// The set with the number.
    fn numbered(number: u32) -> Self;
}

/// Writes the number.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<T: Set, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.number().serialize(serializer)
}

/// Reads a number.
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, T: Set, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    u32::deserialize(deserializer).map(T::numbered)
}

macro_rules! sets {
    ($($set:ty)*) => {
        $(
            impl Set for $set {
                fn number(&self) -> u32 {
                    self.bits()
                }

                fn numbered(number: u32) -> Self {
                    Self::of_bits(number)
                }
            }
        )*
    };
}

sets!(Flags SendOptions Trace);
