//! smtp_header_checks and its kin: what mail has of its own in headers and lines goes, stays or changes for this way
//! out alone.
//!
//! Nothing can be refused here any more. A table that has no answer stops the message before its end, and it waits.

use config::Reader;
use config::param::twin;
use daemon::StartError;
use logging::records::smtp::Content;
use lookup::{Maps, OpenFlags};
use message::checks::{Rule, shown};
use message::parts::Class;
use queue::QueueId;

use crate::configure;

/// The tables.
pub struct Checks {
    header: Maps,
    mime_header: Maps,
    nested_header: Maps,
    body: Maps,
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
    /// It stays, and this stands before it.
    Prepend(Vec<u8>),
}

/// A table has no answer: `header` or `body`.
#[derive(Debug)]
pub struct NoAnswer(pub &'static str);

impl Checks {
    /// Opens the tables.
    ///
    /// # Errors
    /// What is listed is no table.
    pub fn read(from: &Reader<'_>) -> Result<Self, StartError> {
        let flags = OpenFlags { keep_case: true, bytes: true, ..OpenFlags::default() };
        Ok(Checks {
            header: configure::maps_as(from, twin::HEADER_CHECKS, flags)?,
            mime_header: configure::maps_as(from, twin::MIME_HEADER_CHECKS, flags)?,
            nested_header: configure::maps_as(from, twin::NESTED_HEADER_CHECKS, flags)?,
            body: configure::maps_as(from, twin::BODY_CHECKS, flags)?,
        })
    }

    /// Whether there is none.
    pub fn are_none(&self) -> bool {
        self.all().iter().all(|maps| maps.is_empty())
    }

    /// A table that has changed on disk.
    pub fn changed(&self) -> Option<&str> {
        self.all().into_iter().find_map(Maps::changed)
    }

    /// Looks a field or a line of the body up, and logs what the rule has done about it.
    ///
    /// # Errors
    /// The table has no answer.
    pub fn check(&self, queue_id: &QueueId, class: Class, text: &[u8]) -> Result<Fate, NoAnswer> {
        let maps = match class {
            Class::Header => &self.header,
            Class::MimeHeader => &self.mime_header,
            Class::NestedHeader => &self.nested_header,
            Class::Body => &self.body,
        };
        if maps.is_empty() || text.is_empty() {
            return Ok(Fate::Keep);
        }
        match maps.lookup(text) {
            Ok(None) => Ok(Fate::Keep),
            Ok(Some(result)) => Ok(act(&Check { queue_id, class, text, title: maps.title() }, &result)),
            Err(_) => Err(NoAnswer(class.shown())),
        }
    }

    fn all(&self) -> [&Maps; 4] {
        [&self.header, &self.mime_header, &self.nested_header, &self.body]
    }
}

/// A text that a table has something to say about.
struct Check<'a> {
    queue_id: &'a QueueId,
    class: Class,
    text: &'a [u8],
    /// The parameter that has the table.
    title: &'a str,
}

fn act(check: &Check<'_>, result: &[u8]) -> Fate {
    let rule = Rule::parse(result);
    let log = |action| check.log(action, rule.text);
    match &rule.action[..] {
        b"WARN" => log("warning"),
        b"INFO" => log("info"),
        b"REPLACE" if check.takes(&rule) => {
            log("replace");
            return Fate::Replace(rule.text.to_vec());
        }
        b"PREPEND" if check.takes(&rule) => {
            log("prepend");
            return Fate::Prepend(rule.text.to_vec());
        }
        b"STRIP" => {
            log("strip");
            return Fate::Drop;
        }
        b"IGNORE" => return Fate::Drop,
        b"DUNNO" | b"OK" | b"REPLACE" | b"PREPEND" => {}
        _ => {
            let action = text::printable(result.trim_ascii());
            logging::warning!("unsupported command in {} map: {action}", check.title);
        }
    }
    Fate::Keep
}

impl Check<'_> {
    fn log(&self, action: &'static str, text: &[u8]) {
        let told = Some(text::printable(text)).filter(|text| !text.is_empty());
        let (queue_id, class, content) = (self.queue_id.as_str(), self.class.shown(), shown(self.text));
        logging::emit(&Content { queue_id, action, class, content: &content, text: told });
    }

    /// Whether a rule's text may stand in the message.
    fn takes(&self, rule: &Rule<'_>) -> bool {
        let misfit = rule.misfit(self.title, self.class != Class::Body);
        if let Some(misfit) = &misfit {
            logging::warning!("{misfit}");
        }
        misfit.is_none()
    }
}

#[cfg(test)]
impl Checks {
    /// No tables.
    pub fn none() -> Self {
        let none = |title| Maps::none(title);
        Checks {
            header: none("smtp_header_checks"),
            mime_header: none("smtp_mime_header_checks"),
            nested_header: none("smtp_nested_header_checks"),
            body: none("smtp_body_checks"),
        }
    }
}
