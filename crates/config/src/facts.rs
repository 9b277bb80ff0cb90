//! What the parameter table says, in words: for the reference in docs/parameters and for `postconf --explain`.

use crate::entry::{Entry, Kind};

/// The type; `unit` is what a number without one counts.
pub fn kind(kind: &str, unit: &str) -> String {
    let unit = match unit {
        "ms" => "milliseconds",
        "m" => "minutes",
        "h" => "hours",
        "d" => "days",
        "w" => "weeks",
        _ => "seconds",
    };
    match kind {
        "bool" => "yes or no".to_owned(),
        "int" => "number".to_owned(),
        "raw" => "text, expanded where it is used".to_owned(),
        "duration" => format!("duration, in {unit} when no unit is given"),
        kind => kind.to_owned(),
    }
}

/// The bounds of a number or a duration; of a text, those of its length.
pub fn bounds(kind: &str, min: Option<i64>, max: Option<i64>) -> Option<String> {
    let counted = matches!(kind, "int" | "duration");
    Some(match (min, max, counted) {
        (None, None, _) => return None,
        (Some(min), Some(max), true) => format!("{min} to {max}"),
        (Some(min), None, true) => format!("at least {min}"),
        (None, Some(max), true) => format!("at most {max}"),
        (Some(1), None, false) => "not empty".to_owned(),
        (Some(min), None, false) => format!("at least {min} characters"),
        (None, Some(max), false) => format!("at most {max} characters"),
        (Some(min), Some(max), false) => format!("{min} to {max} characters"),
    })
}

/// The version that introduced a parameter; the paragraph of one of our own says so.
pub fn since(version: Option<&str>, paragraph: &str) -> String {
    match version {
        Some(version) => format!("since Postfix {version}"),
        None if paragraph.starts_with("Ours:") => "not in Postfix".to_owned(),
        None => "since Postfix 2.0 or before".to_owned(),
    }
}

impl Entry {
    /// [`kind`] of this parameter.
    pub fn kind_in_words(&self) -> String {
        let unit = match self.kind {
            Kind::Milliseconds => "ms",
            Kind::Duration { unit: 60 } => "m",
            Kind::Duration { unit: 3600 } => "h",
            Kind::Duration { unit: 86_400 } => "d",
            Kind::Duration { unit: 604_800 } => "w",
            _ => "s",
        };
        kind(self.kind.name(), unit)
    }

    /// [`bounds`] of this parameter.
    pub fn bounds_in_words(&self) -> Option<String> {
        bounds(self.kind.name(), self.min, self.max)
    }

    /// [`since`] of this parameter.
    pub fn since_in_words(&self) -> String {
        since(self.since, self.paragraph)
    }
}
