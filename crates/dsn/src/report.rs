//! The report to a sender: multipart/report with a text for people, message/delivery-status for programs, and the
//! message or its header (RFC 3462, 3464; RFC 6533 where addresses are UTF-8).
//!
//! The form is Postfix's, field for field: bounce processors know it. The lines are built here, piece by piece, for
//! neither the recipients nor the message may fit into memory: [`Report::opening`], [`Report::explanation`] of each
//! recipient, [`Report::status`], [`Report::recipient_status`] of each, [`Report::returned`], the message as the caller
//! copies it, [`Report::closing`]. Lines have no line ends.

use crate::template::{Kind, Template};
use crate::{Action, OriginalRecipient, Status};

/// Longest line of text that a blank can break.
const TEXT_WIDTH: usize = 79;

/// One recipient in a report. Addresses are in external (RFC 5321) form, without angle brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The address that failed, was delayed or delivered.
    pub address: Vec<u8>,
    /// The address before aliases were expanded, if it differs.
    pub original: Option<Vec<u8>>,
    /// As the sender gave it in ORCPT or as cleanup made it.
    pub dsn: OriginalRecipient,
    /// Status code.
    pub status: Status,
    /// What became of it.
    pub action: Action,
    /// Why, for people.
    pub reason: Vec<u8>,
    /// The remote reply: its type (`smtp`) and text.
    pub diagnostic: Option<(Vec<u8>, Vec<u8>)>,
    /// The remote server: its type (`dns`) and name.
    pub remote_mta: Option<(Vec<u8>, Vec<u8>)>,
}

/// Who reads the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The sender of the message.
    Sender,
    /// The postmaster of this host: a copy without the explaining text.
    Postmaster,
}

/// What stands in the last part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// The whole message.
    Message,
    /// Its header only.
    Header,
}

/// Everything a report says.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// What it reports.
    pub kind: Kind,
    /// Who reads it.
    pub audience: Audience,
    /// Subjects and From.
    pub template: &'a Template,
    /// The explaining text, variables replaced ([`Template::expand`]).
    pub text: &'a [String],
    /// This host (`myhostname`).
    pub hostname: &'a str,
    /// mail_name
    pub mail_name: &'a str,
    /// The domain of MAILER-DAEMON (`myorigin`).
    pub origin: &'a str,
    /// The queue ID of the message that is reported about.
    pub queue_id: &'a str,
    /// Now, as seconds since 1970: makes the boundary unique.
    pub now: i64,
    /// Now, as a header date.
    pub date: &'a str,
    /// The address the report goes to.
    pub to: &'a [u8],
    /// The identifier of the message, for programs that show messages as a thread.
    pub answers: Option<&'a [u8]>,
    /// ENVID of the message, decoded from xtext.
    pub envelope_id: Option<&'a [u8]>,
    /// The envelope sender of the message; MAILER-DAEMON at this host for the null sender.
    pub sender: &'a [u8],
    /// When the message arrived, as a header date.
    pub arrival_date: &'a str,
    /// Until when it is tried, as a header date; only in delay reports.
    pub retry_until: Option<&'a str>,
    /// What stands in the last part.
    pub returned: Returned,
    /// Bytes above 127 may be in it: it says that its parts are 8bit, and its text UTF-8.
    pub eight_bit: bool,
    /// The message was sent with SMTPUTF8: the parts are message/global ones (RFC 6533).
    pub utf8: bool,
}

