//! DATA: the content, and the answer that counts. RFC 5321 4.1.1.4
//!
//! `250` after the content is said only when the message is on stable storage.

use config::ErrorClass;
use dsn::Status;
use smtp_protocol::{Reply, Verb};

use crate::dialogue::Dialogue;
use crate::facts::Facts;
use crate::filters::Told;
use crate::rejection::Rejection;
use crate::services::{Received, Services, Stage};
use crate::settings::BareNewline;
use crate::state::State;
use crate::turn::{Answer, Next, Turn, breach, done};

/// `DATA`
pub async fn run(dialogue: &mut Dialogue, services: &mut impl Services, argument: &[u8]) -> Answer {
    if dialogue.chunking.has_begun() {
        return Err(breach(503, Status::new(5, 5, 1), "Error: DATA after BDAT"));
    }
    match dialogue.transaction.as_ref().map(|transaction| transaction.recipients) {
        None => return Err(breach(503, Status::new(5, 5, 1), "Error: need RCPT command")),
        Some(0) => {
            let text = "Error: no valid recipients";
            return Err(Rejection::new(554, Status::new(5, 5, 1), text).quietly().into());
        }
        Some(_) => {}
    }
    if !argument.is_empty() {
        return Err(breach(501, Status::new(5, 5, 4), "Syntax: DATA"));
    }
    admit_content(dialogue, services).await?;
    services.begin_content(dialogue.facts_of_message()).await?;
    Ok(Turn::say(Reply::plain(354, "End data with <CR><LF>.<CR><LF>")).then(Next::Content))
}

/// Whether the content of a message is taken, by the site and by the filters.
pub async fn admit_content(dialogue: &Dialogue, services: &mut impl Services) -> Result<(), Turn> {
    dialogue.judge(services, Stage::Data, dialogue.facts_of_message()).await?;
    let first = dialogue.transaction.as_ref().map(|transaction| transaction.first_recipient.as_slice());
    match services.tell_filters(Told::Data, dialogue.facts(None, first)).await {
        Some(reply) => Err(reply.into()),
        None => Ok(()),
    }
}

impl Dialogue {
    /// The content of DATA was read to its end.
    pub async fn content(&mut self, services: &mut impl Services, content: Received) -> Turn {
        self.heard(&content);
        let answer = conclude(self, services, content, "").await;
        self.settled(Verb::Data, answer)
    }

    /// What was read tells of the queue file: one that is lost has no name in the log, nor for look-ups, from here on.
    pub(crate) fn heard(&mut self, content: &Received) {
        if content.lost
            && let Some(transaction) = &mut self.transaction
        {
            transaction.queue_id = None;
        }
    }
}

/// Finishes a message whose content was read; the reply names the queue file, behind `size`.
pub async fn conclude(dialogue: &mut Dialogue, services: &mut impl Services, content: Received, size: &str) -> Answer {
    dialogue.state = State::EndOfMessage;
    let queue_id = dialogue.queue_id().unwrap_or_default().to_owned();
    let result = finish(dialogue, services, content).await;
    // Whoever is hung up on hears nothing, and the end of the session removes the message.
    if !matches!(&result, Err(Turn { reply: None, .. })) {
        dialogue.forget_transaction(services).await;
    }
    let said = result?;
    // A client that delivers mail may make mistakes in between.
    (dialogue.errors, dialogue.junk) = (0, 0);
    match said {
        Some(reply) => Ok(reply.into()),
        None => done(Status::new(2, 0, 0), format!("Ok: {size}queued as {queue_id}")),
    }
}

/// What the client is told about its message.
async fn finish(
    dialogue: &mut Dialogue,
    services: &mut impl Services,
    content: Received,
) -> Result<Option<Reply>, Turn> {
    if content.bare_lf && dialogue.may.bare_newline == BareNewline::Note {
        dialogue.statistics.note_bare_lf();
    }
    if content.bare_lf && dialogue.may.bare_newline == BareNewline::Reject {
        services.log("reject", "bare <LF> received", dialogue.facts_of_message());
        return Err(dialogue.bare_newline_rejection().into());
    }
    if content.too_large {
        logging::warning!(id: dialogue.queue_id().unwrap_or_default(), "queue file size limit exceeded");
        let text = "Error: message file too big";
        return Err(Rejection::new(552, Status::new(5, 3, 4), text).of(ErrorClass::Bounce).into());
    }
    let facts = Facts { size: content.size, ..dialogue.facts_of_message() };
    dialogue.judge(services, Stage::EndOfData, facts).await?;
    services.finish(dialogue.facts_of_message()).await
}

/// The message cannot be queued now.
pub fn write_error() -> Rejection {
    Rejection::new(451, Status::new(4, 3, 0), "Error: queue file write error").of(ErrorClass::Resource)
}
