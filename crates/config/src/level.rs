//! Compatibility levels: `major.minor.patch`, as compatibility_level and `<level` comparisons use them.

use std::fmt;

/// A compatibility level; missing parts are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Level {
    /// `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Level {
        Level { major, minor, patch: 0 }
    }

    /// Parses `3`, `3.6` or `3.6.1`.
    pub fn parse(text: &str) -> Option<Level> {
        let mut numbers = [0u32; 3];
        let mut parts = text.split('.');
        // told: the caller, who looks for a fourth number.
        for (index, part) in parts.by_ref().take(3).enumerate() {
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            numbers[index] = part.parse().ok()?;
        }
        match parts.next() {
            Some(_) => None,
            None => Some(Level { major: numbers[0], minor: numbers[1], patch: numbers[2] }),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level { major, minor: 0, patch: 0 } => write!(f, "{major}"),
            Level { major, minor, patch: 0 } => write!(f, "{major}.{minor}"),
            Level { major, minor, patch } => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_compare_part_by_part_as_numbers() {
        assert!(Level::parse("3.6") < Level::parse("3.11"));
        assert!(Level::parse("2") < Level::parse("3"));
        assert_eq!(Level::parse("3"), Some(Level::new(3, 0)));
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for text in ["", "x", "3.", ".6", "3.6.1.2", "-1", "3.x", "99999999999"] {
            assert_eq!(Level::parse(text), None, "{text}");
        }
    }
}
