//! `$` expressions in values: `$name`, `${name}`, `${name?text}`, `${name:text}`, `${name?{a}:{b}}`, `${{a} == {b} ?
//! {yes} : {no}}` and the `<level` family of comparisons, `${function{argument}}`.
//!
//! The text is walked once; what a name stands for comes from a [`Scope`], so that main.cf values, reply templates and
//! `.forward` paths share one grammar. Malformed expressions are errors, never half results.

mod error;

use std::cmp::Ordering;

pub use error::{ExpandError, Place};

pub use crate::expanded::Expanded;
use crate::functions;
use crate::level::Level;

/// Expressions within each other, in one text or through names; more is an error, for each takes some of the stack.
/// told: the reader of the value, by an error.
pub(crate) const DEPTH: usize = 100;

/// Where names get their values.
pub trait Scope {
    /// The finished value of `name`, or None when it is not defined (which counts as empty). It stands within `depth`
    /// other expressions; a scope that expands further counts on from there ([`DEPTH`]).
    fn value(&mut self, name: &str, depth: usize) -> Result<Option<String>, ExpandError>;

    /// Whether every branch is walked and nothing computed: only the names count.
    fn scans(&self) -> bool {
        false
    }
}

impl<F: FnMut(&str) -> Option<String>> Scope for F {
    fn value(&mut self, name: &str, _: usize) -> Result<Option<String>, ExpandError> {
        Ok(self(name))
    }
}

/// Expands every expression in `text`, with names that are not those of main.cf.
pub fn expand(text: &str, scope: &mut dyn Scope) -> Result<Expanded, ExpandError> {
    expand_text(text, scope).map(Expanded::new)
}

/// Expands every expression in `text`: what main.cf says is the administrator's, and stays text.
pub(crate) fn expand_text(text: &str, scope: &mut dyn Scope) -> Result<String, ExpandError> {
    expand_within(text, 0, scope)
}

/// The same, within `depth` expressions.
pub(crate) fn expand_within(text: &str, depth: usize, scope: &mut dyn Scope) -> Result<String, ExpandError> {
    if depth >= DEPTH {
        return Err(ExpandError::Nesting(text.to_owned()));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let body = &rest[at + 1..];
        rest = match body.bytes().next() {
            Some(b'$') => {
                out.push('$');
                &body[1..]
            }
            Some(open @ (b'{' | b'(')) => {
                let close = if open == b'{' { b'}' } else { b')' };
                let end = matching(body, open, close).ok_or_else(|| ExpandError::Truncated(rest[at..].to_string()))?;
                expression(&body[1..end], text, depth, scope, &mut out)?;
                &body[end + 1..]
            }
            _ => {
                let end = name_end(body);
                if end == 0 {
                    return Err(ExpandError::EmptyName(text.to_owned()));
                }
                out.push_str(&scope.value(&body[..end], depth)?.unwrap_or_default());
                &body[end..]
            }
        };
    }
    out.push_str(rest);
    Ok(out)
}

/// Adds the names that a text refers to, in all branches, as often as they stand there; an error ends it.
pub fn scan(text: &str, names: &mut Vec<String>) -> Result<(), ExpandError> {
    struct Scan<'a>(&'a mut Vec<String>);
    impl Scope for Scan<'_> {
        fn value(&mut self, name: &str, _: usize) -> Result<Option<String>, ExpandError> {
            self.0.push(name.to_owned());
            Ok(None)
        }

        fn scans(&self) -> bool {
            true
        }
    }
    expand_text(text, &mut Scan(names)).map(|_| ())
}

/// Whether the text has an expression at all.
pub fn is_literal(text: &str) -> bool {
    !text.contains('$')
}

