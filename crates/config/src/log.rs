//! Where main.cf sends log lines.

use std::path::Path;

use logging::{Destination, Format, LogFile, Setup};

use crate::error::{ConfigError, ValueError};
use crate::param;
use crate::settings::Config;

/// What standard error gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// Nothing.
    Nothing,
    /// Every line, beside the log.
    Also,
    /// Every line; the log gets none.
    Alone,
}

impl Config {
    /// Reads main.cf and decides where the lines of this process go. When main.cf cannot be used, the reason goes where
    /// as much of it as can be read says: whoever ends because of it has a log to say so.
    ///
    /// # Errors
    /// main.cf cannot be read, or it names a log file that it must not name.
    pub fn load_with_log(directory: &Path, program: &str, terminal: Terminal) -> Result<Config, ConfigError> {
        let loaded = Config::load(directory, &[]);
        let readable = || Config::load_readable(directory).ok();
        if let Some(config) = loaded.as_ref().ok().cloned().or_else(readable) {
            config.set_up_log(program, terminal)?;
        }
        loaded
    }

    /// Decides where the lines of this process go. On an error they go to syslog, and the caller is to end with it: a
    /// log that nobody gets is worse than no mail system.
    ///
    /// # Errors
    /// maillog_file is not where maillog_file_prefixes allows it.
    pub fn set_up_log(&self, program: &str, terminal: Terminal) -> Result<(), ValueError> {
        logging::set_up(self.log_setup(program, terminal));
        self.log_file().map(drop)
    }

    /// The file of maillog_file, when there is one. Nothing is opened by this.
    ///
    /// # Errors
    /// It is not where maillog_file_prefixes allows it.
    pub fn log_file(&self) -> Result<Option<LogFile>, ValueError> {
        let path = self.get(param::MAILLOG_FILE)?;
        // maillog_file_prefixes
        let prefixes = self.get(param::MAILLOG_FILE_PREFIXES)?;
        if path.is_empty() {
            return Ok(None);
        }
        if !prefixes.iter().any(|prefix| path.starts_with(prefix.as_str())) {
            return Err(ValueError::Meaning(format!(
                "maillog_file value '{path}' does not match any prefix in maillog_file_prefixes"
            )));
        }
        let mode = permissions(&self.get(param::MAILLOG_FILE_PERMISSIONS)?).unwrap_or(0o600);
        Ok(Some(LogFile { path: path.into(), mode }))
    }

    /// What is wrong with maillog_file_permissions, which is 0600 then.
    pub fn bad_log_permissions(&self) -> Option<String> {
        let text = self.get(param::MAILLOG_FILE_PERMISSIONS).ok()?;
        let is_bad = permissions(&text).is_none();
        is_bad.then(|| {
            format!("ignoring bad permissions: maillog_file_permissions = {}", text::printable(text.as_bytes()))
        })
    }

