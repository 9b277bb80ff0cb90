//! From expanded text to a typed value, with the bounds of the table.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use text::lossless::{encode, to_utf8};

use crate::entry::{Entry, Kind};
use crate::error::ValueError;

/// A type that [`crate::Config::get`] returns.
pub trait Value: Sized {
    /// Whether the unexpanded text is wanted.
    const RAW: bool = false;

    /// The value of `text`, the expanded setting of `entry`, which `name` is called by (another name than the entry's
    /// for per-transport parameters).
    fn from_text(text: &str, name: &str, entry: &Entry) -> Result<Self, ValueError>;
}

/// Text that the reading program expands itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw(pub String);

impl Value for String {
    fn from_text(text: &str, name: &str, entry: &Entry) -> Result<Self, ValueError> {
        long_enough(text, name, entry)?;
        Ok(to_utf8(text))
    }
}

impl Value for Raw {
    const RAW: bool = true;

    fn from_text(text: &str, name: &str, entry: &Entry) -> Result<Self, ValueError> {
        long_enough(text, name, entry)?;
        Ok(Raw(to_utf8(text)))
    }
}

impl Value for PathBuf {
    fn from_text(text: &str, name: &str, entry: &Entry) -> Result<Self, ValueError> {
        long_enough(text, name, entry)?;
        Ok(PathBuf::from(OsString::from_vec(encode(text))))
    }
}

impl Value for Vec<String> {
    fn from_text(text: &str, name: &str, entry: &Entry) -> Result<Self, ValueError> {
        long_enough(text, name, entry)?;
        Ok(text::split_list(text).into_iter().map(to_utf8).collect())
    }
}

impl Value for bool {
    fn from_text(text: &str, name: &str, _: &Entry) -> Result<Self, ValueError> {
        if text.eq_ignore_ascii_case("yes") {
            Ok(true)
        } else if text.eq_ignore_ascii_case("no") {
            Ok(false)
        } else {
            Err(ValueError::Bool { name: name.to_owned(), value: text.to_owned() })
        }
    }
}

impl Value for i64 {
    fn from_text(text: &str, name: &str, entry: &Entry) -> Result<Self, ValueError> {
        let bad = || ValueError::Number { name: name.to_owned(), value: text.to_owned() };
        let number: i64 = text.trim().parse().map_err(|_| bad())?;
        if i32::try_from(number).is_err() && !WIDE.contains(&name) {
            return Err(bad());
        }
        within(number, text, name, entry)
    }
}

/// Numbers of 64 bits; all others have 32.
const WIDE: [&str; 5] =
    ["lmdb_map_size", "mailbox_size_limit", "message_size_limit", "queue_minfree", "virtual_mailbox_limit"];

impl Value for Duration {
    fn from_text(text: &str, name: &str, entry: &Entry) -> Result<Self, ValueError> {
        let parsed = match entry.kind {
            Kind::Milliseconds => parse_milliseconds(text),
            Kind::Duration { unit } => parse_duration(text, unit),
            _ => parse_duration(text, 1),
        };
        let bad = || ValueError::Time { name: name.to_owned(), value: text.to_owned() };
        let duration = parsed.ok_or_else(bad)?;
        let seconds = i64::try_from(duration.as_secs()).map_err(|_| bad())?;
        let out = |bound, limit| ValueError::TimeBound { name: name.to_owned(), seconds, bound, limit };
        match (entry.min, entry.max) {
            (Some(min), _) if seconds < min => Err(out("min", min)),
            (_, Some(max)) if seconds > max => Err(out("max", max)),
            _ => Ok(duration),
        }
    }
}

/// A number with an optional unit letter (s, m, h, d, w); `unit` is the seconds that a bare number counts in. As in
/// Postfix, nothing before a unit counts as 0, and what follows the unit is not looked at: see [`behind_unit`].
pub fn parse_duration(text: &str, unit: u32) -> Option<Duration> {
    let (digits, rest) = split_duration(text)?;
    let seconds = match rest.bytes().next() {
        None => unit,
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3600,
        Some(b'd') => 86_400,
        Some(b'w') => 604_800,
        Some(_) => return None,
    };
    let number: u32 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    // Postfix counts in an int, and stops before the multiplication could exceed it.
    let largest = if seconds == 1 { i32::MAX as u32 } else { (i32::MAX as u32 / seconds).saturating_sub(1) };
    (number <= largest).then(|| Duration::from_secs(u64::from(number) * u64::from(seconds)))
}

