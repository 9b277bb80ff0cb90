//! The text of an alias file: lines `name: destination, destination`, as postalias reads them.
//!
//! Names and destinations are words of RFC 5322. What is stored is put together from the words anew: one blank between
//! words, a comma and a blank between destinations.

use address::token::{Kind, Token, tokens};

use crate::source::{Entry, LogicalLine, Problem, logical_lines, readable_lines};

/// The entries and problems of an alias file. With `utf8` (smtputf8_enable), lines that are not UTF-8 are problems.
pub fn entries(text: &[u8], utf8: bool) -> (Vec<Entry>, Vec<Problem>) {
    let (lines, mut problems) = readable_lines(text, utf8);
    let mut entries = Vec::with_capacity(lines.len());
    for line in lines {
        match entry(&line) {
            Ok(entry) => entries.push(entry),
            Err(problem) => problems.push(problem),
        }
    }
    problems.sort_by_key(|problem| problem.line);
    (entries, problems)
}

/// Whether a source text is that of an alias file and not of a table: its first line begins with `name:`, the colon
/// being the only one. Postmap would index such a line under a key that nobody looks up.
pub(crate) fn is_alias_text(text: &[u8]) -> bool {
    let (lines, _) = logical_lines(text);
    let words = lines.first().map(|line| line.text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()));
    let Some((first, second)) = words.and_then(|mut words| Some((words.next()?, words.next()?))) else { return false };
    let colons = first.iter().filter(|&&byte| byte == b':').count();
    (colons == 1 && first.ends_with(b":")) || (colons == 0 && second.starts_with(b":") && !second.starts_with(b"::"))
}

fn entry(line: &LogicalLine) -> Result<Entry, Problem> {
    let words: Vec<Token> = tokens(&line.text).into_iter().filter(|t| t.kind != Kind::Space).collect();
    let colon = words.iter().position(|t| t.kind == Kind::Special(b':'));
    let (name, rest) = match colon {
        Some(at) if at > 0 && at + 1 < words.len() => (&words[..at], &words[at + 1..]),
        _ => return Err(Problem::at(line.number, "need name:value pair")),
    };
    if name.iter().any(|t| t.kind == Kind::Special(b'@')) {
        return Err(Problem::at(line.number, "name must be local and have no domain"));
    }
    Ok(Entry {
        line: line.number,
        key: assemble(&line.text, name, internal),
        value: assemble(&line.text, rest, external),
    })
}

/// Puts words together: a blank between two words, a blank after a comma, nothing around the other specials.
fn assemble(text: &[u8], words: &[Token], form: fn(&Token, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut before: Option<Kind> = None;
    for word in words {
        let opens = is_word(word.kind) || word.kind == Kind::Special(b'<');
        if before == Some(Kind::Special(b',')) || (opens && before.is_some_and(ends_a_word)) {
            out.push(b' ');
        }
        out.extend(form(word, text));
        before = Some(word.kind);
    }
    out
}

fn is_word(kind: Kind) -> bool {
    !matches!(kind, Kind::Special(_) | Kind::Space)
}

fn ends_a_word(kind: Kind) -> bool {
    is_word(kind)
}

/// A word without quotes and backslashes.
fn internal(word: &Token, text: &[u8]) -> Vec<u8> {
    word.internal(text)
}

/// A word as it is written anew: quoted if it was quoted or needs to be.
fn external(word: &Token, text: &[u8]) -> Vec<u8> {
    let plain = word.internal(text);
    match word.kind {
        Kind::Quoted => address::quoted_string(&plain),
        Kind::Atom if plain.iter().any(|&b| needs_quotes(b)) => address::quoted_string(&plain),
        _ => plain,
    }
}

/// What a backslash has protected, and would mean something else without it.
fn needs_quotes(b: u8) -> bool {
    b <= b' ' || b == 0x7f || b"()<>@,;:\\\".[]!%|".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> (String, String) {
        let (entries, problems) = entries(text.as_bytes(), true);
        assert!(problems.is_empty(), "{problems:?}");
        let [entry] = <[Entry; 1]>::try_from(entries).unwrap();
        (String::from_utf8(entry.key).unwrap(), String::from_utf8(entry.value).unwrap())
    }

    fn value(text: &str) -> String {
        one(text).1
    }

    #[test]
    fn an_alias_file_is_told_from_a_table_by_its_first_line() {
        assert!(is_alias_text(b"# comment\npostmaster: root\n"));
        assert!(is_alias_text(b"postmaster : root\n"));
        assert!(!is_alias_text(b"a@b.example OK\n"));
        assert!(!is_alias_text(b"2001:db8:: REJECT\n"));
        assert!(!is_alias_text(b""));
    }

    #[test]
    fn destinations_are_written_anew() {
        assert_eq!(value("r: joe,  jane\n\t,baz"), "joe, jane, baz");
        assert_eq!(value("r: Foo Bar<a@b>,c"), "Foo Bar <a@b>, c");
        assert_eq!(value("r: a\"b\" \"c\"d"), "a \"b\" \"c\" d");
        assert_eq!(value("r: a . b @ c"), "a.b@c");
        assert_eq!(value("r: :include: /foo/bar , /x"), ":include:/foo/bar, /x");
        assert_eq!(value("r: \"|/x 'a b' \\\"q\\\"\", \\foo"), "\"|/x 'a b' \\\"q\\\"\", foo");
        assert_eq!(value("r: a(b)c (d) e"), "a (b) c (d) e");
        assert_eq!(value("r: x\\ y, \"y\\z\""), "\"x y\", \"yz\"");
        assert_eq!(value("r: | /x y, a | b, a % b"), "|/x y, a|b, a%b");
        assert_eq!(value("r: a\\,b, \\\\c, \\\"d, \\|e"), "\"a,b\", \"\\\\c\", \"\\\"d\", \"|e\"");
        assert_eq!(value("r: ,,a"), ", , a");
        assert_eq!(value("r: \"z"), "\"z\"");
    }

    #[test]
    fn names_lose_their_quotes() {
        assert_eq!(one("\"quoted: name\": x").0, "quoted: name");
        assert_eq!(one("a b: x").0, "a b");
        assert_eq!(one("\"k@1\": x").0, "k@1");
        assert_eq!(one("k\\ 1: x").0, "k 1");
        assert_eq!(one("c (comment): x").0, "c (comment)");
    }

    #[test]
    fn lines_without_name_or_value_and_names_with_a_domain_are_refused() {
        let text = b"nocolon\n: novalue\nempty:\na@b: x\n";
        let texts: Vec<String> = entries(text, true).1.iter().map(|p| p.in_file("al")).collect();
        assert_eq!(
            texts,
            [
                "al, line 1: need name:value pair",
                "al, line 2: need name:value pair",
                "al, line 3: need name:value pair",
                "al, line 4: name must be local and have no domain",
            ]
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            entries(&text, false);
        }
    }
}
