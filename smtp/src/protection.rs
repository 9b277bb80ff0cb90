//! Protection that main.cf asks for and that this program does not have yet: TLS.
//!
//! Mail for which protection was asked for waits; it is never sent without.

use dsn::Status;
use lookup::Maps;
use queue::SendOptions;

use crate::failure::Failure;

/// What is asked for.
#[cfg_attr(test, derive(Clone))]
pub struct Protection {
    /// smtp_tls_security_level, or what smtp_enforce_tls and smtp_use_tls say.
    pub level: Level,
    /// smtp_tls_policy_maps.
    pub policies: Maps,
    /// smtp_tls_security_level is empty because of an old level: the notice of each delivery.
    pub old_default: Option<String>,
    /// smtp_log_tls_feature_status.
    pub log_feature: bool,
}

/// How a connection is to be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Not at all.
    None,
    /// If the server can.
    May,
    /// Always; what exactly is asked for does not matter to a program that has nothing of it.
    Required,
}

impl Level {
    /// Reads smtp_tls_security_level or the first word of a policy.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "none" => Some(Self::None),
            "may" => Some(Self::May),
            "encrypt" | "dane" | "dane-only" | "half-dane" | "fingerprint" | "verify" | "secure" => {
                Some(Self::Required)
            }
            _ => None,
        }
    }
}

impl Protection {
    /// Why mail for this nexthop has to wait.
    pub fn obstacle(&self, nexthop: &str, send_options: SendOptions) -> Option<Failure> {
        if send_options.has(SendOptions::REQUIRETLS) {
            let reason = "Sender requested REQUIRETLS, but our TLS engine is unavailable";
            return Some(Failure::of_message(Status::new(4, 7, 10), reason));
        }
        match self.level_for(nexthop) {
            Ok(Level::Required) => {
                let reason = "TLS is required, but our TLS engine is unavailable";
                Some(Failure::of_host(Status::new(4, 7, 5), reason))
            }
            Ok(Level::None | Level::May) => None,
            Err(reason) => Some(Failure::of_message(Status::new(4, 7, 5), reason)),
        }
    }

    /// The value of `tls=` for a connection: the level, and what became of it.
    pub fn feature(&self, connected: bool) -> Option<String> {
        let text = match (self.level, connected) {
            (Level::May, true) => "may:none",
            (Level::May, false) => "may?",
            _ => "none",
        };
        self.log_feature.then(|| text.to_owned())
    }

    /// smtp_tls_policy_maps by nexthop and its parent domains, else smtp_tls_security_level.
    fn level_for(&self, nexthop: &str) -> Result<Level, String> {
        if self.policies.is_empty() {
            return Ok(self.level);
        }
        let failed = "TLS policy lookup error".to_owned();
        let key = nexthop.to_ascii_lowercase();
        let mut found = self.policies.lookup(key.as_bytes()).map_err(|_| failed.clone())?;
        let mut rest = key.as_str();
        while found.is_none() && !key.starts_with('[') {
            let Some((_, parent)) = rest.split_once('.') else { break };
            found = self.policies.lookup_partial(format!(".{parent}").as_bytes()).map_err(|_| failed.clone())?;
            rest = parent;
        }
        let Some(policy) = found else { return Ok(self.level) };
        let policy = String::from_utf8_lossy(&policy);
        let word = policy.split([' ', '\t', ',']).next().unwrap_or_default();
        Level::parse(word).ok_or_else(|| "client TLS configuration problem".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lookup::{OpenFlags, Settings};

    fn protection(level: Level, policies: &str) -> Protection {
        let open = |list| Maps::open(Settings::default(), "test", list, OpenFlags::default()).unwrap();
        Protection { level, policies: open(policies), old_default: None, log_feature: true }
    }

    fn obstacle(protection: &Protection, nexthop: &str) -> Option<String> {
        protection.obstacle(nexthop, SendOptions::default()).map(|failure| failure.reason)
    }

    #[test]
    fn mail_that_needs_tls_waits() {
        let needs = Some("TLS is required, but our TLS engine is unavailable".to_owned());
        assert_eq!(obstacle(&protection(Level::Required, ""), "d.test"), needs);
        assert_eq!(obstacle(&protection(Level::May, ""), "d.test"), None);
        let policies = protection(Level::May, "inline:{ d.test=encrypt, .e.test=secure, f.test=odd }");
        assert_eq!(obstacle(&policies, "D.test"), needs);
        assert_eq!(obstacle(&policies, "a.b.e.test"), needs);
        assert_eq!(obstacle(&policies, "e.test"), None);
        assert_eq!(obstacle(&policies, "f.test"), Some("client TLS configuration problem".to_owned()));
        let relaxed = protection(Level::Required, "inline:{ [d.test]:25=none }");
        assert_eq!(obstacle(&relaxed, "[d.test]:25"), None);
    }

    #[test]
    fn mail_that_needs_tls_all_the_way_waits() {
        let protection = protection(Level::None, "");
        assert!(protection.obstacle("other.test", SendOptions::REQUIRETLS).is_some());
    }

    #[test]
    fn the_log_says_what_became_of_the_level() {
        let may = protection(Level::May, "");
        assert_eq!((may.feature(true).as_deref(), may.feature(false).as_deref()), (Some("may:none"), Some("may?")));
    }
}
