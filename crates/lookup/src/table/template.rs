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

/// What is wrong with a result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// A reference is not written as one: what, and the whole result.
    Syntax(&'static str, String),
    /// A name that is no number.
    NotNumeric(String),
    /// `$0`
    Zero(String),
}

impl TemplateError {
    fn syntax(what: &'static str, text: &[u8]) -> Self {
        TemplateError::Syntax(what, text::printable(text))
    }
}

impl Template {
    /// A result that stands for itself.
    pub(crate) fn literal(text: Vec<u8>) -> Self {
        Template { parts: vec![Part::Text(text)] }
    }

    /// Parses a result.
    ///
    /// # Errors
    /// A reference that is cut off, without a name, no number, or to group 0.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, TemplateError> {
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
                    let (name, behind) = reference(after).map_err(|what| TemplateError::syntax(what, text))?;
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Group(group(name)?));
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

    /// The largest number of a group that the result refers to; 0 if it does not depend on what was matched.
    pub(crate) fn last_group(&self) -> usize {
        let groups = self.parts.iter().filter_map(|part| match part {
            Part::Group(number) => Some(*number),
            Part::Text(_) => None,
        });
        groups.max().unwrap_or_default()
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
fn reference(text: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    const EMPTY: &str = "empty macro name";
    let close = match text.first() {
        Some(b'{') => b'}',
        Some(b'(') => b')',
        _ => {
            let end = text.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_').unwrap_or(text.len());
            return if end == 0 { Err(EMPTY) } else { Ok(text.split_at(end)) };
        }
    };
    let end = closing(text, close).ok_or("truncated macro reference")?;
    if end == 1 { Err(EMPTY) } else { Ok((&text[1..end], &text[end + 1..])) }
}

/// The position of the brace or parenthesis that closes the first one.
fn closing(text: &[u8], close: u8) -> Option<usize> {
    let mut depth = 0usize;
    text.iter().position(|&byte| {
        depth += usize::from(Some(&byte) == text.first());
        depth -= usize::from(byte == close);
        depth == 0
    })
}

fn group(name: &[u8]) -> Result<usize, TemplateError> {
    let digits = std::str::from_utf8(name).ok().filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    match digits.map(|digits| digits.parse().unwrap_or(usize::MAX)) {
        None => Err(TemplateError::NotNumeric(text::printable(name))),
        Some(0) => Err(TemplateError::Zero(text::printable(name))),
        Some(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, TemplateError> {
        let template = Template::parse(text.as_bytes())?;
        let groups = [&b"whole"[..], b"one", b"two"];
        Ok(String::from_utf8(template.expand(|n| groups.get(n).copied())).unwrap())
    }

    #[test]
    fn groups_are_named_with_or_without_braces() {
        assert_eq!(expand("$1-${2}-$(1)x $$1 ${1}} $01.").unwrap(), "one-two-onex $1 one} one.");
        assert_eq!(expand("plain").unwrap(), "plain");
    }

    #[test]
    fn the_groups_that_a_result_needs_are_known() {
        assert_eq!(Template::parse(b"a $2 $7 $1").unwrap().last_group(), 7);
        assert_eq!(Template::parse(b"$$1").unwrap().last_group(), 0);
    }

    #[test]
    fn references_to_nothing_are_refused() {
        for text in ["$", "${1", "$x", "$0", "${}", "$1a", "a $ b", "${1?x}", "$(${1})", "${1)"] {
            assert!(expand(text).is_err(), "{text}");
        }
    }
}
