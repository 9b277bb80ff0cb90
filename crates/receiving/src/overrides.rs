//! receive_override_options: what a service leaves to the one before or behind it.

use config::{Config, MailSource, ValueError, param};
use ipc::cleanup::Flags;

/// What is done with the messages of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrides {
    /// Recipients that nobody knows are turned down.
    pub check_recipients: bool,
    /// Mail filters (milters) see the messages.
    pub milters: bool,
    /// What cleanup shall do.
    pub flags: Flags,
}

impl Overrides {
    /// Reads the words. `flags` are those of messages from this source without them; smtputf8_autodetect_classes adds
    /// its own.
    ///
    /// # Errors
    /// A value that makes no sense.
    pub fn read(config: &Config, source: MailSource, flags: Flags) -> Result<Overrides, ValueError> {
        let flags = flags.with_if(config.detects_utf8(source)?, Flags::AUTO_UTF8);
        let mut overrides = Overrides { check_recipients: true, milters: true, flags };
        for option in config.get(param::RECEIVE_OVERRIDE_OPTIONS)? {
            match option.as_str() {
                "no_unknown_recipient_checks" => overrides.check_recipients = false,
                "no_address_mappings" => overrides.leave_out(Flags::MAP.with(Flags::BCC)),
                "no_header_body_checks" => overrides.leave_out(Flags::FILTER),
                "no_milters" => {
                    overrides.milters = false;
                    overrides.leave_out(Flags::MILTER);
                }
                // The table of words has no other.
                _ => {}
            }
        }
        Ok(overrides)
    }

    fn leave_out(&mut self, flags: Flags) {
        self.flags = self.flags.without(flags);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Overrides {
        let text = format!("compatibility_level = 3.6\n{text}");
        let config = Config::parse(text.as_bytes(), Path::new("/proc/self/none"), &[]).unwrap();
        Overrides::read(&config, MailSource::Qmqpd, Flags::EXTERNAL).unwrap()
    }

    #[test]
    fn each_word_takes_away_what_it_says_and_nothing_else() {
        let all = Overrides { check_recipients: true, milters: true, flags: Flags::EXTERNAL };
        assert_eq!(read(""), all);
        let of = |word: &str| read(&format!("receive_override_options = {word}\n"));
        assert_eq!(of("no_unknown_recipient_checks"), Overrides { check_recipients: false, ..all });
        let flags = Flags::FILTER.with(Flags::MILTER);
        assert_eq!(of("no_address_mappings"), Overrides { flags, ..all });
        assert_eq!(of("no_header_body_checks"), Overrides { flags: Flags::EXTERNAL.without(Flags::FILTER), ..all });
        let flags = Flags::EXTERNAL.without(Flags::MILTER);
        assert_eq!(of("no_milters"), Overrides { milters: false, flags, ..all });
    }

    #[test]
    fn utf8_is_looked_for_in_mail_of_the_sources_that_are_listed() {
        assert_eq!(read("smtputf8_autodetect_classes = qmqpd\n").flags, Flags::EXTERNAL.with(Flags::AUTO_UTF8));
        assert_eq!(read("smtputf8_autodetect_classes = sendmail, smtpd\n").flags, Flags::EXTERNAL);
    }
}
