//! header_checks, mime_header_checks, nested_header_checks, body_checks: what a matching rule has us do.

use dsn::Status;
use ipc::cleanup::{Cause, Flags};
use lookup::Maps;
use message::header::name_length;
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
/// told: nobody; the message keeps the text, the log shows its start.
const MAX_LOGGED: usize = 200;
/// What a client is told when the rule has no text.
const REJECTED: &str = "message content rejected";

impl Incoming<'_> {
    /// Looks a text up, and does what the table says.
    pub(crate) fn check(&mut self, class: Class, text: &[u8]) -> Fate {
        if !self.flags.has(Flags::FILTER) || self.findings.passed {
            return Fate::Keep;
        }
        let site = self.site;
        let maps = match class {
            Class::Header => &site.tables.header_checks,
            Class::MimeHeader => &site.tables.mime_header_checks,
            Class::NestedHeader => &site.tables.nested_header_checks,
            Class::Body => &site.tables.body_checks,
        };
        if maps.is_empty() {
            return Fate::Keep;
        }
        match maps.lookup(text) {
            Ok(None) => Fate::Keep,
            Ok(Some(action)) => {
                self.act(&Check { class: class.shown(), text, maps, in_header: class != Class::Body }, &action)
            }
            Err(_) => {
                let title = maps.title();
                logging::warning!("{}: {title} map lookup problem -- message not accepted, try again later", self.id);
                self.fail(Cause::Write, "");
                Fate::Keep
            }
        }
    }

    /// message_reject_characters: a text that holds one refuses the message.
    pub(crate) fn reject_characters(&mut self, text: &[u8]) {
        // Like Postfix, whose texts end at a NUL.
        let shown = text.split(|byte| *byte == 0).next().unwrap_or_default();
        if !self.has_failed_for(Cause::Content) {
            self.log_check("reject", "content", shown, b"5.7.1 disallowed character");
        }
        self.fail(Cause::Content, "5.7.1 disallowed character");
    }

    fn act(&mut self, check: &Check<'_>, action: &[u8]) -> Fate {
        let action = action.trim_ascii();
        let end = action.iter().position(u8::is_ascii_whitespace).unwrap_or(action.len());
        let (command, argument) = (action[..end].to_ascii_uppercase(), action[end..].trim_ascii_start());
        let log = |incoming: &Self, name| incoming.log_check(name, check.class, check.text, argument);
        match &command[..] {
            b"REJECT" => self.reject(check, argument),
            b"WARN" => log(self, "warning"),
            b"INFO" => log(self, "info"),
            b"PASS" => {
                log(self, "pass");
                self.findings.passed = true;
            }
            b"DISCARD" => {
                log(self, "discard");
                self.flags = self.flags.with(Flags::DISCARD);
                self.findings.passed = true;
            }
            b"HOLD" if self.flags.has(Flags::HOLD.with(Flags::DISCARD)) => {}
            b"HOLD" => {
                log(self, "hold");
                self.flags = self.flags.with(Flags::HOLD);
            }
            b"PREPEND" if check.takes("PREPEND", argument) => {
                log(self, "prepend");
                self.lines(argument);
            }
            b"REPLACE" if check.takes("REPLACE", argument) => {
                log(self, "replace");
                return Fate::Replace(argument.to_vec());
            }
            b"FILTER" if check.is_filter(argument) => {
                log(self, "filter");
                self.findings.filter = Some(argument.to_vec());
            }
            b"REDIRECT" if check.is_address("REDIRECT target", argument) => {
                log(self, "redirect");
                self.findings.redirect = Some(argument.to_vec());
                self.flags = self.flags.without(Flags::FILTER);
            }
            b"BCC" if check.is_address("BCC address", argument) => {
                log(self, "bcc");
                self.recipients.copies.push(argument.to_vec());
            }
            b"STRIP" => {
                log(self, "strip");
                return Fate::Drop;
            }
            b"IGNORE" => return Fate::Drop,
            b"DUNNO" | b"OK" | b"PREPEND" | b"REPLACE" | b"FILTER" | b"REDIRECT" | b"BCC" => {}
            _ => {
                let (title, action) = (check.maps.title(), text::printable(action));
                logging::warning!("unknown command in {title} map: {action}");
            }
        }
        Fate::Keep
    }

    fn reject(&mut self, check: &Check<'_>, argument: &[u8]) {
        let default = Status::new(5, 7, 1);
        let (mut code, text) = match argument {
            b"" => (default, REJECTED.as_bytes()),
            argument => Status::split_bytes(argument, default),
        };
        if code.class() == 2 {
            let argument = text::printable(argument);
            logging::warning!("bad DSN action in {argument} -- need 4.x.x or 5.x.x");
            code = code.with_class(4);
        }
        let reason = format!("{code} {}", text::printable(text));
        self.log_check("reject", check.class, check.text, reason.as_bytes());
        self.fail(if code.class() == 4 { Cause::Defer } else { Cause::Content }, &reason);
        self.findings.passed = true; // one reason is enough
    }

    fn log_check(&self, action: &str, class: &str, content: &[u8], text: &[u8]) {
        let mut line = format!("{}: {action}: {class} {}", self.id, self.shown_content(content));
        for (name, value, quoted) in [("proto", &self.facts.protocol, false), ("helo", &self.facts.helo, true)] {
            if !value.is_empty() {
                let value = text::printable(value);
                line += &if quoted { format!(" {name}=<{value}>") } else { format!(" {name}={value}") };
            }
        }
        if !text.is_empty() {
            line += &format!(": {}", text::printable(text));
        }
        logging::info!("{line}");
    }

    /// A message whose structure is refused.
    pub(crate) fn log_structure(&self, error: &str) {
        let content = self.shown_content(self.structure.last_kind());
        logging::info!("{}: reject: mime-error {error}: {content}", self.id);
    }

    /// A text, and whose it is.
    fn shown_content(&self, content: &[u8]) -> String {
        // told: nobody; the message keeps the text, the log shows its start.
        let content = text::printable(&content[..content.len().min(MAX_LOGGED)]);
        let origin = match &self.facts.origin[..] {
            b"" => "local".to_owned(),
            origin => text::printable(origin),
        };
        let shown = |address: &[u8]| self.site.settings.log.addresses.shown(address);
        let sender = shown(self.facts.sender.as_deref().unwrap_or_default());
        let recipient = match &self.recipients.last[..] {
            b"" => "unknown".to_owned(),
            last => shown(last),
        };
        format!("{content} from {origin}; from=<{sender}> to=<{recipient}>")
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

/// A text that a table has something to say about.
struct Check<'a> {
    /// What log lines call it.
    class: &'static str,
    text: &'a [u8],
    maps: &'a Maps,
    /// It is a header field, and what takes its place or stands before it has to be one too.
    in_header: bool,
}

