//! smtp_dns_reply_filter and its kin: tables that are asked whether a record of the name service counts.

use crate::Maps;

/// Asks the tables about records as text: whether a record stays. `None`: there is no answer, or one that makes no
/// sense, which is logged; nothing that the name service has said can be used then.
pub fn record_filter(maps: Maps) -> impl Fn(&str) -> Option<bool> + Send + Sync + 'static {
    move |record| {
        let Some(action) = maps.lookup(record.as_bytes()).ok()? else { return Some(true) };
        let action = action.trim_ascii();
        let end = action.iter().position(u8::is_ascii_whitespace).unwrap_or(action.len());
        if action[..end].eq_ignore_ascii_case(b"IGNORE") {
            logging::info!("ignoring DNS RR: {record}");
            return Some(false);
        }
        logging::warning!("{}: unknown DNS filter action: \"{}\"", maps.title(), text::printable(action));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OpenFlags, Settings};

    #[test]
    fn a_record_goes_where_the_table_says_ignore_and_any_other_word_is_a_mistake() {
        let table = "regexp:{{/ MX / ignore it} {/ TXT / drop}}";
        let maps = Maps::open(Settings::default(), "smtp_dns_reply_filter", table, OpenFlags::default()).unwrap();
        let filter = record_filter(maps);
        let of = |kind: &str| filter(&format!("d.test. 60 IN {kind} x"));
        assert_eq!([of("A"), of("MX"), of("TXT")], [Some(true), Some(false), None]);
        let failing = Maps::open(Settings::default(), "t", "fail:x", OpenFlags::default()).unwrap();
        assert_eq!(record_filter(failing)("d.test. 60 IN A 192.0.2.1"), None);
    }
}
