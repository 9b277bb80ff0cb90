//! Case folding of lookup keys.
//!
//! Tables of fixed strings are searched without case, whatever the case of the query. With smtputf8_enable the whole
//! of Unicode is folded, otherwise ASCII alone. Unicode's case folding is what Postfix writes into its tables: it is
//! not the same as lower case (`\u{df}` is `ss`), and no composed form is made.

use unicase::UniCase;

/// A key without case. `utf8` folds non-ASCII letters too; bytes that are not valid UTF-8 stay as they are.
pub fn fold(key: &[u8], utf8: bool) -> Vec<u8> {
    if utf8
        && !key.is_ascii()
        && let Ok(text) = std::str::from_utf8(key)
    {
        return UniCase::unicode(text).to_folded_case().into_bytes();
    }
    key.to_ascii_lowercase()
}

/// Whether two texts differ in case alone.
pub fn same(one: &[u8], other: &[u8], utf8: bool) -> bool {
    one.eq_ignore_ascii_case(other) || (utf8 && fold(one, utf8) == fold(other, utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_utf8_mode_takes_letters_beyond_ascii_for_the_same() {
        let (upper, lower) = ("J\u{d6}@X".as_bytes(), "j\u{f6}@x".as_bytes());
        assert!(same(upper, lower, true) && !same(upper, lower, false));
        assert!(same("stra\u{df}e".as_bytes(), b"STRASSE", true) && same(b"STRASSE", "stra\u{df}e".as_bytes(), true));
        assert!(!same(b"a", b"b", true) && same(b"A", b"a", false));
    }

    #[test]
    fn only_utf8_mode_folds_beyond_ascii() {
        let upper = "J\u{d6}RG@Example";
        assert_eq!(fold(upper.as_bytes(), true), "j\u{f6}rg@example".as_bytes());
        assert_eq!(fold(upper.as_bytes(), false), "j\u{d6}rg@example".as_bytes());
        assert_eq!(fold(b"\xd6A", true), b"\xd6a");
    }

    #[test]
    fn letters_fold_to_what_postfix_has_in_its_tables() {
        for (letter, folded) in [
            ("\u{df}", "ss"),
            ("\u{1e9e}", "ss"),
            ("\u{3c2}", "\u{3c3}"),
            ("\u{130}", "i\u{307}"),
            ("\u{149}", "\u{2bc}n"),
            ("\u{fb01}", "fi"),
            ("\u{ab70}", "\u{13a0}"),
            ("u\u{308}", "u\u{308}"),
        ] {
            assert_eq!(fold(letter.as_bytes(), true), folded.as_bytes(), "{letter}");
        }
    }
}
