//! Case folding of lookup keys.
//!
//! Tables of fixed strings are searched in lower case, whatever the case of the query. With smtputf8_enable the whole
//! of Unicode is folded, otherwise ASCII alone.

/// A key in lower case. `utf8` folds non-ASCII letters too; bytes that are not valid UTF-8 stay as they are.
pub fn fold(key: &[u8], utf8: bool) -> Vec<u8> {
    if utf8
        && !key.is_ascii()
        && let Ok(text) = std::str::from_utf8(key)
    {
        return text.to_lowercase().into_bytes();
    }
    key.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_utf8_mode_folds_beyond_ascii() {
        let upper = "J\u{d6}RG@Example";
        assert_eq!(fold(upper.as_bytes(), true), "j\u{f6}rg@example".as_bytes());
        assert_eq!(fold(upper.as_bytes(), false), "j\u{d6}rg@example".as_bytes());
        assert_eq!(fold(b"\xd6A", true), b"\xd6a");
    }
}