/// What stands behind the unit of a time, where nobody looks: `10m # ten` is ten minutes, and so is `10m30s`.
pub fn behind_unit(text: &str) -> Option<&str> {
    let (_, rest) = split_duration(text)?;
    rest.get(1..).filter(|rest| !rest.is_empty())
}

/// Digits, perhaps behind a plus sign, and what follows them; None when there is nothing.
fn split_duration(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let signed = text.strip_prefix('+').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let text = signed.unwrap_or(text);
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    (!text.is_empty()).then(|| text.split_at(end))
}

/// The same with the unit `ms`, which a bare number has too.
fn parse_milliseconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let number = text.strip_suffix("ms").unwrap_or(text);
    if number.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.parse::<u32>().ok().map(|number| Duration::from_millis(number.into()));
    }
    // Postfix has no such parameter, and nothing to be lenient for.
    let is_exact = text.starts_with(|c: char| c.is_ascii_digit()) && behind_unit(text).is_none();
    if is_exact { parse_duration(text, 1) } else { None }
}

fn within(number: i64, text: &str, name: &str, entry: &Entry) -> Result<i64, ValueError> {
    let (name, value) = (|| name.to_owned(), || text.to_owned());
    match (entry.min, entry.max) {
        (Some(min), _) if number < min => Err(ValueError::TooSmall { name: name(), value: value(), min }),
        (_, Some(max)) if number > max => Err(ValueError::TooLarge { name: name(), value: value(), max }),
        _ => Ok(number),
    }
}

/// The smallest length of a text.
fn long_enough(text: &str, name: &str, entry: &Entry) -> Result<(), ValueError> {
    match entry.min {
        Some(min) if i64::try_from(text.len()).unwrap_or(i64::MAX) < min => {
            Err(ValueError::Length { name: name.to_owned(), value: text.to_owned(), min })
        }
        _ => match entry.max {
            Some(max) if i64::try_from(text.len()).unwrap_or(i64::MAX) > max => {
                Err(ValueError::TooLong { name: name.to_owned(), value: text.to_owned(), max })
            }
            _ => Ok(()),
        },
    }
}

