//! pcre: and regexp: `/pattern/flags result`, in order; the first pattern that matches decides.
//!
//! The engines have limits of their own on what a pattern may cost. One that reaches them does not match, and says so
//! in the log: mail goes on, as it does with any other rule that has no opinion.

use sys::regex::Groups;

use super::pattern::{self, OnDisk, Remarks, Rule, Rules, split_keyword, split_marks};
use super::program::{Program, Syntax};
use super::template::{Template, TemplateError};
use crate::source::LogicalLine;
use crate::{Kind, OpenError, OpenFlags, Table, TableError};

/// An open pcre or regexp table.
pub(crate) struct Regex {
    name: String,
    kind: Kind,
    path: String,
    rules: Rules<Pattern, Template>,
    file: Option<OnDisk>,
}

/// What a rule asks of a key.
struct Pattern {
    wanted: Condition,
    /// `/a/!/b/`, in regexp tables: the other pattern must hold too.
    also: Option<Condition>,
    /// How many of the groups the result needs.
    groups: usize,
}

struct Condition {
    program: Program,
    negated: bool,
}

/// A pattern as it is written: `[!...]/expression/flags`.
struct Written<'t> {
    negated: bool,
    expression: &'t [u8],
    syntax: Syntax,
}

/// How a table is read.
#[derive(Clone, Copy)]
struct Reading {
    kind: Kind,
    flags: OpenFlags,
}

impl Regex {
    /// Reads the table; bad lines are logged and skipped.
    ///
    /// # Errors
    /// The file cannot be read, or the rules in the name are not in braces.
    pub(crate) fn open(name: String, path: &str, kind: Kind, flags: OpenFlags) -> Result<Self, OpenError> {
        let (text, file) = pattern::read(kind.as_str(), path)?;
        Ok(Regex { file, ..Self::of_text(name, path, &text, kind, flags) })
    }

    /// Reads a table from its text; bad lines are logged and skipped.
    pub(crate) fn of_text(name: String, path: &str, text: &[u8], kind: Kind, flags: OpenFlags) -> Self {
        let (table, sentences) = Self::parse(name, path, text, Reading { kind, flags });
        for sentence in sentences {
            logging::warning!("{sentence}");
        }
        table
    }

    fn parse(name: String, path: &str, text: &[u8], reading: Reading) -> (Self, Vec<String>) {
        let kind = reading.kind;
        let rules = Rules::parse(kind.as_str(), path, text, |line, remarks| rule(line, reading, remarks));
        (Regex { name, kind, path: path.to_owned(), rules: rules.0, file: None }, rules.1)
    }

    /// Whether a condition holds; what its pattern found then.
    fn holds(&self, condition: &Condition, groups: usize, key: &[u8], line: usize) -> Option<Groups> {
        match condition.program.find(key, groups) {
            Ok(Some(found)) => (!condition.negated).then_some(found),
            Ok(None) => condition.negated.then(Groups::new),
            Err(reason) => {
                let (kind, path) = (self.kind.as_str(), &self.path);
                logging::warning!("{kind} map {path}, line {line}: {reason}");
                None
            }
        }
    }

    fn matches(&self, pattern: &Pattern, key: &[u8], line: usize) -> Option<Groups> {
        let groups = self.holds(&pattern.wanted, pattern.groups, key, line)?;
        if let Some(also) = &pattern.also {
            self.holds(also, 0, key, line)?;
        }
        Some(groups)
    }
}

impl Table for Regex {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        let found = self.rules.find(|pattern, line| self.matches(pattern, key, line));
        Ok(found.map(|(groups, template)| template.expand(|number| key.get(groups.get(number).cloned().flatten()?))))
    }

    fn partial_keys(&self) -> bool {
        false
    }

    fn changed(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.stamp.changed())
    }

    fn owner(&self) -> Option<u32> {
        self.file.as_ref().map(|file| file.owner)
    }
}

