//! What the log says became of the protection of a connection.

use std::fmt;

pub use smtp_client::Level;

/// One part of `tls=`: what was asked for, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// What was asked for.
    pub wanted: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is not known.
    Open,
    /// Just that.
    Met,
    /// Something less, which will do.
    Less(&'static str),
    /// Not that, and nothing else will do.
    Missed(Option<&'static str>),
}

impl Feature {
    /// Nothing is known yet.
    pub fn open(wanted: &'static str) -> Self {
        Self { wanted, outcome: Outcome::Open }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted;
        match self.outcome {
            Outcome::Open => write!(f, "{wanted}?"),
            Outcome::Met => f.write_str(wanted),
            Outcome::Less(actual) => write!(f, "{wanted}:{actual}"),
            Outcome::Missed(None) => write!(f, "!{wanted}"),
            Outcome::Missed(Some(actual)) => write!(f, "!{wanted}:{actual}"),
        }
    }
}

/// The value of `tls=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// The level.
    pub level: Feature,
    /// REQUIRETLS, where the message has it and somebody looks at it.
    pub requiretls: Option<Feature>,
}

impl Features {
    /// Nothing is known, not even what to ask for.
    pub fn unknown() -> Self {
        Self { level: Feature::open("unknown"), requiretls: None }
    }

    /// Nothing has become of a level yet.
    pub fn open(level: Level) -> Self {
        Self { level: Feature::open(level.name()), requiretls: None }
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.level.fmt(f)?;
        self.requiretls.iter().try_for_each(|feature| write!(f, "/{feature}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_what_became_of_what_was_asked_for() {
        let text = |wanted, outcome| Feature { wanted, outcome }.to_string();
        assert_eq!(text("may", Outcome::Less("none")), "may:none");
        assert_eq!(text("verify", Outcome::Missed(None)), "!verify");
        let level = Feature { wanted: "secure", outcome: Outcome::Missed(None) };
        let requiretls = Some(Feature { wanted: "requiretls", outcome: Outcome::Missed(Some("nostarttls")) });
        assert_eq!(Features { level, requiretls }.to_string(), "!secure/!requiretls:nostarttls");
        assert_eq!(Features::unknown().to_string(), "unknown?");
    }
}
