//! `sendmail -bs`: the dialogue of the SMTP server on standard input and output.
//!
//! There is one client, and it is whoever calls this: what it may do it may do with every other option as well. So
//! nothing is asked of the site, and nobody is waited for but the client.

mod post;

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use config::{Config, ConfigError, Reader, param};
use logging::records::smtpd::{Broken, Connect, Disconnect};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use smtp_protocol::{Input, Newline, Reply};
use smtp_server::{
    BareNewline, Chunks, CommandLine, Data, Dialogue, Lacking, Next, Peer, Received, Services, Settings, State,
    TlsLevel, Turn,
};

use post::Post;

/// Bytes read at once.
const READ_SIZE: usize = 64 << 10;
/// What log lines call the program: it is the server that speaks.
const PROGRAM: &str = "smtpd";

/// Serves the client on standard input and output, to the end of the session.
///
/// # Errors
/// A sentence: it cannot begin.
pub fn serve(config: &Config) -> Result<(), String> {
    command::log_as(config, PROGRAM)?;
    let mut session = Session::new(config)?;
    logging::emit(&Connect { client: &session.dialogue.peer().label });
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| text::system_error(&error))?;
    // Every answer is there at once: only the client is waited for, and nothing else is to be done meanwhile.
    runtime.block_on(async {
        let end = session.serve().await;
        session.finish(end).await;
    });
    Ok(())
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// QUIT, or the server has said that it is enough.
    Done,
    /// The client has made as many mistakes as it may.
    Enough,
    /// The client is gone.
    Lost,
    /// The client says nothing.
    TimedOut,
}

config::settings! {
    /// How a session is driven.
    struct Manner, error ConfigError {
        timeout: Duration = param::SMTPD_TIMEOUT,
        error_sleep_time: Duration = param::SMTPD_ERROR_SLEEP_TIME,
        soft_bounce: bool = param::SOFT_BOUNCE,
        /// Log lines of Postfix 3.11 (compatibility_level).
        modern: bool => |from: &Reader<'_>| Ok::<_, ConfigError>(from.config.modern_log()),
    }
}

/// One client, from the first byte to the last.
struct Session {
    dialogue: Dialogue,
    post: Post,
    settings: Rc<Settings>,
    manner: Manner,
    input: Input,
    output: Vec<u8>,
    chunks: Option<Box<Chunks>>,
    /// Bytes of content that were read, while it is read.
    content_bytes: Option<u64>,
}

impl Session {
    fn new(config: &Config) -> Result<Self, String> {
        let told = |error: ConfigError| error.to_string();
        let settings = Settings {
            sasl_enabled: false,
            tls: TlsLevel::None,
            tls_wrapper: false,
            // The whole session may stand in a file.
            forbid_unauth_pipelining: false,
            ..Settings::read(config).map_err(told)?
        };
        let settings = Rc::new(settings);
        let post = Post::new(config, &settings)?;
        let peer = Peer::local();
        let may = post.privileges(&peer);
        Ok(Self {
            dialogue: Dialogue::new(Rc::clone(&settings), Lacking::default(), peer, may),
            post,
            settings,
            manner: Manner::read(config).map_err(told)?,
            input: Input::new(),
            output: Vec::new(),
            chunks: None,
            content_bytes: None,
        })
    }

