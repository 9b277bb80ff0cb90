//! Bytes to text and back: sanitising, splitting, small formats.
