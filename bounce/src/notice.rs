//! Notifications: who is told what, and the mail that tells it.

use std::fmt;
use std::io;
use std::rc::Rc;

use config::Config;
use delivery::submission::{Envelope, Submission, SubmitError};
use dsn::report::{Audience, Report, Returned};
use dsn::template::Kind;
use dsn::{Action, Return, Status};
use ipc::Pool;
use ipc::bounce::{Log, Message};
use ipc::cleanup::{Cleanup, Flags};
use logging::records::bounce::Notification;
use message::{date, received};
use queue::delivery_log::Entry;
use queue::{Encoding, SendOptions};

use crate::log::{self, Entries, Pass};
use crate::settings::Settings;
use crate::subject::Subject;

/// Everything that notifications are made from.
pub struct Notifier {
    /// What main.cf says.
    pub settings: Rc<Settings>,
    /// Connections to cleanup.
    pub cleanup: Pool<Cleanup>,
}

/// One notification that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Notice {
    kind: Kind,
    audience: Audience,
    from: Vec<u8>,
    to: Vec<u8>,
    returned: Returned,
    /// What the log line calls it.
    name: &'static str,
}

impl Notice {
    fn reader(&self) -> &'static str {
        match self.audience {
            Audience::Postmaster => "postmaster",
            Audience::Sender => "sender",
        }
    }
}

/// What notifications are about.
struct Due<'a> {
    message: &'a Message,
    subject: &'a Subject,
    now: i64,
}

impl Notifier {
    /// Sends every notification that the entries of a log call for.
    ///
    /// # Errors
    /// A notification could not be queued: nothing may be removed.
    pub async fn send(&self, config: &Config, log: Log, keep: bool, message: &Message) -> Result<(), NotSent> {
        let now = ipc::delivery::Timestamp::now().seconds;
        let subject = Subject::open(&self.settings.spool, message, now);
        let entries = Entries { spool: &self.settings.spool, log, id: &message.queue_id, only: None };
        let kind = match (log, keep) {
            (Log::Bounce, _) | (Log::Defer, false) => Kind::Failure,
            (Log::Defer, true) => Kind::Delay,
            (Log::Trace, _) if subject.report_requested => Kind::Verify,
            (Log::Trace, _) => Kind::Success,
        };
        let due = Due { message, subject: &subject, now };
        let verp = subject.verp.as_deref().filter(|_| kind == Kind::Failure && !self.settings.disable_verp);
        let Some(delimiters) = verp else {
            return self.report(config, &due, notices(&self.settings, kind, message, &subject), &entries).await;
        };
        // The sender that a recipient has seen hears of that recipient.
        let mut pass = entries.pass()?;
        while let Some(entry) = pass.next()? {
            let known = if entry.original.is_empty() { &entry.recipient } else { &entry.original };
            let seen = address::verp_sender(delimiters, &message.sender, &address::unquote(known));
            let mut notices = notices(&self.settings, kind, message, &subject);
            let to_sender = notices.iter_mut().filter(|notice| notice.audience == Audience::Sender);
            to_sender.for_each(|notice| notice.to.clone_from(&seen));
            self.report(config, &due, notices, &Entries { only: Some(&entry), ..entries }).await?;
        }
        Ok(())
    }

    /// Sends those of the notifications that have a recipient to speak of.
    async fn report(
        &self,
        config: &Config,
        due: &Due<'_>,
        notices: Vec<Notice>,
        entries: &Entries<'_>,
    ) -> Result<(), NotSent> {
        for notice in notices {
            let recipients = Recipients { notice: &notice, entries };
            if recipients.is_empty().await? {
                continue;
            }
            self.submit(config, due, &recipients).await.inspect_err(|error| {
                let (id, to) = (&due.message.queue_id, text::printable(&address::quote(&notice.to)));
                logging::warning!(id: id, "{} notification failed to {to}: {error}", notice.reader());
            })?;
        }
        Ok(())
    }

    async fn submit(&self, config: &Config, due: &Due<'_>, recipients: &Recipients<'_>) -> Result<(), NotSent> {
        let (settings, notice) = (&self.settings, recipients.notice);
        let Due { message, subject, now } = *due;
        let utf8 = message.send_options.has(SendOptions::SMTPUTF8_REQUESTED);
        let template = settings.templates.of(notice.kind);
        // A line that makes no sense stays as it is written.
        let expanded = |line: &String| config.report_text(line).unwrap_or_else(|_| line.clone());
        let text: Vec<String> = template.body.iter().map(expanded).collect();
        let sender = self.shown_sender(message);
        let envelope_id = Some(message.envelope_id.as_bytes()).filter(|id| !id.is_empty());
        let (date, arrival) = (date::rfc5322(now), date::rfc5322(subject.arrival));
        let until = date::rfc5322(subject.arrival.saturating_add(settings.lifetime));
        let answers = if settings.threaded { subject.identifier() } else { None };
        let report = Report {
            kind: notice.kind,
            audience: notice.audience,
            template,
            text: &text,
            hostname: &settings.hostname,
            mail_name: &settings.mail_name,
            origin: &settings.origin,
            queue_id: message.queue_id.as_str(),
            now,
            date: &date,
            to: &self.shown_recipient(notice),
            answers: answers.as_deref(),
            envelope_id,
            sender: &sender,
            arrival_date: &arrival,
            retry_until: Some(&until),
            returned: notice.returned,
            eight_bit: self.is_eight_bit(message),
            utf8,
        };
        let mut mail = self.begin(notice, message, &date).await?;
        write(&mut mail, report.opening()).await?;
        recipients.write(&mut mail, |recipient| report.explanation(recipient)).await?;
        write(&mut mail, report.status()).await?;
        recipients.write(&mut mail, |recipient| report.recipient_status(recipient)).await?;
        write(&mut mail, report.returned()).await?;
        mail.line(&[b"Return-Path: <", sender.as_slice(), b">"].concat()).await?;
        copy_message(&mut mail, subject, notice.returned).await?;
        write(&mut mail, report.closing()).await?;
        mail.finish().await?;
        Ok(())
    }

