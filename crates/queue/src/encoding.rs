//! What is known of the bytes of the content: the attribute `encoding`.

/// BODY=7BIT or BODY=8BITMIME (RFC 6152), or what cleanup found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Nothing is known.
    #[default]
    Unstated,
    /// ASCII alone.
    SevenBit,
    /// Bytes above 127 in it.
    EightBit,
}

impl Encoding {
    /// The value of the attribute; empty where nothing is known.
    pub const fn as_str(self) -> &'static str {
        match self {
            Encoding::Unstated => "",
            Encoding::SevenBit => "7bit",
            Encoding::EightBit => "8bit",
        }
    }

    /// Reads the value of the attribute; any other says nothing.
    pub fn parse(value: &[u8]) -> Encoding {
        match value {
            b"7bit" => Encoding::SevenBit,
            b"8bit" => Encoding::EightBit,
            _ => Encoding::Unstated,
        }
    }
}
