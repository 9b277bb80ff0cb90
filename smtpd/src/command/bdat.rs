//! BDAT: the content in counted chunks. RFC 3030
//!
//! Whatever is said to a chunk, its bytes are read: the next command stands behind them. What can be said at once is. After
//! an error all further chunks are read and thrown away, up to the last one. The last `250` means what it means after DATA.

use delivery::transcript::ErrorClass;
use dsn::Status;
use smtp_protocol::verb::words;
use smtp_protocol::{Chunk, ChunkDecoder, Reply};

use crate::command::data::{self, Received};
use crate::command::ehlo::discards;
use crate::content::ContentWriter;
use crate::rejection::Rejection;
use crate::session::{End, Session, Success};
use crate::settings::BareNewline;

/// How far a message in chunks has come.
#[derive(Default)]
pub enum Chunking {
    /// No BDAT yet.
    #[default]
    None,
    /// Chunks have come and were good.
    Receiving(Box<Receiving>),
    /// A chunk was bad: the rest of the message is thrown away.
    Failed,
}

impl Chunking {
    /// There was a BDAT in this transaction, or instead of one.
    pub fn has_begun(&self) -> bool {
        !matches!(self, Chunking::None)
    }
}

/// The content between two chunks.
pub struct Receiving {
    decoder: ChunkDecoder,
    writer: ContentWriter,
}

/// `BDAT count [LAST]`
pub async fn run(session: &mut Session, argument: &[u8], line: &[u8]) -> Success {
    // The chunk behind a command like these cannot be told from commands.
    if discards(session, "CHUNKING") {
        session.transcript.note(ErrorClass::Protocol);
        session.reply(Reply::with_status(521, "5.5.1", "Error: command not implemented"));
        return Err(End::Done);
    }
    let Some(chunk) = Chunk::parse(words(argument)) else {
        // told: nobody; the log shows the start.
        let (id, shown) = (session.queue_id().unwrap_or("NOQUEUE"), text::printable(&line[..line.len().min(100)]));
        logging::warning!("{id}: malformed BDAT command syntax from {}: {shown}", session.peer.label);
        session.transcript.note(ErrorClass::Protocol);
        session.reply(Reply::with_status(521, "5.5.4", "Syntax: BDAT count [LAST]"));
        return Err(End::Done);
    };
    if let Some(refusal) = refusal(session, chunk).await? {
        // Before its bytes have come: a client that listens may spare itself the rest.
        let told = refuse(session, chunk, refusal).await;
        discard(session, chunk.length).await?;
        return told;
    }
    receive(session, chunk).await
}

/// Why the chunk is not taken.
async fn refusal(session: &mut Session, chunk: Chunk) -> Result<Option<Rejection>, End> {
    let (bad, status) =
        (|code, status, text: &str| Ok(Some(Rejection::new(code, status, text).of(ErrorClass::Protocol))), Status::new);
    if matches!(session.chunking, Chunking::Failed) {
        let text = format!("Discarded {} bytes after earlier error", chunk.length);
        return bad(551, status(5, 0, 0), &text);
    }
    match session.transaction.as_ref().map(|transaction| transaction.recipients) {
        None => return bad(503, status(5, 5, 1), "Error: need RCPT command"),
        Some(0) => return bad(554, status(5, 5, 1), "Error: no valid recipients"),
        Some(_) => {}
    }
    let id = session.queue_id().unwrap_or("NOQUEUE");
    if chunk.length == 0 && !chunk.last {
        logging::warning!("{id}: null BDAT request from {}", session.peer.label);
        return bad(551, status(5, 7, 1), "Null BDAT request");
    }
    let before = match &session.chunking {
        Chunking::Receiving(receiving) => receiving.writer.size(),
        Chunking::None | Chunking::Failed => 0,
    };
    // message_size_limit
    if session.worker.settings.message_size_limit.is_some_and(|limit| chunk.length > limit.saturating_sub(before)) {
        logging::warning!("{id}: BDAT request from {} exceeds message size limit", session.peer.label);
        return bad(552, status(5, 3, 4), "Chunk exceeds message size limit");
    }
    if session.chunking.has_begun() {
        return Ok(None);
    }
    let rejection = session.check_data().await?;
    if rejection.is_none() {
        data::head(session);
        let settings = &session.worker.settings;
        session.chunking = Chunking::Receiving(Box::new(Receiving {
            decoder: ChunkDecoder::new(session.bare_newline.newline(), settings.line_length_limit),
            writer: ContentWriter::of_chunks(settings.message_size_limit),
        }));
    }
    Ok(rejection)
}

