//! Records as clients send them: whole records in the encoding of the queue file, one after the other.

use queue::Type;

/// Payload bytes that one record may have: no honest client sends more than a line or an address.
/// told: nobody; what is longer goes on in the next record.
const MAX_PAYLOAD: usize = queue::record::MAX_PAYLOAD;

/// Takes the first record of `bytes`; the rest follows it. `None` at the end and where there is no whole record.
pub fn next(bytes: &[u8]) -> Option<(Type, &[u8], &[u8])> {
    let (&kind, mut rest) = bytes.split_first()?;
    let mut length = 0usize;
    for shift in [0, 7, 14, 21] {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let fits = length <= MAX_PAYLOAD && length <= rest.len();
            return fits.then(|| (Type(kind), &rest[..length], &rest[length..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_encoded_is_read_back(records in prop::collection::vec(
            (any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)), 0..20,
        )) {
            let mut bytes = Vec::new();
            for (kind, payload) in &records {
                queue::record::encode(&mut bytes, Type(*kind), payload);
            }
            let (mut rest, mut read) = (&bytes[..], Vec::new());
            while let Some((kind, payload, after)) = next(rest) {
                read.push((kind.0, payload.to_vec()));
                rest = after;
            }
            prop_assert!(rest.is_empty());
            prop_assert_eq!(read, records);
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut rest = &bytes[..];
            while let Some((_, _, after)) = next(rest) {
                prop_assert!(after.len() < rest.len());
                rest = after;
            }
        }
    }
}
