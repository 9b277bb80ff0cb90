//! What main.cf says to this agent.

use std::time::Duration;

use address::Delimiters;
use config::{Config, Reader, ValueError, param};
use daemon::StartError;
use ipc::carrier::{Lock, Mailbox, Path};

config::settings! {
    /// Settings, read once.
    pub struct Settings {
        /// The machine in names of files of Maildirs: several may share one.
        machine: String => |_: &Reader<'_>| Ok::<_, ValueError>(config::node_name()),
        delimiters: Delimiters => |from: &Reader<'_>| from.config.delimiters(),
        original_recipient: bool = param::ENABLE_ORIGINAL_RECIPIENT,
        /// Keys are folded beyond ASCII.
        utf8: bool => |from: &Reader<'_>| Ok::<_, ValueError>(lookup::Settings::from(from.config).utf8),
        /// Absolute.
        base: String = param::VIRTUAL_MAILBOX_BASE,
        minimum_uid: u32 = param::VIRTUAL_MINIMUM_UID,
        /// Bytes; 0: none.
        size_limit: u64 = param::VIRTUAL_MAILBOX_LIMIT,
        locks: Vec<Lock> = param::VIRTUAL_MAILBOX_LOCK => Lock::named,
        attempts: u32 = param::DELIVER_LOCK_ATTEMPTS,
        delay: Duration = param::DELIVER_LOCK_DELAY,
        stale: Duration = param::STALE_LOCK_TIME,
        strict: bool = param::STRICT_MAILBOX_OWNERSHIP,
    }
}

impl Settings {
    /// Reads them, and checks what has to fit together.
    ///
    /// # Errors
    /// Postfix's sentences.
    pub fn of(config: &Config) -> Result<Self, StartError> {
        let settings = Settings::read(config)?;
        if !settings.base.starts_with('/') {
            let base = &settings.base;
            return Err(StartError::new(format!("do not specify relative pathname: virtual_mailbox_base = {base}")));
        }
        delivery::check_mailbox_limit(config, param::VIRTUAL_MAILBOX_LIMIT.name(), settings.size_limit)?;
        Ok(settings)
    }

    /// A mailbox file by its path.
    pub fn mailbox(&self, path: &[u8]) -> Mailbox {
        Mailbox {
            path: Path(path.to_vec()),
            personal: true,
            owned: self.strict,
            locks: self.locks.clone(),
            attempts: self.attempts,
            delay: u64::try_from(self.delay.as_millis()).unwrap_or(1000),
            stale: self.stale.as_secs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let config = Config::parse(text.as_bytes(), std::path::Path::new("/c"), &[]).unwrap();
        Settings::of(&config).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn settings_that_do_not_fit_together_are_refused_as_postfix_does() {
        assert_eq!(said("virtual_mailbox_base = /srv\n"), "");
        assert!(said("").starts_with("bad string length 0 < 1: virtual_mailbox_base ="), "{}", said(""));
        assert_eq!(
            said("virtual_mailbox_base = srv\n"),
            "do not specify relative pathname: virtual_mailbox_base = srv"
        );
        let base = "virtual_mailbox_base = /srv\n";
        assert_eq!(
            said(&format!("{base}virtual_mailbox_limit = 1000\n")),
            "configuration error: virtual_mailbox_limit is smaller than message_size_limit"
        );
        assert_eq!(
            said(&format!("{base}message_size_limit = 0\n")),
            "configuration error: virtual_mailbox_limit is limited but message_size_limit is unlimited"
        );
        assert_eq!(said(&format!("{base}message_size_limit = 0\nvirtual_mailbox_limit = 0\n")), "");
    }
}
