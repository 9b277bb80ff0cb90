//! Dates as they stand in headers, in mailboxes, and in generated names.

use sys::time::{Civil, local, utc};

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sun, 22 Nov 2026 11:30:15 +0000 (UTC)` in the local zone (RFC 5322 3.3; the day has two digits, as in Postfix 3.11,
/// where older versions have a blank before one).
pub fn rfc5322(unix: i64) -> String {
    format_rfc5322(&local(unix))
}

/// The same for a moment already broken down: lets tests and other zones use it.
pub fn format_rfc5322(civil: &Civil) -> String {
    let sign = if civil.offset < 0 { '-' } else { '+' };
    let minutes = civil.offset.unsigned_abs() / 60;
    let mut out = format!(
        "{}, {:02} {} {} {:02}:{:02}:{:02} {sign}{:02}{:02}",
        day_name(civil),
        civil.day,
        month_name(civil),
        civil.year,
        civil.hour,
        civil.minute,
        civil.second,
        minutes / 60,
        minutes % 60,
    );
    if !civil.zone.is_empty() {
        out.push_str(&format!(" ({})", civil.zone));
    }
    out
}

/// `Sun Nov 22 11:30:15 2026`, local time: the date of a mailbox `From ` line (asctime).
pub fn asctime(unix: i64) -> String {
    let civil = local(unix);
    format!(
        "{} {} {:2} {:02}:{:02}:{:02} {}",
        day_name(&civil),
        month_name(&civil),
        civil.day,
        civil.hour,
        civil.minute,
        civil.second,
        civil.year
    )
}

/// `20261122113015`, UTC: the first part of a generated Message-Id.
pub fn compact_utc(unix: i64) -> String {
    let civil = utc(unix);
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second
    )
}

fn day_name(civil: &Civil) -> &'static str {
    DAYS[usize::from(civil.weekday) % 7]
}

fn month_name(civil: &Civil) -> &'static str {
    MONTHS[(usize::from(civil.month) + 11) % 12]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(offset: i32, zone: &str, unix: i64) -> String {
        let mut civil = utc(unix + i64::from(offset));
        civil.offset = offset;
        civil.zone = zone.to_owned();
        format_rfc5322(&civil)
    }

    #[test]
    fn the_date_has_postfix_form() {
        assert_eq!(at(0, "UTC", 1_795_347_015), "Sun, 22 Nov 2026 11:30:15 +0000 (UTC)");
        assert_eq!(at(-12_600, "NST", 1_795_347_015), "Sun, 22 Nov 2026 08:00:15 -0330 (NST)");
        assert_eq!(at(7200, "CEST", 1_780_308_000), "Mon, 01 Jun 2026 12:00:00 +0200 (CEST)");
    }

    #[test]
    fn a_compact_date_is_utc() {
        assert_eq!(compact_utc(1_795_347_015), "20261122113015");
    }

    proptest! {
        #[test]
        fn any_moment_has_a_date_and_never_panics(unix in any::<i64>()) {
            prop_assert!(rfc5322(unix).contains(':'));
            prop_assert!(asctime(unix).contains(':'));
            prop_assert!(compact_utc(unix).len() >= 14);
        }
    }
}
