//! milter_default_action: what is to become of mail where a filter is out of order.

use crate::filter::Verdict;
use crate::reply::Said;

const LATER: &str = "Service unavailable - try again later";
const CONFUSED: &str = "Server configuration problem - try again later";

/// The value of milter_default_action, or of a filter's own default_action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// accept
    Accept,
    /// reject
    Reject,
    /// tempfail
    Tempfail,
    /// quarantine
    Quarantine,
    /// shutdown
    Shutdown,
    /// A word that nobody knows.
    Unknown(String),
}

impl Action {
    /// The action of this name, in any case.
    pub fn parse(name: &str) -> Action {
        match name.to_ascii_lowercase().as_str() {
            "accept" => Action::Accept,
            "reject" => Action::Reject,
            "tempfail" => Action::Tempfail,
            "quarantine" => Action::Quarantine,
            "shutdown" => Action::Shutdown,
            _ => Action::Unknown(name.to_owned()),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Action::Accept => "accept",
            Action::Reject => "reject",
            Action::Tempfail => "tempfail",
            Action::Quarantine => "quarantine",
            Action::Shutdown => "shutdown",
            Action::Unknown(name) => name,
        }
    }

    /// What the filter at `service` is taken to say from now on, for it does not work.
    pub fn of_failure(&self, service: &str) -> Verdict {
        match self {
            Action::Accept => Verdict::Continue,
            Action::Reject => Verdict::Say(Said::line(550, "5.5.0 Service unavailable")),
            Action::Tempfail => Verdict::Say(Said::line(451, &format!("4.7.1 {LATER}"))),
            Action::Shutdown => Verdict::Say(Said::line(421, &format!("4.7.1 {LATER}"))),
            Action::Quarantine => Verdict::Hold(b"default_action".to_vec()),
            Action::Unknown(name) => {
                let name = text::printable(name.as_bytes());
                logging::warning!("milter {service}: unrecognized default action: {name}");
                Verdict::Say(Said::line(451, &format!("4.3.5 {CONFUSED}")))
            }
        }
    }

    /// The same where it cannot work, whoever is asked again.
    pub fn of_mistake(&self) -> Verdict {
        match self {
            Action::Accept => Verdict::Continue,
            Action::Quarantine => Verdict::Hold(b"default_action".to_vec()),
            Action::Shutdown => Verdict::Say(Said::line(421, &format!("4.3.5 {CONFUSED}"))),
            Action::Reject | Action::Tempfail | Action::Unknown(_) => {
                Verdict::Say(Said::line(451, &format!("4.3.5 {CONFUSED}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_does_not_work_is_as_good_as_its_action() {
        let said = |verdict| match verdict {
            Verdict::Say(said) => String::from_utf8_lossy(said.text()).into_owned(),
            Verdict::Hold(reason) => format!("hold: {}", String::from_utf8_lossy(&reason)),
            other => format!("{other:?}"),
        };
        for (name, failure, mistake) in [
            ("Accept", "Continue", "Continue"),
            ("reject", "550 5.5.0 Service unavailable", "451 4.3.5 Server configuration problem - try again later"),
            (
                "tempfail",
                "451 4.7.1 Service unavailable - try again later",
                "451 4.3.5 Server configuration problem - try again later",
            ),
            (
                "shutdown",
                "421 4.7.1 Service unavailable - try again later",
                "421 4.3.5 Server configuration problem - try again later",
            ),
            ("quarantine", "hold: default_action", "hold: default_action"),
            (
                "x",
                "451 4.3.5 Server configuration problem - try again later",
                "451 4.3.5 Server configuration problem - try again later",
            ),
        ] {
            let action = Action::parse(name);
            assert_eq!((said(action.of_failure("s")), said(action.of_mistake())), (failure.into(), mistake.into()));
            assert_eq!(Action::parse(action.name()), action);
        }
    }
}
