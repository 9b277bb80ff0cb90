//! What was wanted against what was observed.
//!
//! The kernel decides in which order it tells several IPv6 addresses, and log lines of two processes have no order:
//! neither counts. `FIELD_match` and `FIELD_absent` are patterns with `*` that some line of a field must have, or none.

use toml::{Table, Value};

/// What is wrong, in words.
pub fn differences(expected: &Table, observed: &Table) -> Vec<String> {
    expected.iter().filter_map(|(key, wanted)| difference(key, wanted, observed)).collect()
}

fn difference(key: &str, wanted: &Value, observed: &Table) -> Option<String> {
    for (suffix, must) in [("_match", true), ("_absent", false)] {
        let Some(field) = key.strip_suffix(suffix) else { continue };
        let lines = lines(observed.get(field)?);
        let patterns = lines_of(wanted);
        let odd = patterns.iter().find(|pattern| lines.iter().any(|line| has(line, pattern)) != must)?;
        return Some(format!("{field}: {} {odd} in {lines:#?}", if must { "no line has" } else { "a line has" }));
    }
    let Some(got) = observed.get(key) else { return Some(format!("{key}: not observed")) };
    let (wanted, got) = (form(key, wanted), form(key, got));
    (wanted != got).then(|| format!("{key}:\n      want {wanted}\n      have {got}"))
}

/// Whether the pieces of a pattern stand in a line, one after the other.
fn has(line: &str, pattern: &str) -> bool {
    let mut rest = line;
    pattern.split('*').all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

fn lines(value: &Value) -> Vec<String> {
    match value {
        Value::Array(_) => lines_of(value),
        Value::String(text) => text.lines().map(str::to_owned).collect(),
        other => vec![other.to_string()],
    }
}

fn lines_of(value: &Value) -> Vec<String> {
    let items = value.as_array().cloned().unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A value without what does not count.
fn form(key: &str, value: &Value) -> Value {
    let texts = |mut list: Vec<String>, sorted: bool| {
        if sorted {
            list.sort();
        }
        list.dedup();
        Value::Array(list.into_iter().map(Value::String).collect())
    };
    match (key, value) {
        ("stdout", Value::String(text)) => Value::String(without_order(text)),
        ("stderr", Value::String(text)) => Value::String(with_short_names(text)),
        ("log" | "messages", Value::Array(_)) => {
            texts(lines_of(value).iter().map(|line| without_version(line)).collect(), true)
        }
        ("sockets" | "before" | "after", Value::Array(_)) => texts(lines_of(value), true),
        ("dns", Value::Array(_)) => {
            let mut seen = Vec::new();
            lines_of(value).into_iter().for_each(|line| {
                if !seen.contains(&line) {
                    seen.push(line)
                }
            });
            texts(seen, false)
        }
        _ => value.clone(),
    }
}

/// Neighbouring IPv6 addresses sorted, in each line, and where they are lines.
fn without_order(text: &str) -> String {
    let lines = text.split('\n').map(|line| sort_runs(line.split(' ').map(str::to_owned)).join(" "));
    sort_runs(lines).join("\n")
}

fn sort_runs(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut run = 0;
    for item in items {
        if is_v6(&item) {
            run += 1;
        } else {
            let start = out.len() - run;
            out[start..].sort();
            run = 0;
        }
        out.push(item);
    }
    let start = out.len() - run;
    out[start..].sort();
    out
}

/// `2001:db8::1`, `[2001:db8::]/32`
fn is_v6(word: &str) -> bool {
    let address = word.split('/').next().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    address.bytes().filter(|byte| *byte == b':').count() >= 2
        && address.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
}

/// Programs by their names alone, whatever stands before and behind them.
fn with_short_names(text: &str) -> String {
    let short = |line: &str| {
        let Some((program, rest)) = line.split_once(": ") else { return line.to_owned() };
        let name = program.split('[').next().unwrap_or_default();
        let name = name.rsplit('/').next().unwrap_or_default();
        format!("{name}: {rest}")
    };
    text.split('\n').map(short).collect::<Vec<_>>().join("\n")
}

fn without_version(line: &str) -> String {
    match line.split_once("reload -- version ") {
        Some((start, rest)) => {
            let rest = rest.split_once(',').map_or("", |(_, rest)| rest);
            format!("{start}reload -- version VERSION,{rest}")
        }
        None => line.to_owned(),
    }
}