impl Class {
    fn shown(self) -> &'static str {
        if self == Class::Body { "body" } else { "header" }
    }
}

impl Check<'_> {
    /// Whether the text of PREPEND or REPLACE may stand in this place.
    fn takes(&self, command: &str, argument: &[u8]) -> bool {
        let title = self.maps.title();
        if argument.is_empty() {
            logging::warning!("{command} action without text in {title} map");
            return false;
        }
        let fits = !self.in_header || name_length(argument).is_some();
        if !fits {
            let argument = text::printable(argument);
            logging::warning!(
                "bad {command} header text \"{argument}\" in {title} map -- need \"headername: headervalue\""
            );
        }
        fits
    }

    fn is_filter(&self, argument: &[u8]) -> bool {
        let title = self.maps.title();
        if argument.is_empty() {
            logging::warning!("missing FILTER command argument in {title} map");
        } else if !argument.contains(&b':') {
            let argument = text::printable(argument);
            logging::warning!("bad FILTER command {argument} in {title} -- need transport:destination");
        }
        argument.contains(&b':')
    }

    fn is_address(&self, what: &str, argument: &[u8]) -> bool {
        let fits = argument.contains(&b'@');
        if !fits {
            let (title, argument) = (self.maps.title(), text::printable(argument));
            logging::warning!("bad {what} \"{argument}\" in {title} map -- need user@domain");
        }
        fits
    }
}
