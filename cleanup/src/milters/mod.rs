//! Mail filters (milters): a message that is complete is shown to them, and what they want changed is changed, before
//! it is mail.
//!
//! Mail that comes by smtpd brings its filters along: smtpd has told them of the client's commands, and hands their
//! connections over. Other mail is shown to non_smtpd_milters, which are told of a client that never was.
//!
//! Whatever a filter does, the message is in the queue file as its client gave it until all filters have had their
//! word; then it is written anew, behind itself, and the pointer in front leads there. A crash in between leaves no
//! mail.

mod changes;
mod content;
mod header_checks;
mod layout;
mod local;
mod rewritten;

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use dsn::Status;
use ipc::cleanup::{Cause, Filter as Handed};
use milter::{Action, Agreement, Event, Filter, Macros, Settings, Verdict};

use crate::envelope::Envelope;
use crate::failure::{Failure, Reply};
use crate::message::Message;
use crate::recipients::Recipients;
use crate::writer::Writer;

pub use changes::Changes;
pub use layout::Layout;
pub use local::Local;

/// A filter that is about to see the message, and the macros of the content.
pub struct Viewer {
    filter: Filter,
    header_macros: Vec<u8>,
    body_macros: Vec<u8>,
    /// smtpd has its own descriptor of the connection, and goes on with it.
    is_shared: bool,
}

impl Viewer {
    /// Takes a filter over.
    ///
    /// # Errors
    /// There is no connection that could be watched.
    pub fn handed(handed: Handed, socket: OwnedFd) -> std::io::Result<Viewer> {
        let time = Duration::from_secs(handed.timeout);
        let settings = Settings {
            service: handed.service,
            endpoint: Err(String::new()),
            connect_timeout: time,
            command_timeout: time,
            content_timeout: time,
            protocol: String::new(),
            default_action: Action::parse(&handed.default_action),
        };
        let agreement = Agreement { steps: handed.steps, ..Agreement::default() };
        let filter = Filter::resumed(Rc::new(settings), Rc::new(Macros::default()), agreement, socket)?;
        let Handed { header_macros, body_macros, .. } = handed;
        Ok(Viewer { filter, header_macros, body_macros, is_shared: true })
    }

    /// Tells the filter of a part of the message.
    async fn tell(&mut self, event: &Event<'_>) -> Verdict {
        let payload = match event {
            Event::Body(_) => &self.body_macros,
            _ => &self.header_macros,
        };
        self.filter.event(event, payload).await
    }
}

/// What filtering works on.
pub struct Filtered<'a, 'w> {
    /// The message.
    pub message: &'a Message<'w>,
    /// Its file.
    pub writer: &'a mut Writer,
    /// Its sender, and who gave it in.
    pub envelope: &'a mut Envelope,
    /// Who receives it.
    pub recipients: &'a mut Recipients,
}

/// What smtpd is told of the filters that it has handed over: the numbers of those that do not work any more.
pub type Failed = Vec<u32>;

/// Ends the sessions that were begun for this message alone.
pub async fn end(viewers: &mut [Viewer]) {
    for viewer in viewers.iter_mut().filter(|viewer| !viewer.is_shared) {
        viewer.filter.close().await;
    }
}

impl Filtered<'_, '_> {
    /// Shows the message to the filters, one after the other, until one has a word against it; what they want changed
    /// is changed.
    pub async fn run(mut self, mut viewers: Vec<Viewer>) -> Failed {
        let mut failed = Vec::new();
        if viewers.is_empty() {
            return failed;
        }
        let mut changes = Changes::default();
        let mut layout = match Layout::read(self.writer) {
            Ok(layout) => layout,
            Err(failure) => {
                self.writer.refuse(failure);
                return failed;
            }
        };
        for (number, viewer) in (0..).zip(&mut viewers) {
            let verdict = self.view(viewer, &mut layout, &mut changes).await;
            if viewer.filter.is_lost() {
                failed.push(number);
            }
            let goes_on = verdict == Verdict::Continue;
            self.obey(verdict, "END-OF-MESSAGE", true);
            if !goes_on || !self.writer.verdict.goes_on() {
                break;
            }
        }
        end(&mut viewers).await;
        let verdict = &self.writer.verdict;
        // What filters do not want goes back to a local sender as they have changed it.
        let is_returned = verdict.is_refused_for(Cause::Content) && verdict.will_bounce();
        let is_wanted = verdict.failure().is_none() || is_returned;
        if is_wanted && !verdict.discard && (layout.is_changed() || !changes.is_empty()) {
            let result = self.rewrite(layout, changes).await;
            if let Err(failure) = result {
                self.writer.refuse(failure);
            }
        }
        failed
    }