impl Report<'_> {
    /// The header, and the text up to the first recipient.
    pub fn opening(&self) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        self.header(&mut lines);
        self.notification(&mut lines);
        lines.0
    }

    /// What happened to a recipient, for people.
    pub fn explanation(&self, recipient: &Recipient) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        lines.text("");
        let mut text = angled(&recipient.address);
        if let Some(original) = &recipient.original {
            text.extend_from_slice(b" (expanded from ");
            text.extend_from_slice(&angled(original));
            text.push(b')');
        }
        text.extend_from_slice(b": ");
        text.extend_from_slice(&recipient.reason);
        lines.folded(&text);
        lines.0
    }

    /// The status part up to the first recipient.
    pub fn status(&self) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        self.delivery_status(&mut lines);
        lines.0
    }

    /// What happened to a recipient, for programs.
    pub fn recipient_status(&self, recipient: &Recipient) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        lines.text("");
        self.status_of(&mut lines, recipient);
        lines.0
    }

    /// The header of the returned message's part with the empty line after it; then comes `Return-Path: <SENDER>` and
    /// the message.
    pub fn returned(&self) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        self.returned_part(&mut lines);
        lines.0
    }

    /// What follows the returned message.
    pub fn closing(&self) -> Vec<Vec<u8>> {
        vec![Vec::new(), format!("--{}--", self.boundary()).into_bytes()]
    }

    /// `QUEUEID.TIME/HOST`.
    pub fn boundary(&self) -> String {
        format!("{}.{}/{}", self.queue_id, self.now, self.hostname)
    }

    fn header(&self, out: &mut Lines) {
        let (subject, submitted) = match (self.audience, &self.template.postmaster_subject) {
            // RFC 3834: an answer to the sender is a reply, a note to postmaster is not.
            (Audience::Postmaster, Some(subject)) => (subject, "auto-generated"),
            (Audience::Postmaster, None) => (&self.template.subject, "auto-generated"),
            (Audience::Sender, _) => (&self.template.subject, "auto-replied"),
        };
        out.text(format!("Date: {}", self.date));
        out.text(format!("From: {}", mailbox(&self.template.from, self.origin)));
        out.text(format!("Subject: {subject}"));
        out.pair("To: ", self.to);
        if let Some(identifier) = self.answers {
            out.pair("References: ", identifier);
            out.pair("In-Reply-To: ", identifier);
        }
        out.text(format!("Auto-Submitted: {submitted}"));
        out.text("MIME-Version: 1.0");
        // RFC 6533 6.1: the type of the report is the same for all.
        out.text("Content-Type: multipart/report; report-type=delivery-status;");
        out.text(format!("\tboundary=\"{}\"", self.boundary()));
        if self.eight_bit {
            out.text("Content-Transfer-Encoding: 8bit");
        }
        out.text("");
        out.text("This is a MIME-encapsulated message.");
    }

    fn part(&self, out: &mut Lines, description: &str, kind: &str, encoding: bool) {
        out.text("");
        out.text(format!("--{}", self.boundary()));
        out.text(format!("Content-Description: {description}"));
        out.text(format!("Content-Type: {kind}"));
        if encoding && self.eight_bit {
            out.text("Content-Transfer-Encoding: 8bit");
        }
        out.text("");
    }

    fn notification(&self, out: &mut Lines) {
        let charset = match self.template.charset.as_str() {
            // What the servers said may hold UTF-8 even where the template does not.
            "us-ascii" if self.eight_bit => "utf-8",
            other => other,
        };
        self.part(out, "Notification", &format!("text/plain; charset={charset}"), true);
        if self.audience == Audience::Sender {
            for line in self.text {
                out.text(line.as_str());
            }
        }
    }

    fn delivery_status(&self, out: &mut Lines) {
        let kind = if self.utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
        // Addresses and replies may hold UTF-8 there, so the encoding is said (RFC 6533 3).
        self.part(out, "Delivery report", kind, self.utf8);
        out.text(format!("Reporting-MTA: dns; {}", self.hostname));
        if let Some(id) = self.envelope_id {
            out.pair("Original-Envelope-Id: ", id);
        }
        out.text(format!("X-{}-Queue-ID: {}", self.mail_name, self.queue_id));
        out.pair(&format!("X-{}-Sender: {}; ", self.mail_name, self.address_type(self.sender)), self.sender);
        out.text(format!("Arrival-Date: {}", self.arrival_date));
    }

    fn status_of(&self, out: &mut Lines, recipient: &Recipient) {
        let address = if recipient.address.is_empty() { b"<>" } else { recipient.address.as_slice() };
        out.pair(&format!("Final-Recipient: {}; ", self.address_type(address)), address);
        match &recipient.original {
            _ if !recipient.dsn.is_unset() => out.pair("Original-Recipient: ", recipient.dsn.as_stored()),
            Some(original) => out.pair(&format!("Original-Recipient: {};", self.address_type(original)), original),
            None => {}
        }
        out.text(format!("Action: {}", recipient.action));
        out.text(format!("Status: {}", recipient.status));
        if let Some((kind, name)) = &recipient.remote_mta {
            out.pair("Remote-MTA: ", &[kind.as_slice(), b"; ", name].concat());
        }
        let own = format!("X-{}", self.mail_name);
        let (kind, text) = match &recipient.diagnostic {
            Some((kind, text)) => (kind.as_slice(), text),
            None => (own.as_bytes(), &recipient.reason),
        };
        out.folded(&[b"Diagnostic-Code: ", kind, b"; ", text].concat());
        if let (Action::Delayed, Some(until)) = (recipient.action, self.retry_until) {
            out.text(format!("Will-Retry-Until: {until}"));
        }
    }

    fn returned_part(&self, out: &mut Lines) {
        let subject = match self.kind {
            Kind::Failure | Kind::Delay => "Undelivered Message",
            Kind::Success | Kind::Verify => "Message",
        };
        match (self.returned, self.utf8) {
            (Returned::Message, false) => self.part(out, subject, "message/rfc822", true),
            (Returned::Message, true) => self.part(out, subject, "message/global", true),
            (Returned::Header, false) => self.part(out, &format!("{subject} Headers"), "text/rfc822-headers", true),
            (Returned::Header, true) => self.part(out, &format!("{subject} Headers"), "message/global-headers", true),
        }
    }

    /// RFC 6533 3: an address with UTF-8 has its own type.
    fn address_type(&self, address: &[u8]) -> &'static str {
        if self.utf8 && !address.is_ascii() { "utf-8" } else { "rfc822" }
    }
}

