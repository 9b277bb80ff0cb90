//! Outcomes, by restrictions, each with the names that have it: how they are written, read and compared.

use std::collections::BTreeMap;
use std::fmt::Write;

use testing::programs::{Implementation, Programs};
use toml::{Table, Value};

use crate::world::folder;

/// A reply and the warnings of its session, with `NAME` and `DOMAIN` for what they are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome(Vec<String>);

impl Outcome {
    pub fn new(name: &str, lines: impl Iterator<Item = String>) -> Outcome {
        let domain = name.rsplit_once('@').map_or(name, |(_, domain)| domain);
        // A short one would be found in other words.
        let is_long = |text: &str| text.len() >= 5;
        let general = |line: String| {
            let line = if is_long(name) { line.replace(name, "NAME") } else { line };
            if is_long(domain) { line.replace(domain, "DOMAIN") } else { line }
        };
        Outcome(lines.map(general).collect())
    }

    /// With a wanted difference in it.
    fn here(&self, name: &str, difference: &Table) -> Outcome {
        let text = |key: &str| {
            let text = difference.get(key).and_then(Value::as_str);
            text.unwrap_or_else(|| panic!("differences.toml: no {key}: {difference}"))
        };
        let (postfix, ours, _) = (text("postfix"), text("ours"), text("reason"));
        let names = texts(difference, "names");
        match names.is_empty() || names.iter().any(|other| other == name) {
            true => Outcome(self.0.iter().map(|line| line.replace(postfix, ours)).collect()),
            false => self.clone(),
        }
    }
}

/// Restrictions, and what came of each name.
#[derive(Debug, Default)]
pub struct Outcomes(BTreeMap<String, Vec<(String, Outcome)>>);

impl Outcomes {
    pub fn add(&mut self, restrictions: &str, found: Vec<(String, Outcome)>) {
        self.0.entry(restrictions.to_owned()).or_default().extend(found);
    }

    /// Brings all in the order in which the names were asked about.
    pub fn sort_by(&mut self, names: &[String]) {
        for found in self.0.values_mut() {
            found.sort_by_key(|(name, _)| names.iter().position(|other| other == name));
        }
    }

    /// What was recorded.
    pub fn recorded(subject: &str) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for case in tables(&format!("{subject}.toml"), "outcome") {
            let outcome = Outcome(texts(&case, "lines"));
            let Some(restrictions) = case.get("restrictions").and_then(Value::as_str) else { panic!("{case}") };
            let list = outcomes.0.entry(restrictions.to_owned()).or_default();
            list.extend(texts(&case, "names").into_iter().map(|name| (name, outcome.clone())));
        }
        outcomes
    }

    /// Writes the file of a subject anew.
    pub fn write(&self, subject: &str) {
        let mut text = "# Recorded from Postfix 3.11 by `cargo xtask record`.\n".to_owned();
        for (restrictions, found) in &self.0 {
            let mut groups: Vec<(&Outcome, Vec<String>)> = Vec::new();
            for (name, outcome) in found {
                match groups.iter_mut().find(|(other, _)| *other == outcome) {
                    Some((_, names)) => names.push(name.clone()),
                    None => groups.push((outcome, vec![name.clone()])),
                }
            }
            for (outcome, names) in groups {
                // cannot fail: a String takes all that is written to it
                let _ = write!(text, "\n[[outcome]]\nrestrictions = {}\n", shown(restrictions));
                let _ = write!(text, "lines = {}\nnames = {}\n", list(&outcome.0), list(&names));
            }
        }
        let path = folder().join(format!("{subject}.toml"));
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// Where the observed ones are not the recorded ones. Here the words of `differences.toml` stand for those of
    /// Postfix.
    pub fn differences(&self, observed: &Outcomes) -> Vec<String> {
        let ours = Programs::under_test().implementation == Implementation::Ours;
        let wanted = if ours { tables("differences.toml", "difference") } else { Vec::new() };
        let mut wrong = Vec::new();
        for (restrictions, found) in &observed.0 {
            let recorded = self.0.get(restrictions).map_or(&[][..], Vec::as_slice);
            if recorded.len() != found.len() {
                wrong.push(format!("{restrictions}: {} recorded, {} observed", recorded.len(), found.len()));
            }
            for (name, outcome) in found {
                let known = recorded.iter().find(|(other, _)| other == name);
                let known = known.map(|(name, outcome)| wanted.iter().fold(outcome.clone(), |o, d| o.here(name, d)));
                if known.as_ref() != Some(outcome) {
                    wrong.push(format!("{restrictions}\n  {name}\n    want {known:?}\n    have {outcome:?}"));
                }
            }
        }
        wrong
    }
}

fn tables(file: &str, key: &str) -> Vec<Table> {
    let path = folder().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let table: Table = text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let items = table.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    items.into_iter().filter_map(|item| item.as_table().cloned()).collect()
}

fn texts(table: &Table, key: &str) -> Vec<String> {
    let items = table.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A text in TOML.
fn shown(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// Texts in TOML, broken into lines.
fn list(texts: &[String]) -> String {
    let (mut out, mut width) = ("[".to_owned(), 0);
    for text in texts {
        let item = format!("{}, ", shown(text));
        width += item.len();
        if width > 120 {
            out = out.trim_end().to_owned() + "\n    ";
            width = item.len();
        }
        out.push_str(&item);
    }
    out.trim_end().trim_end_matches(',').to_owned() + "]"
}
