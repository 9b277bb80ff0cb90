//! What a text must have for an expression to match it: pieces of text that every match contains.
//!
//! An expression is read far enough to be sure, and never compiled here. Whatever is not known to mean the same under
//! every flag and in every place ends the reading without a result: the engine alone decides then. What may be left out
//! is a loss of speed; a piece that is not needed would be a rule that does not match, and must never come out.
//!
//! Pieces are of printable ASCII, in lower case: where case does not count, it does not for ASCII letters alone, as
//! neither engine is asked for Unicode (an expression that asks for it begins with `(*`, which is not read).

/// Deepest nesting of groups that is read.
/// told: nobody; the engine alone decides on the text.
const DEEPEST: usize = 50;
/// Most bytes of a piece.
/// told: nobody; a text that must have the whole must have its beginning.
const MAX_LENGTH: usize = 32;

/// One of these is in every text that matches.
pub(crate) type Need = Vec<Vec<u8>>;

/// How expressions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// PCRE2's, without PCRE2_EXTENDED.
    Perl,
    /// POSIX extended expressions, with what glibc adds.
    Posix,
}

/// What every match needs: all of these. Empty if nothing is sure.
pub(crate) fn needs(expression: &[u8], dialect: Dialect) -> Vec<Need> {
    let mut parser = Parser { rest: expression, dialect, depth: 0 };
    let needs = parser.alternatives().filter(|_| parser.rest.is_empty());
    needs.unwrap_or_default()
}

/// The length of the shortest piece.
pub(crate) fn shortest(need: &Need) -> usize {
    need.iter().map(Vec::len).min().unwrap_or_default()
}

struct Parser<'e> {
    rest: &'e [u8],
    dialect: Dialect,
    depth: usize,
}

enum Item {
    /// A byte that stands for itself.
    Literal(u8),
    /// Something else, with what it needs.
    Other(Vec<Need>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    /// At least once.
    Repeated,
    /// Perhaps never.
    Maybe,
}

/// Nothing comes of what is not understood: each function returns None then.
impl Parser<'_> {
    /// `a|b|c`, up to the end or a `)`.
    fn alternatives(&mut self) -> Option<Vec<Need>> {
        let first = self.sequence()?;
        let mut others = Vec::new();
        while self.take(b"|") {
            others.push(self.sequence()?);
        }
        if others.is_empty() {
            return Some(first);
        }
        // One piece of each; where one has none, nothing is sure.
        let best = std::iter::once(first).chain(others).map(|needs| needs.into_iter().max_by_key(shortest));
        let any: Option<Vec<Need>> = best.collect();
        Some(any.map(|needs| needs.concat()).into_iter().collect())
    }

    fn sequence(&mut self) -> Option<Vec<Need>> {
        let mut needs = Vec::new();
        let mut piece = Vec::new();
        while !matches!(self.rest.first(), None | Some(b'|' | b')')) {
            let item = self.item()?;
            let times = self.times()?;
            if let Item::Literal(byte) = item
                && times != Times::Maybe
            {
                piece.push(byte);
            }
            if !matches!(item, Item::Literal(_)) || times != Times::Once {
                end_piece(&mut piece, &mut needs);
            }
            if let Item::Other(inner) = item
                && times != Times::Maybe
            {
                needs.extend(inner);
            }
        }
        end_piece(&mut piece, &mut needs);
        Some(needs)
    }

    fn item(&mut self) -> Option<Item> {
        let other = Some(Item::Other(Vec::new()));
        match self.next()? {
            b'(' => self.group().map(Item::Other),
            b'[' => self.class().and(other),
            b'\\' => self.escape(),
            b'.' | b'^' | b'$' | b']' | b'}' => other,
            // There is nothing to repeat here, or `{` means itself.
            b'*' | b'+' | b'?' | b'{' => None,
            byte @ b' '..=b'~' => Some(Item::Literal(byte.to_ascii_lowercase())),
            _ => other,
        }
    }

    /// What follows `(`, with the `)`.
    fn group(&mut self) -> Option<Vec<Need>> {
        // What `(?=...)` and the like look at may lie anywhere, or must not be there.
        let mut looks = false;
        if self.dialect == Dialect::Perl && self.take(b"?") {
            looks = [&b"="[..], b"!", b"<=", b"<!"].iter().any(|mark| self.take(mark));
            if !looks && !self.take(b">") {
                // Flags that change no piece: they are in lower case, and of no line ends.
                while [&b"i"[..], b"m", b"s", b"-"].iter().any(|flag| self.take(flag)) {}
                if self.take(b")") {
                    return Some(Vec::new());
                }
                self.take(b":").then_some(())?;
            }
        }
        self.depth += 1;
        let needs = if self.depth > DEEPEST { None } else { self.alternatives() }?;
        self.depth -= 1;
        self.take(b")").then_some(if looks { Vec::new() } else { needs })
    }

    /// What follows `[`, with the `]`.
    fn class(&mut self) -> Option<()> {
        self.take(b"^");
        if self.rest.first() == Some(&b']') {
            return None;
        }
        loop {
            match (self.next()?, self.rest.first()) {
                (b']', _) => return Some(()),
                (b'[', Some(b':')) => {
                    self.next();
                    while self.rest.first().is_some_and(u8::is_ascii_lowercase) {
                        self.next();
                    }
                    self.take(b":]").then_some(())?;
                }
                (b'[', Some(b'.' | b'=')) => return None,
                (b'\\', _) if self.dialect == Dialect::Perl => match self.next()? {
                    b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'h' | b'H' | b'v' | b'V' | b'b' | b'n' | b'r' | b't' => {
                    }
                    byte => (byte.is_ascii_graphic() && !byte.is_ascii_alphanumeric()).then_some(())?,
                },
                _ => {}
            }
        }
    }