/// Says no to a chunk that was read. The message is lost, and with its last chunk it is over.
async fn refuse(session: &mut Session, chunk: Chunk, rejection: Rejection) -> Success {
    if chunk.last {
        session.forget_transaction().await;
    } else {
        session.chunking = Chunking::Failed;
    }
    session.turn_down(&rejection);
    Ok(false)
}

/// Reads a chunk and throws it away.
async fn discard(session: &mut Session, mut left: u64) -> Result<(), End> {
    session.connection.begin_request();
    while left > 0 {
        let count = here(session, left);
        if count == 0 {
            session.connection.more().await?;
        } else {
            session.connection.consume(count);
            session.connection.earn_time(count, session.worker.settings.min_data_rate);
            left -= count as u64;
        }
    }
    Ok(())
}

/// Bytes of the chunk that have arrived.
fn here(session: &Session, left: u64) -> usize {
    // told: nobody; the rest of what waits is no part of the chunk.
    session.connection.pending().len().min(usize::try_from(left).unwrap_or(usize::MAX))
}

async fn receive(session: &mut Session, chunk: Chunk) -> Success {
    let Chunking::Receiving(mut receiving) = std::mem::take(&mut session.chunking) else { return Ok(false) };
    session.connection.begin_request();
    session.content_bytes = Some(receiving.writer.size());
    let mut left = chunk.length;
    while left > 0 {
        let count = here(session, left);
        if count == 0 {
            session.connection.more().await?;
            continue;
        }
        let (out, pending) = data::records_and_pending(session);
        let writer = &mut receiving.writer;
        receiving.decoder.push(&pending[..count], &mut |bytes, ended| writer.text(bytes, ended, out));
        session.connection.consume(count);
        session.connection.earn_time(count, session.worker.settings.min_data_rate);
        left -= count as u64;
        session.content_bytes = Some(receiving.writer.size());
        data::flow(session, receiving.writer.is_too_large()).await;
    }
    session.content_bytes = None;
    if chunk.last { last(session, *receiving).await } else { more(session, chunk, receiving).await }
}

/// A chunk that others follow.
async fn more(session: &mut Session, chunk: Chunk, receiving: Box<Receiving>) -> Success {
    // smtpd_forbid_bare_newline
    if receiving.decoder.saw_bare_lf() && session.bare_newline == BareNewline::Reject {
        session.command = "BDAT content";
        session.log("reject", "bare <LF> received");
        let rejection = session.bare_newline_rejection();
        return refuse(session, chunk, rejection).await;
    }
    if session.queue_id().is_none() {
        let rejection = data::write_error();
        return refuse(session, chunk, rejection).await;
    }
    session.chunking = Chunking::Receiving(receiving);
    session.succeed("2.0.0", format!("Ok: {} bytes", chunk.length))
}

/// The content is complete.
async fn last(session: &mut Session, mut receiving: Receiving) -> Success {
    let (out, _) = data::records_and_pending(session);
    let writer = &mut receiving.writer;
    receiving.decoder.finish(&mut |bytes, ended| writer.text(bytes, ended, out));
    let content = Received { too_large: writer.is_too_large(), bare_lf: receiving.decoder.saw_bare_lf() };
    let size = writer.size();
    data::conclude(session, &content, &format!("{size} bytes ")).await
}
