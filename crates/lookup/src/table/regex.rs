//! pcre: and regexp: `/pattern/flags result`, in order; the first pattern that matches decides.
//!
//! Both are matched by PCRE2, byte by byte. For regexp that means: POSIX extended syntax as far as Perl's agrees with it,
//! and of several alternatives the first that matches, not the longest; basic syntax (flag `x`) is refused. PCRE2's limit
//! on backtracking holds: a pattern that reaches it on some input is an error of the lookup, not a hang.

use pcre2::bytes::{Regex as Program, RegexBuilder};

use super::pattern::{Rule, Rules, inline, split_word};
use super::template::Template;
use crate::source::LogicalLine;
use crate::{Kind, OpenError, OpenFlags, Stamp, Table, TableError, file};

/// An open pcre or regexp table.
pub(crate) struct Regex {
    name: String,
    rules: Rules<Pattern, Template>,
    stamp: Option<Stamp>,
}

struct Pattern {
    program: Program,
    negated: bool,
}

/// Where the groups of a match are in the key; none for a negated pattern.
type Groups = Vec<Option<(usize, usize)>>;

impl Regex {
    /// Reads the table; bad lines are logged and skipped.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn open(name: String, path: &str, kind: Kind, flags: OpenFlags) -> Result<Self, OpenError> {
        if let Some(text) = inline(path) {
            return Ok(Self::parse(name, path, &text, kind, flags));
        }
        let stamp = Stamp::of(path);
        let text = file::read(path).map_err(|error| OpenError::file(format!("open {path}"), &error))?;
        let mut table = Self::parse(name, path, &text, kind, flags);
        table.stamp = Some(stamp);
        Ok(table)
    }

    /// Reads a table from its text; bad lines are logged and skipped.
    pub(crate) fn parse(name: String, path: &str, text: &[u8], kind: Kind, flags: OpenFlags) -> Self {
        let (rules, problems) = Rules::parse(text, |line, notes| rule(line, kind, flags, notes));
        for problem in problems {
            logging::warning!("{} map {}", kind.as_str(), problem.in_file(path));
        }
        Regex { name, rules, stamp: None }
    }
}

impl Table for Regex {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        let found = self.rules.find(|pattern| pattern.matches(key));
        let found = found.map_err(|reason| TableError::failed(&self.name, reason))?;
        Ok(found.map(|(groups, template)| {
            template.expand(|number| {
                let (start, end) = groups.get(number).copied().flatten()?;
                key.get(start..end)
            })
        }))
    }

    fn partial_keys(&self) -> bool {
        false
    }

    fn changed(&self) -> bool {
        self.stamp.as_ref().is_some_and(Stamp::changed)
    }
}

impl Pattern {
    fn matches(&self, key: &[u8]) -> Result<Option<Groups>, String> {
        let mut places = self.program.capture_locations();
        let found = self.program.captures_read(&mut places, key).map_err(|error| error.to_string())?;
        if found.is_some() == self.negated {
            return Ok(None);
        }
        let count = if self.negated { 0 } else { places.len() };
        Ok(Some((0..count).map(|number| places.get(number)).collect()))
    }
}

fn rule(
    line: &LogicalLine,
    kind: Kind,
    flags: OpenFlags,
    notes: &mut Vec<String>,
) -> Result<Rule<Pattern, Template>, String> {
    let (word, rest) = split_word(&line.text);
    if word.eq_ignore_ascii_case(b"endif") {
        if !rest.is_empty() {
            notes.push("ignoring extra text after ENDIF".to_owned());
        }
        return Ok(Rule::Endif);
    }
    if word.eq_ignore_ascii_case(b"if") {
        let (pattern, extra) = pattern(rest, kind)?;
        if !extra.is_empty() {
            let extra = text::printable(extra);
            notes.push(format!("ignoring extra text after IF statement: \"{extra}\""));
        }
        return Ok(Rule::If(pattern));
    }
    if line.text.first().is_none_or(u8::is_ascii_alphanumeric) {
        return Err("ignoring unrecognized request".to_owned());
    }
    let (pattern, result) = pattern(&line.text, kind)?;
    if result.is_empty() {
        notes.push("no replacement text: using empty string".to_owned());
    }
    let groups = pattern.program.captures_len().saturating_sub(1);
    let template = if pattern.negated {
        Template::parse(result, usize::MAX).and_then(|template| match template.has_groups() {
            true => Err("$number found in negative match replacement text: skipping this rule".to_owned()),
            false => Ok(template),
        })
    } else {
        Template::parse(result, groups)
    }?;
    if flags.no_substitution && template.has_groups() {
        return Err("regular expression substitution is not allowed: skipping this rule".to_owned());
    }
    Ok(Rule::Match(pattern, template))
}

