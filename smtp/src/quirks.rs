//! What is done about servers that do not do what they say, or what stands in front of them.

use std::fmt;
use std::time::Duration;

use config::Reader;
use config::param::twin;
use daemon::StartError;
use lookup::{Maps, TableError};
use smtp_client::{Endpoint, Server};
use smtp_protocol::Reply;
use smtp_protocol::keywords::{SILENT, discardable};

use crate::configure::{self, upper};

config::settings! {
    /// Settings about servers that need them.
    #[derive(Clone)]
    pub struct Quirks, error StartError {
        /// Upper case.
        discard: Vec<String> = twin::DISCARD_EHLO_KEYWORDS => upper,
        discard_by_address: Maps => |from: &Reader<'_>| configure::maps(from, twin::DISCARD_EHLO_KEYWORD_ADDRESS_MAPS),
        pix: Vec<String> = twin::PIX_WORKAROUNDS,
        pix_by_address: Maps => |from: &Reader<'_>| configure::maps(from, twin::PIX_WORKAROUND_MAPS),
        pix_delay: Duration = twin::PIX_WORKAROUND_DELAY_TIME,
        /// How old a message has to be for the delay.
        pix_threshold: Duration = twin::PIX_WORKAROUND_THRESHOLD_TIME,
        reply_filter: Maps => |from: &Reader<'_>| configure::maps(from, twin::REPLY_FILTER),
    }
}

impl fmt::Debug for Quirks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Quirks").finish_non_exhaustive()
    }
}

/// What is done about a firewall that changes what is said through it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pix {
    /// HELO alone.
    pub no_ehlo: bool,
    /// The end of data comes by itself, after so long.
    pub delay: Option<Duration>,
}

impl Quirks {
    /// A table that has changed on disk.
    pub fn changed(&self) -> Option<&str> {
        [&self.discard_by_address, &self.pix_by_address, &self.reply_filter].into_iter().find_map(Maps::changed)
    }

    /// The keywords (upper case) that do not count of what a server announces, which is logged.
    ///
    /// # Errors
    /// The table has no answer: the parameter, and the address that it was asked for.
    pub fn discarded(&self, server: &Server) -> Result<Vec<String>, String> {
        let listed = match by_address(&self.discard_by_address, server) {
            Ok(listed) => listed.map_or_else(|| self.discard.clone(), upper),
            Err((_, address)) => {
                return Err(format!("{} map lookup error for {address}", self.discard_by_address.title()));
            }
        };
        let discarded = discardable(&listed);
        if !discarded.is_empty() && !discarded.iter().any(|keyword| keyword == SILENT) {
            logging::info!("discarding EHLO keywords: {}", discarded.join(", "));
        }
        Ok(discarded)
    }

    /// What is done about a server, going by its greeting; `age`: of the message, in seconds. `id`: whose it is.
    pub fn pix(&self, greeting: &Reply, server: &Server, age: f64, id: &queue::QueueId) -> Pix {
        if !is_pix(greeting) {
            return Pix::default();
        }
        let listed = by_address(&self.pix_by_address, server).ok().flatten().unwrap_or_else(|| self.pix.clone());
        let has = |name: &str| listed.iter().any(|word| word.eq_ignore_ascii_case(name));
        let delays = has("delay_dotcrlf") && age >= self.pix_threshold.as_secs_f64();
        let pix = Pix { no_ehlo: has("disable_esmtp"), delay: delays.then_some(self.pix_delay) };
        if !listed.is_empty() {
            let names = [(pix.no_ehlo, "disable_esmtp"), (delays, "delay_dotcrlf")];
            let names: Vec<_> = names.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name).collect();
            logging::info!(id: id, "enabling PIX workarounds: {} for {}", names.join(", "), server.relay());
        }
        pix
    }

    /// Whether replies pass through a filter.
    pub fn filters_replies(&self) -> bool {
        !self.reply_filter.is_empty()
    }

    /// What stands for a line of a reply; `None`: itself.
    ///
    /// # Errors
    /// The table has no answer.
    pub fn filtered(&self, line: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        self.reply_filter.lookup(text::printable(line).as_bytes())
    }
}

/// The words that a table has for the address of a server.
///
/// # Errors
/// It has no answer, and for which address.
fn by_address(maps: &Maps, server: &Server) -> Result<Option<Vec<String>>, (TableError, String)> {
    let Endpoint::Internet(address) = &server.endpoint else { return Ok(None) };
    let address = net::Shown(address.ip()).to_string();
    let found = maps.lookup(address.as_bytes()).map_err(|error| (error, address))?;
    Ok(found.map(|words| text::split_list(&String::from_utf8_lossy(&words)).into_iter().map(str::to_owned).collect()))
}

/// Whether a greeting has passed a firewall that hides what the server is.
fn is_pix(greeting: &Reply) -> bool {
    let mut lines = greeting.lines();
    let (first, others) = (lines.next().unwrap_or_default(), lines.count());
    others == 0 && first.contains(&b'*') && first.iter().all(|byte| matches!(byte, b'*' | b'0' | b'2' | b' '))
}

#[cfg(test)]
impl Quirks {
    /// None.
    pub fn none() -> Self {
        Quirks {
            discard: Vec::new(),
            discard_by_address: Maps::none("smtp_discard_ehlo_keyword_address_maps"),
            pix: Vec::new(),
            pix_by_address: Maps::none("smtp_pix_workaround_maps"),
            pix_delay: Duration::from_secs(1),
            pix_threshold: Duration::ZERO,
            reply_filter: Maps::none("smtp_reply_filter"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_of_stars_is_that_of_a_firewall() {
        for (text, expected) in [
            ("**************************************************", true),
            ("********************0*0*0*********0******200******", true),
            ("***** 2 0 0 ****", true),
            ("x.test ESMTP ****** pix", false),
            ("SMTP/cmap_______ read", false),
            ("220 20", false),
            ("", false),
        ] {
            assert_eq!(is_pix(&Reply::plain(220, text)), expected, "{text}");
        }
    }
}
