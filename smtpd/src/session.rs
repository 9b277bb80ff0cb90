//! One session: lines come from the connection, the dialogue answers them, and its turns are carried out.
//!
//! Replies are gathered while the client has sent more commands, and leave together. A client that makes many mistakes
//! is slowed down, and then left.
//!
//! Most sessions wait for their client, so what a command needs while it is carried out is boxed and gone afterwards:
//! the future of a session has room for the wait alone.

use std::net::SocketAddr;
use std::rc::Rc;

use config::ErrorClass;
use delivery::postmaster::Notice;
use delivery::transcript::{Speaker, Transcript};
use dsn::Status;
use logging::records::smtpd::{Broken, Connect, Disconnect};
use receiving::peer;
use smtp_protocol::{Reply, Verb};
use smtp_server::{CommandLine, Counted, Dialogue, Next, Peer, Rejection, Services, State, TlsStart, Turn, line};
use tokio::net::TcpStream;

use crate::backend::Backend;
use crate::connection::{Connection, Gone};
use crate::receive::Receiver;
use crate::settings::Settings;
use crate::upstream;
use crate::worker::Smtpd;

/// One client, from the first byte to the last.
pub struct Session {
    worker: Rc<Smtpd>,
    settings: Rc<Settings>,
    connection: Connection,
    dialogue: Dialogue,
    backend: Backend,
    /// Bytes of content that were read, while it is read.
    content_bytes: Option<u64>,
    /// What was said, for the postmaster.
    transcript: Transcript,
    /// AUTH was the last command: what follows may belong to it.
    secret: bool,
    /// The proxy in front of this server has not said who the client is.
    is_stranger: bool,
    /// What is said goes to the log. debug_peer_list
    debug: bool,
}

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// QUIT, or the server has said that it is enough.
    Done,
    /// The client has made as many mistakes as it may.
    Enough,
    /// The client is gone.
    Gone(Gone),
}

impl From<Gone> for End {
    fn from(gone: Gone) -> End {
        End::Gone(gone)
    }
}

impl Session {
    /// Serves one client.
    pub async fn run(
        worker: Rc<Smtpd>,
        settings: Rc<Settings>,
        stream: TcpStream,
        remote: SocketAddr,
        local: SocketAddr,
    ) {
        let mut session = Box::pin(Session::begin(worker, settings, stream, remote, local)).await;
        let end = logging::library::of_peer(session.debug, session.serve()).await;
        Box::pin(session.finish(end)).await;
    }

    /// Finds out who has come.
    async fn begin(
        worker: Rc<Smtpd>,
        settings: Rc<Settings>,
        stream: TcpStream,
        remote: SocketAddr,
        local: SocketAddr,
    ) -> Session {
        // smtpd_upstream_proxy_protocol
        let ends = match settings.upstream {
            true => {
                upstream::ends(&stream, (remote, local), settings.dialogue.protocols, settings.upstream_timeout).await
            }
            false => Some((remote, local)),
        };
        let is_stranger = ends.is_none();
        let mut peer = match ends {
            None => Peer::nobody(remote, local),
            // smtpd_peername_lookup
            Some((client, server)) if settings.peername_lookup => peer::look_up(&worker.resolver, client, server).await,
            Some((client, server)) => Peer::nameless(client, server),
        };
        peer.shows_port = settings.client_port_logging;
        peer.relabel();
        logging::emit(&Connect { client: &peer.label });
        Session { is_stranger, ..Session::new(worker, settings, stream, peer) }
    }

    fn new(worker: Rc<Smtpd>, settings: Rc<Settings>, stream: TcpStream, peer: Peer) -> Session {
        let backend = Backend::new(Rc::clone(&worker), Rc::clone(&settings));
        let may = backend.privileges(&peer);
        // debug_peer_level is at least 1, and the dialogue is the first level.
        let debug = worker.verbose || peer::is_in(&peer, &worker.rules.tables.debug_peers).unwrap_or(false);
        Session {
            connection: Connection::new(stream, settings.timeout, settings.per_request_deadline),
            dialogue: Dialogue::new(Rc::clone(&settings.dialogue), worker.missing.lacking, peer, may),
            backend,
            content_bytes: None,
            transcript: worker.postmaster.transcript(),
            secret: false,
            is_stranger: false,
            debug,
            worker,
            settings,
        }
    }

