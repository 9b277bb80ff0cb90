//! The message on its way from a client to cleanup, and what the client is told of it.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use ipc::IpcError;
use ipc::cleanup::{Cause, Message, Outcome};
use message::received::FromNetwork;
use net::Peer;
use queue::record::{Type, encode};
use queue::{Cutter, Lines, QueueId};
use wire::qmqp::Verdict;

use crate::content::Content;
use crate::envelope::{self, BadDelimiters, PROTOCOL};
use crate::service::Qmqpd;

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether to come again.
    pub verdict: Verdict,
    /// For a person; bytes of the client may be in it.
    pub text: String,
}

impl Answer {
    /// The client need not come again.
    pub fn never(text: impl Into<String>) -> Answer {
        Answer { verdict: Verdict::Never, text: text.into() }
    }

    /// The client may come again.
    pub fn not_now(text: impl Into<String>) -> Answer {
        Answer { verdict: Verdict::NotNow, text: text.into() }
    }

    /// The message cannot be queued now.
    pub fn write_error() -> Answer {
        refusal(Cause::Write, "")
    }
}

/// A message, as far as it has come.
pub struct Incoming<'a> {
    worker: &'a Qmqpd,
    peer: &'a Peer,
    message: Message,
    content: Content,
    /// Recipients so far.
    recipients: u64,
    first_recipient: Vec<u8>,
    /// It will not be taken, but is read to its end.
    refused: Option<BadDelimiters>,
}

impl<'a> Incoming<'a> {
    /// A message that begins.
    pub fn new(worker: &'a Qmqpd, peer: &'a Peer, message: Message) -> Incoming<'a> {
        let (content, first_recipient) = (Content::default(), Vec::new());
        Incoming { worker, peer, message, content, recipients: 0, first_recipient, refused: None }
    }

    /// The queue file.
    pub fn queue_id(&self) -> &QueueId {
        self.message.queue_id()
    }

    /// A piece of the content.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.content.push(bytes)
    }

    /// The sender: the envelope begins.
    pub fn sender(&mut self, address: &[u8]) {
        let address = self.until_nul(address);
        let begun = envelope::begin(self.message.records(), address, self.peer, &self.worker.settings);
        self.refused = begun.err();
        if self.refused.is_some() {
            self.content = Content::default();
        }
    }

    /// One more recipient.
    pub fn recipient(&mut self, address: &[u8]) {
        if self.refused.is_some() {
            return;
        }
        let address = self.until_nul(address);
        if self.recipients == 0 {
            self.first_recipient = address.to_vec();
        }
        self.recipients += 1;
        encode(self.message.records(), Type::RECIPIENT, address);
    }

    /// Passes on what has gathered of the envelope.
    ///
    /// # Errors
    /// cleanup is gone.
    pub async fn flow(&mut self) -> Result<(), IpcError> {
        self.message.flow().await
    }

    /// The request is complete: what becomes of the message. It is on stable storage when it is taken.
    pub async fn finish(mut self) -> Answer {
        if let Some(BadDelimiters(delimiters)) = &self.refused {
            let allowed = &self.worker.settings.verp_filter;
            let shown = text::printable(delimiters);
            let text = format!("Error: Invalid VERP delimiters: \"{shown}\". Need two characters from \"{allowed}\"");
            self.abort().await;
            return Answer::never(text);
        }
        match self.send_content().await {
            Ok(()) => {}
            Err(Unsent::Cleanup(error)) => return lost(&error),
            Err(Unsent::Disk(error)) => {
                unwritable(self.queue_id(), &error);
                self.abort().await;
                return Answer::write_error();
            }
        }
        match self.worker.cleanup.finish(self.message).await.map(|finished| finished.outcome) {
            Ok(Outcome::Accepted(id)) => Answer { verdict: Verdict::Taken, text: format!("Ok: queued as {id}") },
            Ok(Outcome::Refused { cause, text }) => refusal(cause, &text),
            Err(error) => lost(&error),
        }
    }

    /// Nothing becomes of the message.
    pub async fn abort(self) {
        self.message.abort(self.worker.cleanup.pool()).await;
    }

    /// The headers that this server adds, and the content behind them.
    async fn send_content(&mut self) -> Result<(), Unsent> {
        let received = self.received();
        let out = self.message.records();
        encode(out, Type::MESSAGE, b"");
        for line in received {
            encode(out, Type::LINE, line.as_bytes());
        }
        // The limit is that of the netstring.
        let (mut cutter, mut lines) = (Cutter::new(self.worker.settings.line_length_limit), Lines::new(None));
        let mut content = std::mem::take(&mut self.content).read().map_err(Unsent::Disk)?;
        while let Some(piece) = content.next_piece().map_err(Unsent::Disk)? {
            let out = self.message.records();
            cutter.push(&piece, &mut |bytes, ended| lines.text(bytes, ended, out));
            self.message.flow().await.map_err(Unsent::Cleanup)?;
        }
        let out = self.message.records();
        cutter.finish(&mut |bytes, ended| lines.text(bytes, ended, out));
        encode(out, Type::EXTRACTED, b"");
        encode(out, Type::END, b"");
        Ok(())
    }

    /// RFC 5321 4.4.
    fn received(&self) -> Vec<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let only_recipient = (self.recipients == 1).then(|| external(&self.first_recipient));
        FromNetwork {
            helo: "",
            name: &self.peer.name,
            address: &self.peer.rfc_address(),
            comments: &[],
            protocol: PROTOCOL,
            hostname: &self.worker.settings.myhostname,
            mail_name: &self.worker.settings.mail_name,
            queue_id: Some(self.queue_id().as_str()),
            only_recipient: only_recipient.as_deref(),
            date: &message::date::rfc5322(now.cast_signed()),
            id_beside_date: true,
        }
        .lines()
    }

    /// An address has no NUL: with Postfix, as with qmail, it ends there.
    fn until_nul<'b>(&self, address: &'b [u8]) -> &'b [u8] {
        let Some(at) = address.iter().position(|byte| *byte == 0) else { return address };
        let (id, shown) = (self.queue_id(), text::printable(address));
        logging::warning!(id: id, "{}: address ends at its first \"?\": {shown}", self.peer.label);
        &address[..at]
    }
}

