//! The message on its way from a client to cleanup: its envelope, its content as far as it has come, its end.

use std::time::{SystemTime, UNIX_EPOCH};

use config::ErrorClass;
use dsn::Status;
use ipc::Pool;
use ipc::cleanup::{Cause, Cleanup, Entrance, Finished, Message, Outcome};
use message::received::{FromNetwork, comment};
use queue::record::{Type, encode};
use smtp_server::{Chunks, Facts, FilterReply, Protocol, Rejection, Turn};

use crate::envelope;
use crate::filters::Filtering;
use crate::proxy::{Proxied, Refused};
use crate::restriction::Effects;
use crate::settings::Settings;

/// What there is of the message at hand; nothing between messages.
#[derive(Default)]
pub struct Incoming {
    /// The way to cleanup, from the first recipient on.
    pub message: Option<Message>,
    /// The way to a filter in its place.
    pub proxied: Option<Box<Proxied>>,
    /// What access tables want to be done with the message.
    pub effects: Effects,
    /// The same of those that were asked behind the content: the envelope was written by then.
    pub late_effects: Effects,
    /// The content that comes in BDAT chunks.
    pub chunks: Option<Box<Chunks>>,
    /// Where records go that are kept nowhere.
    nowhere: Vec<u8>,
    /// The message has become too large, and cleanup has what there was by then.
    is_cut: bool,
}

impl Incoming {
    /// Where records of the content go. Those of a message that cannot be queued go into a buffer that is emptied each
    /// time.
    pub fn records(&mut self) -> &mut Vec<u8> {
        self.nowhere.clear();
        if let Some(proxied) = &mut self.proxied {
            return proxied.records();
        }
        self.message.as_mut().map_or(&mut self.nowhere, Message::records)
    }

    /// Passes on what has gathered. A message that cannot be queued is read to its end and forgotten.
    pub async fn flow(&mut self, too_large: bool) {
        if let Some(proxied) = &mut self.proxied {
            return proxied.flow(too_large).await;
        }
        let Some(message) = &mut self.message else { return };
        let flowed = match too_large {
            false => message.flow().await,
            true if !std::mem::replace(&mut self.is_cut, true) => message.pass_on().await,
            true => {
                message.records().clear();
                Ok(())
            }
        };
        if let Err(error) = flowed {
            logging::warning!("problem talking to service cleanup: {error}");
            self.message = None;
        }
    }

    /// Whether nobody takes the content any more.
    pub fn is_lost(&self) -> bool {
        self.proxied.as_ref().map_or(self.message.is_none(), |proxied| proxied.is_broken())
    }

    /// The end of the envelope and the headers that the server adds.
    ///
    /// # Errors
    /// A filter does not take the content.
    pub async fn begin_content(&mut self, facts: &Facts<'_>, settings: &Settings) -> Result<(), Turn> {
        if let Some(proxied) = &mut self.proxied {
            let received = received(facts, settings, None).into_iter().map(String::into_bytes);
            let heading: Vec<Vec<u8>> = self.effects.prepend.iter().cloned().chain(received).collect();
            return proxied.begin_content(&heading).await.map_err(refused);
        }
        let Some(message) = &mut self.message else { return Ok(()) };
        let received = received(facts, settings, Some(message.queue_id().as_str()));
        let out = message.records();
        envelope::fate(out, &self.effects);
        encode(out, Type::MESSAGE, b"");
        for header in &self.effects.prepend {
            encode(out, Type::LINE, header);
        }
        for line in received {
            encode(out, Type::LINE, line.as_bytes());
        }
        Ok(())
    }

    /// Ends the message, and waits until cleanup has said what becomes of it.
    pub async fn finish(&mut self, cleanup: &Entrance, filtering: &mut Filtering, hostname: &str) -> Result<(), Turn> {
        let Some(mut message) = self.message.take() else { return Err(write_error().into()) };
        encode(message.records(), Type::EXTRACTED, b"");
        envelope::fate(message.records(), &self.late_effects);
        envelope::ways(message.records(), &self.effects.clone().followed_by(&self.late_effects));
        encode(message.records(), Type::END, b"");
        // What goes nowhere is nobody's to look at.
        let is_discarded = self.effects.discard || self.late_effects.discard;
        let handed = if is_discarded { Ok(()) } else { filtering.hand_over(&mut message).await };
        let finished = match handed {
            Ok(()) => cleanup.finish(message).await,
            Err(error) => Err(error),
        };
        match finished {
            Ok(Finished { outcome, failed }) => {
                filtering.have_failed(&failed);
                match outcome {
                    Outcome::Accepted(_) => Ok(()),
                    Outcome::Refused { cause, text } => Err(refusal_of(cause, &text, hostname)),
                }
            }
            Err(error) => {
                logging::warning!("problem talking to service cleanup: {error}");
                Err(write_error().into())
            }
        }
    }

    /// Nothing becomes of the message, if there is one.
    pub async fn abort(&mut self, cleanup: &Pool<Cleanup>) {
        // A filter hears nothing more of its message, and no end of it.
        if let Some(message) = std::mem::take(self).message {
            message.abort(cleanup).await;
        }
    }
}

