//! Broken-down time in the zone of the machine.
//!
//! The zone data is read from `/etc/localtime` (or `$TZ`) at the first call and kept by the C library: a program that
//! enters a sandbox calls [`local`] once before it does.
#![expect(unsafe_code, reason = "localtime_r and strftime have no safe wrapper in std or nix")]

use std::ffi::CStr;

/// A moment as the clock on the wall shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, as written (2026).
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 60.
    pub second: u8,
    /// Day of the week, 0 is Sunday.
    pub weekday: u8,
    /// Seconds east of UTC.
    pub offset: i32,
    /// Name of the zone (`UTC`, `CEST`).
    pub zone: String,
}

/// The local time at `unix` seconds since 1970; UTC where the C library refuses (a year out of its range).
pub fn local(unix: i64) -> Civil {
    // SAFETY: both structures are plain data, valid when zeroed; localtime_r writes it and keeps no pointer to it.
    let tm = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        // The type of a time has another name in every C library; a field of that type has none.
        let mut clock: libc::timespec = std::mem::zeroed();
        clock.tv_sec = unix as _;
        if libc::localtime_r(&clock.tv_sec, &mut tm).is_null() {
            return utc(unix);
        }
        tm
    };
    let (offset, zone) = zone(&tm);
    Civil {
        year: i64::from(tm.tm_year) + 1900,
        month: tm.tm_mon as u8 + 1,
        day: tm.tm_mday as u8,
        hour: tm.tm_hour as u8,
        minute: tm.tm_min as u8,
        second: tm.tm_sec as u8,
        weekday: tm.tm_wday as u8,
        offset,
        zone,
    }
}

/// The local time at `unix` seconds since 1970 in the notation of strftime(3); `None` for one that is longer than a
/// file name, or not in the C library's reach.
pub fn formatted(unix: i64, format: &CStr) -> Option<String> {
    let mut text = [0u8; 256];
    // SAFETY: both structures are plain data, valid when zeroed; localtime_r writes it and keeps no pointer to it. The
    // C library writes at most so many bytes as the buffer has, and reads a live structure and a string with its end.
    let length = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        let mut clock: libc::timespec = std::mem::zeroed();
        clock.tv_sec = unix as _;
        if libc::localtime_r(&clock.tv_sec, &mut tm).is_null() {
            return None;
        }
        libc::strftime(text.as_mut_ptr().cast(), text.len(), format.as_ptr(), &tm)
    };
    // A length of 0 is one of no characters as well; such a text is no use to anybody.
    let text = text.get(..length).filter(|text| !text.is_empty())?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Seconds east of UTC, and the name of the zone.
#[cfg(not(any(target_os = "illumos", target_os = "solaris", target_os = "aix")))]
fn zone(tm: &libc::tm) -> (i32, String) {
    let zone = if tm.tm_zone.is_null() {
        String::new()
    } else {
        // SAFETY: tm_zone points to a string of the C library that lives until the zone is changed by tzset, which
        // nothing in this program calls; it is copied at once.
        unsafe { CStr::from_ptr(tm.tm_zone) }.to_string_lossy().into_owned()
    };
    (tm.tm_gmtoff as i32, zone)
}

/// Seconds east of UTC, and the name of the zone, from `+0200 CEST`: these systems keep them to themselves.
#[cfg(any(target_os = "illumos", target_os = "solaris", target_os = "aix"))]
fn zone(tm: &libc::tm) -> (i32, String) {
    let mut text = [0u8; 64];
    // SAFETY: the C library writes at most so many bytes as the buffer has, reads the live structure, and a constant
    // string.
    let length = unsafe { libc::strftime(text.as_mut_ptr().cast(), text.len(), c"%z %Z".as_ptr(), tm) };
    let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default());
    let (offset, zone) = text.split_once(' ').unwrap_or((&text, ""));
    let number = offset.parse::<i32>().unwrap_or(0);
    ((number / 100 * 60 + number % 100) * 60, zone.to_owned())
}

/// The same moment in UTC; needs no zone data.
pub fn utc(unix: i64) -> Civil {
    let days = unix.div_euclid(86_400);
    let second_of_day = unix.rem_euclid(86_400);
    let (year, month, day) = date_of(days);
    Civil {
        year,
        month,
        day,
        hour: (second_of_day / 3600) as u8,
        minute: (second_of_day / 60 % 60) as u8,
        second: (second_of_day % 60) as u8,
        weekday: (days + 4).rem_euclid(7) as u8,
        offset: 0,
        zone: "UTC".to_owned(),
    }
}

/// The proleptic Gregorian date of a count of days since 1970-01-01: eras of 400 years that begin in March, so that the
/// leap day is the last of its year.
fn date_of(days: i64) -> (i64, u8, u8) {
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_of_a_known_moment() {
        let civil = utc(1_795_346_012);
        assert_eq!((civil.year, civil.month, civil.day), (2026, 11, 22));
        assert_eq!((civil.hour, civil.minute, civil.second, civil.weekday), (11, 13, 32, 0));
    }

    #[test]
    fn utc_before_1970_and_on_a_leap_day() {
        assert_eq!((utc(-1).year, utc(-1).month, utc(-1).day, utc(-1).weekday), (1969, 12, 31, 3));
        assert_eq!((utc(951_782_400).month, utc(951_782_400).day), (2, 29));
    }

    #[test]
    fn a_format_has_the_conversions_of_the_c_library() {
        let civil = local(1_795_346_012);
        let date = format!("{}-{:02}-{:02}", civil.year, civil.month, civil.day);
        assert_eq!(formatted(1_795_346_012, c"%F"), Some(date.clone()));
        assert_eq!(formatted(1_795_346_012, c"a%%%Y-%m-%d"), Some(format!("a%{date}")));
        assert_eq!(formatted(1_795_346_012, c"%j").map(|day| day.len()), Some(3));
        assert_eq!(formatted(1_795_346_012, c""), None);
        let long = std::ffi::CString::new("%F".repeat(100)).unwrap();
        assert_eq!(formatted(1_795_346_012, &long), None);
    }

    #[test]
    fn local_time_differs_from_utc_by_its_offset() {
        let civil = local(1_795_346_012);
        let shifted = utc(1_795_346_012 + i64::from(civil.offset));
        assert_eq!((civil.day, civil.hour, civil.minute), (shifted.day, shifted.hour, shifted.minute));
    }
}