    /// The end of it all is the error.
    async fn serve(&mut self) -> End {
        match self.serve_to_the_end().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn serve_to_the_end(&mut self) -> Result<std::convert::Infallible, End> {
        Box::pin(self.greet()).await?;
        loop {
            if let Some(turn) = self.dialogue.enough() {
                self.log_end("too many errors");
                self.answer(turn);
                return Err(End::Enough);
            }
            let line = self.command_line().await?;
            Box::pin(self.obey(line)).await?;
            // smtpd_history_flush_threshold
            if self.transcript.lines() > self.settings.history && self.dialogue.queue_id().is_none() {
                Box::pin(self.begin_history()).await;
            }
        }
    }

    async fn obey(&mut self, line: CommandLine) -> Result<(), End> {
        // smtpd_soft_error_limit
        if self.dialogue.is_slowed() {
            self.connection.flush().await?;
            tokio::time::sleep(self.settings.error_sleep_time).await;
        }
        self.ask_ahead(&line).await;
        let turn = self.dialogue.command(&mut self.backend, line, self.connection.pending()).await;
        if self.secret {
            self.connection.forget();
        }
        self.carry_out(turn).await?;
        Ok(self.connection.flush_if_large().await?)
    }

    /// Asks trivial-rewrite in one go about the recipients that the client has sent in one go.
    async fn ask_ahead(&self, line: &CommandLine) {
        let lines = self.connection.pending().split(|byte| *byte == b'\n');
        let mut others = lines.map_while(plain_recipient).peekable();
        let rewriter = &self.worker.rewriter;
        if others.peek().is_some()
            && let Some(first) = plain_recipient(&line.bytes)
            && let Some(sender) = self.dialogue.facts(None, None).sender
            && !rewriter.knows(sender, first)
        {
            rewriter.resolve_ahead(sender, std::iter::once(first).chain(others)).await;
        }
    }

    async fn greet(&mut self) -> Result<(), End> {
        if self.is_stranger {
            let text = format!("{} Server local error", self.settings.dialogue.myhostname);
            let rejection = Rejection::new(421, Status::new(4, 3, 0), text).of(ErrorClass::Software);
            return self.carry_out(Turn::from(rejection).closing()).await;
        }
        // smtpd_tls_wrappermode
        let early: &[u8] = if self.settings.dialogue.tls_wrapper {
            self.start_wrapped().await?;
            &[]
        } else {
            self.connection.early_input()
        };
        let turn = self.dialogue.greet(&mut self.backend, early).await;
        self.carry_out(turn).await
    }

    /// TLS before the greeting.
    async fn start_wrapped(&mut self) -> Result<(), End> {
        let (client, service) = (&self.dialogue.peer().label, &self.worker.service_name);
        match self.backend.may_start_tls(self.dialogue.peer()).await {
            TlsStart::Ready => {}
            TlsStart::Broken => {
                logging::warning!(
                    "Wrapper-mode request dropped from {client} for service {service}. TLS context initialization \
                     failed. For details see earlier warnings in your logs."
                );
                return Err(End::Done);
            }
            TlsStart::TooMany => return Err(End::Done),
        }
        let turn = self.handshake().await?;
        match self.answer(turn) {
            Next::Close => Err(End::Done),
            _ => Ok(()),
        }
    }

    /// Takes the client through the handshake; then the dialogue begins anew.
    async fn handshake(&mut self) -> Result<Turn, End> {
        let worker = Rc::clone(&self.worker);
        // Nobody asks for a handshake where there is none.
        let Some(tls) = &worker.tls else { return Err(End::Done) };
        let limit = self.settings.starttls_timeout;
        let client = self.dialogue.peer().label.clone();
        let accepted = self.connection.start_tls(&tls.server, &client, limit).await;
        let accepted = accepted.map_err(|_| End::Gone(Gone::Lost))?;
        let is_new = !accepted.facts.resumed;
        let too_many = is_new && self.backend.exceeds(Counted::NewTls, self.dialogue.peer()).await;
        let secured = tls.secured(&accepted, too_many, &self.settings);
        self.connection.secure(accepted.session);
        Ok(self.dialogue.secured(&mut self.backend, secured).await)
    }

    async fn command_line(&mut self) -> Result<CommandLine, End> {
        let limit = self.settings.dialogue.line_length_limit;
        let newline = self.dialogue.privileges().bare_newline.newline();
        let line = self.connection.command_line(limit, newline).await?;
        let shown = self.shown(&line);
        if line.length > limit {
            // told: nobody; the warning shows the start.
            let quoted: String = shown.chars().take(30).collect();
            logging::warning!("{}: request longer than {limit}: {quoted}...", self.dialogue.peer().label);
        }
        self.log_dialogue('<', shown.as_bytes());
        self.transcript.say(Speaker::Them, shown.as_bytes());
        Ok(line)
    }

    /// The answer to a challenge of AUTH. smtpd_sasl_response_limit
    async fn response_line(&mut self) -> Result<CommandLine, End> {
        let limit = self.settings.dialogue.sasl_response_limit;
        let newline = self.dialogue.privileges().bare_newline.newline();
        let line = self.connection.command_line(limit, newline).await?;
        let shown = line::withheld(line.length);
        if line.length >= limit {
            logging::warning!("{}: request longer than {limit}: {shown}...", self.dialogue.peer().label);
        }
        self.log_dialogue('<', shown.as_bytes());
        self.transcript.say(Speaker::Them, shown.as_bytes());
        Ok(line)
    }

    /// Says what is to be said, and reads the content that is to come.
    async fn carry_out(&mut self, turn: Turn) -> Result<(), End> {
        if let Next::Discard(count) = turn.next {
            self.receiver(&mut 0).discard(count).await?;
        }
        let mut next = self.answer(turn);
        loop {
            let turn = match next {
                Next::Command | Next::Discard(_) => return Ok(()),
                Next::Close => return Err(End::Done),
                Next::StartTls => Box::pin(self.handshake()).await?,
                Next::Response => {
                    let response = self.response_line().await?;
                    self.connection.forget();
                    self.dialogue.response(&mut self.backend, response).await
                }
                Next::Content => {
                    let content = self.receiving(async |receiver| receiver.content().await).await?;
                    self.dialogue.content(&mut self.backend, content).await
                }
                Next::Chunk(chunk) => {
                    let content = self.receiving(async |receiver| receiver.chunk(chunk).await).await?;
                    self.dialogue.chunk(&mut self.backend, chunk, content).await
                }
            };
            // The errors before a message that was taken are none for the postmaster.
            if self.dialogue.state() == State::EndOfMessage
                && turn.reply.as_ref().is_some_and(|reply| reply.code() == 250)
            {
                self.transcript.forgive();
            }
            next = self.answer(turn);
        }
    }

    /// Reads content, and keeps how far it came in case it does not come to its end.
    async fn receiving<T>(&mut self, read: impl AsyncFnOnce(Receiver<'_>) -> Result<T, Gone>) -> Result<T, End> {
        let mut progress = 0;
        let result = read(self.receiver(&mut progress)).await;
        self.content_bytes = result.is_err().then_some(progress);
        Ok(result?)
    }

    fn receiver<'a>(&'a mut self, progress: &'a mut u64) -> Receiver<'a> {
        Receiver {
            settings: &self.settings,
            bare_newline: self.dialogue.privileges().bare_newline,
            connection: &mut self.connection,
            incoming: &mut self.backend.incoming,
            progress,
        }
    }

    /// Queues the reply of a turn; what follows it.
    fn answer(&mut self, turn: Turn) -> Next {
        if let Some(class) = turn.error {
            self.transcript.note(class);
        }
        match turn.reply.map(|reply| self.reply(reply)) {
            // smtpd_reject_filter_maps may say so too.
            Some(421 | 521) => Next::Close,
            _ => turn.next,
        }
    }

    /// Queues a reply; its code as the client gets it.
    fn reply(&mut self, reply: Reply) -> u16 {
        let amendments = &self.worker.rules.tables.amendments;
        let reply = amendments.amend(reply, &self.dialogue.facts_at_end());
        let text = self.connection.queue(&reply);
        self.transcript.say(Speaker::Us, text.trim_ascii_end());
        if self.debug {
            let text = text.to_vec();
            for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                self.log_dialogue('>', line.strip_suffix(b"\r").unwrap_or(line));
            }
        }
        reply.code()
    }

    fn log_dialogue(&self, direction: char, line: &[u8]) {
        if self.debug {
            logging::info!("{direction} {}: {}", self.dialogue.peer().label, text::printable(line));
        }
    }

    /// A command as others may see it. What stands behind AUTH is a secret, and so may be the lines after it that are
    /// no commands: a client may go on with a login that was turned down.
    fn shown(&mut self, line: &CommandLine) -> String {
        let verb = smtp_protocol::Command::parse(line.text()).verb;
        self.secret = verb == Verb::Auth || self.secret && verb == Verb::Unknown;
        if self.secret && verb == Verb::Unknown { line::withheld(line.length) } else { line::shown(&line.bytes) }
    }

    fn log_end(&self, label: &'static str) {
        logging::emit(&Broken {
            label,
            command: self.dialogue.state().name(),
            content_bytes: self.content_bytes,
            client: &self.dialogue.peer().label,
            queue_id: self.dialogue.queue_id(),
            modern: self.settings.modern,
        });
    }

    async fn finish(mut self, end: End) {
        self.dialogue.broken();
        match end {
            End::Done | End::Enough => {}
            // Many clients are done when the message is, and say no more.
            End::Gone(Gone::Lost) if self.dialogue.state() == State::EndOfMessage => {}
            End::Gone(Gone::Lost) => self.log_end("lost connection"),
            End::Gone(Gone::TimedOut) => {
                let text = format!("{} Error: timeout exceeded", self.settings.dialogue.myhostname);
                self.reply(Reply::with_status(421, Status::new(4, 4, 2), text));
                self.log_end("timeout");
            }
        }
        self.backend.abort().await;
        self.dialogue.leave(&mut self.backend).await;
        self.backend.filtering.close().await;
        // Before the last reply: a client that comes again at once finds its place free.
        self.backend.release();
        let client = &self.dialogue.peer().label;
        logging::emit(&Disconnect { client, statistics: self.dialogue.statistics().to_string() });
        let notice = self.notice(end);
        // tls_fast_shutdown_enable
        let waits = end == End::Done && !self.settings.fast_shutdown;
        let patience = if waits { self.settings.starttls_timeout } else { std::time::Duration::ZERO };
        let _ = self.connection.close(patience).await;
        self.worker.postmaster.tell(self.worker.cleanup.pool(), &notice).await;
    }

    /// What was said is forgotten, or told if there is something to tell.
    async fn begin_history(&mut self) {
        if self.transcript.is_due() {
            let notice = self.notice(End::Done);
            self.worker.postmaster.tell(self.worker.cleanup.pool(), &notice).await;
        }
        self.transcript = self.worker.postmaster.transcript();
    }

    /// What there is to tell of the session so far, or at its end.
    fn notice(&mut self, end: End) -> Notice {
        let reason = match end {
            End::Gone(Gone::Lost) => "Session aborted, reason: lost connection",
            End::Gone(Gone::TimedOut) => "Session aborted, reason: timeout",
            End::Enough => "Session aborted, reason: too many errors",
            End::Done => "",
        };
        if self.backend.warned().replace(false) {
            self.transcript.note(ErrorClass::Policy);
        }
        Notice {
            peer: self.dialogue.peer().label.clone(),
            opening: None,
            transcript: std::mem::take(&mut self.transcript),
            closing: Some(reason.to_owned()),
        }
    }
}

/// The address of `RCPT TO:<address>` as most clients send it; others are asked about when their turn comes.
fn plain_recipient(line: &[u8]) -> Option<&[u8]> {
    let (start, rest) = line.split_at_checked(b"RCPT TO:<".len())?;
    let address = rest.split(|byte| *byte == b'>').next()?;
    (start.eq_ignore_ascii_case(b"RCPT TO:<") && address::is_standard(address)).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_that_needs_no_reading_is_asked_about_ahead() {
        let plain =
            |line: &str| plain_recipient(line.as_bytes()).map(|address| String::from_utf8_lossy(address).into());
        assert_eq!(plain("RCPT TO:<a@b.test>\r"), Some("a@b.test".to_owned()));
        assert_eq!(plain("rcpt to:<a@b.test> NOTIFY=NEVER"), Some("a@b.test".to_owned()));
        for other in
            ["RCPT TO: <a@b.test>", "RCPT TO:<\"a\"@b.test>", "RCPT TO:<@c.test:a@b.test>", "RCPT TO:<a", "DATA", ""]
        {
            assert_eq!(plain(other), None::<String>, "{other}");
        }
    }
}
