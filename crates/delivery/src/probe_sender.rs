//! The sender of probes of address verification. address_verify_sender, address_verify_sender_ttl
//!
//! With a time to live the address changes with time, so that one which was seen in a probe is soon nobody's. Who sends
//! probes and who takes what comes back agree on it without a word.

use std::time::Duration;

use config::{Config, ValueError, param};

/// The digits of the part that changes: no vowels, so that they make no words.
const DIGITS: &[u8; 31] = b"0123456789BCDFGHJKLMNPQRSTVWXYZ";

/// The sender of probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSender {
    /// Empty: the null sender.
    local: String,
    /// With its `@`, or empty.
    domain: String,
    /// In seconds; 0: it never changes.
    lifetime: u64,
}

impl ProbeSender {
    /// Reads the settings.
    ///
    /// # Errors
    /// One that makes no sense.
    pub fn read(config: &Config) -> Result<Self, ValueError> {
        let address: String = config.get(param::ADDRESS_VERIFY_SENDER)?;
        let lifetime: Duration = config.get(param::ADDRESS_VERIFY_SENDER_TTL)?;
        let address = if address.trim() == "<>" { "" } else { address.trim() };
        let (local, domain) = match address.rsplit_once('@') {
            Some((local, domain)) => (local, format!("@{domain}")),
            None if address.is_empty() => ("", String::new()),
            None => (address, format!("@{}", config.get(param::MYORIGIN)?)),
        };
        Ok(Self { local: local.to_owned(), domain, lifetime: lifetime.as_secs() })
    }

    /// The address at this time, in seconds since 1970; empty for the null sender.
    pub fn at(&self, now: u64) -> String {
        self.in_period(now.checked_div(self.lifetime))
    }

    /// Whether an address is the sender of a probe of now, the time before it or the one after it. The null sender is
    /// nobody's address.
    pub fn is(&self, address: &[u8], now: u64) -> bool {
        let is_of = |period| self.in_period(period).as_bytes().eq_ignore_ascii_case(address);
        !self.local.is_empty()
            && match now.checked_div(self.lifetime) {
                None => is_of(None),
                Some(period) => (period.saturating_sub(1)..=period.saturating_add(1)).any(|period| is_of(Some(period))),
            }
    }

    fn in_period(&self, period: Option<u64>) -> String {
        if self.local.is_empty() {
            return String::new();
        }
        format!("{}{}{}", self.local, period.map(number).unwrap_or_default(), self.domain)
    }
}

/// A number in digits of ours.
fn number(mut value: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from(DIGITS[(value % 31) as usize]));
        value /= 31;
        if value == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn sender(settings: &str) -> ProbeSender {
        let text = format!("myhostname = mx.test\nmyorigin = mail.test\n{settings}\n");
        ProbeSender::read(&Config::parse(text.as_bytes(), Path::new("/proc/self/none"), &[]).unwrap()).unwrap()
    }

    #[test]
    fn without_a_time_to_live_it_is_always_the_same() {
        let fixed = sender("");
        assert_eq!(fixed.at(1_796_077_144), "double-bounce@mail.test");
        assert!(fixed.is(b"DOUBLE-bounce@mail.test", 1));
        assert!(!fixed.is(b"double-bounce", 1) && !fixed.is(b"double-bounce+x@mail.test", 1) && !fixed.is(b"", 1));
    }

    /// As observed on C Postfix.
    #[test]
    fn with_one_it_has_the_time_in_it() {
        let timed = sender("address_verify_sender = probe@lab.test\naddress_verify_sender_ttl = 3607s");
        let now = 1_796_077_144;
        assert_eq!(timed.at(now), "probeJQ4N@lab.test");
        for time in [now - 3607, now, now + 3607] {
            assert!(timed.is(timed.at(time).as_bytes(), now));
        }
        for time in [now - 2 * 3607, now + 2 * 3607] {
            assert!(!timed.is(timed.at(time).as_bytes(), now));
        }
        assert!(!timed.is(b"probe@lab.test", now));
    }

    #[test]
    fn the_null_sender_is_nobody() {
        for value in ["", "<>"] {
            let null = sender(&format!("address_verify_sender = {value}\naddress_verify_sender_ttl = 1h"));
            assert_eq!(null.at(7), "");
            assert!(!null.is(b"", 7));
        }
    }
}
