//! How large a POSIX pattern is, before the C library reads it.

/// What a pattern consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Groups in parentheses.
    pub(super) groups: usize,
    /// How deeply they nest.
    pub(super) depth: usize,
    /// Characters, classes and groups, each as often as the repetitions around it say. A bound from above.
    pub(super) size: usize,
}

/// The pattern, or the inside of a group that is open: its size, and that of what a repetition would repeat.
#[derive(Clone, Copy, Default)]
struct Level {
    size: usize,
    last: usize,
}

impl Shape {
    /// Measures a pattern of extended or basic syntax.
    pub(super) fn of(pattern: &[u8], extended: bool) -> Self {
        let mut shape = Shape { groups: 0, depth: 0, size: 0 };
        let mut levels = vec![Level::default()];
        let mut at = 0;
        while let Some(&byte) = pattern.get(at) {
            let escaped = byte == b'\\';
            let operator = if escaped { pattern.get(at + 1).copied().unwrap_or_default() } else { byte };
            let mut next = if byte == b'[' { behind_brackets(pattern, at) } else { at + 1 + usize::from(escaped) };
            match operator {
                b'(' if escaped != extended => {
                    levels.push(Level::default());
                    shape.groups += 1;
                    shape.depth = shape.depth.max(levels.len() - 1);
                }
                b')' if escaped != extended && levels.len() > 1 => close(&mut levels),
                b'{' if escaped != extended => {
                    let (times, length) = interval(pattern.get(next..).unwrap_or_default());
                    repeat(&mut levels, times);
                    next += length;
                }
                // Once, and then any number of times.
                b'+' if escaped != extended => repeat(&mut levels, 2),
                // What stands behind it repeats all of this.
                b'*' if !escaped => again(&mut levels),
                b'?' if escaped != extended => again(&mut levels),
                _ => add(&mut levels, 1),
            }
            at = next;
        }
        while levels.len() > 1 {
            close(&mut levels);
        }
        shape.size = levels.first().map_or(0, |level| level.size);
        shape
    }
}

fn add(levels: &mut [Level], size: usize) {
    if let Some(level) = levels.last_mut() {
        level.size = level.size.saturating_add(size);
        level.last = size;
    }
}

fn close(levels: &mut Vec<Level>) {
    let size = levels.pop().map_or(0, |level| level.size);
    add(levels, size.saturating_add(1));
}

fn again(levels: &mut [Level]) {
    if let Some(level) = levels.last_mut() {
        level.size = level.size.saturating_add(1);
        level.last = level.last.saturating_add(1);
    }
}

fn repeat(levels: &mut [Level], times: usize) {
    if let Some(level) = levels.last_mut() {
        let repeated = level.last.saturating_mul(times.max(1));
        level.size = level.size.saturating_add(repeated - level.last);
        level.last = repeated;
    }
}

/// How often a repetition is written out whose brace stands before the text, and the length up to its closing brace.
fn interval(text: &[u8]) -> (usize, usize) {
    let length = text.iter().take_while(|&&byte| byte == b',' || byte.is_ascii_digit()).count();
    let numbers = text[..length].split(|&byte| byte == b',').filter_map(|digits| std::str::from_utf8(digits).ok());
    let largest: usize = numbers.filter_map(|digits| digits.parse().ok()).max().unwrap_or(1);
    // Without an end: so often, and then any number of times.
    let largest = largest.saturating_add(usize::from(text[..length].ends_with(b",")));
    let end = text[length..].iter().take_while(|&&byte| byte == b'\\').count();
    (largest, length + end + usize::from(text.get(length + end) == Some(&b'}')))
}

/// The position behind a bracket expression that begins at `start`. A backslash is an ordinary character in it, and so
/// is a `]` at its beginning or inside `[:...:]`, `[=...=]` and `[....]`.
fn behind_brackets(pattern: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    at += usize::from(pattern.get(at) == Some(&b'^'));
    at += usize::from(pattern.get(at) == Some(&b']'));
    while let Some(&byte) = pattern.get(at) {
        at += match (byte, pattern.get(at + 1)) {
            (b']', _) => return at + 1,
            (b'[', Some(&kind @ (b':' | b'=' | b'.'))) => {
                let inside = pattern.get(at + 2..).unwrap_or_default();
                inside.windows(2).position(|pair| pair == [kind, b']']).map_or(2, |length| length + 4)
            }
            _ => 1,
        };
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(pattern: &str) -> usize {
        Shape::of(pattern.as_bytes(), true).size
    }

    #[test]
    fn repetitions_multiply_what_they_repeat() {
        assert_eq!([size(""), size("abc"), size("a{3}b"), size("[a{9}]b"), size("a{,7}")], [0, 3, 4, 2, 7]);
        assert_eq!([size("a+"), size("a++b"), size("a{2,}"), size("+a"), size("\\+*")], [2, 5, 3, 1, 2]);
        for repetition in ["+", "+*", "+?", "{1,}", "{2}*"] {
            assert!(size(&format!("a{}", repetition.repeat(20))) >= 1 << 20, "{repetition}");
        }
        assert!(Shape::of(format!("a{}", "\\+\\?*".repeat(20)).as_bytes(), false).size >= 1 << 20);
        assert_eq!([size("(a{2}b){10}"), size("((a{100}){1,100}){100}")], [40, 1_010_100]);
        assert_eq!(size(&format!("{}a{}", "(".repeat(9), "){32767}".repeat(9))), usize::MAX);
        assert_eq!(Shape::of(b"\\(a\\{5\\}\\)", false), Shape { groups: 1, depth: 1, size: 6 });
    }

    #[test]
    fn groups_are_counted_where_the_syntax_has_them() {
        let extended = Shape::of(b"((a)(b))[(](c", true);
        assert_eq!((extended.groups, extended.depth), (4, 2));
        assert_eq!(Shape::of(b"\\((a)\\)", false).groups, 1);
    }
}
