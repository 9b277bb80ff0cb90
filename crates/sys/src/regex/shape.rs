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
    /// How deeply repetitions without an end nest: `a+*` are two.
    pub(super) loops: usize,
}

/// The pattern, or the inside of a group that is open: its size, and that of what a repetition would repeat.
#[derive(Clone, Copy, Default)]
struct Level {
    size: usize,
    last: usize,
    /// Nested repetitions without an end, of all and of what a repetition would repeat.
    loops: usize,
    last_loops: usize,
}

impl Shape {
    /// Measures a pattern of extended or basic syntax.
    pub(super) fn of(pattern: &[u8], extended: bool) -> Self {
        let mut shape = Shape { groups: 0, depth: 0, size: 0, loops: 0 };
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
                    let (times, is_open, length) = interval(pattern.get(next..).unwrap_or_default());
                    repeat(&mut levels, times, is_open);
                    next += length;
                }
                // Once, and then any number of times.
                b'+' if escaped != extended => repeat(&mut levels, 2, true),
                b'*' if !escaped => repeat(&mut levels, 1, true),
                b'?' if escaped != extended => repeat(&mut levels, 1, false),
                _ => add(&mut levels, 1, 0),
            }
            at = next;
        }
        while levels.len() > 1 {
            close(&mut levels);
        }
        (shape.size, shape.loops) = levels.first().map_or((0, 0), |level| (level.size, level.loops));
        shape
    }
}

fn add(levels: &mut [Level], size: usize, loops: usize) {
    if let Some(level) = levels.last_mut() {
        level.size = level.size.saturating_add(size);
        level.loops = level.loops.max(loops);
        (level.last, level.last_loops) = (size, loops);
    }
}

fn close(levels: &mut Vec<Level>) {
    let level = levels.pop().unwrap_or_default();
    add(levels, level.size.saturating_add(1), level.loops);
}

/// What stands before a repetition is repeated with all that repeats it already.
fn repeat(levels: &mut [Level], times: usize, is_open: bool) {
    if let Some(level) = levels.last_mut() {
        let repeated = level.last.saturating_mul(times.max(1)).saturating_add(1);
        level.size = level.size.saturating_add(repeated - level.last);
        level.last = repeated;
        level.last_loops += usize::from(is_open);
        level.loops = level.loops.max(level.last_loops);
    }
}

/// How often a repetition is written out whose brace stands before the text, whether it has no end, and the length up
/// to its closing brace.
fn interval(text: &[u8]) -> (usize, bool, usize) {
    let length = text.iter().take_while(|&&byte| byte == b',' || byte.is_ascii_digit()).count();
    let numbers = text[..length].split(|&byte| byte == b',').filter_map(|digits| std::str::from_utf8(digits).ok());
    let largest: usize = numbers.filter_map(|digits| digits.parse().ok()).max().unwrap_or(1);
    // So often, and then any number of times.
    let is_open = text[..length].ends_with(b",");
    let times = largest.saturating_add(usize::from(is_open));
    let end = text[length..].iter().take_while(|&&byte| byte == b'\\').count();
    (times, is_open, length + end + usize::from(text.get(length + end) == Some(&b'}')))
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
        assert_eq!([size(""), size("abc"), size("a{3}b"), size("[a{9}]b"), size("a{,7}")], [0, 3, 5, 2, 8]);
        assert_eq!([size("a+"), size("a++b"), size("a{2,}"), size("\\+*")], [3, 8, 4, 2]);
        for repetition in ["+", "+*", "+?", "{1,}", "{2}*"] {
            assert!(size(&format!("a{}", repetition.repeat(20))) >= 1 << 20, "{repetition}");
        }
        assert!(Shape::of(format!("a{}", "\\+\\?*".repeat(20)).as_bytes(), false).size >= 1 << 20);
        assert_eq!([size("(a{2}b){10}"), size("((a{100}){1,100}){100}")], [51, 1_020_201]);
        assert_eq!(size(&format!("{}a{}", "(".repeat(9), "){32767}".repeat(9))), usize::MAX);
        assert_eq!(Shape::of(b"\\(a\\{5\\}\\)", false), Shape { groups: 1, depth: 1, size: 7, loops: 0 });
    }

    #[test]
    fn repetitions_without_an_end_nest() {
        let loops = |pattern: &str| Shape::of(pattern.as_bytes(), true).loops;
        for (pattern, nested) in
            [("a+b*", 1), ("a+*{3}{1,}", 3), ("(a+b)*", 2), ("((a*)+b?)+", 3), ("a{2}?", 0), ("(a+)(b+)", 1)]
        {
            assert_eq!(loops(pattern), nested, "{pattern}");
        }
    }

    #[test]
    fn groups_are_counted_where_the_syntax_has_them() {
        let extended = Shape::of(b"((a)(b))[(](c", true);
        assert_eq!((extended.groups, extended.depth), (4, 2));
        assert_eq!(Shape::of(b"\\((a)\\)", false).groups, 1);
    }
}