/// The inside of `${...}`: a name or a comparison, then perhaps `?` or `:` parts.
fn expression(
    body: &str,
    whole: &str,
    depth: usize,
    scope: &mut dyn Scope,
    out: &mut String,
) -> Result<(), ExpandError> {
    let inner = skip_blanks(body);
    let (value, rest) = if inner.starts_with('{') {
        let (holds, rest) = comparison(body, inner, depth, scope)?;
        // A comparison by itself reads as "true" or nothing.
        (if holds { "true".to_owned() } else { String::new() }, rest)
    } else {
        let end = name_end(inner);
        if end == 0 {
            return Err(ExpandError::EmptyName(whole.to_owned()));
        }
        let name = &inner[..end];
        if functions::is_function(name) && inner[end..].starts_with('{') {
            return function(name, body, &inner[end..], depth, scope, out);
        }
        let rest = skip_blanks(&inner[end..]);
        if !(rest.is_empty() || rest.starts_with(['?', ':'])) {
            return Err(ExpandError::NameSyntax(place(body, &inner[end..])));
        }
        (scope.value(name, depth)?.unwrap_or_default(), rest)
    };
    if let Some(tail) = rest.strip_prefix('?') {
        if scope.scans() {
            // Names count up to the place that is wrong.
            let start = skip_blanks(tail);
            expand_within(if start.starts_with('{') { group(start)?.0 } else { tail }, depth + 1, scope)?;
        }
        let (yes, no) = branches(body, tail)?;
        let chosen = if value.is_empty() { no } else { yes };
        out.push_str(&expand_within(chosen, depth + 1, scope)?);
    } else if let Some(tail) = rest.strip_prefix(':') {
        let text = last_branch(body, tail)?;
        if value.is_empty() || scope.scans() {
            out.push_str(&expand_within(text, depth + 1, scope)?);
        }
    } else if rest.is_empty() {
        out.push_str(&value);
    } else {
        return Err(ExpandError::ColonExpected(place(body, rest)));
    }
    Ok(())
}

/// `name{argument}`: the argument is expanded, blanks around it do not count.
fn function(
    name: &str,
    body: &str,
    rest: &str,
    depth: usize,
    scope: &mut dyn Scope,
    out: &mut String,
) -> Result<(), ExpandError> {
    let (argument, tail) = group(rest)?;
    if !skip_blanks(tail).is_empty() {
        return Err(ExpandError::Unexpected(place(body, tail)));
    }
    let argument = expand_within(argument, depth + 1, scope)?;
    if scope.scans() {
        return Ok(());
    }
    match functions::call(name, argument.trim()) {
        Some(Ok(value)) => out.push_str(&value),
        Some(Err(why)) => return Err(ExpandError::Default(why)),
        None => return Err(ExpandError::NameSyntax(place(body, rest))),
    }
    Ok(())
}

/// What follows `?`: `{a}`, `{a}:{b}`, `{a}:b`, or plain text to the end.
fn branches<'a>(body: &'a str, tail: &'a str) -> Result<(&'a str, &'a str), ExpandError> {
    let start = skip_blanks(tail);
    if !start.starts_with('{') {
        return Ok((tail, ""));
    }
    let (yes, rest) = group(start)?;
    let rest = skip_blanks(rest);
    if rest.is_empty() {
        return Ok((yes, ""));
    }
    match rest.strip_prefix(':') {
        Some(tail) => Ok((yes, last_branch(body, tail)?)),
        None => Err(ExpandError::ColonExpected(place(body, rest))),
    }
}

/// What follows `:`: `{b}` or plain text, to the end.
fn last_branch<'a>(body: &'a str, tail: &'a str) -> Result<&'a str, ExpandError> {
    let start = skip_blanks(tail);
    if !start.starts_with('{') {
        return Ok(tail);
    }
    let (text, rest) = group(start)?;
    let rest = skip_blanks(rest);
    if !rest.is_empty() {
        return Err(ExpandError::Unexpected(place(body, rest)));
    }
    Ok(text)
}

