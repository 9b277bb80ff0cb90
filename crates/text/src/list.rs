//! Lists as main.cf writes them: items between blanks and commas, `{ groups }` kept together.

use std::fmt;

/// Items of a parameter value, separated by blanks and commas. A `{ group }` is one item without its outer braces and
/// the blanks inside them; braces within an item (`inline:{a=1, b=2}`) keep it together and stay. Unbalanced braces end
/// at the end of the text: the caller's parser will name the item.
pub fn split_list(text: &str) -> Vec<&str> {
    words(text).map(|word| group(word.text).map_or(word.text, str::trim)).collect()
}

/// The items in front of the first one that starts with `#`, and what stands from there on. A comment in main.cf has a
/// line of its own: behind other text there is none, and lists of patterns end there with a warning.
pub fn split_list_before_comment(text: &str) -> (Vec<&str>, Option<StrayComment<'_>>) {
    let mut items = Vec::new();
    for word in words(text) {
        if let Some(comment) = word.comment() {
            return (items, Some(comment));
        }
        items.push(group(word.text).map_or(word.text, str::trim));
    }
    (items, None)
}

/// What was meant as a comment behind other text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrayComment<'a> {
    word: &'a str,
    rest: &'a str,
}

/// Bytes of the text behind the first word that are shown.
/// told: nobody; the message shows the start.
const SHOWN: usize = 20;

impl fmt::Display for StrayComment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // told: see there.
        let end = (0..=self.rest.len().min(SHOWN)).rev().find(|end| self.rest.is_char_boundary(*end)).unwrap_or(0);
        write!(f, "#comment after other text is not allowed: {} {}...", self.word, &self.rest[..end])
    }
}

/// An item with its braces, and the text behind it.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    /// The item.
    pub text: &'a str,
    /// What follows, without the separator between.
    pub rest: &'a str,
}

impl<'a> Word<'a> {
    /// The comment that starts here, if one does.
    pub fn comment(&self) -> Option<StrayComment<'a>> {
        self.text.starts_with('#').then_some(StrayComment { word: self.text, rest: self.rest })
    }
}

/// The items of a list as they are written.
pub fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(is_separator);
        if rest.is_empty() {
            return None;
        }
        let (word, after) = rest.split_at(group_length(rest).unwrap_or_else(|| word_length(rest)));
        rest = after.strip_prefix(is_separator).unwrap_or(after);
        Some(Word { text: word, rest })
    })
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | ',')
}

/// Why a text is not a group in braces. Displays as the sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BraceError {
    /// It does not begin with a brace.
    NoneAtStart(String),
    /// Its brace is not closed.
    NotClosed(String),
    /// Something follows the closing brace.
    TextAfter(String),
}

impl fmt::Display for BraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BraceError::NoneAtStart(text) => write!(f, "no '{{' at start of text in \"{text}\""),
            BraceError::NotClosed(text) => write!(f, "missing '}}' in \"{text}\""),
            BraceError::TextAfter(text) => write!(f, "syntax error after '}}' in \"{text}\""),
        }
    }
}

impl std::error::Error for BraceError {}

/// The inside of a text that is one group in braces, without the blanks around it.
///
/// # Errors
/// The text is no group.
pub fn braced(text: &str) -> Result<&str, BraceError> {
    if !text.starts_with('{') {
        return Err(BraceError::NoneAtStart(text.to_owned()));
    }
    match group_length(text) {
        None => Err(BraceError::NotClosed(text.to_owned())),
        Some(length) if length < text.len() => Err(BraceError::TextAfter(text.to_owned())),
        Some(length) => Ok(text[1..length - 1].trim()),
    }
}

/// The items of a list as they stand there, up to a separator: a group keeps its braces and what touches it.
pub fn split_items(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut items = Vec::new();
    loop {
        rest = rest.trim_start_matches(is_separator);
        if rest.is_empty() {
            return items;
        }
        let (item, after) = rest.split_at(word_length(rest));
        items.push(item);
        rest = after;
    }
}

/// The length of the item that starts the text: separators between braces are part of it.
fn word_length(text: &str) -> usize {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if is_separator(c) && depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// The length of a group that starts the text.
fn group_length(text: &str) -> Option<usize> {
    if !text.starts_with('{') {
        return None;
    }
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The inside of a word that is a group.
pub fn group(word: &str) -> Option<&str> {
    (group_length(word)? == word.len()).then(|| &word[1..word.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_within_an_item_keep_it_together() {
        assert_eq!(split_list("inline:{a=1, {b = 2}}, c"), ["inline:{a=1, {b = 2}}", "c"]);
    }

    #[test]
    fn items_are_separated_by_any_mix_of_blanks_and_commas() {
        assert_eq!(split_list(" a,b\t c ,,\n d"), ["a", "b", "c", "d"]);
        assert_eq!(split_list(", ,"), Vec::<&str>::new());
    }

    #[test]
    fn a_text_in_braces_has_nothing_around_them() {
        assert_eq!(braced("{ a {b} }"), Ok("a {b}"));
        for (text, wrong) in [
            ("a", "no '{' at start of text in \"a\""),
            ("{a", "missing '}' in \"{a\""),
            ("{a}{b}", "syntax error after '}' in \"{a}{b}\""),
        ] {
            assert_eq!(braced(text).unwrap_err().to_string(), wrong);
        }
        assert_eq!(split_items("{a b}c, d {e}"), ["{a b}c", "d", "{e}"]);
    }

    #[test]
    fn a_group_is_one_item() {
        assert_eq!(split_list("x { inet:h:p, timeout=5s } y"), ["x", "inet:h:p, timeout=5s", "y"]);
        assert_eq!(split_list("{a {b c}} d"), ["a {b c}", "d"]);
        assert_eq!(split_list("{a}b c"), ["a", "b", "c"]);
        assert_eq!(split_list("{a b"), ["{a b"]);
    }

    #[test]
    fn a_list_ends_before_what_was_meant_as_a_comment() {
        let comment = |text| split_list_before_comment(text).1.map(|comment| comment.to_string());
        assert_eq!(split_list_before_comment("a, #b c").0, ["a"]);
        assert_eq!(split_list_before_comment("a#b {#c}").0, ["a#b", "#c"]);
        let sentence = |end| Some(format!("#comment after other text is not allowed: {end}"));
        assert_eq!(comment("a # local only"), sentence("# local only..."));
        assert_eq!(comment("a #b"), sentence("#b ..."));
        assert_eq!(comment("#very long text that goes on and on"), sentence("#very long text that goes ..."));
        assert_eq!(
            comment("# \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}a\u{e9}"),
            sentence("# \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}a...")
        );
        assert_eq!(comment("a b#"), None);
    }
}
