//! The log as main.cf wants it.

use config::{Config, param};
use logging::{Destination, Format, Setup};

/// Sends this process's lines where syslog_name, syslog_facility, maillog_file and maillog_format say.
/// With maillog_file, lines go to the postlog service, or straight to the file while that does not answer.
pub fn set_up_log(config: &Config, program: &str, to_terminal: bool) {
    let text = |name: &str| config.lookup(name).ok().flatten().unwrap_or_default();
    let format = if text("maillog_format") == "json" { Format::Json } else { Format::Postfix };
    let maillog_file = text("maillog_file");
    let destination = if to_terminal {
        Destination::Terminal
    } else if maillog_file.is_empty() {
        Destination::Syslog(facility(&text("syslog_facility")))
    } else {
        let queue_directory = config.get(param::QUEUE_DIRECTORY).unwrap_or_default();
        let service = text("postlog_service_name");
        Destination::Postlog(queue_directory.join("public").join(service), format)
    };
    let host = text("myhostname");
    logging::set_up(Setup {
        program: program.to_owned(),
        syslog_name: text("syslog_name"),
        host: host.split('.').next().unwrap_or_default().to_owned(),
        destinations: vec![destination],
        fallback: (!maillog_file.is_empty()).then(|| maillog_file.into()),
    });
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