fn rule(line: &LogicalLine, reading: Reading, remarks: &mut Remarks<'_>) -> Result<Rule<Pattern, Template>, String> {
    let (word, rest) = split_keyword(&line.text);
    if word.eq_ignore_ascii_case(b"endif") {
        if !remarks.inside_if() {
            return Err("ignoring ENDIF without matching IF".to_owned());
        }
        if !rest.trim_ascii().is_empty() {
            remarks.here("ignoring extra text after ENDIF");
        }
        return Ok(Rule::Endif);
    }
    if word.eq_ignore_ascii_case(b"if") {
        return condition(rest.trim_ascii(), reading.kind, remarks).map(Rule::If);
    }
    if !word.is_empty() {
        return Err("ignoring unrecognized request".to_owned());
    }
    choice(&line.text, reading, remarks)
}

/// What follows `if`.
fn condition(text: &[u8], kind: Kind, remarks: &mut Remarks<'_>) -> Result<Pattern, String> {
    let (written, extra) = written(text, kind, remarks)?;
    let extra = extra.trim_ascii();
    if !extra.is_empty() {
        let extra = text::printable(extra);
        remarks.here(format!("ignoring extra text after IF statement: \"{extra}\""));
        remarks.here("do not prepend whitespace to statements between IF and ENDIF");
    }
    Ok(Pattern { wanted: written.compile()?, also: None, groups: 0 })
}

/// `[!]/pattern/flags result`
fn choice(text: &[u8], reading: Reading, remarks: &mut Remarks<'_>) -> Result<Rule<Pattern, Template>, String> {
    let kind = reading.kind;
    let (first, rest) = written(text, kind, remarks)?;
    let (second, result) = match rest.starts_with(b"!") {
        true if kind == Kind::Regexp => {
            let (second, result) = written(rest, kind, remarks)?;
            (Some(second), result)
        }
        _ => (None, rest),
    };
    let result = result.trim_ascii();
    if result.is_empty() {
        remarks.here("no replacement text: using empty string");
    }
    let template = Template::parse(result).map_err(|error| bad_replacement(error, kind, remarks))?;
    let groups = template.last_group();
    if groups > 0 && first.negated {
        return Err("$number found in negative match replacement text: skipping this rule".to_owned());
    }
    if groups > 0 && reading.flags.no_substitution {
        return Err("regular expression substitution is not allowed: skipping this rule".to_owned());
    }
    let wanted = first.compile()?;
    if groups > wanted.program.groups() {
        return Err(format!("out of range replacement index \"{groups}\": skipping this rule"));
    }
    let also = second.map(|second| second.compile()).transpose()?;
    Ok(Rule::Match(Pattern { wanted, also, groups }, template))
}

/// Says what is wrong with a result; returns why its rule is skipped.
fn bad_replacement(error: TemplateError, kind: Kind, remarks: &mut Remarks<'_>) -> String {
    match error {
        TemplateError::Syntax(what, text) => remarks.bare(format!("{what}: \"{text}\"")),
        TemplateError::NotNumeric(name) => remarks.here(format!("non-numeric replacement index \"{name}\"")),
        TemplateError::Zero(name) => {
            let range = if kind == Kind::Pcre { "out of range" } else { "out-of-range" };
            remarks.here(format!("{range} replacement index \"{name}\""));
        }
    }
    "bad replacement syntax: skipping this rule".to_owned()
}

/// Reads `[!]/pattern/flags`. What follows begins with `!` if another pattern does.
fn written<'t>(text: &'t [u8], kind: Kind, remarks: &mut Remarks<'_>) -> Result<(Written<'t>, &'t [u8]), String> {
    let (negated, body) = split_marks(text);
    let Some((&delimiter, body)) = body.split_first() else {
        return Err("no regexp: skipping this rule".to_owned());
    };
    let end = closing(body, delimiter).ok_or_else(|| {
        let what = if kind == Kind::Pcre { "ignoring" } else { "skipping" };
        format!("no closing regexp delimiter \"{}\": {what} this rule", text::printable(&[delimiter]))
    })?;
    let (expression, rest) = (&body[..end], &body[end + 1..]);
    let ends = |b: &u8| b.is_ascii_whitespace() || (*b == b'!' && kind == Kind::Regexp);
    let (letters, rest) = rest.split_at(rest.iter().position(ends).unwrap_or(rest.len()));
    let syntax = Syntax::parse(kind, letters, remarks)?;
    Ok((Written { negated, expression, syntax }, rest))
}