/// `{left} operator {right}`: whether it holds, and what follows it.
fn comparison<'a>(
    body: &str,
    text: &'a str,
    depth: usize,
    scope: &mut dyn Scope,
) -> Result<(bool, &'a str), ExpandError> {
    let (left, rest) = group(text)?;
    let (operator, rest) = operator(body, skip_blanks(rest))?;
    let rest = skip_blanks(rest);
    if !rest.starts_with('{') {
        let before = format!("{{{left}}} {}", operator.symbol);
        return Err(ExpandError::OperandExpected(Place { before, after: rest.to_owned() }));
    }
    let (right, rest) = group(rest)?;
    let (left, right) = (expand_within(left, depth + 1, scope)?, expand_within(right, depth + 1, scope)?);
    if scope.scans() {
        return Ok((false, skip_blanks(rest)));
    }
    let order = if operator.level { compare_levels(&left, &right)? } else { compare(&left, &right)? };
    Ok(((operator.holds)(order), skip_blanks(rest)))
}

struct Operator {
    symbol: String,
    holds: fn(Ordering) -> bool,
    level: bool,
}

fn operator<'a>(body: &str, text: &'a str) -> Result<(Operator, &'a str), ExpandError> {
    type Holds = fn(Ordering) -> bool;
    const OPERATORS: [(&str, Holds); 6] = [
        ("==", Ordering::is_eq),
        ("!=", Ordering::is_ne),
        ("<=", Ordering::is_le),
        (">=", Ordering::is_ge),
        ("<", Ordering::is_lt),
        (">", Ordering::is_gt),
    ];
    let Some((symbol, holds)) = OPERATORS.into_iter().find(|(symbol, _)| text.starts_with(symbol)) else {
        return Err(ExpandError::OperatorExpected(place(body, text)));
    };
    let rest = &text[symbol.len()..];
    let suffix = &rest[..rest.bytes().take_while(u8::is_ascii_alphanumeric).count()];
    if !["", "level"].contains(&suffix) {
        return Err(ExpandError::OperatorSuffix(Place { before: symbol.to_owned(), after: rest.to_owned() }));
    }
    let operator = Operator { symbol: format!("{symbol}{suffix}"), holds, level: !suffix.is_empty() };
    Ok((operator, &rest[suffix.len()..]))
}

/// Numbers when both are all digits, else bytes.
fn compare(left: &str, right: &str) -> Result<Ordering, ExpandError> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !(digits(left) && digits(right)) {
        return Ok(left.cmp(right));
    }
    let number = |text: &str| text.parse::<i64>().map_err(|_| ExpandError::Number(text.to_owned()));
    Ok(number(left)?.cmp(&number(right)?))
}

fn compare_levels(left: &str, right: &str) -> Result<Ordering, ExpandError> {
    let level = |text: &str| Level::parse(text).ok_or_else(|| ExpandError::Level(text.to_owned()));
    Ok(level(left)?.cmp(&level(right)?))
}

/// A `{...}` group at the start of `text`: its inside, and what follows it.
fn group(text: &str) -> Result<(&str, &str), ExpandError> {
    let end = matching(text, b'{', b'}').ok_or_else(|| ExpandError::Unbalanced(text.to_owned()))?;
    Ok((&text[1..end], &text[end + 1..]))
}

/// Where the bracket that `text` starts with is closed.
fn matching(text: &str, open: u8, close: u8) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        if byte == open {
            depth += 1;
        } else if byte == close {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

fn name_end(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_whitespace())
}

