//! The result of a pattern rule: text in which `$1`, `${1}` or `$(1)` stand for what a group of the pattern matched.

/// A result, parsed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Group(usize),
}

impl Template {
    /// Parses a result for a pattern of `groups` groups.
    ///
    /// # Errors
    /// The sentence for the log: a reference that is cut off, empty, no number, or to a group that is not there.
    pub(crate) fn parse(text: &[u8], groups: usize) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = Vec::new();
        let mut rest = text;
        while let Some((&first, after)) = rest.split_first() {
            match (first, after.first()) {
                (b'$', Some(b'$')) => {
                    plain.push(b'$');
                    rest = &after[1..];
                }
                (b'$', _) => {
                    let (name, behind) = reference(after)?;
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Group(group(name, groups)?));
                    rest = behind;
                }
                _ => {
                    plain.push(first);
                    rest = after;
                }
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Template { parts })
    }

    /// True if the result depends on what was matched.
    pub(crate) fn has_groups(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Group(_)))
    }

    /// The result, with the text of each group from `matched`; a group that took no part is empty.
    pub(crate) fn expand<'k>(&self, matched: impl Fn(usize) -> Option<&'k [u8]>) -> Vec<u8> {
        let mut result = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => result.extend_from_slice(text),
                Part::Group(number) => result.extend_from_slice(matched(*number).unwrap_or_default()),
            }
        }
        result
    }
}

/// Splits what follows a `$` into a name and the rest.
fn reference(text: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let bad = || "bad replacement syntax: skipping this rule".to_owned();
    let close = match text.first() {
        Some(b'{') => b'}',
        Some(b'(') => b')',
        _ => {
            let end = text.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(text.len());
            return if end == 0 { Err(bad()) } else { Ok(text.split_at(end)) };
        }
    };
    let end = text.iter().position(|&b| b == close).ok_or_else(bad)?;
    Ok((&text[1..end], &text[end + 1..]))
}

fn group(name: &[u8], groups: usize) -> Result<usize, String> {
    let shown = text::printable(name);
    let number = std::str::from_utf8(name).ok().filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    let number = number.and_then(|name| name.parse::<usize>().ok());
    match number {
        None => Err(format!("non-numeric replacement index \"{shown}\": skipping this rule")),
        Some(number) if number == 0 || number > groups => {
            Err(format!("out of range replacement index \"{shown}\": skipping this rule"))
        }
        Some(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, String> {
        let template = Template::parse(text.as_bytes(), 2)?;
        let groups = [&b"whole"[..], b"one", b"two"];
        Ok(String::from_utf8(template.expand(|n| groups.get(n).copied())).unwrap())
    }

    #[test]
    fn groups_are_named_with_or_without_braces() {
        assert_eq!(expand("$1-${2}-$(1)x $$1").unwrap(), "one-two-onex $1");
        assert_eq!(expand("plain").unwrap(), "plain");
    }

    #[test]
    fn references_to_nothing_are_refused() {
        for text in ["$", "${1", "$x", "$3", "$0", "${}", "$1a", "a $ b"] {
            assert!(expand(text).is_err(), "{text}");
        }
    }
}