    /// What follows a backslash. Those of several bytes are not read.
    fn escape(&mut self) -> Option<Item> {
        let other = Some(Item::Other(Vec::new()));
        match (self.next()?, self.dialect) {
            (byte, Dialect::Perl) if byte.is_ascii_alphanumeric() => {
                other.filter(|_| b"dDwWsShHvVRbBAzZGnrt".contains(&byte))
            }
            (byte @ b' '..=b'~', Dialect::Perl) => Some(Item::Literal(byte)),
            (byte, Dialect::Posix) if b".[](){}*+?|^$/\\-@".contains(&byte) => Some(Item::Literal(byte)),
            (byte, Dialect::Posix) if byte.is_ascii_alphanumeric() || b"<>`'".contains(&byte) => other,
            _ => None,
        }
    }

    /// How often what was just read comes.
    fn times(&mut self) -> Option<Times> {
        let mut times = Times::Once;
        loop {
            let this = if self.take(b"*") || self.take(b"?") {
                Times::Maybe
            } else if self.take(b"+") {
                Times::Repeated
            } else if self.take(b"{") {
                self.interval()?
            } else {
                return Some(times);
            };
            // Several in a row are one inside the other; in Perl the second only says how the first is tried.
            times = if times == Times::Maybe { times } else { this };
            if self.dialect == Dialect::Perl && !self.take(b"?") {
                self.take(b"+");
            }
        }
    }

    /// `2}`, `2,}` or `2,3}`.
    fn interval(&mut self) -> Option<Times> {
        let least = self.digits();
        if least.is_empty() {
            return None;
        }
        if self.take(b",") {
            self.digits();
        }
        let times = if least.iter().all(|digit| *digit == b'0') { Times::Maybe } else { Times::Repeated };
        self.take(b"}").then_some(times)
    }

    fn digits(&mut self) -> Vec<u8> {
        let digits: Vec<u8> = self.rest.iter().copied().take_while(u8::is_ascii_digit).collect();
        self.rest = &self.rest[digits.len()..];
        digits
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, text: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

fn end_piece(piece: &mut Vec<u8>, needs: &mut Vec<Need>) {
    if !piece.is_empty() {
        // told: see there
        piece.truncate(MAX_LENGTH);
        needs.push(vec![std::mem::take(piece)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(expression: &str, dialect: Dialect) -> String {
        let any = |need: Need| need.iter().map(|piece| String::from_utf8_lossy(piece).into_owned()).collect::<Vec<_>>();
        needs(expression.as_bytes(), dialect)
            .into_iter()
            .map(|need| any(need).join("|"))
            .collect::<Vec<_>>()
            .join(" & ")
    }

    #[test]
    fn what_every_match_has_is_needed() {
        for (expression, expected) in [
            ("^Subject:.*Viagra$", "subject: & viagra"),
            ("abc*de?f", "ab & d & f"),
            ("ab+c{2}d{0,1}e{1,}", "ab & c & e"),
            ("x(abc|de)y", "x & abc|de & y"),
            ("x(abc|de)?y", "x & y"),
            ("x(abc|d*)y", "x & y"),
            ("one|two", "one|two"),
            ("a\\.b\\/c", "a.b/c"),
            ("[a-z]bc[^d]e[[:alpha:]_]f", "bc & e & f"),
            ("\u{e9}a", "a"),
            ("((a)b(c|d))+", "a & b & c|d"),
        ] {
            assert_eq!(shown(expression, Dialect::Perl), expected, "{expression}");
            assert_eq!(shown(expression, Dialect::Posix), expected, "{expression}");
        }
    }

    #[test]
    fn what_only_one_dialect_has_is_read_as_it_means_there() {
        for (expression, perl, posix) in [
            ("a+?b", "a & b", "b"),
            ("(?:ab)c", "ab & c", ""),
            ("(?i)ab(?-i:c)", "ab & c", ""),
            ("(?!x)a(?=y)b(?<=z)c(?<!w)d", "a & b & c & d", ""),
            ("[\\]b]a", "a", "b & a"),
            ("a\\<b", "a<b", "a & b"),
            ("a\\1b", "", "a & b"),
            ("a\\db", "a & b", "a & b"),
            ("a\\x62", "", "a & 62"),
        ] {
            assert_eq!(shown(expression, Dialect::Perl), perl, "{expression}");
            assert_eq!(shown(expression, Dialect::Posix), posix, "{expression}");
        }
    }

    #[test]
    fn what_is_not_understood_needs_nothing() {
        for expression in [
            "(*UTF)k",
            "a(*ACCEPT)b",
            "(?x)a b",
            "(?|a|b)c",
            "(?R)a",
            "(?#c)a",
            "(?P<n>a)",
            "(?(1)a|b)c",
            "\\Qa.b\\E",
            "\\x41",
            "\\p{Lu}a",
            "a{,3}b",
            "a{x}b",
            "*a",
            "a|*b",
            "[]a]b",
            "[[.a.]]b",
            "(a",
            "a)",
            "a\\",
            "[a",
            "[\\Qa]b",
        ] {
            assert_eq!(shown(expression, Dialect::Perl), "", "{expression}");
        }
        let deep = format!("{}a{}", "(".repeat(DEEPEST + 1), ")".repeat(DEEPEST + 1));
        assert_eq!(shown(&deep, Dialect::Posix), "");
        assert_eq!(shown(&"a".repeat(100), Dialect::Posix).len(), MAX_LENGTH);
    }
}
