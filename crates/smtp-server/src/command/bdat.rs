//! BDAT: the content in counted chunks. RFC 3030
//!
//! Whatever is said to a chunk, its bytes are read first: the next command stands behind them, and a client that
//! sends them reads nothing meanwhile. After an error all further chunks are read and thrown away, up to the last one;
//! a client that would have much thrown away is left. The last `250` means what it means after DATA.

use dsn::Status;
use logging::records::NOQUEUE;
use smtp_protocol::verb::words;
use smtp_protocol::{Chunk, Verb};

use crate::command::data::{admit_content, conclude, write_error};
use crate::dialogue::Dialogue;
use crate::services::{Received, Services};
use crate::settings::BareNewline;
use crate::state::State;
use crate::transaction::Chunking;
use crate::turn::{Answer, Next, Turn, breach, done};

/// `BDAT count [LAST]`
pub async fn run(dialogue: &mut Dialogue, services: &mut impl Services, argument: &[u8], line: &[u8]) -> Answer {
    // The chunk behind a command like these cannot be told from commands.
    if dialogue.discards("CHUNKING") {
        return Err(breach(521, Status::new(5, 5, 1), "Error: command not implemented").closing());
    }
    let Some(chunk) = Chunk::parse(words(argument)) else {
        // told: nobody; the log shows the start.
        let (id, shown) = (dialogue.queue_id().unwrap_or(NOQUEUE), text::printable(&line[..line.len().min(100)]));
        logging::warning!(id: id, "malformed BDAT command syntax from {}: {shown}", dialogue.peer.label);
        return Err(breach(521, Status::new(5, 5, 4), "Syntax: BDAT count [LAST]").closing());
    };
    match admit(dialogue, services, chunk).await {
        Ok(()) => Ok(Turn::silence(Next::Chunk(chunk))),
        Err(turn) if turn.next == Next::Close => Err(turn),
        Err(turn) if is_too_much(dialogue, chunk) => {
            let (id, client) = (dialogue.queue_id().unwrap_or(NOQUEUE), &dialogue.peer.label);
            logging::warning!(id: id, "too much BDAT content -- disabling further input from {client}");
            Err(turn.closing())
        }
        Err(turn) => Err(refuse(dialogue, services, chunk, turn).await.then(Next::Discard(chunk.length))),
    }
}

/// Whether what is to be thrown away is more than one and a half messages of the largest size. message_size_limit
fn is_too_much(dialogue: &Dialogue, chunk: Chunk) -> bool {
    let most = dialogue.settings.message_size_limit.map(|limit| limit.saturating_add(limit / 2));
    most.is_some_and(|most| chunk.length > most.saturating_sub(dialogue.chunking.bytes()))
}

/// Whether the chunk is taken.
async fn admit(dialogue: &mut Dialogue, services: &mut impl Services, chunk: Chunk) -> Result<(), Turn> {
    if chunk.length == 0 && !chunk.last {
        return Err(null_request(dialogue));
    }
    let before = match dialogue.chunking {
        Chunking::Failed(_) => {
            let text = format!("Discarded {} bytes after earlier error", chunk.length);
            return Err(breach(551, Status::new(5, 0, 0), text));
        }
        Chunking::Receiving(before) => before,
        Chunking::None => 0,
    };
    match dialogue.transaction.as_ref().map(|transaction| transaction.recipients) {
        None => return Err(breach(503, Status::new(5, 5, 1), "Error: need RCPT command")),
        Some(0) => return Err(breach(554, Status::new(5, 5, 1), "Error: no valid recipients")),
        Some(_) => {}
    }
    let id = dialogue.queue_id().unwrap_or(NOQUEUE);
    // message_size_limit
    if dialogue.settings.message_size_limit.is_some_and(|limit| chunk.length > limit.saturating_sub(before)) {
        logging::warning!(id: id, "BDAT request from {} exceeds message size limit", dialogue.peer.label);
        return Err(breach(552, Status::new(5, 3, 4), "Chunk exceeds message size limit"));
    }
    if !dialogue.chunking.has_begun() {
        admit_content(dialogue, services).await?;
        services.begin_content(dialogue.facts_of_message()).await?;
        dialogue.chunking = Chunking::Receiving(0);
    }
    Ok(())
}

fn null_request(dialogue: &Dialogue) -> Turn {
    let id = dialogue.queue_id().unwrap_or(NOQUEUE);
    logging::warning!(id: id, "null BDAT request from {}", dialogue.peer.label);
    breach(551, Status::new(5, 7, 1), "Null BDAT request")
}

/// The message is lost, and with its last chunk it is over.
async fn refuse(dialogue: &mut Dialogue, services: &mut impl Services, chunk: Chunk, turn: Turn) -> Turn {
    if chunk.last {
        dialogue.forget_transaction(services).await;
    } else {
        dialogue.chunking = Chunking::Failed(dialogue.chunking.bytes().saturating_add(chunk.length));
    }
    turn
}

impl Dialogue {
    /// A chunk was read to its end; of the last one `content` is the whole message.
    pub async fn chunk(&mut self, services: &mut impl Services, chunk: Chunk, content: Received) -> Turn {
        self.heard(&content);
        let answer = if chunk.last {
            let size = format!("{} bytes ", content.size);
            conclude(self, services, content, &size).await
        } else {
            more(self, services, chunk, content).await
        };
        self.settled(Verb::Bdat, answer)
    }
}

/// A chunk that others follow.
async fn more(dialogue: &mut Dialogue, services: &mut impl Services, chunk: Chunk, content: Received) -> Answer {
    // smtpd_forbid_bare_newline
    if content.bare_lf && dialogue.may.bare_newline == BareNewline::Reject {
        dialogue.state = State::Chunk;
        services.log("reject", "bare <LF> received", dialogue.facts_of_message());
        let rejection = dialogue.bare_newline_rejection();
        return Err(refuse(dialogue, services, chunk, rejection.into()).await);
    }
    if content.lost {
        return Err(refuse(dialogue, services, chunk, write_error().into()).await);
    }
    dialogue.chunking = Chunking::Receiving(content.size);
    done(Status::new(2, 0, 0), format!("Ok: {} bytes", chunk.length))
}
