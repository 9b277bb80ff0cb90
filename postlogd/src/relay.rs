//! Lines for syslog: what the sender put in front is taken apart and given to the system's log as its parts.

use std::os::unix::net::UnixDatagram;

/// The system's log, for lines that the file does not take; connected before the name of its socket is out of reach.
pub(crate) struct Refuge(Option<UnixDatagram>);

impl Refuge {
    /// A connection that holds nobody up, if there is a system's log.
    pub(crate) fn new() -> Self {
        Self(logging::dial().ok().filter(|socket| socket.set_nonblocking(true).is_ok()))
    }

    /// A line of another program.
    pub(crate) fn take(&self, line: &str) {
        self.send(&in_syslog_form(line));
    }

    /// What postlogd itself has to say.
    pub(crate) fn warn(&self, text: &str) {
        self.send(&format!("<20>{}[{}]: warning: {text}", logging::tag(), std::process::id()));
    }

    fn send(&self, datagram: &str) {
        let sent = self.0.as_ref().is_some_and(|socket| socket.send(datagram.as_bytes()).is_ok());
        if !sent {
            // All that is left; when that is closed too, nobody listens.
            eprintln!("{datagram}");
        }
    }
}

/// `Mon DD HH:MM:SS HOST TAG[PID]: TEXT` without its host, under facility mail.
pub(crate) fn in_syslog_form(line: &str) -> String {
    let mut fields = line.splitn(5, ' ');
    let parts: Vec<&str> = fields.by_ref().collect();
    match parts[..] {
        [month, day, time, _host, rest] => {
            let severity = match rest.split_once(": ").map(|(_, text)| text) {
                Some(text) if text.starts_with("warning: ") => 4,
                Some(text) if text.starts_with("error: ") => 3,
                Some(text) if text.starts_with("fatal: ") || text.starts_with("panic: ") => 2,
                _ => 6,
            };
            format!("<{}>{month} {day} {time} {rest}", 2 * 8 + severity)
        }
        _ => format!("<22>{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::in_syslog_form;

    #[test]
    fn the_host_is_left_to_syslog_and_the_severity_word_decides() {
        let line = "Nov 22 11:41:25 mx postfix/local[6557]: warning: x y";
        assert_eq!(in_syslog_form(line), "<20>Nov 22 11:41:25 postfix/local[6557]: warning: x y");
        assert_eq!(in_syslog_form("odd"), "<22>odd");
    }
}
