//! Delays as log lines show them: two significant digits.

/// Formats seconds as `delay=` and `delays=` do: two significant digits, at most `decimals` places
/// (delay_logging_resolution_limit), rounded half up, without trailing zeros; below the resolution, `0`.
pub fn format(seconds: f64, decimals: u8) -> String {
    let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
    let places = match seconds {
        s if s >= 10.0 => 0,
        s if s >= 1.0 => 1,
        s if s >= 0.1 => 2,
        s if s >= 0.01 => 3,
        s if s >= 0.001 => 4,
        s if s >= 0.0001 => 5,
        _ => 6,
    };
    let places = usize::from(decimals.min(6)).min(places);
    let scale = 10f64.powi(places as i32);
    let text = format!("{:.*}", places, (seconds * scale + 0.5).floor() / scale);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn delays_have_two_significant_digits() {
        let cases = [
            (0.006, "0.01"),
            (0.004, "0"),
            (0.14, "0.14"),
            (1.6, "1.6"),
            (2.24, "2.2"),
            (12.3, "12"),
            (607.4, "607"),
            (0.1, "0.1"),
            (2.0, "2"),
            (0.0, "0"),
            (-1.0, "0"),
            (f64::NAN, "0"),
        ];
        for (seconds, text) in cases {
            assert_eq!(format(seconds, 2), text, "{seconds}");
        }
    }

    #[test]
    fn a_finer_resolution_shows_shorter_delays() {
        assert_eq!(format(0.004, 3), "0.004");
        assert_eq!(format(0.00123, 6), "0.0012");
    }
}
