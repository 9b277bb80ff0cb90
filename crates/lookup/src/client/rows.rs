//! The rows of an answer as bytes without NUL: each is its length, a colon, and the text. So they fit into a packet
//! whose fields end in NUL, and an answer that was cut short is none.

/// Most bytes of an answer, the lengths included.
/// told: who asks, by an error.
pub(crate) const MAX: usize = 4 << 20;

/// The error of an answer that is none.
pub(crate) fn malformed() -> String {
    "malformed answer of the database's process".to_owned()
}

/// Adds a row.
pub(crate) fn push(answer: &mut Vec<u8>, row: &[u8]) {
    answer.extend_from_slice(row.len().to_string().as_bytes());
    answer.push(b':');
    answer.extend_from_slice(row);
}

/// The rows of an answer.
pub(crate) fn decode(mut answer: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rows = Vec::new();
    while !answer.is_empty() {
        let colon = answer.iter().position(|&byte| byte == b':')?;
        let length: usize = std::str::from_utf8(&answer[..colon]).ok()?.parse().ok()?;
        let (row, rest) = answer[colon + 1..].split_at_checked(length)?;
        rows.push(row.to_vec());
        answer = rest;
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back_and_none_of_a_cut_answer_is_taken_for_a_whole_one(rows: Vec<Vec<u8>>) {
            let mut answer = Vec::new();
            rows.iter().for_each(|row| push(&mut answer, row));
            prop_assert_eq!(decode(&answer), Some(rows.clone()));
            for end in 0..answer.len() {
                if let Some(fewer) = decode(&answer[..end]) {
                    prop_assert!(fewer.len() < rows.len() && rows.starts_with(&fewer));
                }
            }
        }

        #[test]
        fn any_bytes_are_rows_or_not(answer: Vec<u8>) {
            let _ = decode(&answer);
        }
    }
}
