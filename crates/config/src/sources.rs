//! Where mail comes from, as smtputf8_autodetect_classes has it.

use crate::{Config, ValueError, param};

/// Where a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSource {
    /// sendmail(1), through pickup.
    Sendmail,
    /// The SMTP server.
    Smtpd,
    /// The QMQP server.
    Qmqpd,
    /// An alias or .forward file of this system.
    Forward,
    /// A notification to a sender.
    Bounce,
    /// A report to the postmaster.
    Notify,
    /// A probe of address verification.
    Verify,
}

impl MailSource {
    /// As the parameter names it.
    fn name(self) -> &'static str {
        match self {
            MailSource::Sendmail => "sendmail",
            MailSource::Smtpd => "smtpd",
            MailSource::Qmqpd => "qmqpd",
            MailSource::Forward => "forward",
            MailSource::Bounce => "bounce",
            MailSource::Notify => "notify",
            MailSource::Verify => "verify",
        }
    }
}

impl Config {
    /// Whether mail of this origin travels with SMTPUTF8 when it is found to need that.
    ///
    /// # Errors
    /// A setting that makes no sense.
    pub fn detects_utf8(&self, origin: MailSource) -> Result<bool, ValueError> {
        let classes = self.get(param::SMTPUTF8_AUTODETECT_CLASSES)?;
        let has = |name: &str| classes.iter().any(|class| class == name);
        Ok(self.get(param::SMTPUTF8_ENABLE)? && (has("all") || has(origin.name())))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn local_mail_is_looked_at_unless_smtputf8_is_off() {
        let detects = |text: &str, origin| {
            Config::parse(text.as_bytes(), Path::new("/proc/self/none"), &[]).unwrap().detects_utf8(origin).unwrap()
        };
        let level = "compatibility_level = 3.6\n";
        assert!(detects(level, MailSource::Sendmail) && !detects(level, MailSource::Smtpd));
        let all = format!("{level}smtputf8_autodetect_classes = all\n");
        assert!(detects(&all, MailSource::Smtpd) && detects(&all, MailSource::Forward));
        assert!(!detects(&format!("{all}smtputf8_enable = no\n"), MailSource::Sendmail));
        assert!(detects(&format!("{level}smtputf8_autodetect_classes = notify, bounce\n"), MailSource::Bounce));
    }
}