    /// Opens the notification, up to the trace header.
    async fn begin(&self, notice: &Notice, message: &Message, date: &str) -> Result<Submission<'_>, SubmitError> {
        let recipient = queue::Recipient { address: notice.to.clone(), ..Default::default() };
        let envelope = Envelope {
            sender: &notice.from,
            recipients: std::slice::from_ref(&recipient),
            attributes: if self.is_eight_bit(message) { &[("encoding", b"8bit")] } else { &[] },
            is_remote: false,
            smtputf8: message.send_options.has(SendOptions::SMTPUTF8_REQUESTED),
            flags: notice_flags(&self.settings, message),
        };
        let mut mail = Submission::begin(&self.cleanup, &envelope).await?;
        logging::emit(&Notification {
            queue_id: message.queue_id.as_str(),
            kind: notice.name,
            notification_id: mail.queue_id(),
        });
        let by = received::Writer { hostname: &self.settings.hostname, mail_name: &self.settings.mail_name };
        for line in received::from_mail_system(by, mail.queue_id(), date) {
            mail.line(line.as_bytes()).await?;
        }
        Ok(mail)
    }

    /// Whether bytes above 127 may stand in a notification about a message.
    fn is_eight_bit(&self, message: &Message) -> bool {
        self.settings.utf8 || message.encoding == Encoding::EightBit
    }

    /// The recipient of the notification as its header shows it: the envelope has what main.cf says.
    fn shown_recipient(&self, notice: &Notice) -> Vec<u8> {
        let to = address::quote(&notice.to);
        if to.contains(&b'@') { to } else { [to.as_slice(), b"@", self.settings.origin.as_bytes()].concat() }
    }

    /// The sender as reports show it: the null sender by the name of whoever sends such mail.
    fn shown_sender(&self, message: &Message) -> Vec<u8> {
        match message.sender.is_empty() {
            true => format!("MAILER-DAEMON@{}", self.settings.origin).into_bytes(),
            false => address::quote(&message.sender),
        }
    }
}

/// Why a notification was not sent.
#[derive(Debug)]
pub enum NotSent {
    /// The log cannot be read.
    Log(io::Error),
    /// cleanup has not taken it.
    Submit(SubmitError),
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSent::Log(error) => write!(f, "read log: {}", text::system_error(error)),
            NotSent::Submit(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for NotSent {
    fn from(error: io::Error) -> Self {
        NotSent::Log(error)
    }
}

impl From<SubmitError> for NotSent {
    fn from(error: SubmitError) -> Self {
        NotSent::Submit(error)
    }
}

/// The entries that a notice is about.
struct Recipients<'a> {
    notice: &'a Notice,
    entries: &'a Entries<'a>,
}

impl Recipients<'_> {
    async fn is_empty(&self) -> io::Result<bool> {
        Ok(self.next(&mut self.entries.pass()?).await?.is_none())
    }

    /// Writes what a report says of each of them.
    async fn write(
        &self,
        mail: &mut Submission<'_>,
        lines: impl Fn(&dsn::report::Recipient) -> Vec<Vec<u8>>,
    ) -> Result<(), NotSent> {
        let mut pass = self.entries.pass()?;
        while let Some(entry) = self.next(&mut pass).await? {
            write(mail, lines(&reported(self.notice.kind, &entry))).await?;
        }
        Ok(())
    }

