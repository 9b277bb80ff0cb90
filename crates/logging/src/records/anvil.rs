//! What anvil says: the highest counts since its last report.

use std::fmt;

use crate::record::{ALWAYS, records};

records! {
    program "anvil";

    /// The highest value of a kind since the last report, whose it was and when.
    Statistic<'a>: Info "statistic" {
        /// `connection rate`, `connection count`, `message rate`, `recipient rate`, `newtls rate`, `auth rate`, `cache
        /// size`.
        what: &'a str,
        /// The value.
        value: u32,
        /// Seconds in which so many were counted, for rates.
        seconds: Option<u64>,
        /// `service:address`; nobody for the size of the cache.
        client: Option<&'a str>,
        /// When, as [`crate::moment`] shows it.
        at: String,
    }
    members(line) {
        statistic: Text, ALWAYS, "What was counted: `connection rate`, `connection count`, `message rate`, `recipient rate`, \
            `newtls rate`, `auth rate` or `cache size`." = line.what;
        max: Integer, ALWAYS, "The highest value." = line.value;
        seconds: Integer, "of rates", "The time in which so many were counted." = line.seconds;
        client: Text, "not of `cache size`", "Whose it was: the service, a colon, and the address of the client or the network \
            that counts as one." = line.client;
        at: Text, ALWAYS, "When it was reached, in local time." = &line.at;
    }
    example {
        what: "connection rate",
        value: 3,
        seconds: Some(60),
        client: Some("smtp:192.0.2.7"),
        at: "Nov 22 11:20:56".to_owned(),
    }
}

impl fmt::Display for Statistic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statistics: max {} {}", self.what, self.value)?;
        if let Some(seconds) = self.seconds {
            write!(f, "/{seconds}s")?;
        }
        if let Some(client) = self.client {
            write!(f, " for ({client})")?;
        }
        write!(f, " at {}", self.at)
    }
}