/// RFC 5321 4.4.
fn received(facts: &Facts<'_>, settings: &Settings, queue_id: Option<&str>) -> Vec<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let date = message::date::rfc5322(now.cast_signed());
    let recipient = facts.recipient.map(|address| text::printable(&address::quote(address)));
    let (hostname, mail_name) = (&settings.dialogue.myhostname, &settings.dialogue.mail_name);
    // smtpd_hide_client_session
    if settings.hide_client_session {
        let id = queue_id.map(|id| format!(" id {id}")).unwrap_or_default();
        let by = format!("Received: by {hostname} ({mail_name}){id}");
        return match recipient {
            Some(recipient) => vec![by, format!("\tfor <{recipient}>; {date}")],
            None => vec![format!("{by};"), format!("\t{date}")],
        };
    }
    // smtpd_sasl_authenticated_header
    let user = facts.login.filter(|_| settings.authenticated_header).map(|login| comment(login.user.as_bytes()));
    // smtpd_tls_received_header
    let mut comments = facts.tls.map(|secured| secured.comments.clone()).unwrap_or_default();
    comments.extend(user.into_iter().map(|user| format!("Authenticated sender: {user}")));
    FromNetwork {
        helo: facts.helo.unwrap_or_default(),
        name: &facts.peer.name,
        address: &facts.peer.rfc_address(),
        comments: &comments,
        protocol: protocol(facts),
        hostname,
        mail_name,
        queue_id,
        only_recipient: recipient.as_deref(),
        date: &date,
        id_beside_date: false,
    }
    .lines()
}

/// RFC 3848, RFC 6531 4.3. Who has never said EHLO speaks SMTP, whatever else it has done.
fn protocol(facts: &Facts<'_>) -> &'static str {
    if facts.protocol == Protocol::Smtp {
        return "SMTP";
    }
    let utf8 = facts.parameters.is_some_and(|parameters| parameters.smtputf8);
    match (utf8, facts.tls.is_some(), facts.login.is_some()) {
        (false, false, false) => "ESMTP",
        (false, false, true) => "ESMTPA",
        (false, true, false) => "ESMTPS",
        (false, true, true) => "ESMTPSA",
        (true, false, false) => "UTF8SMTP",
        (true, false, true) => "UTF8SMTPA",
        (true, true, false) => "UTF8SMTPS",
        (true, true, true) => "UTF8SMTPSA",
    }
}

/// What the client is told where the filter does not take its message.
pub fn refused(refused: Refused) -> Turn {
    match refused {
        Refused::Said(reply) => reply.into(),
        Refused::Broken => write_error().into(),
    }
}

/// The message cannot be queued now.
pub fn write_error() -> Rejection {
    Rejection::new(451, Status::new(4, 3, 0), "Error: queue file write error").of(ErrorClass::Resource)
}

/// What a cause means to the postmaster.
fn class_of(cause: Cause) -> ErrorClass {
    match cause {
        Cause::Hops | Cause::Size => ErrorClass::Bounce,
        Cause::Content | Cause::Defer | Cause::NoPermission | Cause::NoRecipients => ErrorClass::Policy,
        Cause::BareLf => ErrorClass::Protocol,
        Cause::Protocol => ErrorClass::Software,
        Cause::Write => ErrorClass::Resource,
    }
}

fn refusal_of(cause: Cause, text: &str, hostname: &str) -> Turn {
    let class = class_of(cause);
    if text.is_empty() {
        let head = if cause == Cause::BareLf { format!("{hostname} ") } else { String::new() };
        let text = format!("{head}Error: {}", cause.sentence());
        return Rejection::new(cause.code(), cause.status(), text).of(class).into();
    }
    let text = text.as_bytes();
    // A whole reply (`550 5.7.1 text`) brings its own code, and is what a filter says.
    let own = text.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok());
    if let (Some(own @ 400..600), Some(b' ' | b'-') | None) = (own, text.get(3)) {
        return FilterReply::new(own, text).into();
    }
    let (status, text) = Status::split_bytes(text, cause.status());
    Rejection::new(cause.code(), status, text).of(class).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(cause: Cause, text: &str) -> String {
        let reply = refusal_of(cause, text, "mx.test").reply.expect("a reply");
        String::from_utf8_lossy(&reply.joined(b'|')).into_owned()
    }

    #[test]
    fn every_cause_has_its_reply() {
        assert_eq!(shown(Cause::Write, ""), "451 4.3.0 Error: queue file write error");
        assert_eq!(shown(Cause::Hops, ""), "554 5.4.0 Error: too many hops");
        assert_eq!(shown(Cause::Size, ""), "552 5.3.4 Error: message file too big");
        assert_eq!(shown(Cause::BareLf, ""), "550 5.5.2 mx.test Error: bare <LF> received");
        assert_eq!(shown(Cause::Protocol, ""), "451 4.3.0 Error: internal protocol error");
    }

    #[test]
    fn a_reason_is_what_the_client_reads() {
        assert_eq!(shown(Cause::Content, "5.7.1 header bad"), "550 5.7.1 header bad");
        assert_eq!(shown(Cause::Content, "bad"), "550 5.7.1 bad");
        assert_eq!(shown(Cause::Content, "451 4.7.1 later"), "451 4.7.1 later");
        assert_eq!(shown(Cause::Content, "550-a\r\n550 b"), "550-a|550 b");
    }
}