/// Checks that `text` is a value of `entry`, whatever its type.
pub(crate) fn check(text: &str, name: &str, entry: &Entry) -> Result<(), ValueError> {
    match entry.kind {
        Kind::Bool => bool::from_text(text, name, entry).map(drop),
        Kind::Int => i64::from_text(text, name, entry).map(drop),
        Kind::Duration { .. } | Kind::Milliseconds => Duration::from_text(text, name, entry).map(drop),
        Kind::Text | Kind::Path | Kind::Raw | Kind::List => long_enough(text, name, entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind) -> Entry {
        Entry {
            name: "x",
            default: "",
            computed: false,
            kind,
            min: Some(1),
            max: Some(1000),
            programs: &[],
            since: None,
            legacy: false,
            instead: None,
            implemented: true,
            refused: false,
            paragraph: "",
            subject: "basic",
        }
    }

    #[test]
    fn a_time_without_a_unit_counts_in_the_unit_of_the_default() {
        assert_eq!(parse_duration("5", 86_400), Some(Duration::from_secs(432_000)));
        assert_eq!(parse_duration("5m", 86_400), Some(Duration::from_secs(300)));
        for bad in ["", "x", "5x", "5 5", "-1", "99999999999999999999", "999999999w"] {
            assert_eq!(parse_duration(bad, 1), None, "{bad}");
        }
    }

    /// As Postfix 3.11 takes them: texts and seconds.
    const TAKEN: &str = "1 1|+1 1|+1s 1|010 10|00000000000000000000001 1|2h 7200|1w 604800|1ms 60|1mS 60|1s1s 1|1d2h 86400|\
        1h30 3600|1s-1s 1|2147483647 2147483647|35791393m 2147483580|596522h 2147479200|24854d 2147385600|\
        3549w 2146435200|0 0|s 0|m 0|ms 0|0ms 0|00 0";

    /// As Postfix 3.11 refuses them.
    const REFUSED: &str = "|10S|1M|1y|1us|-1|-1s|1.5|1 s|1x|99999999999|2147483648|35791394m|596523h|24855d|3550w|0x10|\
        0x1s|1e3|1_0|10 # x|1,000|-|+|++1|4294967297s|18446744073709551617|\u{ff11}";

    #[test]
    fn times_are_taken_or_refused_as_postfix_does() {
        for case in TAKEN.split('|') {
            let (text, seconds) = case.split_once(' ').unwrap();
            assert_eq!(parse_duration(text, 1), Some(Duration::from_secs(seconds.parse().unwrap())), "{text}");
        }
        for text in REFUSED.split('|') {
            assert_eq!(parse_duration(text, 1), None, "{text}");
        }
        assert_eq!(parse_duration(" 5s # x", 1), Some(Duration::from_secs(5)));
        assert_eq!(parse_duration("1d 2h", 1), Some(Duration::from_secs(86_400)));
    }

    #[test]
    fn text_behind_the_unit_of_a_time_is_found() {
        assert_eq!(behind_unit("10s # ten"), Some(" # ten"));
        assert_eq!(behind_unit("1h30"), Some("30"));
        assert_eq!((behind_unit("10s"), behind_unit("10"), behind_unit("")), (None, None, None));
    }

    /// As Postfix 3.11 takes them.
    #[test]
    fn numbers_have_32_bits_but_for_a_few() {
        let entry = Entry { min: None, max: None, ..entry(Kind::Int) };
        let number = |name: &str, text: &str| i64::from_text(text, name, &entry).ok();
        for (text, value) in [("+5", 5), (" 7", 7), ("010", 10), ("-0", 0), ("2147483647", 2_147_483_647)] {
            assert_eq!(number("x", text), Some(value), "{text}");
        }
        for text in ["", "5x", "5 6", "0x10", "2147483648", "-2147483649", "1k", "1e3", "5.0", "5 # x", "+", "-", "1_0"]
        {
            assert_eq!(number("x", text), None, "{text}");
        }
        assert_eq!(number("message_size_limit", "3000000000"), Some(3_000_000_000));
    }

    #[test]
    fn a_time_in_milliseconds_may_have_any_unit() {
        let parse = |text: &str| Duration::from_text(text, "x", &Entry { min: None, ..entry(Kind::Milliseconds) }).ok();
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse(" 250 "), Some(Duration::from_millis(250)));
        assert_eq!(parse("2s"), Some(Duration::from_secs(2)));
        assert_eq!(parse("0"), Some(Duration::ZERO));
        for bad in ["", "ms", "1.5s", "-1", "99999999999ms", "5x"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn values_out_of_bounds_are_errors_that_name_the_bound() {
        let entry = entry(Kind::Int);
        let error = |text: &str| i64::from_text(text, "x", &entry).unwrap_err().to_string();
        assert_eq!(error("0"), "invalid x parameter value 0 < 1");
        assert_eq!(error("1001"), "invalid x parameter value 1001 > 1000");
        assert_eq!(error("1x"), "bad numerical configuration: x = 1x");
    }

    #[test]
    fn times_and_texts_have_bounds_too() {
        let time = entry(Kind::Duration { unit: 1 });
        let error = |text: &str| Duration::from_text(text, "x", &time).unwrap_err().to_string();
        assert_eq!(error("0"), "invalid x: 0 (min 1)");
        assert_eq!(error("1h"), "invalid x: 3600 (max 1000)");
        assert_eq!(error("-1s"), "parameter x: bad time value or unit: -1s");
        let error = String::from_text("", "x", &entry(Kind::Text)).unwrap_err().to_string();
        assert_eq!(error, "bad string length 0 < 1: x = ");
    }

    #[test]
    fn yes_and_no_are_the_only_booleans() {
        let entry = entry(Kind::Bool);
        assert_eq!(bool::from_text("Yes", "x", &entry), Ok(true));
        assert_eq!(bool::from_text("no", "x", &entry), Ok(false));
        assert_eq!(
            bool::from_text("true", "x", &entry).unwrap_err().to_string(),
            "bad boolean configuration: x = true"
        );
    }
}
