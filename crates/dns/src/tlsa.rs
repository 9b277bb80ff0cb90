//! TLSA records: which certificate or key a TLS server has (RFC 6698 2.1).
//!
//! The record is what the zone says; what it means for a session is judged elsewhere (`tls::dane`).

use std::fmt;

/// Bytes that are shown of data, from longer data half at each end.
/// told: the reader, by three dots.
const SHOWN: usize = 64;

/// The content of a TLSA record. One that is too short to have its three numbers has no more than it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// Certificate usage: 2 an authority's, 3 the server's own.
    pub usage: u8,
    /// 0 the certificate, 1 its public key.
    pub selector: u8,
    /// 0 itself, 1 its SHA-256 digest, 2 SHA-512, others as configured.
    pub matching_type: u8,
    /// What has to match. Empty: the record is truncated.
    pub data: Vec<u8>,
    /// The length of the whole content.
    pub length: usize,
}

impl Association {
    /// Reads the content of a record; whatever its length, it is one that can be told of.
    #[must_use]
    pub fn read(content: &[u8]) -> Self {
        let number = |at: usize| content.get(at).copied().unwrap_or_default();
        Self {
            usage: number(0),
            selector: number(1),
            matching_type: number(2),
            data: content.get(3..).unwrap_or_default().to_vec(),
            length: content.len(),
        }
    }
}

impl fmt::Display for Association {
    /// `3 1 1 HEX`, as log lines have it: of long data both ends.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { usage, selector, matching_type, data, .. } = self;
        write!(out, "{usage} {selector} {matching_type} ")?;
        let hex = |out: &mut fmt::Formatter<'_>, bytes: &[u8]| -> fmt::Result {
            bytes.iter().try_for_each(|byte| write!(out, "{byte:02X}"))
        };
        let half = SHOWN / 2;
        match (data.get(..half), data.len().checked_sub(half).and_then(|from| data.get(from..))) {
            (Some(first), Some(last)) if data.len() > SHOWN => {
                hex(out, first)?;
                out.write_str("...")?;
                hex(out, last)
            }
            _ => hex(out, data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn long_data_is_shown_by_both_ends() {
        let of = |length: usize| {
            let data: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            Association::read(&[&[3, 1, 0], &data[..]].concat()).to_string()
        };
        assert_eq!(of(2), "3 1 0 0001");
        assert_eq!(of(64).len(), 6 + 128);
        let long = of(65);
        assert!(long.starts_with("3 1 0 0001") && long.contains("1E1F...2122") && long.ends_with("3F40"), "{long}");
    }

    proptest! {
        #[test]
        fn any_content_is_a_record_whose_text_is_short(content: Vec<u8>) {
            let record = Association::read(&content);
            prop_assert_eq!(record.data.len(), content.len().saturating_sub(3));
            prop_assert!(record.to_string().len() <= 4 + 4 + 4 + 2 * SHOWN + 3);
        }
    }
}
