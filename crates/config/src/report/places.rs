//! Lines of both files in few words: `main.cf lines 11-17, 40; master.cf line 3`.

use std::collections::BTreeMap;

use super::Place;

/// `main.cf line 12`
pub(super) fn short(place: &Place) -> String {
    let file = place.file.file_name().unwrap_or_default().to_string_lossy();
    match place.line {
        0 => file.into_owned(),
        line => format!("{file} line {line}"),
    }
}

/// Every place once, by file, lines that follow each other as one range.
pub(super) fn all<'a>(places: impl IntoIterator<Item = &'a Place>) -> String {
    let mut files: BTreeMap<(u8, String), Vec<usize>> = BTreeMap::new();
    for place in places {
        let file = place.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.entry((place.rank, file)).or_default().push(place.line);
    }
    let texts = files.into_iter().map(|((_, file), mut lines)| {
        lines.sort_unstable();
        lines.dedup();
        let word = if lines.len() == 1 { "line" } else { "lines" };
        format!("{file} {word} {}", ranges(&lines))
    });
    texts.collect::<Vec<_>>().join("; ")
}

/// `11-17, 40`, of sorted lines.
pub(crate) fn ranges(lines: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &line in lines {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == line => *last = line,
            _ => ranges.push((line, line)),
        }
    }
    let text = |(first, last): &(usize, usize)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_follow_each_other_are_a_range() {
        let place = |rank, file: &str, line| Place { rank, file: file.into(), line };
        let main = [12, 11, 13, 40, 11, 50, 51].map(|line| place(0, "/e/main.cf", line));
        assert_eq!(all(&main), "main.cf lines 11-13, 40, 50, 51");
        assert_eq!(all([&place(1, "/e/master.cf", 3), &main[0]]), "main.cf line 12; master.cf line 3");
    }
}