/// The place where `rest`, the tail of `body`, starts: the last characters before it, and itself.
fn place(body: &str, rest: &str) -> Place {
    let before = body.len().saturating_sub(rest.len());
    let before = body.get(..before).unwrap_or_default().trim_end();
    let start = before.rfind(['{', '?', ':', ' ']).map_or(0, |at| at + 1);
    Place { before: before[start..].to_string(), after: rest.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<String, String> {
        let mut scope = |name: &str| match name {
            "t1" => Some("val".to_owned()),
            "empty" => Some(String::new()),
            _ => None,
        };
        expand_text(text, &mut scope).map_err(|error| error.to_string())
    }

    #[test]
    fn expressions_within_each_other_end_at_a_hundred() {
        let nested = |levels: usize| format!("{}x{}", "${a:".repeat(levels), "}".repeat(levels));
        let mut scope = |_: &str| None;
        assert_eq!(expand_text(&nested(DEPTH - 1), &mut scope).as_deref(), Ok("x"));
        let error = expand_text(&nested(DEPTH), &mut scope).unwrap_err();
        assert_eq!(error.to_string(), "unreasonable macro call nesting: \"x\"");
        assert!(expand_text(&nested(100_000), &mut scope).is_err());
    }

    #[test]
    fn conditions_choose_by_whether_the_name_has_a_value() {
        for (text, value) in [
            ("${t1?a b}X", "a bX"),
            ("${t1:a b}X", "X"),
            ("${empty:a b}X", "a bX"),
            ("${t1 ? {a} : {b} }X", "aX"),
            ("Y${t1? a }X", "Y a X"),
            ("${empty? {a} : b c }X", " b c X"),
            ("${empty?{ a }:{ b c }}X", " b c X"),
            ("${empty:{ b c }}X", " b c X"),
            ("$(t1?{a})", "a"),
            ("${t1?(a}", "(a"),
            ("$(t1?a)b)", "ab)"),
            ("${t1?}.", "."),
            ("${t1?{a}}}.", "a}."),
            ("${nosuch?x}.", "."),
            ("${empty?{a}:}.", "."),
            ("${t1?{${empty:z}}}", "z"),
        ] {
            assert_eq!(run(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn names_end_at_the_first_other_character_and_two_dollars_are_one() {
        for (text, value) in
            [("$t1.x", "val.x"), ("$t1$$$t1", "val$val"), ("$$t1", "$t1"), ("${ t1 }", "val"), ("é$t1", "éval")]
        {
            assert_eq!(run(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn comparisons_are_numeric_when_both_sides_are_digits() {
        for (text, value) in [
            ("${{9}<{10}?{yes}:no}", "yes"),
            ("${{9}<{1a}?{yes}:no}", "no"),
            ("${{09}=={9}?{y}:{n}}", "y"),
            ("${{ a }=={a}?{y}:{n}}", "n"),
            ("${{a} == {a}}", "true"),
            ("${{a} == {b}}", ""),
            ("${{a} != {a} : {x}}", "x"),
            ("${{a} == {a} ? yes : no}", " yes : no"),
            ("${{$t1}=={val}?{y}:{n}}", "y"),
            ("${{3.6}<level{3.11}?{yes}:no}", "yes"),
            ("${{3.6} >=level {3.11}?{yes}:no}", "no"),
            ("${{3} ==level {3.0}?{y}:{n}}", "y"),
        ] {
            assert_eq!(run(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn a_function_gets_its_argument_expanded() {
        assert_eq!(run(".${domain_to_ascii{ $t1 }}.x"), Ok(".val.x".to_owned()));
        assert_eq!(run("${domain_to_ascii}"), Ok(String::new()));
        assert_eq!(run("${domain_to_ascii{a} b}"), Err("unexpected input at: \"...a}>>> b\"".to_owned()));
    }

    #[test]
    fn malformed_expressions_are_errors_in_the_words_of_postfix() {
        for (text, error) in [
            ("${t1?{$t1:b}", "truncated macro reference: \"${t1?{$t1:b}\""),
            ("a$", "empty macro name: \"a$\""),
            ("${}", "empty macro name: \"${}\""),
            ("${t1-x}", "attribute name syntax error at: \"...t1>>>-x\""),
            ("${t1 {a} }", "attribute name syntax error at: \"...t1>>> {a} \""),
            ("${t1?{a}{b}}", "\":\" expected at: \"...a}>>>{b}\""),
            ("${empty:{b}:c}X", "unexpected input at: \"...b}>>>:c\""),
            ("$(t1?{)})", "unbalanced {} in attribute expression: \"{\""),
            ("${{x}<level{3.11}?{yes}:no}", "malformed compatibility level syntax: \"x\""),
        ] {
            assert_eq!(run(text), Err(error.to_owned()), "{text}");
        }
    }
}
