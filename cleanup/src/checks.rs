//! header_checks, mime_header_checks, nested_header_checks, body_checks: what a matching rule has us do.

use dsn::Status;
use ipc::cleanup::Cause;
use logging::records::cleanup::Content;
use lookup::Maps;
use message::checks::{Rule, shown};
use message::parts::Class;
use queue::Type;

use crate::envelope::Envelope;
use crate::failure::Failure;
use crate::message::Message;
use crate::writer::Writer;

/// What the checks of a message have found.
#[derive(Debug, Default)]
pub struct Checks {
    /// The client wants them, and no REDIRECT action has ended them: the message is somebody else's to look at.
    pub wanted: bool,
    /// A REDIRECT action has sent it to somebody else.
    pub redirected: bool,
    /// No more checks: an action said so.
    passed: bool,
    /// FILTER action: `transport:nexthop`.
    filter: Option<Vec<u8>>,
    /// REDIRECT action.
    redirect: Option<Vec<u8>>,
    /// BCC actions.
    pub copies: Vec<Vec<u8>>,
    /// Bytes of the body that were checked.
    lines: u64,
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

/// Longest text in a log line about the structure of a message.
/// told: nobody; the message keeps the text, the log shows its start.
const MAX_LOGGED_STRUCTURE: usize = 100;
/// What a client is told when the rule has no text.
const REJECTED: &str = "message content rejected";

impl Checks {
    /// Before the first line.
    pub fn new(wanted: bool) -> Self {
        Checks { wanted, ..Checks::default() }
    }

    /// Whether a line of the body is to be looked up: no empty one, and none beyond `limit` (body_checks_size_limit).
    pub fn want_line(&mut self, message: &Message<'_>, line: &[u8], limit: u64) -> bool {
        let wanted = self.wanted && !message.site.tables.body_checks.is_empty() && self.lines < limit;
        if wanted {
            self.lines += line.len() as u64 + 1;
        }
        wanted && !line.is_empty()
    }

    /// Looks a text up, and does what the table says.
    pub fn check(
        &mut self,
        message: &Message<'_>,
        envelope: &Envelope,
        writer: &mut Writer,
        class: Class,
        text: &[u8],
    ) -> Fate {
        if !self.wanted || self.passed {
            return Fate::Keep;
        }
        let tables = &message.site.tables;
        let maps = match class {
            Class::Header => &tables.header_checks,
            Class::MimeHeader => &tables.mime_header_checks,
            Class::NestedHeader => &tables.nested_header_checks,
            Class::Body => &tables.body_checks,
        };
        if maps.is_empty() {
            return Fate::Keep;
        }
        match maps.lookup(text) {
            Ok(None) => Fate::Keep,
            Ok(Some(action)) => {
                let (class, in_header) = (class.shown(), class != Class::Body);
                let check = Check { origin: Origin { message, envelope }, class, text, maps, in_header };
                self.act(&check, writer, &action)
            }
            Err(_) => {
                let title = maps.title();
                let warning = format!("{title} map lookup problem -- message not accepted, try again later");
                writer.refuse(Failure::new(Cause::Write).warning(warning));
                Fate::Keep
            }
        }
    }

    /// Writes what qmgr has to know, behind the content.
    pub fn write(&mut self, writer: &mut Writer) {
        if let Some(filter) = self.filter.take() {
            writer.put(Type::FILTER, &filter);
        }
        if let Some(redirect) = self.redirect.take() {
            writer.put(Type::REDIRECT, &redirect);
        }
    }

    fn act(&mut self, check: &Check<'_>, writer: &mut Writer, action: &[u8]) -> Fate {
        let rule = Rule::parse(action);
        let argument = rule.text;
        let log = |name| check.origin.log(name, check.class, check.text, argument);
        match &rule.action[..] {
            b"REJECT" => self.reject(check, writer, argument),
            b"WARN" => log("warning"),
            b"INFO" => log("info"),
            b"PASS" => {
                log("pass");
                self.passed = true;
            }
            b"DISCARD" => {
                log("discard");
                writer.verdict.discard = true;
                self.passed = true;
            }
            b"HOLD" if writer.verdict.hold || writer.verdict.discard => {}
            b"HOLD" => {
                log("hold");
                writer.verdict.hold = true;
            }
            b"PREPEND" if check.takes(&rule) => {
                log("prepend");
                writer.lines(argument);
            }
            b"REPLACE" if check.takes(&rule) => {
                log("replace");
                return Fate::Replace(argument.to_vec());
            }
            b"FILTER" if check.is_filter(argument) => {
                log("filter");
                self.filter = Some(argument.to_vec());
            }
            b"REDIRECT" if check.is_address("REDIRECT target", argument) => {
                log("redirect");
                self.redirect = Some(argument.to_vec());
                self.wanted = false;
                self.redirected = true;
            }
            b"BCC" if check.is_address("BCC address", argument) => {
                log("bcc");
                self.copies.push(argument.to_vec());
            }
            b"STRIP" => {
                log("strip");
                return Fate::Drop;
            }
            b"IGNORE" => return Fate::Drop,
            b"DUNNO" | b"OK" | b"PREPEND" | b"REPLACE" | b"FILTER" | b"REDIRECT" | b"BCC" => {}
            _ => {
                let (title, action) = (check.maps.title(), text::printable(action.trim_ascii()));
                logging::warning!("unknown command in {title} map: {action}");
            }
        }
        Fate::Keep
    }

