//! Where a value has what was meant as a comment. A comment has a line of its own; behind other text `#` is text, and
//! what reads the value ends there, or takes the words for items.

use text::{group, words};

/// The sentences about an expanded value, in its order, also of lists within it.
pub fn stray(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    scan(value, true, &mut found);
    found
}

/// Lists within lists that are looked into.
/// told: nobody; a hint is missing for lists deeper than anybody writes them.
const DEPTH: usize = 20;

fn scan(value: &str, groups: bool, found: &mut Vec<String>) {
    let mut lists = vec![(value, groups)];
    for _ in 0..DEPTH {
        lists = lists.into_iter().flat_map(|(list, groups)| one_list(list, groups, found)).collect();
    }
}

/// One list; gives the lists within it.
fn one_list<'a>(list: &'a str, groups: bool, found: &mut Vec<String>) -> Vec<(&'a str, bool)> {
    let mut inner = Vec::new();
    for word in words(list) {
        if let Some(comment) = word.comment() {
            found.push(comment.to_string());
            break;
        }
        if !groups {
            continue;
        }
        if let Some(inside) = group(word.text) {
            inner.push((inside, true));
        } else if let Some((kind, inside)) = table_of_list(word.text) {
            // A pattern may have a # in it.
            inner.push((inside, !matches!(kind, "pcre" | "regexp")));
        }
    }
    inner
}

/// `type:{ list }`, also behind `proxy:`.
fn table_of_list(word: &str) -> Option<(&str, &str)> {
    let table = word.strip_prefix("proxy:").unwrap_or(word);
    let (kind, name) = table.split_once(':')?;
    match group(name) {
        Some(inside) => Some((kind, inside)),
        None => table_of_list(name).filter(|_| !kind.contains('{')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Postfix 3.11 tells them.
    #[test]
    fn comments_are_found_at_every_level_but_not_in_patterns() {
        for (value, expected) in [
            ("hash:/x # y", &["# y..."][..]),
            ("a,# b", &["# b..."]),
            ("a;#b \"# b\"", &[]),
            ("{a # b} c #d", &["#d ...", "# b..."]),
            ("{{a # b} # e} c", &["# e...", "# b..."]),
            ("a{# b}", &[]),
            ("proxy:x:{# b}", &["# b..."]),
            ("inline:{ {a = # b} }", &["# b..."]),
            ("pcre:{ {/x/ # b} }", &[]),
            ("pcre:{ # b }", &["# b ..."]),
            ("unionmap:{pcre:{ {/x/ # b} } #z}", &["#z ..."]),
            ("pipemap:{inline:{ {a # b} }, #c}", &["#c ...", "# b..."]),
            ("check_policy_service {inet:1:2, #foo}", &["#foo ..."]),
            ("relay#x", &[]),
        ] {
            let expected: Vec<String> =
                expected.iter().map(|end| format!("#comment after other text is not allowed: {end}")).collect();
            assert_eq!(stray(value), expected, "{value}");
        }
    }

    #[test]
    fn lists_within_lists_without_end_are_no_work_without_end() {
        let deep = "{".repeat(10_000) + "#x" + &"}".repeat(10_000);
        assert!(stray(&deep).is_empty());
    }
}
