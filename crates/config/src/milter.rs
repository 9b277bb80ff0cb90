//! Lists of milters, smtpd_milters and non_smtpd_milters, as long as nobody can ask one: each counts as one that does
//! not answer, and its default_action, or milter_default_action, says what that means.

/// What it means that milters do not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lapse {
    /// Nothing: there are none, or all of them may be missing.
    #[default]
    Nothing,
    /// quarantine: mail is taken into the hold queue.
    Hold,
    /// tempfail: no mail for now.
    Tempfail,
    /// reject: no mail.
    Reject,
    /// shutdown: no mail for now, and the connection is closed.
    Shutdown,
    /// What is to be done cannot be understood: no mail for now.
    Misconfigured,
}

impl Lapse {
    fn parse(action: &str) -> Lapse {
        match action.to_ascii_lowercase().as_str() {
            "accept" => Lapse::Nothing,
            "quarantine" => Lapse::Hold,
            "tempfail" => Lapse::Tempfail,
            "reject" => Lapse::Reject,
            "shutdown" => Lapse::Shutdown,
            _ => Lapse::Misconfigured,
        }
    }
}

/// One milter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Milter {
    /// `inet:host:port`
    pub service: String,
    /// What it means that it does not answer.
    pub lapse: Lapse,
}

/// The milters of a list. An error is the sentence that a program ends with.
pub fn parse(list: &str, default_action: &str) -> Result<Vec<Milter>, String> {
    let milter = |item: &str| {
        let mut words = text::split_list(item).into_iter();
        let service = words.next().unwrap_or_default().to_owned();
        let mut action = default_action.to_owned();
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name.trim() {
                "default_action" => value.trim().clone_into(&mut action),
                "command_timeout" | "connect_timeout" | "content_timeout" | "protocol" => {}
                _ => return Err(format!("unknown option: \"{}\"", text::printable(word.as_bytes()))),
            }
        }
        Ok(Milter { service, lapse: Lapse::parse(&action) })
    };
    text::split_list(list).into_iter().map(milter).collect()
}

/// Milters are asked one after the other until one has an answer: the first whose absence means something, and what
/// that is. `missed` is told each that is asked.
pub fn lapse(milters: &[Milter], mut missed: impl FnMut(&str)) -> Lapse {
    let decides =
        milters.iter().inspect(|milter| missed(&milter.service)).find(|milter| milter.lapse != Lapse::Nothing);
    decides.map_or(Lapse::Nothing, |milter| milter.lapse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_milter_that_may_not_be_missing_decides() {
        let lapse = |list| parse(list, "tempfail").map(|milters| super::lapse(&milters, |_| {}));
        assert_eq!(lapse(""), Ok(Lapse::Nothing));
        assert_eq!(lapse("inet:a:1 inet:b:2"), Ok(Lapse::Tempfail));
        assert_eq!(lapse("{inet:a:1, default_action=accept, protocol=6}"), Ok(Lapse::Nothing));
        assert_eq!(lapse("{inet:a:1, default_action=accept}, unix:b"), Ok(Lapse::Tempfail));
        assert_eq!(lapse("{ inet:a:1, {default_action = Reject} } unix:b"), Ok(Lapse::Reject));
        assert_eq!(lapse("{inet:a:1, default_action=}"), Ok(Lapse::Misconfigured));
        assert!(lapse("{inet:a:1, bogus=x}").is_err());
    }
}
