//! Pictures of the numbers, as SVG: bars for rows, lines for curves. Colours work on light and dark pages.

use std::fmt::Write;

use super::curves::Curve;
use super::figures::{Figure, shown};

const OURS: &str = "#2f81f7";
const POSTFIX: &str = "#d29922";
const TEXT: &str = "#768390";

/// Width of all pictures, and where bars and axes begin.
const WIDTH: f64 = 760.0;
const LEFT: f64 = 290.0;
const BAR: f64 = 13.0;

/// Two bars for each figure that both have, the longer one as long as there is room.
pub fn bars(figures: &[(String, &Figure)]) -> String {
    let step = 2.0 * BAR + 16.0;
    let mut picture = Picture::new(figures.len() as f64 * step + 40.0);
    picture.legend(20.0);
    for (number, (label, figure)) in figures.iter().enumerate() {
        let top = 36.0 + number as f64 * step;
        picture.text(LEFT - 10.0, top + BAR + 4.0, "end", &format!("{label}, {}", figure.unit));
        let values = [figure.of_ours(), figure.of_postfix()].map(Option::unwrap_or_default);
        let longest = values[0].max(values[1]).max(f64::MIN_POSITIVE);
        for (place, (value, colour)) in values.into_iter().zip([OURS, POSTFIX]).enumerate() {
            let (y, length) = (top + place as f64 * BAR, value / longest * (WIDTH - LEFT - 90.0));
            picture.add(&format!(
                r#"<rect x="{LEFT}" y="{y:.1}" width="{length:.1}" height="{:.1}" fill="{colour}"/>"#,
                BAR - 2.0
            ));
            picture.text(LEFT + length + 6.0, y + BAR - 3.0, "start", &shown(value));
        }
    }
    picture.end()
}

/// Both lines of a curve, on logarithmic axes.
pub fn lines(curve: &Curve<'_>) -> String {
    const TOP: f64 = 50.0;
    const HEIGHT: f64 = 300.0;
    let mut picture = Picture::new(HEIGHT + TOP + 50.0);
    picture.text(20.0, 20.0, "start", &format!("{}, {}", curve.name, curve.unit));
    picture.legend(40.0);
    let points = || curve.ours.iter().chain(&curve.postfix).filter(|(x, y)| *x > 0.0 && *y > 0.0);
    let (across, up) = (decades(points().map(|p| p.0)), decades(points().map(|p| p.1)));
    let x = |value: f64| 70.0 + (value.log10() - across.0) / (across.1 - across.0) * (WIDTH - 110.0);
    let y = |value: f64| TOP + HEIGHT - (value.log10() - up.0) / (up.1 - up.0) * HEIGHT;
    for power in across.0 as i32..=across.1 as i32 {
        let at = x(10f64.powi(power));
        picture.grid((at, TOP), (at, TOP + HEIGHT));
        picture.text(at, TOP + HEIGHT + 18.0, "middle", &shown(10f64.powi(power)));
    }
    for power in up.0 as i32..=up.1 as i32 {
        let at = y(10f64.powi(power));
        picture.grid((70.0, at), (WIDTH - 40.0, at));
        picture.text(62.0, at + 4.0, "end", &shown(10f64.powi(power)));
    }
    for (values, colour) in [(&curve.ours, OURS), (&curve.postfix, POSTFIX)] {
        let placed = values.iter().filter(|(a, b)| *a > 0.0 && *b > 0.0);
        let placed: Vec<(f64, f64)> = placed.map(|(a, b)| (x(*a), y(*b))).collect();
        let path: Vec<String> = placed.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        picture
            .add(&format!(r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#, path.join(" ")));
        for (x, y) in placed {
            picture.add(&format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="4" fill="{colour}"/>"#));
        }
    }
    picture.end()
}

/// The powers of ten around some values, at least one apart.
fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let (low, high) = (low.log10().floor(), high.log10().ceil());
    (low, if high > low { high } else { low + 1.0 })
}

struct Picture(String);

impl Picture {
    fn new(height: f64) -> Picture {
        Picture(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n"
        ))
    }

    fn add(&mut self, element: &str) {
        self.0.push_str(element);
        self.0.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        // cannot fail: a String takes all that is written to it
        let _ = writeln!(self.0, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{TEXT}">{text}</text>"#);
    }

    fn grid(&mut self, from: (f64, f64), to: (f64, f64)) {
        let ends = format!(r#"x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}""#, from.0, from.1, to.0, to.1);
        self.add(&format!(r#"<line {ends} stroke="{TEXT}" stroke-opacity="0.3"/>"#));
    }

    fn legend(&mut self, y: f64) {
        for (x, name, colour) in [(LEFT, "postfix-rs", OURS), (LEFT + 110.0, "Postfix 3.11", POSTFIX)] {
            self.add(&format!(r#"<rect x="{x}" y="{:.1}" width="10" height="10" fill="{colour}"/>"#, y - 9.0));
            self.text(x + 16.0, y, "start", name);
        }
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Sample;
    use crate::bench::rounds::Side;

    #[test]
    fn the_larger_value_has_the_longer_bar() {
        let mut figures = Vec::new();
        Sample::default().with("CPU", "s", 1.0).gather(Side::Ours, &mut figures);
        Sample::default().with("CPU", "s", 4.0).gather(Side::Postfix, &mut figures);
        let picture = bars(&[("a < b".to_owned(), &figures[0])]);
        assert!(picture.contains(r#"width="95.0""#) && picture.contains(r#"width="380.0""#), "{picture}");
        assert!(picture.contains("a &lt; b, s"));
    }

    #[test]
    fn a_decade_lies_between_the_ends_of_each_axis() {
        assert_eq!(decades([2.0, 300.0].into_iter()), (0.0, 3.0));
        assert_eq!(decades([10.0].into_iter()), (1.0, 2.0));
    }
}
