//! What main.cf says to this daemon.

use std::path::Path;

use config::{Config, ValueError, param};
use dsn::template::Templates;
use ipc::cleanup::Flags;
use queue::Spool;

/// Settings, read once.
pub struct Settings {
    /// myhostname.
    pub hostname: String,
    /// myorigin.
    pub origin: String,
    /// bounce_template_file, variables still in it.
    pub templates: Templates,
    /// bounce_size_limit: larger messages are returned as their header.
    pub size_limit: u64,
    /// backwards_bounce_logfile_compatibility.
    pub compatible_logs: bool,
    /// maximal_queue_lifetime in seconds: until when a delayed message is tried.
    pub lifetime: i64,
    /// notify_classes: who else is told.
    pub notify: NotifyClasses,
    /// What cleanup does with notifications. internal_mail_filter_classes
    pub cleanup_flags: Flags,
    /// `double_bounce_sender@myorigin`.
    pub double_bounce_sender: Vec<u8>,
    /// The queue directory.
    pub spool: Spool,
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

impl Settings {
    /// Reads the settings; an unreadable template file is a warning, and the built-in texts serve.
    pub fn read(config: &Config) -> Result<Self, ValueError> {
        let origin = config.get(param::MYORIGIN)?;
        let classes = config.get(param::NOTIFY_CLASSES)?;
        let if_notified = |class: &str, recipient: config::Param<String>| -> Result<Option<String>, ValueError> {
            // `bounce` has `2bounce` in it.
            let has = |class: &str| classes.iter().any(|name| name == class);
            let wanted = has(class) || class == "2bounce" && has("bounce");
            if wanted { config.get(recipient).map(Some) } else { Ok(None) }
        };
        Ok(Settings {
            hostname: config.get(param::MYHOSTNAME)?,
            templates: templates(config, &config.get(param::BOUNCE_TEMPLATE_FILE)?),
            size_limit: u64::try_from(config.get(param::BOUNCE_SIZE_LIMIT)?).unwrap_or(0),
            compatible_logs: config.get(param::BACKWARDS_BOUNCE_LOGFILE_COMPATIBILITY)?,
            lifetime: i64::try_from(config.get(param::MAXIMAL_QUEUE_LIFETIME)?.as_secs()).unwrap_or(i64::MAX),
            notify: NotifyClasses {
                bounce: if_notified("bounce", param::BOUNCE_NOTICE_RECIPIENT)?,
                double_bounce: if_notified("2bounce", param::DOUBLE_BOUNCE_NOTICE_RECIPIENT)?,
                delay: if_notified("delay", param::DELAY_NOTICE_RECIPIENT)?,
            },
            cleanup_flags: cleanup_flags(config)?,
            double_bounce_sender: qualified(&config.get(param::DOUBLE_BOUNCE_SENDER)?, &origin).into_bytes(),
            spool: config.spool()?,
            origin,
        })
    }
}

/// internal_mail_filter_classes: `bounce` has notifications pass through header_checks and body_checks; `notify` is about
/// reports of other programs.
fn cleanup_flags(config: &Config) -> Result<Flags, ValueError> {
    let classes = config.get(param::INTERNAL_MAIL_FILTER_CLASSES)?;
    let mut wanted = Flags::NOTICE;
    for class in &classes {
        match class.as_str() {
            "bounce" => wanted = wanted.with(Flags::FILTER),
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
fn templates(config: &Config, path: &str) -> Templates {
    // bounce_template_file
    if path.is_empty() {
        return Templates::default();
    }
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
        let text = b"myorigin = o.test\nnotify_classes = bounce, delay\nbounce_notice_recipient = bob@b.test\n";
        let config = Config::parse(text, Path::new("/proc/self/none"), &[]).unwrap();
        let settings = Settings::read(&config).unwrap();
        assert_eq!(settings.notify.bounce.as_deref(), Some("bob@b.test"));
        assert_eq!(settings.notify.delay.as_deref(), Some("postmaster"));
        // `bounce` has `2bounce` in it.
        assert_eq!(settings.notify.double_bounce.as_deref(), Some("postmaster"));
        assert_eq!(settings.double_bounce_sender, b"double-bounce@o.test");
    }
}
