//! xtext, the encoding of ESMTP parameter values (RFC 3461 section 4).

use std::fmt::Write;

/// `+`, `=` and everything outside 33..=126 become `+XX`.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &b in bytes {
        if (33..=126).contains(&b) && b != b'+' && b != b'=' {
            out.push(b as char);
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "+{b:02X}");
        }
    }
    out
}

/// The bytes that an xtext value stands for; `None` when a `+` is not followed by two hexadecimal digits.
pub fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&b, after)) = rest.split_first() {
        if b != b'+' {
            out.push(b);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        let high = (digits[0] as char).to_digit(16)?;
        let low = (digits[1] as char).to_digit(16)?;
        out.push((high * 16 + low) as u8);
        rest = after;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_undoes_encoding() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(encode(&all).as_bytes()), Some(all));
    }

    #[test]
    fn a_plus_without_two_digits_is_refused() {
        assert_eq!(decode(b"a+"), None);
        assert_eq!(decode(b"a+4"), None);
        assert_eq!(decode(b"a+4G"), None);
    }
}
