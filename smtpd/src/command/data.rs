//! DATA: the content, and the answer that counts. RFC 5321 4.1.1.4
//!
//! `250` after the content is sent only when cleanup has said that the message is on stable storage.

use std::time::{SystemTime, UNIX_EPOCH};

use delivery::transcript::ErrorClass;
use dsn::Status;
use ipc::cleanup::{Cause, Message, Outcome};
use message::received::FromNetwork;
use queue::record::{Type, encode};
use smtp_protocol::{Content, Decoder, Reply};

use crate::content::ContentWriter;
use crate::envelope;
use crate::rejection::Rejection;
use crate::session::{End, Session, Success};
use crate::settings::BareNewline;
use crate::transaction::Transaction;

/// `DATA`
pub async fn run(session: &mut Session, argument: &[u8]) -> Success {
    if session.chunking.has_begun() {
        return session.fail(503, "5.5.1", "Error: DATA after BDAT");
    }
    let Some(transaction) = &session.transaction else {
        return session.fail(503, "5.5.1", "Error: need RCPT command");
    };
    if transaction.recipients == 0 {
        return session.fail_quietly(554, "5.5.1", "Error: no valid recipients");
    }
    if !argument.is_empty() {
        return session.fail(501, "5.5.4", "Syntax: DATA");
    }
    if let Some(rejection) = session.check_data().await? {
        session.turn_down(&rejection);
        return Ok(false);
    }
    session.reply(Reply::plain(354, "End data with <CR><LF>.<CR><LF>"));
    head(session);
    let content = receive(session).await?;
    conclude(session, &content, "").await
}

/// Finishes a message whose content was read; the reply names the queue file, behind `size`.
pub async fn conclude(session: &mut Session, content: &Received, size: &str) -> Success {
    session.command = "END-OF-MESSAGE";
    let queue_id = session.queue_id().unwrap_or_default().to_owned();
    let result = finish(session, content).await?;
    session.forget_transaction().await;
    let ok = result.is_ok();
    match result {
        Ok(()) => {
            // A client that delivers mail may make mistakes in between.
            (session.errors, session.junk) = (0, 0);
            session.forgive();
            session.reply(Reply::with_status(250, "2.0.0", format!("Ok: {size}queued as {queue_id}")));
        }
        Err(rejection) => session.turn_down(&rejection),
    }
    Ok(ok)
}

/// The end of the envelope and the headers that the server adds.
pub fn head(session: &mut Session) {
    let Some(transaction) = &session.transaction else { return };
    let Some(queue_id) = transaction.queue_id() else { return };
    let received = received(session, transaction, queue_id);
    let Some(transaction) = &mut session.transaction else { return };
    let Some(message) = &mut transaction.message else { return };
    let out = message.records();
    envelope::effects(out, &transaction.effects);
    encode(out, Type::MESSAGE, b"");
    for header in &transaction.effects.prepend {
        encode(out, Type::LINE, header);
    }
    for line in received {
        encode(out, Type::LINE, line.as_bytes());
    }
}

fn received(session: &Session, transaction: &Transaction, queue_id: &str) -> Vec<String> {
    let settings = &session.worker.settings;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let date = message::date::rfc5322(now.cast_signed());
    let recipient = transaction.only_recipient().map(|address| text::printable(&address::quote(address)));
    // smtpd_hide_client_session
    if settings.hide_client_session {
        let by = format!("Received: by {} (Postfix) id {queue_id}", settings.myhostname);
        return match recipient {
            Some(recipient) => vec![by, format!("\tfor <{recipient}>; {date}")],
            None => vec![format!("{by};"), format!("\t{date}")],
        };
    }
    FromNetwork {
        helo: session.helo.as_deref().unwrap_or_default(),
        name: &session.peer.name,
        address: &session.peer.rfc_address(),
        comments: &[],
        protocol: session.protocol,
        hostname: &settings.myhostname,
        queue_id: Some(queue_id),
        only_recipient: recipient.as_deref(),
        date: &date,
    }
    .lines()
}

/// A content that was read to its end.
pub struct Received {
    /// Beyond message_size_limit.
    pub too_large: bool,
    /// A line ended in LF alone.
    pub bare_lf: bool,
}

async fn receive(session: &mut Session) -> Result<Received, End> {
    let settings = &session.worker.settings;
    let mut decoder = Decoder::new(session.bare_newline.newline(), settings.line_length_limit);
    let mut writer = ContentWriter::new(settings.message_size_limit);
    session.content_bytes = Some(0);
    session.connection.begin_request();
    loop {
        let ended = take_content(session, &mut decoder, &mut writer);
        session.content_bytes = Some(writer.size());
        flow(session, writer.is_too_large()).await;
        if ended {
            break;
        }
        session.connection.more().await?;
    }
    session.content_bytes = None;
    Ok(Received { too_large: writer.is_too_large(), bare_lf: decoder.saw_bare_lf() })
}

