//! What a row has shown: figures with a name, a unit and the values of all rounds; medians, ratios, and the table of
//! them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::rounds::Side;
use crate::failure::{Failure, Outcome};

/// One quantity, measured in both systems.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    pub unit: String,
    /// Where on a curve, if it is a point of one: the number of sessions, messages, recipients or cores.
    pub at: Option<f64>,
    /// A value a round; none if this system was not measured, or has no such thing.
    pub ours: Vec<f64>,
    pub postfix: Vec<f64>,
}

/// A row of the bench, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub row: String,
    pub title: String,
    pub date: String,
    /// How many processes wanted a processor just before, one minute's mean.
    pub load: f64,
    pub command: String,
    pub machine: String,
    pub figures: Vec<Figure>,
}

/// What one run has shown.
#[derive(Default)]
pub struct Sample(Vec<(String, &'static str, Option<f64>, f64)>);

impl Sample {
    /// Adds a value.
    pub fn with(mut self, name: impl Into<String>, unit: &'static str, value: f64) -> Sample {
        self.0.push((name.into(), unit, None, value));
        self
    }

    /// Adds a point of a curve.
    pub fn at(mut self, place: usize, name: &str, unit: &'static str, value: f64) -> Sample {
        self.0.push((name.to_owned(), unit, Some(place as f64), value));
        self
    }

    /// Puts the values where those of earlier runs are.
    pub fn gather(self, side: Side, figures: &mut Vec<Figure>) {
        for (name, unit, at, value) in self.0 {
            let is_it = |figure: &Figure| figure.name == name && figure.unit == unit && figure.at == at;
            let known = figures.iter().position(is_it);
            let place = known.unwrap_or_else(|| {
                let unit = unit.to_owned();
                figures.push(Figure { name, unit, at, ours: Vec::new(), postfix: Vec::new() });
                figures.len() - 1
            });
            match side {
                Side::Ours => figures[place].ours.push(value),
                Side::Postfix => figures[place].postfix.push(value),
            }
        }
    }
}

impl Figure {
    /// The median of our rounds.
    pub fn of_ours(&self) -> Option<f64> {
        median(&self.ours)
    }

    /// The median of Postfix's rounds.
    pub fn of_postfix(&self) -> Option<f64> {
        median(&self.postfix)
    }

    /// Ours as a share of Postfix's.
    pub fn ratio(&self) -> Option<f64> {
        let theirs = self.of_postfix().filter(|value| *value != 0.0)?;
        Some(self.of_ours()? / theirs)
    }

    /// Its name, and where it stands on its curve.
    pub fn label(&self) -> String {
        match self.at {
            Some(at) => format!("{} at {}", self.name, shown(at)),
            None => self.name.clone(),
        }
    }
}

impl Measured {
    /// The table on standard output, a line for each figure.
    pub fn print(&self) {
        println!("\n{}: {}", self.row, self.title);
        println!("{:<46} {:<18} {:>10} {:>10} {:>8}", "", "", "ours", "Postfix", "ratio");
        for figure in &self.figures {
            let [ours, postfix, ratio] = columns(figure);
            println!("{:<46} {:<18} {ours:>10} {postfix:>10} {ratio:>8}", figure.label(), figure.unit);
        }
        super::curves::growth(&self.figures).iter().for_each(|line| println!("{line}"));
    }
}

/// Medians and ratio as they are shown; a dash for what was not measured.
pub fn columns(figure: &Figure) -> [String; 3] {
    [figure.of_ours(), figure.of_postfix(), figure.ratio()].map(|value| value.map_or_else(|| "-".to_owned(), shown))
}

/// All values of some rows as JSON.
pub fn write(file: &Path, rows: &[Measured]) -> Outcome {
    let text = serde_json::to_string_pretty(rows).map_err(|e| Failure::about(file.display(), e))?;
    std::fs::write(file, text + "\n").map_err(|e| Failure::about(file.display(), e))
}

/// The rows that a file holds; none if there is no file.
pub fn read(file: &Path) -> Outcome<Vec<Measured>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(file).map_err(|e| Failure::about(file.display(), e))?;
    serde_json::from_str(&text).map_err(|e| Failure::about(file.display(), e))
}

/// The middle one, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { (sorted[middle - 1] + upper) / 2.0 })
}

/// Three digits that count, thousands divided.
pub fn shown(value: f64) -> String {
    // 0.09999 is 0.1 with three digits.
    let size = format!("{value:.2e}").parse().unwrap_or(value).abs();
    let digits = match size {
        _ if size >= 100.0 || size == 0.0 => 0,
        _ if size >= 10.0 => 1,
        _ if size >= 1.0 => 2,
        _ if size >= 0.1 => 3,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    match digits {
        0 => divided(&text),
        // A count is shown as one.
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        _ => text,
    }
}

/// `1234567` as `1,234,567`.
fn divided(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    format!("{sign}{}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn rounds_are_gathered_by_name_place_and_side() {
        let mut figures = Vec::new();
        for (side, value) in [(Side::Ours, 1.0), (Side::Postfix, 4.0), (Side::Ours, 3.0), (Side::Postfix, 4.0)] {
            Sample::default().with("CPU", "s", value).at(10, "time", "s", value).gather(side, &mut figures);
        }
        Sample::default().with("CPU of scache", "s", 1.0).gather(Side::Postfix, &mut figures);
        assert_eq!(figures.iter().map(Figure::label).collect::<Vec<_>>(), ["CPU", "time at 10", "CPU of scache"]);
        assert_eq!(
            (figures[0].of_ours(), figures[0].of_postfix(), figures[0].ratio()),
            (Some(2.0), Some(4.0), Some(0.5))
        );
        assert_eq!(columns(&figures[2]), ["-", "1", "-"]);
        Sample::default().with("CPU", "% of a core", 1.0).gather(Side::Ours, &mut figures);
        assert_eq!(figures.len(), 4, "another unit is another figure");
    }

    #[test]
    fn numbers_have_the_digits_that_count() {
        let shown: Vec<String> =
            [0.0, 0.01234, 0.09999, 0.1234, 1.234, 12.34, 123.4, 1_234_567.0, 20.0].map(shown).into();
        assert_eq!(shown, ["0", "0.0123", "0.100", "0.123", "1.23", "12.3", "123", "1,234,567", "20"]);
    }
}
