//! Lists as main.cf and master.cf write them: items between blanks and commas, `{ groups }` kept together.

use std::fmt;

/// Why a list with groups cannot be split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListError {
    /// A `{` has no partner; holds the text from there on.
    MissingBrace(String),
    /// Text follows a closing brace directly; holds the text from the group on.
    AfterBrace(String),
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingBrace(text) => write!(f, "missing '}}' in \"{text}\""),
            Self::AfterBrace(text) => write!(f, "syntax error after '}}' in \"{text}\""),
        }
    }
}

impl std::error::Error for ListError {}

/// Items of a parameter value, separated by blanks and commas. A `{ group }` is one item without its outer braces and
/// the blanks inside them; braces within an item (`inline:{a=1, b=2}`) keep it together and stay. Unbalanced braces end at the end of the text: the caller's parser will name the item.
pub fn split_list(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut items = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n', ',']);
        if rest.is_empty() {
            return items;
        }
        let (item, after) = match group(rest) {
            Some((inside, after)) => (inside.trim(), after),
            None => rest.split_at(word_length(rest)),
        };
        items.push(item);
        rest = after;
    }
}

/// The length of the item that starts the text: separators between braces are part of it.
fn word_length(text: &str) -> usize {
    let mut depth = 0usize;
    for (at, b) in text.bytes().enumerate() {
        match b {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b' ' | b'\t' | b'\r' | b'\n' | b',' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// Arguments of a master.cf command: split on blanks alone, `{ groups }` kept together without their outer braces.
///
/// # Errors
/// A group that does not close, or that has text right behind its closing brace.
pub fn split_arguments(text: &str) -> Result<Vec<String>, ListError> {
    let blanks = [' ', '\t', '\r', '\n'];
    let mut rest = text.trim_start_matches(blanks);
    let mut items = Vec::new();
    while !rest.is_empty() {
        if rest.starts_with('{') {
            let (inside, after) = group(rest).ok_or_else(|| ListError::MissingBrace(rest.to_owned()))?;
            if !after.is_empty() && !after.starts_with(blanks) {
                return Err(ListError::AfterBrace(rest.to_owned()));
            }
            items.push(inside.trim_matches(blanks).to_owned());
            rest = after;
        } else {
            let (item, after) = rest.split_at(rest.find(blanks).unwrap_or(rest.len()));
            items.push(item.to_owned());
            rest = after;
        }
        rest = rest.trim_start_matches(blanks);
    }
    Ok(items)
}

/// The inside of a group that starts the text, and what follows its closing brace.
fn group(text: &str) -> Option<(&str, &str)> {
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
                    return Some((&text[1..at], &text[at + 1..]));
                }
            }
            _ => {}
        }
    }
    None
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
    fn a_group_is_one_item() {
        assert_eq!(split_list("x { inet:h:p, timeout=5s } y"), ["x", "inet:h:p, timeout=5s", "y"]);
        assert_eq!(split_list("{a {b c}} d"), ["a {b c}", "d"]);
    }

    #[test]
    fn arguments_keep_groups_and_commas() {
        let got = split_arguments("-v -o { syslog_name = foo bar } -o a=1,2 -o { x = {y} }").unwrap();
        assert_eq!(got, ["-v", "-o", "syslog_name = foo bar", "-o", "a=1,2", "-o", "x = {y}"]);
    }

    #[test]
    fn broken_groups_are_named() {
        assert_eq!(split_arguments("a {b").unwrap_err().to_string(), "missing '}' in \"{b\"");
        assert_eq!(split_arguments("{b}c d").unwrap_err().to_string(), "syntax error after '}' in \"{b}c d\"");
    }
}