impl Written<'_> {
    fn compile(&self) -> Result<Condition, String> {
        Ok(Condition { program: Program::compile(self.expression, &self.syntax)?, negated: self.negated })
    }
}

/// Position of the closing delimiter; a backslash hides the character behind it.
fn closing(text: &[u8], delimiter: u8) -> Option<usize> {
    let mut at = 0;
    while let Some(&b) = text.get(at) {
        match b {
            b'\\' => at += 2,
            b if b == delimiter => return Some(at),
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGEXP: Reading = Reading { kind: Kind::Regexp, flags: OpenFlags::TRUSTED };

    fn parse(kind: Kind, text: &str) -> (Regex, Vec<String>) {
        Regex::parse("table".into(), "f", text.as_bytes(), Reading { kind, flags: OpenFlags::default() })
    }

    fn table(text: &str) -> Regex {
        parse(Kind::Pcre, text).0
    }

    fn lookup(table: &Regex, key: &str) -> Option<String> {
        table.lookup(key.as_bytes()).unwrap().map(|value| String::from_utf8(value).unwrap())
    }

    #[test]
    fn the_first_pattern_that_matches_gives_the_result() {
        let table = table("/^foo/ bar\n/Case/i sens $$ x\n/(a+)(b*)c/ $1-${2}-$(1)x\n!/^x/ notx\n");
        for (key, expected) in
            [("FOOx", "bar"), ("Case", "sens $ x"), ("case", "notx"), ("aabbc", "aa-bb-aax"), ("y", "notx")]
        {
            assert_eq!(lookup(&table, key).as_deref(), Some(expected), "{key}");
        }
        assert_eq!(lookup(&table, "xa"), None);
    }

    #[test]
    fn bad_rules_are_skipped_and_the_rest_serves() {
        let table = table(
            "foo bar\n/unclosed bar\n/flags/q x\n/bad(/ x\n/x/ $3\n!/(y)/ $1\n/z/ $\n/z/ ${1\n/z/ $x\n/ok/ yes\n",
        );
        assert_eq!(lookup(&table, "ok").as_deref(), Some("yes"));
        for key in ["foo", "unclosed", "flags", "bad(", "x", "y", "z"] {
            assert_eq!(lookup(&table, key), None, "{key}");
        }
    }

    #[test]
    fn rules_between_if_and_endif_depend_on_it() {
        let table = table("if /a/\n/abc/ in\nif !/b/\n/ac/ nested\nendif x\nendif\nendif\n/./ last\n");
        assert_eq!(lookup(&table, "abc").as_deref(), Some("in"));
        assert_eq!(lookup(&table, "xac").as_deref(), Some("nested"));
        assert_eq!(lookup(&table, "ab").as_deref(), Some("last"));
    }

    #[test]
    fn flags_delimiters_and_groups_that_took_no_part() {
        let table = table("/^A/A anch\n|p/q| pipe\n/r\\/s/ slash\n/d.e/ dot\n/f.g/s no\n/^q$/m multi\n/t(u)?v/ [$1]\n");
        assert_eq!(lookup(&table, "abc").as_deref(), Some("anch"));
        assert_eq!(lookup(&table, "p/q").as_deref(), Some("pipe"));
        assert_eq!(lookup(&table, "r/s").as_deref(), Some("slash"));
        assert_eq!(lookup(&table, "d\ne").as_deref(), Some("dot"));
        assert_eq!(lookup(&table, "f\ng"), None);
        assert_eq!(lookup(&table, "x\nq\ny").as_deref(), Some("multi"));
        assert_eq!(lookup(&table, "tv").as_deref(), Some("[]"));
    }

    #[test]
    fn results_that_are_trusted_hold_no_part_of_the_key() {
        let table = Regex::parse("table".into(), "f", b"/(.*)/ smtp:$1\n/./ smtp:[a]\n", REGEXP).0;
        assert_eq!(lookup(&table, "x").as_deref(), Some("smtp:[a]"));
    }

    #[test]
    fn a_pattern_that_its_engine_gives_up_does_not_match_whatever_it_asks() {
        let key = format!("{}b", "a".repeat(64));
        for text in ["/^(a+)+$/ x\n/b/ y\n", "!/^(a+)+$/ x\n/b/ y\n", "if !/^(a+)+$/\n/./ x\nendif\n/b/ y\n"] {
            assert_eq!(lookup(&table(text), &key).as_deref(), Some("y"), "{text}");
        }
    }

    #[test]
    fn a_regexp_table_speaks_the_dialect_of_the_c_library() {
        for (pattern, matching, other) in [
            ("/\\<viagra\\>/", "buy Viagra now", "viagras"),
            ("/^[a\\]+$/", "a\\", "]"),
            ("/^[\\w]$/", "\\", "x"),
            ("/^\\d$/i", "d", "1"),
            ("/^a**$/", "aa", "b"),
            ("/^a(b$/x", "a(b", "ab"),
            ("/a/!/b/", "a", "ab"),
            ("!/a/!!/b/", "b", "ab"),
        ] {
            let table = parse(Kind::Regexp, &format!("{pattern} yes\n")).0;
            assert_eq!(lookup(&table, matching).as_deref(), Some("yes"), "{pattern}");
            assert_eq!(lookup(&table, other), None, "{pattern}");
        }
    }

    /// What is said of a line in a regexp table, and in a pcre table.
    #[test]
    fn what_is_wrong_with_a_rule_is_said_as_it_always_was() {
        let bad = "bad replacement syntax: skipping this rule";
        for (line, regexp, pcre) in [
            ("abc x", "ignoring unrecognized request", "ignoring unrecognized request"),
            ("!", "no regexp: skipping this rule", "no regexp: skipping this rule"),
            (
                "/a",
                "no closing regexp delimiter \"/\": skipping this rule",
                "no closing regexp delimiter \"/\": ignoring this rule",
            ),
            (
                "/a/q x",
                "unknown regexp option \"q\": skipping this rule",
                "unknown regexp option \"q\": skipping this rule",
            ),
            ("/a/", "no replacement text: using empty string", "no replacement text: using empty string"),
            ("/a(/ x", "Unmatched ( or \\(", "error in regex at offset 2: missing closing parenthesis"),
            (
                "/(a)/ $2",
                "out of range replacement index \"2\": skipping this rule",
                "out of range replacement index \"2\": skipping this rule",
            ),
            ("endif", "ignoring ENDIF without matching IF", "ignoring ENDIF without matching IF"),
            ("if /a/", "IF has no matching ENDIF", "IF has no matching ENDIF"),
        ] {
            assert_eq!(parse(Kind::Regexp, line).1, [format!("regexp map f, line 1: {regexp}")], "{line}");
            assert_eq!(parse(Kind::Pcre, line).1, [format!("pcre map f, line 1: {pcre}")], "{line}");
        }
        for (line, regexp) in [
            ("/a/ x $ y", "empty macro name: \"x $ y\""),
            ("/(a)/ ${1", "truncated macro reference: \"${1\""),
            ("/(a)/ $1a", "regexp map f, line 1: non-numeric replacement index \"1a\""),
            ("/(a)/ $0", "regexp map f, line 1: out-of-range replacement index \"0\""),
        ] {
            assert_eq!(parse(Kind::Regexp, line).1, [regexp.to_owned(), format!("regexp map f, line 1: {bad}")]);
        }
    }

    #[test]
    fn rules_may_stand_in_the_name() {
        let name = "{ {/^a b/ x}, {/^c/ y} }";
        let table = Regex::open("regexp:x".into(), name, Kind::Regexp, OpenFlags::default()).unwrap();
        assert_eq!(lookup(&table, "A b").as_deref(), Some("x"));
        for name in ["{/a/ x}", "{{/a/ x}", "{{/a/ x}}y", "{{/a/ x}, /b/ y}"] {
            assert!(Regex::open("regexp:x".into(), name, Kind::Regexp, OpenFlags::default()).is_err(), "{name}");
        }
    }
}