    /// Why the log file cannot be used, if that is so; it is made when it is missing.
    pub fn unusable_log_file(&self) -> Option<String> {
        match self.log_file() {
            Ok(file) => file.and_then(|file| file.open().err()).map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Where the lines of a program go, by syslog_name, syslog_facility, maillog_file and maillog_format. With
    /// maillog_file they go to the postlog service, or to the file itself while that does not answer; with one that
    /// must not be, to syslog.
    pub fn log_setup(&self, program: &str, terminal: Terminal) -> Setup {
        let text = |name: &str| self.lookup(name).ok().flatten().unwrap_or_default();
        let file = self.log_file().ok().flatten();
        let mut destinations = Vec::new();
        if terminal != Terminal::Nothing {
            destinations.push(Destination::Terminal);
        }
        if terminal != Terminal::Alone {
            destinations.push(if file.is_none() {
                Destination::Syslog(facility(&text("syslog_facility")))
            } else {
                let public = self.get(param::QUEUE_DIRECTORY).unwrap_or_default().join("public");
                let format = if text("maillog_format") == "json" { Format::Json } else { Format::Postfix };
                Destination::Postlog(public.join(text("postlog_service_name")), format)
            });
        }
        Setup {
            program: program.to_owned(),
            syslog_name: text("syslog_name"),
            tag: None,
            host: text("myhostname").split('.').next().unwrap_or_default().to_owned(),
            destinations,
            ascii: self.get(param::SMTPUTF8_ENABLE).is_ok_and(|enabled| !enabled),
            fallback: file,
        }
    }
}

/// maillog_file_permissions: a log may be read by its group, or by everybody, and written by its owner alone.
fn permissions(text: &str) -> Option<u32> {
    match text.trim().trim_start_matches('0') {
        "600" => Some(0o600),
        "640" => Some(0o640),
        "644" => Some(0o644),
        _ => None,
    }
}

/// syslog(3) facility numbers; unknown names mean mail.
fn facility(name: &str) -> u8 {
    const NAMES: [(&str, u8); 12] = [
        ("user", 1),
        ("mail", 2),
        ("daemon", 3),
        ("auth", 4),
        ("local0", 16),
        ("local1", 17),
        ("local2", 18),
        ("local3", 19),
        ("local4", 20),
        ("local5", 21),
        ("local6", 22),
        ("local7", 23),
    ];
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or(2, |(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(main_cf: &str) -> Setup {
        let config = Config::parse(main_cf.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap();
        config.log_setup("smtpd", Terminal::Nothing)
    }

    #[test]
    fn without_a_file_lines_go_to_syslog_under_the_facility() {
        let setup = setup("syslog_facility = LOCAL3\nsyslog_name = postfix/x\nmyhostname = mx.example.test\n");
        assert_eq!(setup.destinations, [Destination::Syslog(19)]);
        assert_eq!((setup.syslog_name.as_str(), setup.host.as_str()), ("postfix/x", "mx"));
    }

    #[test]
    fn with_a_file_lines_go_to_the_log_service_of_the_queue() {
        let setup = setup("maillog_file = /var/log/maillog\nqueue_directory = /q\nmaillog_format = json\n");
        assert_eq!(setup.destinations, [Destination::Postlog("/q/public/postlog".into(), Format::Json)]);
        assert_eq!(setup.fallback, Some(LogFile { path: "/var/log/maillog".into(), mode: 0o600 }));
    }

    #[test]
    fn permissions_that_let_others_write_or_make_no_sense_are_named_and_not_used() {
        for (value, mode) in [("", 0o600), ("0600", 0o600), ("640", 0o640), ("0640", 0o640), ("0644", 0o644)] {
            let text = format!("maillog_file = /var/log/maillog\nmaillog_file_permissions = {value}\n");
            let config = Config::parse(text.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap();
            assert_eq!(config.log_file().unwrap().unwrap().mode, mode, "{value}");
            assert_eq!(config.bad_log_permissions().is_some(), value.is_empty(), "{value}");
        }
        for value in ["0666", "0660", "0777", "600600", "x", "-1"] {
            let text = format!("maillog_file = /var/log/maillog\nmaillog_file_permissions = {value}\n");
            let config = Config::parse(text.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap();
            assert_eq!(config.log_file().unwrap().unwrap().mode, 0o600, "{value}");
            let said = format!("ignoring bad permissions: maillog_file_permissions = {value}");
            assert_eq!(config.bad_log_permissions(), Some(said));
        }
    }

    #[test]
    fn a_file_outside_the_prefixes_is_written_by_nobody_and_refused() {
        for main_cf in ["maillog_file = /home/alice/log", "maillog_file = /dev/stderr", "maillog_file = mail.log"] {
            let setup = setup(main_cf);
            assert_eq!((setup.destinations.as_slice(), setup.fallback), (&[Destination::Syslog(2)][..], None));
            let config = Config::parse(main_cf.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap();
            let value = main_cf.strip_prefix("maillog_file = ").unwrap();
            let sentence = format!("maillog_file value '{value}' does not match any prefix in maillog_file_prefixes");
            assert_eq!(config.log_file().unwrap_err().to_string(), sentence);
            assert_eq!(config.unusable_log_file(), Some(sentence));
        }
    }
}
