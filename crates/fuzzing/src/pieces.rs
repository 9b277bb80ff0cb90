//! One input as several arguments: choices from its first byte, text in pieces, pieces of pieces.

/// A byte of choices, and the rest. Seeds that begin with a digit are readable: their low bits are the digit's.
pub fn choices(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}

/// The bytes in pieces as they may arrive: the bits of `choice` say how long a piece is, from one byte to all of them.
pub fn arrivals(bytes: &[u8], choice: u8) -> impl Iterator<Item = &[u8]> {
    let size = match choice & 7 {
        7 => bytes.len().max(1),
        size => usize::from(size) * usize::from(size) + 1,
    };
    bytes.chunks(size)
}

/// Asserts that a text can stand in a log line or a reply: no control characters, so no second line.
pub fn assert_harmless(text: &str) {
    assert!(!text.chars().any(char::is_control), "a control character goes out: {text:?}");
}

/// Up to `N` fields, which NUL separates; those that are not there are empty.
pub fn fields<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut pieces = data.splitn(N, |byte| *byte == 0);
    std::array::from_fn(|_| pieces.next().unwrap_or_default())
}

/// Asserts that bytes can stand in a line of a message or a file: nothing ends it.
pub fn assert_one_line(line: &[u8]) {
    assert!(!line.iter().any(u8::is_ascii_control), "a control byte goes out: {}", line.escape_ascii());
}