/// `MAILER-DAEMON (Mail Delivery System)` as `Mail Delivery System <MAILER-DAEMON@ORIGIN>`; other forms stay.
fn mailbox(from: &str, origin: &str) -> String {
    let parts = from.strip_suffix(')').and_then(|text| text.split_once(" ("));
    match parts {
        Some((address, name)) if !address.contains([' ', '<']) => {
            let at = if address.contains('@') { String::new() } else { format!("@{origin}") };
            format!("{name} <{address}{at}>")
        }
        _ => from.to_owned(),
    }
}

fn angled(address: &[u8]) -> Vec<u8> {
    [b"<", address, b">"].concat()
}

/// Lines under construction. A line never holds a control byte: what was said by other systems cannot start a line.
#[derive(Default)]
struct Lines(Vec<Vec<u8>>);

impl Lines {
    fn text(&mut self, line: impl Into<String>) {
        self.0.push(line.into().into_bytes());
    }

    fn pair(&mut self, name: &str, value: &[u8]) {
        self.0.push([name.as_bytes(), &clean(value)].concat());
    }

    /// Breaks at blanks; continuation lines are indented, which is right for the text and for header fields alike.
    fn folded(&mut self, text: &[u8]) {
        let text = clean(text);
        let mut rest = text.trim_ascii_end();
        let mut indent: &[u8] = b"";
        loop {
            let end = break_at(rest, TEXT_WIDTH - indent.len());
            self.0.push([indent, &rest[..end]].concat());
            rest = rest[end..].trim_ascii_start();
            if rest.is_empty() {
                return;
            }
            indent = b"    ";
        }
    }
}

/// Where to end a line: at the last blank that keeps it within `width`, else at the first blank after it, else at the
/// end of the text.
fn break_at(text: &[u8], width: usize) -> usize {
    if text.len() <= width {
        return text.len();
    }
    let within = text[..=width].iter().rposition(|&b| b == b' ').filter(|&p| p > 0);
    let beyond = || text[width..].iter().position(|&b| b == b' ').map(|p| p + width);
    within.or_else(beyond).unwrap_or(text.len())
}

fn clean(value: &[u8]) -> Vec<u8> {
    value.iter().map(|&b| if b < b' ' || b == 0x7f { b'?' } else { b }).collect()
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
