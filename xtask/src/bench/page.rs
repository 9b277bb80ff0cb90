//! docs/performance.md with its pictures, made from the values in docs/performance/figures.json, which `--write` keeps.
//!
//! A row that is measured again takes the place of the old one; what people have written below the rows stays.

use std::fs;

use super::curves::{self, Curve};
use super::figures::{self, Figure, Measured, columns};
use super::{ROWS, name, picture};
use crate::failure::Outcome;
use crate::workspace;

const PAGE: &str = "docs/performance.md";
const FOLDER: &str = "docs/performance";
/// What stands below this line is nobody's but the author's.
const END: &str = "<!-- end of what `cargo xtask bench --write` makes -->\n";

/// What the first picture shows: row, name of the figure, unit.
const SHOWN: [(&str, &str, &str); 14] = [
    ("relay", "CPU", "s / 1,000"),
    ("relay", "messages", "/ s"),
    ("relay", "system calls", "/ message"),
    ("relay", "context switches", "/ message"),
    ("connection", "CPU", "s / 1,000"),
    ("large", "CPU", "s / 1,000"),
    ("recipients", "all delivered", "s"),
    ("idle", "after one message", "KiB / session"),
    ("accept", "all greeted", "s"),
    ("deferred", "postqueue -p, first", "s"),
    ("deferred", "flush", "s"),
    ("deferred", "new mail during a flush", "/ s"),
    ("deferred", "postsuper -r ALL", "s"),
    ("tables", "postmap lmdb", "s"),
];

/// Keeps a row, and makes page and pictures again.
pub fn keep(measured: &Measured) -> Outcome {
    let folder = workspace::root().join(FOLDER);
    fs::create_dir_all(&folder)?;
    let file = folder.join("figures.json");
    let mut rows = figures::read(&file)?;
    rows.retain(|row| row.row != measured.row);
    rows.push(measured.clone());
    let order = |row: &Measured| ROWS.iter().position(|known| name(*known) == row.row);
    rows.sort_by_key(|row| order(row).unwrap_or(ROWS.len()));
    figures::write(&file, &rows)?;
    fs::write(folder.join("rows.svg"), picture::bars(&chosen(&rows)))?;
    for curve in rows.iter().flat_map(|row| curves::curves(&row.figures)) {
        fs::write(folder.join(picture_of(&curve)), picture::lines(&curve))?;
    }
    let page = workspace::root().join(PAGE);
    let old = fs::read_to_string(&page).unwrap_or_default();
    let written_by_hand = old.split_once(END).map_or("", |(_, rest)| rest);
    fs::write(page, format!("{}{END}{written_by_hand}", text(&rows)))?;
    Ok(())
}

fn chosen(rows: &[Measured]) -> Vec<(String, &Figure)> {
    let find = |row: &str, name: &str, unit: &str| {
        let figures = rows.iter().filter(|measured| measured.row == row).flat_map(|measured| &measured.figures);
        figures.into_iter().find(|figure| figure.name == name && figure.unit == unit && figure.ratio().is_some())
    };
    SHOWN.iter().filter_map(|(row, name, unit)| Some((format!("{row}: {name}"), find(row, name, unit)?))).collect()
}

fn text(rows: &[Measured]) -> String {
    let machines: Vec<&str> = rows.iter().map(|row| row.machine.as_str()).collect();
    let mut text = OPENING.to_owned();
    if let Some(machine) = machines.first() {
        text.push_str(&format!("\nMachine: {machine}.\n"));
    }
    text.push_str("\n![what some rows show](performance/rows.svg)\n");
    rows.iter().for_each(|row| text.push_str(&section(row)));
    text
}

fn section(row: &Measured) -> String {
    let busy = match row.load > 1.0 {
        true => format!("; other work had the machine too, with a load of {:.1} before the beginning", row.load),
        false => String::new(),
    };
    let mut text =
        format!("\n## {}\n\n{}.\n\n`{}`, {}{busy}.\n\n", row.row, capital(&row.title), row.command, row.date);
    text.push_str("| | unit | ours | Postfix | ratio |\n|---|---|---|---|---|\n");
    for figure in &row.figures {
        let [ours, postfix, ratio] = columns(figure);
        text.push_str(&format!("| {} | {} | {ours} | {postfix} | {ratio} |\n", figure.label(), figure.unit));
    }
    for line in curves::growth(&row.figures) {
        text.push_str(&format!("\n{line}.\n"));
    }
    for curve in curves::curves(&row.figures) {
        text.push_str(&format!("\n![{}](performance/{})\n", curve.name, picture_of(&curve)));
    }
    text
}

/// `messages, by sessions` as the name of a file.
fn picture_of(curve: &Curve<'_>) -> String {
    let words: Vec<&str> =
        curve.name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("-") + ".svg"
}

fn capital(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

const OPENING: &str = "# Performance

This mail system and Debian's Postfix 3.11, measured by `cargo xtask bench` on one machine, in turn (A B A B).
A number is the median of the rounds; all values are in [figures.json](performance/figures.json). The ratio is ours divided by
Postfix's: it says more than the numbers, which are those of one machine. Both have the same settings and the same queue directory
on disk, both write their log to a file, and both wait for the disk before they acknowledge a message. Clients and the next hop run
on the same cores, so rates would be higher with a machine for each; their processor time is not counted.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_a_picture_with_a_plain_name() {
        let curve = Curve { name: "postqueue -p again, by deferred", unit: "s", ours: Vec::new(), postfix: Vec::new() };
        assert_eq!(picture_of(&curve), "postqueue-p-again-by-deferred.svg");
    }

    #[test]
    fn a_section_has_a_line_for_each_figure_and_tells_of_a_busy_machine() {
        let figure = Figure { name: "CPU".into(), unit: "s".into(), at: None, ours: vec![1.0], postfix: vec![4.0] };
        let row = |load| Measured {
            row: "relay".into(),
            title: "some".into(),
            date: "2026-11-22".into(),
            load,
            command: "cargo xtask bench relay".into(),
            machine: String::new(),
            figures: vec![figure.clone()],
        };
        assert!(section(&row(0.2)).contains("`cargo xtask bench relay`, 2026-11-22.\n"));
        assert!(section(&row(3.0)).contains("with a load of 3.0 before the beginning"));
        assert!(section(&row(0.2)).contains("| CPU | s | 1 | 4 | 0.250 |\n"));
    }
}
