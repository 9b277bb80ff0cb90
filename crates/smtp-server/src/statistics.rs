//! What a session did, for the line at its end: `ehlo=1 mail=1/2 ... commands=5/6`.

use std::fmt;

use smtp_protocol::Verb;

/// Commands of one session: how many, and how many of them went well.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    counts: [(u32, u32); Verb::ALL.len()],
    bare_lf: bool,
}

impl Statistics {
    /// Counts one command.
    pub fn count(&mut self, verb: Verb, ok: bool) {
        let (good, all) = &mut self.counts[verb as usize];
        *good += u32::from(ok);
        *all += 1;
    }

    /// A command or a line of content ended in a bare LF, and that is to be noted.
    pub fn note_bare_lf(&mut self) {
        self.bare_lf = true;
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut good, mut all) = (0, 0);
        for verb in Verb::ALL {
            let count = self.counts[verb as usize];
            if count.1 > 0 {
                item(f, &verb.name().to_ascii_lowercase(), count)?;
                f.write_str(" ")?;
            }
            good += count.0;
            all += count.1;
        }
        if all == 0 {
            f.write_str("commands=0/0")?
        } else {
            item(f, "commands", (good, all))?
        }
        if self.bare_lf { f.write_str(" notes=bare_lf") } else { Ok(()) }
    }
}

fn item(f: &mut fmt::Formatter<'_>, name: &str, (good, all): (u32, u32)) -> fmt::Result {
    if good == all { write!(f, "{name}={good}") } else { write!(f, "{name}={good}/{all}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_shown_only_where_something_failed() {
        let mut statistics = Statistics::default();
        for (verb, ok) in [(Verb::Unknown, false), (Verb::Mail, true), (Verb::Mail, false), (Verb::Ehlo, true)] {
            statistics.count(verb, ok);
        }
        assert_eq!(statistics.to_string(), "ehlo=1 mail=1/2 unknown=0/1 commands=2/4");
    }

    #[test]
    fn a_session_without_commands_says_so() {
        assert_eq!(Statistics::default().to_string(), "commands=0/0");
    }
}
