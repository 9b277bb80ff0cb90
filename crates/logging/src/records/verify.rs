//! What verify says: what its cache holds.

use std::fmt;

use crate::record::{ALWAYS, records};

records! {
    program "verify";

    /// What has expired was taken out of a cache.
    Cleanup<'a>: Info "cleanup" {
        /// `type:name` of the cache.
        map: &'a str,
        /// It did not get to the end.
        partial: bool,
        /// Entries that stay.
        retained: u64,
        /// Entries that are gone.
        dropped: u64,
    }
    members(line) {
        cache: Text, ALWAYS, "The table, as main.cf names it; `internal:verify` for one in memory." = line.map;
        extent: Text, ALWAYS, "`full`, or `partial` if the end was not reached." = extent(line.partial);
        retained: Integer, ALWAYS, "Entries that stay." = line.retained;
        dropped: Integer, ALWAYS, "Entries that are gone." = line.dropped;
    }
    example {
        map: "lmdb:/var/lib/postfix/verify_cache",
        partial: false,
        retained: 1203,
        dropped: 17,
    }
}

fn extent(partial: bool) -> &'static str {
    if partial { "partial" } else { "full" }
}

impl fmt::Display for Cleanup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (map, extent) = (self.map, extent(self.partial));
        write!(f, "cache {map} {extent} cleanup: retained={} dropped={} entries", self.retained, self.dropped)
    }
}