    /// The end of it all is the error.
    async fn serve(&mut self) -> End {
        match self.serve_to_the_end().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn serve_to_the_end(&mut self) -> Result<std::convert::Infallible, End> {
        let turn = self.dialogue.greet(&mut self.post, &[]).await;
        self.carry_out(turn).await?;
        loop {
            if let Some(turn) = self.dialogue.enough() {
                self.log_end("too many errors");
                self.answer(turn);
                return Err(End::Enough);
            }
            let line = self.command_line()?;
            if self.dialogue.is_slowed() {
                self.flush()?;
                std::thread::sleep(self.manner.error_sleep_time);
            }
            let turn = self.dialogue.command(&mut self.post, line, &[]).await;
            self.carry_out(turn).await?;
        }
    }

    /// Says what is to be said, and reads the content that is to come.
    async fn carry_out(&mut self, turn: Turn) -> Result<(), End> {
        if let Next::Discard(count) = turn.next {
            self.discard(count)?;
        }
        let mut next = self.answer(turn);
        loop {
            let turn = match next {
                Next::Command | Next::Discard(_) => return Ok(()),
                // Nobody logs in, and there is no TLS.
                Next::Close | Next::StartTls | Next::Response => return Err(End::Done),
                Next::Content => {
                    let content = self.content()?;
                    self.dialogue.content(&mut self.post, content).await
                }
                Next::Chunk(chunk) => {
                    let content = self.chunk(chunk)?;
                    self.dialogue.chunk(&mut self.post, chunk, content).await
                }
            };
            next = self.answer(turn);
        }
    }

    fn content(&mut self) -> Result<Received, End> {
        let mut data = Data::new(&self.settings, BareNewline::Allow);
        loop {
            let (used, ended) = data.feed(self.input.pending(), self.post.records());
            self.input.consume(used);
            self.note_progress(data.received());
            if ended {
                return Ok(self.known(data.received()));
            }
            self.more()?;
        }
    }

    fn chunk(&mut self, chunk: smtp_protocol::Chunk) -> Result<Received, End> {
        let mut chunks =
            self.chunks.take().unwrap_or_else(|| Box::new(Chunks::new(&self.settings, BareNewline::Allow)));
        let mut left = chunk.length;
        while left > 0 {
            let count = self.here(left)?;
            chunks.feed(&self.input.pending()[..count], self.post.records());
            self.input.consume(count);
            left -= count as u64;
            self.note_progress(chunks.received());
        }
        if chunk.last {
            chunks.finish(self.post.records());
        }
        let received = self.known(chunks.received());
        self.chunks = Some(chunks).filter(|_| !chunk.last);
        Ok(received)
    }

    fn discard(&mut self, mut left: u64) -> Result<(), End> {
        while left > 0 {
            let count = self.here(left)?;
            self.input.consume(count);
            left -= count as u64;
        }
        Ok(())
    }

    fn note_progress(&mut self, received: Received) {
        self.content_bytes = Some(received.size);
        self.post.flow(received.too_large);
    }

    fn known(&mut self, received: Received) -> Received {
        self.content_bytes = None;
        Received { lost: !self.post.has_message(), ..received }
    }

    /// Waits for bytes; how many of the next `left` have arrived.
    fn here(&mut self, left: u64) -> Result<usize, End> {
        while self.input.is_empty() {
            self.more()?;
        }
        // told: nobody; the rest of what waits is no part of the chunk.
        Ok(self.input.pending().len().min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    /// The next command line. A longer one than line_length_limit is cut there and the rest skipped.
    fn command_line(&mut self) -> Result<CommandLine, End> {
        let limit = self.settings.line_length_limit;
        let mut kept: Option<CommandLine> = None;
        loop {
            if let Some(line) = self.input.line(Newline::Lenient) {
                return Ok(CommandLine::finished(kept, line, limit));
            }
            let waiting = self.input.pending();
            if waiting.len() > limit {
                let length = waiting.len();
                CommandLine::extend(&mut kept, waiting, limit);
                self.input.consume(length);
            }
            self.more()?;
        }
    }

    /// Waits for more bytes; what is to be said is said first.
    fn more(&mut self) -> Result<(), End> {
        self.flush()?;
        let input = io::stdin();
        let patience = PollTimeout::try_from(self.manner.timeout).unwrap_or(PollTimeout::MAX);
        loop {
            let mut waiting = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
            match poll(&mut waiting, patience) {
                Ok(0) => return Err(End::TimedOut),
                Ok(_) => break,
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return Err(End::Lost),
            }
        }
        let mut buffer = vec![0; READ_SIZE];
        loop {
            match input.lock().read(&mut buffer) {
                Ok(0) => return Err(End::Lost),
                Ok(count) => {
                    self.input.push(&buffer[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(End::Lost),
            }
        }
    }

    /// Queues the reply of a turn; what follows it.
    fn answer(&mut self, turn: Turn) -> Next {
        if let Some(reply) = turn.reply {
            // soft_bounce
            let reply = if self.manner.soft_bounce && reply.code() >= 500 { reply.softened() } else { reply };
            reply.write(&mut self.output);
        }
        turn.next
    }

    fn flush(&mut self) -> Result<(), End> {
        let mut output = io::stdout().lock();
        let written = output.write_all(&self.output).and_then(|()| output.flush());
        self.output.clear();
        written.map_err(|_| End::Lost)
    }

    fn log_end(&self, label: &'static str) {
        logging::emit(&Broken {
            label,
            command: self.dialogue.state().name(),
            content_bytes: self.content_bytes,
            client: &self.dialogue.peer().label,
            queue_id: self.dialogue.queue_id(),
            modern: self.manner.modern,
        });
    }

    async fn finish(mut self, end: End) {
        self.dialogue.broken();
        match end {
            End::Done | End::Enough => {}
            // Many clients are done when the message is, and say no more.
            End::Lost if self.dialogue.state() == State::EndOfMessage => {}
            End::Lost => self.log_end("lost connection"),
            End::TimedOut => {
                let text = format!("{} Error: timeout exceeded", self.settings.myhostname);
                self.answer(Turn::say(Reply::with_status(421, dsn::Status::new(4, 4, 2), text)));
                self.log_end("timeout");
            }
        }
        self.post.abort().await;
        let _ = self.flush();
        let client = &self.dialogue.peer().label;
        logging::emit(&Disconnect { client, statistics: self.dialogue.statistics().to_string() });
    }
}
