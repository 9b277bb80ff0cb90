//! What main.cf says to this daemon.

use std::path::Path;
use std::time::Duration;

use config::{Config, MailSource, Param, Reader, ValueError, param};
use dsn::template::Templates;
use ipc::cleanup::Flags;
use queue::Spool;

config::settings! {
    /// Settings, read once.
    pub struct Settings {
        hostname: String = param::MYHOSTNAME,
        mail_name: String = param::MAIL_NAME,
        /// Notifications may hold UTF-8. smtputf8_enable
        utf8: bool = param::SMTPUTF8_ENABLE,
        origin: String = param::MYORIGIN,
        /// bounce_template_file, variables still in it.
        templates: Templates => templates,
        /// Larger messages are returned as their header.
        size_limit: u64 = param::BOUNCE_SIZE_LIMIT,
        /// What travelled under REQUIRETLS comes back as its header.
        redact: bool = param::REQUIRETLS_REDACT_DSN,
        /// Notifications name the message that they are about as what they answer.
        threaded: bool = param::ENABLE_THREADED_BOUNCES,
        /// One notification for all recipients of a message with VERP.
        disable_verp: bool = param::DISABLE_VERP_BOUNCES,
        compatible_logs: bool = param::BACKWARDS_BOUNCE_LOGFILE_COMPATIBILITY,
        /// In seconds: until when a delayed message is tried.
        lifetime: i64 = param::MAXIMAL_QUEUE_LIFETIME => |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        /// Who else is told.
        notify: NotifyClasses => NotifyClasses::read,
        /// What cleanup does with notifications. internal_mail_filter_classes
        cleanup_flags: Flags => cleanup_flags,
        /// `double_bounce_sender@myhostname`.
        double_bounce_sender: Vec<u8> => double_bounce_sender,
        /// The queue directory.
        spool: Spool => |from: &Reader<'_>| from.config.spool(),
    }
}

/// What postmaster hears of, and which postmaster.
pub struct NotifyClasses {
    /// Class `bounce`: bounce_notice_recipient.
    pub bounce: Option<String>,
    /// Class `2bounce`: 2bounce_notice_recipient.
    pub double_bounce: Option<String>,
    /// Class `delay`: delay_notice_recipient.
    pub delay: Option<String>,
}

impl NotifyClasses {
    fn read(from: &Reader<'_>) -> Result<Self, ValueError> {
        let classes = from.get(param::NOTIFY_CLASSES)?;
        let if_notified = |class: &str, recipient: Param<String>| -> Result<Option<String>, ValueError> {
            // `bounce` has `2bounce` in it.
            let has = |class: &str| classes.iter().any(|name| name == class);
            let wanted = has(class) || class == "2bounce" && has("bounce");
            if wanted { from.get(recipient).map(Some) } else { Ok(None) }
        };
        Ok(NotifyClasses {
            bounce: if_notified("bounce", param::BOUNCE_NOTICE_RECIPIENT)?,
            double_bounce: if_notified("2bounce", param::DOUBLE_BOUNCE_NOTICE_RECIPIENT)?,
            delay: if_notified("delay", param::DELAY_NOTICE_RECIPIENT)?,
        })
    }
}

fn double_bounce_sender(from: &Reader<'_>) -> Result<Vec<u8>, ValueError> {
    Ok(qualified(&from.get(param::DOUBLE_BOUNCE_SENDER)?, &from.get(param::MYHOSTNAME)?).into_bytes())
}

/// internal_mail_filter_classes: `bounce` has notifications pass through checks and non_smtpd_milters; `notify` is
/// about reports of other programs.
fn cleanup_flags(from: &Reader<'_>) -> Result<Flags, ValueError> {
    let classes = from.get(param::INTERNAL_MAIL_FILTER_CLASSES)?;
    let mut wanted = Flags::NOTICE.with_if(from.config.detects_utf8(MailSource::Bounce)?, Flags::AUTO_UTF8);
    for class in &classes {
        match class.as_str() {
            "bounce" => wanted = wanted.with(Flags::FILTER).with(Flags::MILTER),
            "notify" => {}
            other => {
                let text =
                    format!("unknown internal_mail_filter_classes value \"{other}\" in \"{}\"", classes.join(" "));
                return Err(ValueError::Meaning(text));
            }
        }
    }
    Ok(wanted)
}

/// An address of main.cf with the domain that local addresses have.
fn qualified(address: &str, origin: &str) -> String {
    if address.contains('@') { address.to_owned() } else { format!("{address}@{origin}") }
}

/// The templates in force. What is wrong with the file is said; a report goes out all the same.
fn templates(from: &Reader<'_>) -> Result<Templates, ValueError> {
    let path = from.get(param::BOUNCE_TEMPLATE_FILE)?;
    Ok(if path.is_empty() { Templates::default() } else { templates_of(from.config, &path) })
}

fn templates_of(config: &Config, path: &str) -> Templates {
    let read = std::fs::read_to_string(Path::new(path))
        .map_err(|error| format!("open {path}: {error}", error = text::system_error(&error)));
    match read.and_then(|text| Templates::from_file(&text).map_err(|error| error.of(path))) {
        Ok((templates, remarks)) => {
            remarks.iter().for_each(|remark| logging::warning!("{}", remark.of(path)));
            for (kind, line) in templates.lines() {
                if let Err(error) = config.report_text(line) {
                    logging::warning!("{path}: {error} in {} template: {line}", kind.name());
                }
            }
            templates
        }
        Err(error) => {
            logging::warning!("{error}; using the built-in texts");
            Templates::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_name_who_is_told() {
        let text = b"myhostname = h.test\nmyorigin = o.test\nnotify_classes = bounce, delay\n\
            bounce_notice_recipient = bob@b.test\n";
        let config = Config::parse(text, Path::new("/proc/self/none"), &[]).unwrap();
        let settings = Settings::read(&config).unwrap();
        assert_eq!(settings.notify.bounce.as_deref(), Some("bob@b.test"));
        assert_eq!(settings.notify.delay.as_deref(), Some("postmaster"));
        // `bounce` has `2bounce` in it.
        assert_eq!(settings.notify.double_bounce.as_deref(), Some("postmaster"));
        assert_eq!(settings.double_bounce_sender, b"double-bounce@h.test");
    }
}
