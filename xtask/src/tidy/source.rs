//! A source file as lines, each split into code and comment, with the tests marked.
//!
//! A line scanner and no parser: rustfmt has put the code into a known shape before this looks at it.

/// One file.
pub struct Source {
    /// Relative to the root.
    pub path: String,
    pub lines: Vec<Line>,
}

/// One line of it.
pub struct Line {
    pub text: String,
    /// The line without comments, and with empty string literals.
    pub code: String,
    /// The text of a `//` comment (not of a doc comment), without the slashes.
    pub comment: Option<String>,
    /// Within `#[cfg(test)]` or a file of tests.
    pub test: bool,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let side =
            ["crates/testing/", "crates/fuzzing/", "crates/scenarios/", "xtask/"].iter().any(|p| path.starts_with(p));
        let all = side || path.contains("/tests/") || path.ends_with("tests.rs");
        let mut scanner = Scanner::default();
        let lines = text.lines().map(|text| {
            let (code, comment) = scanner.split(text);
            Line { text: text.to_owned(), code, comment, test: all }
        });
        let mut lines: Vec<Line> = lines.collect();
        mark_tests(&mut lines);
        Source { path: path.to_owned(), lines }
    }

    /// Marks the files of modules that are compiled for tests alone (`#[cfg(test)] mod fixture;`).
    pub fn mark_test_modules(sources: &mut [Source]) {
        let found: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
        for source in sources.iter_mut().filter(|s| found.contains(&s.path)) {
            source.lines.iter_mut().for_each(|line| line.test = true);
        }
    }

    /// The files that its modules may be in.
    pub fn modules(&self) -> Vec<String> {
        let folder = self.folder();
        let mut files = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            let Some(name) = module(&line.code) else { continue };
            files.extend([format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]);
            let before = at.checked_sub(1).map_or("", |before| self.lines[before].text.trim());
            if let Some(path) = before.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
                let mut place = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let mut path = path;
                while let Some(rest) = path.strip_prefix("../") {
                    place = place.rsplit_once('/').map_or("", |(folder, _)| folder);
                    path = rest;
                }
                files.push(format!("{place}/{path}"));
            }
        }
        files
    }

    /// Where its modules are.
    fn folder(&self) -> &str {
        let stem = self.path.trim_end_matches(".rs");
        let is_root = ["/main", "/lib", "/mod"].iter().any(|name| stem.ends_with(name));
        if is_root { stem.rsplit_once('/').map_or("", |(folder, _)| folder) } else { stem }
    }

    fn test_modules(&self) -> Vec<String> {
        let folder = self.folder();
        let declared = self.lines.windows(2).filter(|pair| pair[0].code.trim() == "#[cfg(test)]");
        let names = declared.filter_map(|pair| module(&pair[1].code));
        names.map(|name| format!("{folder}/{name}.rs")).collect()
    }

    /// Lines with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate().map(|(i, line)| (i + 1, line))
    }
}

/// Marks what `#[cfg(test)]` stands above: a module in a file of its own, or else all that follows, for tests come
/// last.
fn mark_tests(lines: &mut [Line]) {
    let is_attribute =
        |line: &Line| line.code.trim() == "#[cfg(test)]" || line.code.trim().starts_with("#[cfg(all(test");
    let mut at = 0;
    while let Some(found) = lines[at..].iter().position(is_attribute) {
        at += found;
        let is_elsewhere = lines.get(at + 1).is_some_and(|next| module(&next.code).is_some());
        let end = if is_elsewhere { at + 2 } else { lines.len() };
        lines[at..end].iter_mut().for_each(|line| line.test = true);
        at = end;
    }
}

/// The name in `mod name;`.
fn module(code: &str) -> Option<&str> {
    let code = code.trim();
    let shown = ["pub ", "pub(crate) ", "pub(super) "].into_iter().find_map(|word| code.strip_prefix(word));
    shown.unwrap_or(code).strip_prefix("mod ")?.strip_suffix(';')
}

/// What the end of one line means for the next.
#[derive(Default)]
struct Scanner {
    /// Within a string literal that ends with this (`"`, `"#`, ...).
    string_until: Option<String>,
    raw: bool,
    in_block_comment: bool,
}