/// Reads `[!]/pattern/flags`; what follows is the result.
fn pattern(text: &[u8], kind: Kind) -> Result<(Pattern, &[u8]), String> {
    let body = text.trim_ascii_start();
    let bangs = body.iter().take_while(|&&b| b == b'!').count();
    let body = body[bangs..].trim_ascii_start();
    let Some((&delimiter, body)) = body.split_first() else { return Err("no regular expression".to_owned()) };
    let end = closing(body, delimiter).ok_or_else(|| {
        let what = if kind == Kind::Pcre { "ignoring" } else { "skipping" };
        format!("no closing regexp delimiter \"{}\": {what} this rule", char::from(delimiter))
    })?;
    let (expression, rest) = (&body[..end], &body[end + 1..]);
    let (flags, result) = split_word(rest);
    let expression =
        std::str::from_utf8(expression).map_err(|_| "pattern is not UTF-8: skipping this rule".to_owned())?;
    let program = compile(expression, flags, kind)?;
    Ok((Pattern { program, negated: bangs % 2 == 1 }, result))
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

/// Compiles a pattern; each flag turns its default round.
fn compile(expression: &str, flags: &[u8], kind: Kind) -> Result<Program, String> {
    let pcre = kind == Kind::Pcre;
    let (mut caseless, mut multi_line, mut dotall) = (true, false, true);
    let (mut extended, mut anchored, mut ungreedy) = (false, false, false);
    for &flag in flags {
        match flag {
            b'i' => caseless = !caseless,
            b'm' => multi_line = !multi_line,
            b's' if pcre => dotall = !dotall,
            b'x' if pcre => extended = !extended,
            b'A' if pcre => anchored = !anchored,
            b'U' if pcre => ungreedy = !ungreedy,
            b'X' if pcre => {}
            b'x' | b'E' if flag == b'x' || pcre => {
                return Err(format!("regexp option \"{}\" is not supported: skipping this rule", char::from(flag)));
            }
            other => return Err(format!("unknown regexp option \"{}\": skipping this rule", char::from(other))),
        }
    }
    let mut text = String::new();
    if anchored {
        text.push_str("\\A");
    }
    if ungreedy {
        text.push_str("(?U)");
    }
    let text = if anchored { format!("{text}(?:{expression})") } else { format!("{text}{expression}") };
    let mut builder = RegexBuilder::new();
    // A regexp table's multi-line flag makes newlines special for `.` too.
    builder
        .caseless(caseless)
        .multi_line(multi_line)
        .dotall(if pcre { dotall } else { !multi_line })
        .extended(extended);
    builder.build(&text).map_err(|error| {
        let text = error.to_string().replacen("PCRE2: error compiling pattern", "error in regex", 1);
        format!("{text}: skipping this rule")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Regex {
        Regex::parse("pcre:f".into(), "f", text.as_bytes(), Kind::Pcre, OpenFlags::default())
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
            "foo bar\n/unclosed bar\n/flags/q x\n/bad(/ x\n/x/ $3\n!/(y)/ $1\n/z/ $\n/z/ ${1\n/z/ $x\n/ok/ yes\n/e$/E x\n",
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
        let flags = OpenFlags::TRUSTED;
        let table = Regex::parse("pcre:f".into(), "f", b"/(.*)/ smtp:$1\n/./ smtp:[a]\n", Kind::Pcre, flags);
        assert_eq!(lookup(&table, "x").as_deref(), Some("smtp:[a]"));
    }

    #[test]
    fn a_pattern_that_explodes_is_an_error() {
        let table = table("/^(a+)+$/ x\n");
        assert!(table.lookup(format!("{}b", "a".repeat(64)).as_bytes()).is_err());
    }

    #[test]
    fn rules_may_stand_in_the_name() {
        let name = "{ {/^a b/ x}, {/^c/ y} }";
        let table = Regex::open("regexp:x".into(), name, Kind::Regexp, OpenFlags::default()).unwrap();
        assert_eq!(lookup(&table, "A b").as_deref(), Some("x"));
    }
}
