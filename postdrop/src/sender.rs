//! Which envelope senders a user may name (`local_login_sender_maps`).

use command::Caller;
use config::{Config, param};
use lookup::{Maps, OpenFlags};

/// The rule for one caller.
pub struct SenderRule {
    /// The patterns that the tables have for the caller; nothing when every sender is allowed.
    patterns: Option<Vec<Vec<u8>>>,
    null_key: Vec<u8>,
    delimiters: String,
}

impl SenderRule {
    /// Looks the caller up.
    ///
    /// # Errors
    /// A sentence: a table cannot be used.
    pub fn of(config: &Config, caller: &Caller) -> Result<Self, String> {
        // local_login_sender_maps
        let name = param::LOCAL_LOGIN_SENDER_MAPS.name();
        let list = config.lookup(name).map_err(|error| error.to_string())?.unwrap_or_default();
        // empty_address_local_login_sender_maps_lookup_key
        let null_key = config.get(param::EMPTY_ADDRESS_LOCAL_LOGIN_SENDER_MAPS_LOOKUP_KEY);
        let null_key = null_key.map_err(|error| error.to_string())?.into_bytes();
        // recipient_delimiter
        let delimiters = config.get(param::RECIPIENT_DELIMITER).map_err(|error| error.to_string())?;
        let mut rule = Self { patterns: None, null_key, delimiters };
        if list.trim() != "static:*" {
            let maps = Maps::open(config, name, &list, OpenFlags::default()).map_err(|error| error.to_string())?;
            let login = caller.name.clone()?.unwrap_or_else(|| format!("uid:{}", caller.uid));
            let found = maps.lookup(login.as_bytes()).map_err(|error| error.to_string())?.unwrap_or_default();
            rule.patterns = Some(split(&found));
        }
        Ok(rule)
    }

    /// May the caller name this sender? Its extension does not matter.
    pub fn allows(&self, sender: &[u8]) -> bool {
        let Some(patterns) = &self.patterns else { return true };
        let (local, domain) = address::split(sender);
        let (base, _) = address::split_extension(local, &self.delimiters);
        let plain = match domain {
            Some(domain) => [base, b"@", domain].concat(),
            None => base.to_vec(),
        };
        patterns.iter().any(|pattern| match pattern.as_slice() {
            b"*" => true,
            _ if sender.is_empty() => *pattern == self.null_key,
            [b'@', wanted @ ..] => domain.is_some_and(|domain| domain.eq_ignore_ascii_case(wanted)),
            exact => plain.eq_ignore_ascii_case(exact),
        })
    }
}

fn split(list: &[u8]) -> Vec<Vec<u8>> {
    let items = list.split(|b| b.is_ascii_whitespace() || *b == b',').filter(|item| !item.is_empty());
    items.map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(maps: &str) -> SenderRule {
        let text = format!("local_login_sender_maps = {maps}\nrecipient_delimiter = +\n");
        let config = Config::parse(text.as_bytes(), std::path::Path::new("/proc/self/none"), &[]).unwrap();
        let alice = Caller { uid: 7, name: Ok(Some("alice".into())), full_name: String::new() };
        SenderRule::of(&config, &alice).unwrap()
    }

    #[test]
    fn by_default_every_sender_is_allowed() {
        let rule = rule("static:*");
        assert!(rule.allows(b"") && rule.allows(b"anyone@x.test"));
    }

    #[test]
    fn a_user_may_name_what_the_table_lists() {
        let rule = rule("inline:{ { alice = me@x.test @d.test, <> plain } }");
        for sender in ["me@x.test", "ME@X.TEST", "me+ext@x.test", "z@d.test", "z@D.Test", "", "plain", "plain+x"] {
            assert!(rule.allows(sender.as_bytes()), "{sender}");
        }
        for sender in ["you@x.test", "other", "plain@x.test", "z@sub.d.test"] {
            assert!(!rule.allows(sender.as_bytes()), "{sender}");
        }
    }

    #[test]
    fn a_user_that_no_table_lists_may_name_none() {
        let rule = rule("inline:{ { bob = * } }");
        assert!(!rule.allows(b"alice") && !rule.allows(b""));
    }
}