/// Takes all the content that has arrived. True at its end.
fn take_content(session: &mut Session, decoder: &mut Decoder, writer: &mut ContentWriter) -> bool {
    let (out, pending) = records_and_pending(session);
    let mut used = 0;
    let ended = loop {
        let (count, content) = decoder.step(&pending[used..]);
        used += count;
        match content {
            Some(Content::Text { bytes, ended }) => writer.text(bytes, ended, out),
            Some(Content::End) => break true,
            None => break false,
        }
    };
    session.connection.consume(used);
    session.connection.earn_time(used, session.worker.settings.min_data_rate);
    ended
}

/// Where records of the content go, and the bytes that wait to become records. Those of a message that cannot be queued
/// go into a buffer that is emptied each time.
pub fn records_and_pending(session: &mut Session) -> (&mut Vec<u8>, &[u8]) {
    let message = session.transaction.as_mut().and_then(|transaction| transaction.message.as_mut());
    session.nowhere.clear();
    (message.map_or(&mut session.nowhere, Message::records), session.connection.pending())
}

/// Passes on what has gathered. A message that cannot be queued is read to its end and forgotten.
pub async fn flow(session: &mut Session, too_large: bool) {
    let Some(transaction) = &mut session.transaction else { return };
    let Some(message) = &mut transaction.message else { return };
    if too_large {
        message.records().clear();
    } else if let Err(error) = message.flow().await {
        logging::warning!("problem talking to service cleanup: {error}");
        transaction.message = None;
    }
}

/// What the client is told about its message.
async fn finish(session: &mut Session, content: &Received) -> Result<Result<(), Rejection>, End> {
    if content.bare_lf && session.bare_newline == BareNewline::Note {
        session.statistics.note_bare_lf();
    }
    if content.bare_lf && session.bare_newline == BareNewline::Reject {
        session.log("reject", "bare <LF> received");
        return Ok(Err(session.bare_newline_rejection()));
    }
    if content.too_large {
        logging::warning!("{}: queue file size limit exceeded", session.queue_id().unwrap_or_default());
        return Ok(
            Err(Rejection::new(552, Status::new(5, 3, 4), "Error: message file too big").of(ErrorClass::Bounce)),
        );
    }
    let (rejection, effects) = session.check_end_of_data().await?;
    if let Some(rejection) = rejection {
        return Ok(Err(rejection));
    }
    let message = session.transaction.as_mut().and_then(|transaction| transaction.message.take());
    let Some(mut message) = message else { return Ok(Err(write_error())) };
    encode(message.records(), Type::EXTRACTED, b"");
    envelope::effects(message.records(), &effects);
    encode(message.records(), Type::END, b"");
    Ok(match message.finish(&session.worker.cleanup).await {
        Ok(Outcome::Accepted(_)) => Ok(()),
        Ok(Outcome::Refused { cause, text }) => Err(rejection_of(cause, &text, &session.worker.settings.myhostname)),
        Err(error) => {
            logging::warning!("problem talking to service cleanup: {error}");
            Err(write_error())
        }
    })
}

/// The message cannot be queued now.
pub fn write_error() -> Rejection {
    Rejection::new(451, Status::new(4, 3, 0), "Error: queue file write error").of(ErrorClass::Resource)
}

/// What a cause means to the postmaster.
fn class_of(cause: Cause) -> ErrorClass {
    match cause {
        Cause::Hops | Cause::Size => ErrorClass::Bounce,
        Cause::Content | Cause::NoPermission | Cause::NoRecipients => ErrorClass::Policy,
        Cause::BareLf => ErrorClass::Protocol,
        Cause::Protocol => ErrorClass::Software,
        Cause::Write | Cause::Defer => ErrorClass::Resource,
    }
}

fn rejection_of(cause: Cause, text: &str, hostname: &str) -> Rejection {
    let class = class_of(cause);
    if text.is_empty() {
        let head = if cause == Cause::BareLf { format!("{hostname} ") } else { String::new() };
        let text = format!("{head}Error: {}", cause.sentence());
        return Rejection::new(cause.code(), cause.status(), text).of(class);
    }
    let text = text.as_bytes();
    // A whole reply (`550 5.7.1 text`) brings its own code.
    let own = text.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok());
    let (code, text) = match own {
        Some(own @ 400..600) if text.get(3) == Some(&b' ') => (own, &text[4..]),
        _ => (cause.code(), text),
    };
    let (status, text) = Status::split_bytes(text, cause.status());
    Rejection::new(code, status, text).of(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(cause: Cause, text: &str) -> String {
        rejection_of(cause, text, "mx.test").shown()
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
    }
}