/// Why a content is not where it should be.
enum Unsent {
    Disk(io::Error),
    Cleanup(IpcError),
}

/// cleanup does not answer; logged.
pub fn lost(error: &IpcError) -> Answer {
    logging::warning!("problem talking to service cleanup: {error}");
    Answer::write_error()
}

/// The content cannot be kept until its envelope has come; logged.
pub fn unwritable(id: &QueueId, error: &io::Error) {
    logging::warning!(id: id, "store message content: {error}", error = text::system_error(error));
}

/// An address in its external form, as it stands in a header: a control character would end the line.
fn external(address: &[u8]) -> String {
    let mut quoted = if address.is_empty() { b"\"\"".to_vec() } else { address::quote(address) };
    quoted.iter_mut().filter(|byte| byte.is_ascii_control()).for_each(|byte| *byte = b' ');
    text::printable(&quoted)
}

/// What the client is told of a message that cleanup does not take.
fn refusal(cause: Cause, text: &str) -> Answer {
    let text = match (text, cause) {
        ("", Cause::Size) => "message too large",
        ("", cause) => cause.sentence(),
        // The reply code of a filter means something to clients of SMTP alone.
        (text, _) => without_code(text),
    };
    let is_permanent = match text.as_bytes() {
        [b'4', b'.', ..] => false,
        [b'5', b'.', ..] => true,
        _ => !matches!(cause, Cause::Defer | Cause::Protocol | Cause::Write),
    };
    let text = format!("Error: {text}");
    if is_permanent { Answer::never(text) } else { Answer::not_now(text) }
}

/// `550 5.7.1 text` without its code.
fn without_code(text: &str) -> &str {
    match text.split_at_checked(4) {
        Some((code, rest)) if code.ends_with([' ', '-']) && code[..3].bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_fare_no_better_later_is_refused_for_good() {
        for (cause, text, answer) in [
            (Cause::Hops, "", Answer::never("Error: too many hops")),
            (Cause::Size, "", Answer::never("Error: message too large")),
            (Cause::NoRecipients, "", Answer::never("Error: no recipients specified")),
            (Cause::Write, "", Answer::not_now("Error: queue file write error")),
            (Cause::Protocol, "", Answer::not_now("Error: internal protocol error")),
            (Cause::Content, "5.7.1 no thanks", Answer::never("Error: 5.7.1 no thanks")),
            (Cause::Content, "4.7.1 not now", Answer::not_now("Error: 4.7.1 not now")),
            (Cause::Content, "551 5.7.9 go away", Answer::never("Error: 5.7.9 go away")),
            (Cause::Defer, "451 4.7.1 Try later", Answer::not_now("Error: 4.7.1 Try later")),
            (Cause::Content, "no", Answer::never("Error: no")),
            (Cause::Content, "5\u{e4}\u{e4}", Answer::never("Error: 5\u{e4}\u{e4}")),
        ] {
            assert_eq!(refusal(cause, text), answer);
        }
    }

    #[test]
    fn no_address_ends_the_line_of_a_header() {
        assert_eq!(external(b""), "\"\"");
        assert_eq!(external(b"c\nd@b.test"), "\"c d\"@b.test");
        assert_eq!(external("\u{e4}@b.test".as_bytes()), "\u{e4}@b.test");
        assert_eq!(external(b"\xff@b.test"), "?@b.test");
    }
}