    async fn next(&self, pass: &mut Pass<'_>) -> io::Result<Option<Entry>> {
        while let Some(entry) = pass.next()? {
            // A large log is read beside the work for other clients.
            tokio::task::yield_now().await;
            if concerns(self.notice, &entry) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}

async fn write(mail: &mut Submission<'_>, lines: Vec<Vec<u8>>) -> Result<(), SubmitError> {
    for line in lines {
        mail.line(&line).await?;
    }
    Ok(())
}

/// The notifications that are due, as if every recipient called for one.
fn notices(settings: &Settings, kind: Kind, message: &Message, subject: &Subject) -> Vec<Notice> {
    let id = &message.queue_id;
    let is_double_bounce = message.sender.eq_ignore_ascii_case(&settings.double_bounce_sender);
    let is_bounce = message.sender.is_empty();
    let names = names(kind);
    let to_postmaster = |recipient: &Option<String>, returned| {
        recipient.as_ref().map(|to| Notice {
            kind,
            audience: Audience::Postmaster,
            from: settings.double_bounce_sender.clone(),
            to: to.clone().into_bytes(),
            returned,
            name: names.1,
        })
    };
    match kind {
        Kind::Failure if is_double_bounce => {
            logging::warning!(id: id, "undeliverable postmaster notification discarded");
            Vec::new()
        }
        // notify_classes: 2bounce
        Kind::Failure if is_bounce => {
            to_postmaster(&settings.notify.double_bounce, Returned::Message).into_iter().collect()
        }
        Kind::Failure => {
            let returned = returned_on_failure(settings, message, subject);
            // notify_classes: bounce
            let copy = to_postmaster(&settings.notify.bounce, Returned::Header);
            std::iter::once(to_sender(kind, message, returned)).chain(copy).collect()
        }
        Kind::Delay if is_bounce || is_double_bounce => Vec::new(),
        Kind::Delay => {
            // notify_classes: delay
            let copy = to_postmaster(&settings.notify.delay, Returned::Header);
            std::iter::once(to_sender(kind, message, Returned::Header)).chain(copy).collect()
        }
        Kind::Success | Kind::Verify if is_bounce || is_double_bounce => {
            let which = if is_bounce { "single-bounce" } else { "double-bounce" };
            logging::info!(id: id, "not sending trace/success notification for {which} message");
            Vec::new()
        }
        Kind::Success | Kind::Verify => vec![to_sender(kind, message, Returned::Header)],
    }
}

fn to_sender(kind: Kind, message: &Message, returned: Returned) -> Notice {
    let name = names(kind).0;
    let to = message.sender.clone();
    Notice { kind, audience: Audience::Sender, from: Vec::new(), to, returned, name }
}

/// What log lines call the notification to the sender and the copy for postmaster.
fn names(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Failure => ("sender non-delivery notification", "postmaster non-delivery notification"),
        Kind::Delay => ("sender delay notification", "postmaster delay notification"),
        Kind::Success | Kind::Verify => {
            ("sender delivery status notification", "postmaster delivery status notification")
        }
    }
}

/// The sender wanted TLS all the way.
fn is_protected(message: &Message) -> bool {
    message.send_options.has(SendOptions::REQUIRETLS)
}

/// What cleanup does with a notification. One that has protected content travels as that did (RFC 8689 5): it has none
/// with requiretls_redact_dsn.
fn notice_flags(settings: &Settings, message: &Message) -> Flags {
    let flags = settings.cleanup_flags;
    if is_protected(message) && !settings.redact { flags.with(Flags::REQUIRETLS) } else { flags }
}

/// RFC 3461 4.3 and bounce_size_limit.
fn returned_on_failure(settings: &Settings, message: &Message, subject: &Subject) -> Returned {
    match message.returned {
        Return::Headers => Returned::Header,
        _ if subject.size > settings.size_limit => Returned::Header,
        _ if settings.redact && is_protected(message) => Returned::Header,
        Return::Full | Return::Unset => Returned::Message,
    }
}

/// Whether the notice names this recipient: postmaster hears of all, the sender of those that he asked for.
fn concerns(notice: &Notice, entry: &Entry) -> bool {
    let wanted = entry.notify;
    match (notice.audience, notice.kind) {
        (Audience::Postmaster, _) | (_, Kind::Verify | Kind::Success) => true,
        (_, Kind::Failure) => wanted.wants_failure(),
        (_, Kind::Delay) => wanted.wants_delay(),
    }
}

/// A paragraph of the log as the report shows it: in a failure report a recipient that was only delayed has failed.
fn reported(kind: Kind, entry: &Entry) -> dsn::report::Recipient {
    let default = match kind {
        Kind::Failure => (Status::new(5, 0, 0), Action::Failed),
        Kind::Delay => (Status::new(4, 0, 0), Action::Delayed),
        Kind::Success | Kind::Verify => (Status::new(2, 0, 0), Action::Delivered),
    };
    let mut recipient = log::recipient(entry, default);
    if kind == Kind::Failure {
        recipient.action = Action::Failed;
    }
    recipient
}

/// The message, or its header: up to the first empty line.
async fn copy_message(mail: &mut Submission<'_>, subject: &Subject, part: Returned) -> Result<(), SubmitError> {
    let Some(mut content) = subject.content() else { return Ok(()) };
    let mut starts_line = true;
    loop {
        match content.next_text() {
            Ok(Some(text)) => {
                if part == Returned::Header && starts_line && text.ends_line && text.data.is_empty() {
                    return Ok(());
                }
                starts_line = text.ends_line;
                mail.text(text).await?;
            }
            Ok(None) => break,
            Err(error) => {
                // What was read so far is returned: better than no notification.
                logging::warning!("returned message: {error}");
                break;
            }
        }
    }
    if starts_line { Ok(()) } else { mail.line(b"").await }
}

#[cfg(test)]
#[path = "notice_tests.rs"]
mod tests;
