//! master.cf of an instance: the one that is installed, with names of its own for the SMTP server.

use crate::programs::Implementation;

/// The installed one.
const INSTALLED: &str = include_str!("../../../conf/master.cf");

/// What C Postfix needs beside it, and complains about in its log without.
const OF_C_POSTFIX: [&str; 3] =
    ["flush unix n - n 1000? 0 flush", "proxymap unix - - n - - proxymap", "scache unix - - n - 1 scache"];

/// The lines of master.cf; the SMTP server has a line for each of `smtp_servers`, an address with a port or a port
/// alone.
pub fn lines(smtp_servers: &[String]) -> Vec<String> {
    let (mut smtpd, others) = entries().partition::<Vec<_>, _>(|line| identity(line) == (Some("smtp"), Some("inet")));
    let smtpd = smtpd.pop().expect("an SMTP server in conf/master.cf");
    let smtpd = smtp_servers.iter().map(|name| smtpd.replacen("smtp", name, 1));
    smtpd.chain(others.into_iter().map(str::to_owned)).collect()
}

/// The same for a test, which may look for a part of a line: one blank between words; and with what C Postfix needs.
pub(crate) fn plain_lines(smtp_servers: &[String], implementation: Implementation) -> Vec<String> {
    let words = |line: &String| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = lines(smtp_servers).iter().map(words).collect();
    if implementation == Implementation::Oracle {
        lines.extend(OF_C_POSTFIX.map(str::to_owned));
    }
    lines
}

/// The line of the log service.
pub(crate) fn log_service() -> &'static str {
    entries().find(|line| identity(line).0 == Some("postlog")).expect("a log service in conf/master.cf")
}

/// Name and type of a service: no two lines have the same.
pub(crate) fn identity(line: &str) -> (Option<&str>, Option<&str>) {
    let mut words = line.split_whitespace();
    (words.next(), words.next())
}

fn entries() -> impl Iterator<Item = &'static str> {
    INSTALLED.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty())
}
