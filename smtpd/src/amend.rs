//! What becomes of a "no" on its way to the client: smtpd_reject_filter_maps, smtpd_reject_footer_maps,
//! smtpd_reject_footer, and soft_bounce at last.
//!
//! The log has the "no" as it was decided. A table cannot make a "yes" of it, and what cannot be looked up changes
//! nothing.

use std::time::SystemTime;

use config::{Config, param};
use daemon::StartError;
use logging::records::NOQUEUE;
use lookup::{Maps, OpenFlags};
use smtp_protocol::Reply;
use smtp_server::Facts;

use crate::template::{self, Filling};

/// What is done to replies with codes 400 to 599.
pub struct Amendments {
    /// smtpd_reject_filter_maps
    filter: Maps,
    /// smtpd_reject_footer_maps
    footers: Maps,
    /// smtpd_reject_footer
    footer: String,
    filling: Filling,
    soft_bounce: bool,
    hostname: String,
}

impl Amendments {
    /// Reads the settings and opens the tables.
    ///
    /// # Errors
    /// A setting that makes no sense.
    pub fn open(config: &Config) -> Result<Amendments, StartError> {
        let maps = |name: &str| -> Result<Maps, StartError> {
            let list = config.lookup(name)?.unwrap_or_default();
            Ok(Maps::open(config, name, &list, OpenFlags::default())?)
        };
        Ok(Amendments {
            filter: maps("smtpd_reject_filter_maps")?,
            footers: maps("smtpd_reject_footer_maps")?,
            footer: config.get(param::SMTPD_REJECT_FOOTER)?.0,
            filling: Filling::read(config)?,
            soft_bounce: config.get(param::SOFT_BOUNCE)?,
            hostname: config.get(param::MYHOSTNAME)?,
        })
    }

    /// A table whose file is no longer what was opened.
    pub fn changed(&self) -> Option<String> {
        [&self.filter, &self.footers].into_iter().find_map(Maps::changed).map(str::to_owned)
    }

    /// The reply as the client gets it.
    pub fn amend(&self, reply: Reply, facts: &Facts<'_>) -> Reply {
        if !(400..600).contains(&reply.code()) {
            return reply;
        }
        let reply = if self.filter.is_empty() { reply } else { self.filtered(reply, facts) };
        let reply = self.with_footer(reply, facts);
        if self.soft_bounce && reply.code() >= 500 { reply.softened() } else { reply }
    }

    /// smtpd_reject_filter_maps
    fn filtered(&self, reply: Reply, facts: &Facts<'_>) -> Reply {
        let before = key(&reply);
        let Ok(Some(after)) = self.filter.lookup(&before) else { return reply };
        let id = facts.queue_id.unwrap_or(NOQUEUE);
        let Some(other) = replacement(&after) else {
            let text = format!("ignoring invalid reject filter result: {}", text::printable(&after));
            logging::warning!(id: id, "{text}");
            return reply;
        };
        logging::info!(id: id, "reply filter in: {}", text::printable(&before));
        logging::info!(id: id, "reply filter out: {}", text::printable(&after));
        other
    }

    /// smtpd_reject_footer_maps, smtpd_reject_footer
    fn with_footer(&self, reply: Reply, facts: &Facts<'_>) -> Reply {
        let special = if self.footers.is_empty() { None } else { self.footers.lookup(&key(&reply)).ok().flatten() };
        let special = special.map(|footer| String::from_utf8_lossy(&footer).into_owned());
        let footer = special.as_deref().unwrap_or(&self.footer);
        if footer.is_empty() {
            return reply;
        }
        let value = |name: &str| match name {
            "server_name" => Some(self.hostname.clone().into_bytes()),
            "localtime" => Some(localtime().into_bytes()),
            other => template::value(other, facts),
        };
        match self.filling.fill_in(footer, value).text {
            Some(footer) => extended(&reply, &footer),
            None => reply,
        }
    }
}

