//! One dialect: imports stand in three groups, and no line is wider than rustfmt makes code.

use super::Complaints;
use super::source::Source;

/// Columns of a line, as in rustfmt.toml, which has no word about comments.
const WIDTH: usize = 120;

/// The groups in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Std,
    Others,
    Own,
}

pub(super) fn check(source: &Source, complaints: &mut Complaints) {
    for (number, line) in source.numbered() {
        let text = line.text.trim_start();
        // A row of a table is as wide as its cells.
        let is_row = text.split_once(' ').is_some_and(|(_, text)| text.starts_with('|'));
        if text.starts_with("//") && !is_row && line.text.chars().count() > WIDTH {
            complaints.add(&source.path, number, format!("a comment has at most {WIDTH} columns"));
        }
    }
    for (number, what) in imports(source) {
        complaints.add(&source.path, number, what);
    }
}

/// What is wrong with the imports at the start of the lines.
fn imports(source: &Source) -> Vec<(usize, &'static str)> {
    let modules: Vec<&str> = source.lines.iter().filter_map(|line| module(&line.code)).collect();
    let mut wrong = Vec::new();
    // The group of the import before, and whether a blank line has followed it; nothing behind other code.
    let mut before: Option<(Group, bool)> = None;
    let mut within = false;
    for (number, line) in source.numbered() {
        let code = line.text.as_str();
        if within || code.starts_with("use ") {
            if !within {
                let group = group(code, &modules);
                wrong.extend(before.and_then(|before| misplaced(before, group)).map(|what| (number, what)));
                before = Some((group, false));
            }
            within = !code.trim_end().ends_with(';');
        } else if code.is_empty() {
            before = before.map(|(group, _)| (group, true));
        } else {
            before = None;
        }
    }
    wrong
}

fn misplaced((before, blank): (Group, bool), group: Group) -> Option<&'static str> {
    match before.cmp(&group) {
        std::cmp::Ordering::Greater => Some("imports: first std, then other crates, then this one"),
        std::cmp::Ordering::Less if !blank => Some("imports: a blank line between std, other crates and this one"),
        std::cmp::Ordering::Equal if blank => Some("imports: no blank line within a group"),
        _ => None,
    }
}

fn group(import: &str, modules: &[&str]) -> Group {
    let path = import.trim_start_matches("use ");
    let root = path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    match root {
        "std" | "core" | "alloc" => Group::Std,
        "crate" | "super" | "self" => Group::Own,
        root if modules.contains(&root) => Group::Own,
        _ => Group::Others,
    }
}

/// The name of a module that a line declares.
fn module(code: &str) -> Option<&str> {
    let words = code.strip_prefix("pub ").or_else(|| code.strip_prefix("pub(crate) ")).unwrap_or(code);
    words.strip_prefix("mod ")?.split([';', ' ', '{']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> Vec<usize> {
        imports(&Source::new("x.rs", text)).into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn groups_stand_in_their_order_with_a_blank_line_between_them() {
        let none: [usize; 0] = [];
        assert_eq!(
            complaints("mod own;\n\nuse std::fmt;\n\nuse config::{\n    a, b,\n};\nuse dns::x;\n\nuse own::y;\n"),
            none
        );
        assert_eq!(complaints("use crate::a;\nuse std::b;\n"), [2]);
        assert_eq!(complaints("use std::b;\nuse crate::a;\n"), [2]);
        assert_eq!(complaints("use std::a;\n\nuse std::b;\n"), [3]);
        assert_eq!(complaints("use crate::a;\n\nfn f() {}\n\nuse std::b;\n"), none);
    }
}
