//! The words of a policy: a level, and attributes `name=value` or `{ name = value }` behind it.

use super::PolicyError;

/// What stands between the words of a policy.
pub(super) fn is_separator(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n' | ',')
}

/// The next word.
pub(super) fn take_word<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.find(is_separator).unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    word
}

/// The next `name=value` or `{ name = value }`, whatever it is: separators between braces are part of it.
pub(super) fn next_attribute<'a>(rest: &mut &'a str) -> Option<&'a str> {
    *rest = rest.trim_start_matches(is_separator);
    let mut depth = 0_usize;
    let end = rest.char_indices().find(|(_, letter)| {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && is_separator(*letter)
    });
    let (attribute, after) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
    *rest = after;
    (!attribute.is_empty()).then_some(attribute)
}

/// Its name and its value.
pub(super) fn pair(attribute: &str) -> Result<(String, String), PolicyError> {
    let malformed = |text: &str, why: String| PolicyError::Pair(text.trim().to_owned(), why);
    let pair = match attribute.strip_prefix('{') {
        Some(inside) => {
            let end = closing(inside);
            let end = end.ok_or_else(|| malformed(inside, format!("missing '}}' in \"{attribute}\"")))?;
            let (text, after) = (inside.get(..end).unwrap_or_default(), inside.get(end + 1..).unwrap_or_default());
            if !after.is_empty() {
                return Err(malformed(text, format!("syntax error after '}}' in \"{attribute}\"")));
            }
            text.trim()
        }
        None => attribute,
    };
    let (name, value) = match pair.split_once('=') {
        Some((name, value)) => (name.trim(), value.trim()),
        None if pair.is_empty() => ("", ""),
        None => return Err(malformed(pair, "missing '=' after attribute name".to_owned())),
    };
    match name {
        "" => Err(malformed(pair, "missing attribute name".to_owned())),
        _ => Ok((name.to_owned(), value.to_owned())),
    }
}

/// Where the brace closes that was open before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}