/// What tables of replies are asked: all of it, as it goes over the wire.
fn key(reply: &Reply) -> Vec<u8> {
    let count = reply.lines().count();
    let lines = reply.lines().enumerate().map(|(number, line)| {
        let separator = if number + 1 < count { '-' } else { ' ' };
        [format!("{}{separator}", reply.code()).as_bytes(), line].concat()
    });
    lines.collect::<Vec<_>>().join(&b"\r\n"[..])
}

/// The reply that a table wants, if it is a "no" whose enhanced status does not contradict its code.
fn replacement(text: &[u8]) -> Option<Reply> {
    let (code, rest) = text.split_at_checked(3)?;
    let (b' ' | b'-', rest) = rest.split_first()? else { return None };
    let [class @ (b'4' | b'5'), second, third] = code else { return None };
    if !second.is_ascii_digit() || !third.is_ascii_digit() {
        return None;
    }
    if rest.first().is_some_and(|first| first.is_ascii_digit() && first != class) {
        return None;
    }
    let code = std::str::from_utf8(code).ok()?.parse().ok()?;
    Some(Reply::lines_of(code, vec![rest.to_vec()]))
}

/// The reply with a footer: `\c` in front continues the last line, `\n` begins another. Each new line has the enhanced
/// status code of the last one.
fn extended(reply: &Reply, footer: &str) -> Reply {
    let mut lines: Vec<Vec<u8>> = reply.lines().map(<[u8]>::to_vec).collect();
    let status = reply.enhanced().map(|status| [status, b" "].concat()).unwrap_or_default();
    let (continues, footer) = match footer.strip_prefix("\\c") {
        Some(rest) => (true, rest),
        None => (false, footer),
    };
    let mut parts = footer.split("\\n");
    if continues && let (Some(last), Some(part)) = (lines.last_mut(), parts.next()) {
        last.extend_from_slice(part.as_bytes());
    }
    lines.extend(parts.map(|part| [&status, part.as_bytes()].concat()));
    Reply::lines_of(reply.code(), lines)
}

/// `Nov 02 19:44:04`
fn localtime() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let moment = logging::moment(now.cast_signed());
    // The day has two digits here.
    moment.replacen("  ", " 0", 1)
}

#[cfg(test)]
mod tests {
    use dsn::Status;

    use super::*;

    fn said(reply: &Reply) -> String {
        String::from_utf8(key(reply)).unwrap()
    }

    #[test]
    fn a_footer_continues_the_reply_or_has_lines_of_its_own() {
        let reply = Reply::with_status(554, Status::new(5, 7, 1), "no");
        assert_eq!(said(&extended(&reply, "help")), "554-5.7.1 no\r\n554 5.7.1 help");
        assert_eq!(said(&extended(&reply, "\\c, go")), "554 5.7.1 no, go");
        assert_eq!(said(&extended(&reply, "\\c a\\nb")), "554-5.7.1 no a\r\n554 5.7.1 b");
        assert_eq!(said(&extended(&reply, "\\c")), "554 5.7.1 no");
        assert_eq!(said(&extended(&Reply::plain(459, "x"), "one\\ntwo")), "459-x\r\n459-one\r\n459 two");
        assert_eq!(said(&extended(&reply, "help").softened()), "454-4.7.1 no\r\n454 4.7.1 help");
    }

    #[test]
    fn a_table_makes_another_no_of_a_no_and_nothing_else() {
        let made = |text: &str| replacement(text.as_bytes()).map(|reply| said(&reply));
        assert_eq!(made("400 Error"), Some("400 Error".to_owned()));
        assert_eq!(made("550-5.1.1 x"), Some("550 5.1.1 x".to_owned()));
        for bad in ["250 ok", "554 4.7.1 x", "55 x", "550", "5500 x", "x", ""] {
            assert_eq!(made(bad), None, "{bad}");
        }
    }
}
