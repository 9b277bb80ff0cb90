//! The table as text: names and numbers to the right, so that the last column ends where the screen does.

use crate::counts::{Counts, Numbers, Row};
use crate::request::Request;

/// Least characters of a name.
const LEAST_NAME: usize = 18;
/// Least digits of a number.
const LEAST_DIGITS: usize = 2;

/// The table with at most `most` domains.
pub(crate) fn table(counts: &Counts, request: &Request, most: usize) -> String {
    let totals = Row { name: b"TOTAL".to_vec(), numbers: counts.totals() };
    let titles: Vec<String> = std::iter::once("T".to_owned()).chain(request.buckets.titles()).collect();
    let widths: Vec<usize> = titles.iter().zip(cells(&totals)).map(|(title, cell)| width(title, &cell)).collect();
    let name_width = request.width.saturating_sub(widths.iter().map(|width| width + 1).sum()).max(LEAST_NAME);
    let line = |name: &str, cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:>width$}"));
        format!("{name:>name_width$}{}\n", cells.collect::<String>())
    };
    let mut out = line("", &titles);
    out.push_str(&line("TOTAL", &cells(&totals)));
    // told: whoever asked for no more.
    for row in counts.rows(request.parents).iter().take(most) {
        out.push_str(&line(&shortened(&row.name, name_width), &cells(row)));
    }
    out
}

fn cells(row: &Row) -> Vec<String> {
    let numbers: &Numbers = &row.numbers;
    std::iter::once(row.total()).chain(numbers.iter().copied()).map(|number| number.to_string()).collect()
}

fn width(title: &str, total: &str) -> usize {
    title.len().max(total.len()).max(LEAST_DIGITS)
}

/// A name that does not fit keeps its end, behind a `+`.
fn shortened(name: &[u8], width: usize) -> String {
    let name = text::printable(name);
    let length = name.chars().count();
    if length <= width {
        return name;
    }
    let sign = if name.starts_with('.') { ".+" } else { "+" };
    sign.chars().chain(name.chars().skip(length + sign.len() - width)).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn table_of(line: &[&str], addresses: &[&str]) -> Vec<String> {
        let request = Request::parse(line.iter().map(OsString::from)).unwrap();
        let mut counts = Counts::new(request.buckets.clone());
        addresses.iter().for_each(|address| counts.add_recipient(address.as_bytes(), 0).unwrap());
        table(&counts, &request, 2).lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_last_column_ends_where_the_screen_does() {
        let lines = table_of(&[], &[]);
        assert_eq!(
            lines,
            [
                "                                         T  5 10 20 40 80 160 320 640 1280 1280+",
                "                                  TOTAL  0  0  0  0  0  0   0   0   0    0     0",
            ]
        );
        let lines = table_of(&["-b", "1", "-w", "90"], &["a@one.example", "b@one.example"]);
        assert!(lines.iter().all(|line| line.len() == 90), "{lines:#?}");
        assert!(lines[2].ends_with("one.example  2  2"));
    }

    #[test]
    fn a_name_that_does_not_fit_keeps_its_end() {
        let long = "x@a-very-long-domain-name-that-goes-on-and-on-for-ever.and.has.many.labels.example";
        let lines = table_of(&["-p", "-m", "1", "-b", "20"], &[long]);
        assert!(lines[3].starts_with(".+y.labels.example  1  1  0"), "{lines:#?}");
        assert_eq!(shortened(b".and.has.many.labels.example", 18), ".+y.labels.example");
        assert_eq!(shortened(b"\x1b[31m.example", 18), "?[31m.example");
    }

    #[test]
    fn a_terminal_shows_the_first_ones() {
        assert_eq!(table_of(&[], &["a@x.example", "a@y.example", "a@z.example"]).len(), 4);
    }
}
