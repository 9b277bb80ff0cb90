//! Lists as main.cf writes them: items between blanks and commas, `{ groups }` kept together.

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
}