    /// One filter: the whole message, and its last word.
    async fn view(&mut self, viewer: &mut Viewer, layout: &mut Layout, changes: &mut Changes) -> Verdict {
        let shown = match self.show(viewer, layout).await {
            Ok(verdict) => verdict,
            Err(failure) => {
                self.writer.refuse(failure);
                return Verdict::Continue;
            }
        };
        if shown != Verdict::Continue {
            return shown;
        }
        let (message, envelope, writer) = (self.message, &mut *self.envelope, &mut *self.writer);
        let mut editor = changes::Editing { message, envelope, writer, layout, changes };
        let macros = std::mem::take(&mut viewer.body_macros);
        viewer.filter.end_of_body(&macros, &mut editor).await
    }

    /// Does what a filter says about the message as a whole, at this point of its way.
    fn obey(&mut self, verdict: Verdict, at: &'static str, has_recipient: bool) {
        match verdict {
            Verdict::Continue => {}
            Verdict::Hold(_) if self.writer.verdict.hold => {}
            Verdict::Hold(reason) => {
                self.log("milter-hold", at, &hold_reason(&reason), has_recipient);
                self.writer.verdict.hold = true;
            }
            Verdict::Discard => {
                self.log("milter-discard", at, "milter triggers DISCARD action", has_recipient);
                self.writer.verdict.discard = true;
            }
            Verdict::Shutdown => self.refuse(421, b"421 4.7.0 Service unavailable", at, has_recipient),
            Verdict::Say(said) => self.refuse(said.code(), said.text(), at, has_recipient),
        }
    }

    fn refuse(&mut self, code: u16, text: &[u8], at: &'static str, has_recipient: bool) {
        let shown = text::printable(text.get(4..).unwrap_or_default());
        self.log("milter-reject", at, &shown, has_recipient);
        self.writer.refuse(refusal(code, text));
    }

    fn log(&self, action: &'static str, command: &'static str, text: &str, has_recipient: bool) {
        let (client, settings) = (&self.envelope.client, &self.message.site.settings);
        let told = |value: &[u8]| Some(text::printable(value)).filter(|value| !value.is_empty());
        let origin = match &client.origin[..] {
            b"" | b"local" => "localhost[127.0.0.1]".to_owned(),
            origin => text::printable(origin),
        };
        let to = &self.envelope.last_recipient;
        logging::emit(&logging::records::cleanup::Milter {
            queue_id: self.message.id.as_str(),
            action,
            command,
            client: origin,
            text,
            from: settings.log.addresses.shown(self.envelope.sender()),
            to: Some(settings.log.addresses.shown(to)).filter(|_| has_recipient && !to.is_empty()),
            protocol: told(&client.protocol),
            helo: told(&client.helo),
        });
    }
}

/// A message that a filter does not want, in the filter's words.
fn refusal(code: u16, text: &[u8]) -> Failure {
    let cause = if code >= 500 { Cause::Content } else { Cause::Defer };
    let class = if code >= 500 { 5 } else { 4 };
    let words = text.get(4..).unwrap_or_default();
    let first = words.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let (status, reason) = Status::split_bytes(first, Status::new(class, 7, 1));
    let whole = String::from_utf8_lossy(text).into_owned();
    Failure { reply: Reply::Whole(whole, status, text::printable(reason)), ..Failure::new(cause) }
}

/// Bytes of a reason.
/// told: nobody; the log shows the start, as with Postfix.
const MAX_REASON: usize = 100;

/// Why a message is held, as the log says it.
fn hold_reason(reason: &[u8]) -> String {
    match reason {
        b"" => "milter triggers HOLD action".to_owned(),
        // told: see there.
        reason => text::printable(&reason[..reason.len().min(MAX_REASON)]),
    }
}
