//! Where main.cf sends log lines.

use logging::{Destination, Format, Setup};

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
    /// Where the lines of a program go, by syslog_name, syslog_facility, maillog_file and maillog_format. With
    /// maillog_file they go to the postlog service, or to the file itself while that does not answer.
    pub fn log_setup(&self, program: &str, terminal: Terminal) -> Setup {
        let text = |name: &str| self.lookup(name).ok().flatten().unwrap_or_default();
        let maillog_file = text("maillog_file");
        let mut destinations = Vec::new();
        if terminal != Terminal::Nothing {
            destinations.push(Destination::Terminal);
        }
        if terminal != Terminal::Alone {
            destinations.push(if maillog_file.is_empty() {
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
            fallback: (!maillog_file.is_empty()).then(|| maillog_file.into()),
        }
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
    use std::path::Path;

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
        assert_eq!(setup.fallback, Some("/var/log/maillog".into()));
    }
}
