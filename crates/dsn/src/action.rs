//! What became of a recipient (RFC 3464 2.3.3).

use std::fmt;

/// The Action field of a report. The last two are Postfix's own, for reports about address probes (`sendmail -bv`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Could not be delivered and will not be tried again.
    Failed,
    /// Not delivered yet, will be tried again.
    Delayed,
    /// Is in the mailbox.
    Delivered,
    /// Was handed to a system that does not report deliveries.
    Relayed,
    /// Was delivered to an alias with several addresses.
    Expanded,
    /// Would be delivered.
    Deliverable,
    /// Would not be delivered.
    Undeliverable,
}

impl Action {
    /// Every action.
    pub const ALL: [Action; 7] = [
        Action::Failed,
        Action::Delayed,
        Action::Delivered,
        Action::Relayed,
        Action::Expanded,
        Action::Deliverable,
        Action::Undeliverable,
    ];

    /// The word in reports and in the bounce, defer and trace logs.
    pub const fn name(self) -> &'static str {
        match self {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Delivered => "delivered",
            Action::Relayed => "relayed",
            Action::Expanded => "expanded",
            Action::Deliverable => "deliverable",
            Action::Undeliverable => "undeliverable",
        }
    }

    /// Reads the word; letter case does not matter.
    pub fn parse(word: &[u8]) -> Option<Action> {
        Self::ALL.into_iter().find(|action| action.name().as_bytes().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_read_back_from_its_name() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.to_string().to_uppercase().as_bytes()), Some(action));
        }
        assert_eq!(Action::parse(b"lost"), None);
    }
}
