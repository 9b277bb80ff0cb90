//! header_checks, mime_header_checks, nested_header_checks, body_checks: what a matching rule has us do.

use ipc::cleanup::{flags, status};
use lookup::Maps;
use queue::Type;

use crate::incoming::Incoming;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A field of the message's header.
    Header,
    /// A field that describes MIME structure, of the message or of a part.
    MimeHeader,
    /// A field in the header of an attached message.
    NestedHeader,
    /// A line of the body.
    Body,
}

/// What becomes of the text that was checked.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Keep,
    /// It goes.
    Drop,
    /// This stands in its place.
    Replace(Vec<u8>),
}

/// Longest text in a log line.
const MAX_LOGGED: usize = 200;
/// What a client is told when the rule has no text.
const REJECTED: &str = "5.7.1 message content rejected";

impl Incoming<'_> {
    /// Looks a text up, and does what the table says.
    pub(crate) fn check(&mut self, class: Class, text: &[u8]) -> Fate {
        if self.flags & flags::FILTER == 0 || self.findings.passed {
            return Fate::Keep;
        }
        let worker = self.worker;
        let maps = match class {
            Class::Header => &worker.tables.header_checks,
            Class::MimeHeader => &worker.tables.mime_header_checks,
            Class::NestedHeader => &worker.tables.nested_header_checks,
            Class::Body => &worker.tables.body_checks,
        };
        if maps.is_empty() {
            return Fate::Keep;
        }
        match maps.lookup(text) {
            Ok(None) => Fate::Keep,
            Ok(Some(action)) => self.act(class, maps, text, &String::from_utf8_lossy(&action)),
            Err(_) => {
                let title = maps.title();
                logging::warning!("{}: {title} map lookup problem -- message not accepted, try again later", self.id);
                self.fail(status::WRITE, "");
                Fate::Keep
            }
        }
    }

    fn act(&mut self, class: Class, maps: &Maps, text: &[u8], action: &str) -> Fate {
        let action = action.trim();
        let (command, argument) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
        let argument = argument.trim();
        let command = command.to_ascii_uppercase();
        match command.as_str() {
            "REJECT" => self.reject(class, text, argument),
            "WARN" => self.log_check("warning", class, text, argument),
            "INFO" => self.log_check("info", class, text, argument),
            "FILTER" => return self.filter(class, maps, text, argument),
            "PASS" => {
                self.log_check("pass", class, text, argument);
                self.findings.passed = true;
            }
            "DISCARD" => {
                self.log_check("discard", class, text, argument);
                self.flags |= flags::DISCARD;
                self.findings.passed = true;
            }
            "HOLD" => {
                if self.flags & (flags::HOLD | flags::DISCARD) == 0 {
                    self.log_check("hold", class, text, argument);
                    self.flags |= flags::HOLD;
                }
            }
            "PREPEND" if argument.is_empty() => self.warn_rule(maps, "PREPEND action without text"),
            "PREPEND" => {
                self.log_check("prepend", class, text, argument);
                self.lines(argument.as_bytes());
            }
            "REPLACE" if argument.is_empty() => self.warn_rule(maps, "REPLACE action without text"),
            "REPLACE" => {
                self.log_check("replace", class, text, argument);
                return Fate::Replace(argument.as_bytes().to_vec());
            }
            "REDIRECT" if !argument.contains('@') => self.warn_rule(maps, "bad REDIRECT target"),
            "REDIRECT" => {
                self.log_check("redirect", class, text, argument);
                self.findings.redirect = Some(argument.as_bytes().to_vec());
                self.flags &= !flags::FILTER;
            }
            "BCC" if !argument.contains('@') => self.warn_rule(maps, "bad BCC address"),
            "BCC" => {
                self.log_check("bcc", class, text, argument);
                self.recipients.copies.push(argument.as_bytes().to_vec());
            }
            "STRIP" => {
                self.log_check("strip", class, text, argument);
                return Fate::Drop;
            }
            "IGNORE" => return Fate::Drop,
            "DUNNO" | "OK" => {}
            _ => logging::warning!("unknown command in {} map: {action}", maps.title()),
        }
        Fate::Keep
    }

    fn reject(&mut self, class: Class, text: &[u8], argument: &str) {
        let reason = match argument {
            "" => REJECTED.to_owned(),
            text if has_status(text) => text.to_owned(),
            text => format!("5.7.1 {text}"),
        };
        self.log_check("reject", class, text, &reason);
        self.fail(status::CONTENT, &reason);
        self.findings.passed = true; // one reason is enough
    }

    fn filter(&mut self, class: Class, maps: &Maps, text: &[u8], argument: &str) -> Fate {
        if argument.contains(':') {
            self.log_check("filter", class, text, argument);
            self.findings.filter = Some(argument.as_bytes().to_vec());
        } else {
            self.warn_rule(maps, "bad FILTER command");
        }
        Fate::Keep
    }

    fn warn_rule(&self, maps: &Maps, what: &str) {
        logging::warning!("{}: {what} in {} map", self.id, maps.title());
    }

    fn log_check(&self, action: &str, class: Class, content: &[u8], text: &str) {
        let class = if class == Class::Body { "body" } else { "header" };
        let content = text::printable(&content[..content.len().min(MAX_LOGGED)]);
        let origin = match &self.facts.origin[..] {
            b"" => "local".to_owned(),
            origin => text::printable(origin),
        };
        let shown = |address: &[u8]| text::printable(&address::quote(address));
        let sender = shown(self.facts.sender.as_deref().unwrap_or_default());
        let recipient = match &self.recipients.last[..] {
            b"" => "unknown".to_owned(),
            last => shown(last),
        };
        let mut line =
            format!("{}: {action}: {class} {content} from {origin}; from=<{sender}> to=<{recipient}>", self.id);
        for (name, value, quoted) in [("proto", &self.facts.protocol, false), ("helo", &self.facts.helo, true)] {
            if !value.is_empty() {
                let value = text::printable(value);
                line += &if quoted { format!(" {name}=<{value}>") } else { format!(" {name}={value}") };
            }
        }
        if !text.is_empty() {
            line += &format!(": {text}");
        }
        logging::info!("{line}");
    }

    /// Writes what checks want qmgr to know.
    pub(crate) fn put_findings(&mut self) {
        if let Some(filter) = self.findings.filter.take() {
            self.put(Type::FILTER, &filter);
        }
        if let Some(redirect) = self.findings.redirect.take() {
            self.put(Type::REDIRECT, &redirect);
        }
    }
}

/// Whether a text begins with an enhanced status code (RFC 3463).
fn has_status(text: &str) -> bool {
    let code = text.split_whitespace().next().unwrap_or_default();
    let mut parts = code.split('.');
    let class = parts.next().is_some_and(|part| matches!(part, "2" | "4" | "5"));
    let number =
        |part: Option<&str>| part.is_some_and(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()));
    class && number(parts.next()) && number(parts.next()) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_bring_its_own_status_code() {
        assert!(has_status("5.7.9 some text") && has_status("4.1.100"));
        assert!(!has_status("some text") && !has_status("5.7") && !has_status("5.7.x y") && !has_status("3.1.1"));
    }
}