    fn reject(&mut self, check: &Check<'_>, writer: &mut Writer, argument: &[u8]) {
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
        let text = text::printable(text);
        check.origin.log("reject", check.class, check.text, format!("{code} {text}").as_bytes());
        let cause = if code.class() == 4 { Cause::Defer } else { Cause::Content };
        writer.refuse(Failure::telling(cause, code, text));
        self.passed = true; // one reason is enough
    }
}

/// Whose message it is, for log lines.
pub struct Origin<'a> {
    /// The message.
    pub message: &'a Message<'a>,
    /// Its sender, its last recipient, its client.
    pub envelope: &'a Envelope,
}

impl Origin<'_> {
    /// message_reject_characters: a text that holds one refuses the message.
    pub fn reject_characters(&self, writer: &mut Writer, text: &[u8]) {
        // Like Postfix, whose texts end at a NUL.
        let shown = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let (status, reason) = (Status::new(5, 7, 1), "disallowed character");
        if !writer.verdict.is_refused_for(Cause::Content) {
            self.log("reject", "content", shown, format!("{status} {reason}").as_bytes());
        }
        writer.refuse(Failure::telling(Cause::Content, status, reason));
    }

    /// A message whose structure is refused: the text that shows it, and the error.
    pub fn reject_structure(&self, writer: &mut Writer, text: &[u8], error: &str) {
        // told: nobody; the message keeps the text, the log shows its start.
        let text = shown(&text[..text.len().min(MAX_LOGGED_STRUCTURE)]);
        let line = Content { error: Some(error), ..self.line("reject", "mime-error", &text) };
        logging::emit(&line);
        writer.refuse(Failure::telling(Cause::Content, Status::new(5, 6, 0), error));
    }

    /// What milter_header_checks does about a header.
    pub fn log_header(&self, action: &'static str, header: &[u8], text: &[u8]) {
        self.log(action, Class::Header.shown(), header, text);
    }

    fn log(&self, action: &'static str, class: &'static str, content: &[u8], text: &[u8]) {
        let client = &self.envelope.client;
        let told = |value: &[u8]| Some(text::printable(value)).filter(|value| !value.is_empty());
        let content = shown(content);
        logging::emit(&Content {
            protocol: told(&client.protocol),
            helo: told(&client.helo),
            text: told(text),
            ..self.line(action, class, &content)
        });
    }

    /// A line about content, and whose it is.
    fn line<'a>(&'a self, action: &'static str, class: &'static str, content: &'a str) -> Content<'a> {
        let shown = |address: &[u8]| self.message.site.settings.log.addresses.shown(address);
        let to = Some(&self.envelope.last_recipient[..]).filter(|last| !last.is_empty()).map(shown);
        let origin = match &self.envelope.client.origin[..] {
            b"" => "local".to_owned(),
            origin => text::printable(origin),
        };
        Content {
            queue_id: self.message.id.as_str(),
            action,
            class,
            error: None,
            content,
            origin,
            from: shown(self.envelope.sender()),
            to,
            protocol: None,
            helo: None,
            text: None,
        }
    }
}

/// A text that a table has something to say about.
struct Check<'a> {
    origin: Origin<'a>,
    /// What log lines call it.
    class: &'static str,
    text: &'a [u8],
    maps: &'a Maps,
    /// It is a header field, and what takes its place or stands before it has to be one too.
    in_header: bool,
}

impl Check<'_> {
    /// Whether the text of PREPEND or REPLACE may stand in this place.
    fn takes(&self, rule: &Rule<'_>) -> bool {
        let misfit = rule.misfit(self.maps.title(), self.in_header);
        if let Some(misfit) = &misfit {
            logging::warning!("{misfit}");
        }
        misfit.is_none()
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