impl Scanner {
    fn split(&mut self, text: &str) -> (String, Option<String>) {
        let mut code = String::new();
        let mut rest = text;
        loop {
            if self.in_block_comment {
                let Some(end) = rest.find("*/") else { return (code, None) };
                self.in_block_comment = false;
                rest = &rest[end + 2..];
            } else if let Some(until) = self.string_until.clone() {
                let Some(after) = self.after_string(rest, &until) else { return (code, None) };
                self.string_until = None;
                code.push('"');
                rest = after;
            } else if let Some(comment) = rest.strip_prefix("//") {
                let doc = comment.starts_with('/') || comment.starts_with('!');
                return (code, (!doc).then(|| comment.to_owned()));
            } else if let Some(after) = rest.strip_prefix("/*") {
                self.in_block_comment = true;
                rest = after;
            } else if let Some(after) = self.string_start(rest, &code) {
                code.push('"');
                rest = after;
            } else if let Some(length) = character_literal(rest) {
                code.push_str("' '");
                rest = &rest[length..];
            } else {
                let Some(c) = rest.chars().next() else { return (code, None) };
                code.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }

    /// Text after the start of a string literal, if one starts here.
    fn string_start<'a>(&mut self, rest: &'a str, before: &str) -> Option<&'a str> {
        let in_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let body = if in_word { rest } else { rest.strip_prefix(['b', 'c']).unwrap_or(rest) };
        let raw = if in_word { None } else { body.strip_prefix('r') };
        let hashes = raw.map_or(0, |r| r.len() - r.trim_start_matches('#').len());
        let quote = match raw {
            Some(raw) => &raw[hashes..],
            None => body,
        };
        let after = quote.strip_prefix('"')?;
        self.raw = raw.is_some();
        self.string_until = Some(format!("\"{}", "#".repeat(hashes)));
        Some(after)
    }

    fn after_string<'a>(&self, rest: &'a str, until: &str) -> Option<&'a str> {
        if self.raw {
            return rest.find(until).map(|at| &rest[at + until.len()..]);
        }
        let mut escaped = false;
        for (at, c) in rest.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return Some(&rest[at + 1..]),
                _ => {}
            }
        }
        None
    }
}

/// Length of the character literal at the start of `rest`; None for a lifetime or anything else.
fn character_literal(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    let mut chars = body.char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        chars.next()?;
        return chars.find(|(_, c)| *c == '\'').map(|(at, _)| at + 2);
    }
    let (at, next) = chars.next()?;
    (next == '\'').then_some(at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<(String, Option<String>)> {
        Source::new("x.rs", text).lines.into_iter().map(|l| (l.code, l.comment)).collect()
    }

    #[test]
    fn strings_and_comments_are_not_code() {
        assert_eq!(split("let a = \"x // y\"; // why"), [("let a = \"\"; ".into(), Some(" why".into()))]);
        assert_eq!(split("r#\"a\" // \"#;")[0].0, "\"\";");
        assert_eq!(split("let q = b'\"'; f::<'a>(x) /* no */ + 1")[0].0, "let q = b' '; f::<'a>(x)  + 1");
    }

    #[test]
    fn a_module_for_tests_alone_is_a_file_of_tests() {
        let mut sources =
            [Source::new("smtp/src/main.rs", "#[cfg(test)]\nmod fixture;\n"), Source::new("smtp/src/fixture.rs", "a")];
        Source::mark_test_modules(&mut sources);
        assert!(sources[1].lines[0].test);
    }

    #[test]
    fn what_follows_a_module_of_tests_in_another_file_is_no_test() {
        let marks = |text: &str| Source::new("x.rs", text).lines.iter().map(|line| line.test).collect::<Vec<_>>();
        assert_eq!(marks("a\n#[cfg(test)]\npub(crate) mod tests;\nb\n"), [false, true, true, false]);
        assert_eq!(marks("a\n#[cfg(test)]\nmod tests {\nb\n}\n"), [false, true, true, true, true]);
        assert_eq!(
            marks("#[cfg(test)]\nmod x;\na\n#[cfg(all(test, unix))]\nfn b() {}\n"),
            [true, true, false, true, true]
        );
    }

    #[test]
    fn a_string_may_span_lines() {
        let lines = split("let a = \"x\n // unsafe\n\"; b");
        assert_eq!(lines[1].0, "");
        assert_eq!(lines[2].0, "\"; b");
    }
}
