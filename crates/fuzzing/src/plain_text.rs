//! The forms that every other part relies on when it shows, stores or sends foreign bytes.

use text::{c_escape, c_unescape, json_string, lossless, printable, printable_ascii, split_list, xtext};

use crate::pieces::assert_harmless;

/// What is shown is harmless, and what can be read back is what it was.
pub fn text_forms(data: &[u8]) {
    assert_harmless(&printable(data));
    assert_eq!(printable(printable(data).as_bytes()), printable(data));
    assert!(printable_ascii(data).bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    assert_eq!(printable_ascii(data).len(), data.len());

    assert!(c_escape(data).bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    assert_eq!(c_unescape(&c_escape(data)), data);

    assert!(xtext::encode(data).bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
    assert_eq!(xtext::decode(xtext::encode(data).as_bytes()).as_deref(), Some(data));
    assert!(xtext::decode(data).is_none_or(|decoded| decoded.len() <= data.len()));

    let text = lossless::decode(data);
    assert_eq!(lossless::encode(&text), data);
    assert_eq!(lossless::encoded_len(&text), data.len());
    let utf8 = lossless::to_utf8(&text);
    assert_eq!(lossless::encode(&utf8), utf8.as_bytes(), "nothing is left that stands for a byte");

    let string = json_string(&text);
    assert_harmless(&string);
    assert!(string.starts_with('"') && string.ends_with('"'));

    let items = split_list(&text);
    assert!(items.iter().map(|item| item.len() + 1).sum::<usize>() <= text.len() + 1);
    assert!(c_unescape(&text).len() <= text.len());
}
