//! One session: greeting, commands, end.
//!
//! Replies are gathered while the client has sent more commands, and leave together. Errors and useless
//! commands are counted: a client that makes many is slowed down, and then left.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use delivery::transcript::{ErrorClass, Speaker, Transcript};
use dsn::Status;
use smtp_protocol::Reply;
use tokio::net::TcpStream;

use crate::client_limits::CountedClient;
use crate::command;
use crate::command::bdat::Chunking;
use crate::connection::{Connection, Gone};
use crate::forward::Forward;
use crate::log::{Broken, Connect, Disconnect};
use crate::peer::Peer;
use crate::rejection::Rejection;
use crate::restriction::Answers;
use crate::settings::BareNewline;
use crate::statistics::Statistics;
use crate::transaction::Transaction;
use crate::withheld::Lapse;
use crate::worker::Smtpd;

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// QUIT, or the server has said that it is enough.
    Done,
    /// The client is gone.
    Gone(Gone),
}

impl From<Gone> for End {
    fn from(gone: Gone) -> End {
        End::Gone(gone)
    }
}

/// Whether a command did what it should; it has sent its reply either way.
pub type Success = Result<bool, End>;

/// The state of one session.
pub struct Session {
    /// What all sessions share.
    pub worker: Rc<Smtpd>,
    /// The bytes.
    pub connection: Connection,
    /// Who is at the other end.
    pub peer: Peer,
    /// smtpd_forbid_bare_newline, after the exclusions.
    pub bare_newline: BareNewline,
    /// `SMTP` or `ESMTP`.
    pub protocol: &'static str,
    /// The name in HELO or EHLO.
    pub helo: Option<String>,
    /// Between MAIL and the end of data.
    pub transaction: Option<Transaction>,
    /// The content that comes in BDAT chunks.
    pub chunking: Chunking,
    /// Where records go that are kept nowhere.
    pub nowhere: Vec<u8>,
    /// The command at hand, for log lines.
    pub command: &'static str,
    /// Bytes of content that were read, while it is read.
    pub content_bytes: Option<u64>,
    /// The client did not wait for a reply that it has to wait for.
    pub pipelined: bool,
    /// What the disconnect line says.
    pub statistics: Statistics,
    /// Headers are completed with this system's domain; decided once.
    pub local_rewrite: Option<bool>,
    /// What lists in the name service have said.
    pub answers: Answers,
    /// Commands that failed since the last message.
    pub errors: u32,
    /// Commands without use since the last message.
    pub junk: u32,
    /// The command at hand failed, and that is no error of the client.
    pub forgiven: bool,
    /// The client was turned down when it came.
    pub denied: bool,
    /// EHLO keywords that this client is not to see, upper case; `None`: the table that knows cannot be asked.
    /// smtpd_discard_ehlo_keyword_address_maps, smtpd_discard_ehlo_keywords
    pub discarded: Option<Vec<String>>,
    /// What the absence of milters means for this client.
    pub lapse: Lapse,
    /// The client may be another one. smtpd_authorized_xclient_hosts
    pub xclient_allowed: bool,
    /// The client may say where its messages come from. smtpd_authorized_xforward_hosts
    pub xforward_allowed: bool,
    /// The user that XCLIENT names.
    pub login: Option<String>,
    /// What is said goes to the log. debug_peer_list
    debug: bool,
    /// The client as anvil counts it.
    pub counted: Option<CountedClient>,
    /// Where the next message comes from.
    pub forward: Option<Forward>,
    /// What was said, for the postmaster.
    pub transcript: Transcript,
    /// AUTH was the last command: what follows may belong to it.
    pub secret: bool,
    /// warn_if_reject has spared the client a rejection.
    pub warned: Cell<bool>,
}

impl Session {
    /// Serves one client from the first byte to the last.
    pub async fn run(worker: Rc<Smtpd>, stream: TcpStream, remote: SocketAddr, local: SocketAddr) {
        // smtpd_peername_lookup
        let peer = if worker.settings.peername_lookup {
            Peer::lookup(&worker.resolver, remote, local).await
        } else {
            Peer::nameless(remote, local)
        };
        logging::emit(&Connect { client: &peer.label });
        let mut session = Session::new(worker, stream, peer);
        let end = session.serve().await;
        session.finish(end).await;
    }

    fn new(worker: Rc<Smtpd>, stream: TcpStream, peer: Peer) -> Session {
        let allowed = |list| peer.is_in(list).unwrap_or(false);
        let excluded = allowed(&worker.tables.bare_newline_exclusions);
        let bare_newline = if excluded { BareNewline::Allow } else { worker.settings.bare_newline };
        Session {
            connection: Connection::new(stream, worker.settings.timeout, worker.settings.per_request_deadline),
            bare_newline,
            protocol: "SMTP",
            helo: None,
            transaction: None,
            chunking: Chunking::None,
            nowhere: Vec::new(),
            command: "CONNECT",
            content_bytes: None,
            pipelined: false,
            statistics: Statistics::default(),
            local_rewrite: None,
            answers: Answers::default(),
            errors: 0,
            junk: 0,
            forgiven: false,
            denied: false,
            discarded: command::ehlo::discarded(&worker, &peer),
            lapse: Lapse::default(),
            xclient_allowed: allowed(&worker.tables.xclient_hosts),
            xforward_allowed: allowed(&worker.tables.xforward_hosts),
            // debug_peer_level is at least 1, and the dialogue is the first level.
            debug: worker.verbose || allowed(&worker.tables.debug_peers),
            login: None,
            counted: None,
            forward: None,
            transcript: worker.postmaster.transcript(),
            secret: false,
            warned: Cell::new(false),
            worker,
            peer,
        }
    }

    async fn serve(&mut self) -> Result<(), End> {
        self.greet().await?;
        loop {
            if self.errors >= self.worker.settings.hard_error_limit {
                return self.too_many_errors().await;
            }
            let limit = self.worker.settings.line_length_limit;
            let line = self.connection.command_line(limit, self.bare_newline.newline()).await?;
            if line.length > limit {
                // told: nobody; the warning shows the start.
                let quoted = text::printable(&line.bytes[..line.bytes.len().min(30)]);
                logging::warning!("{}: request longer than {limit}: {quoted}...", self.peer.label);
            }
            self.log_dialogue('<', &line.bytes);
            self.note_line(&line);
            if line.bare_lf {
                self.bare_line_feed()?;
            }
            // smtpd_soft_error_limit: every reply comes late.
            if self.errors >= self.worker.settings.soft_error_limit {
                self.connection.flush().await?;
                tokio::time::sleep(self.worker.settings.error_sleep_time).await;
            }
            let line = self.filtered(line)?;
            self.one_command(&line).await?;
            self.connection.flush_if_large().await?;
        }
    }

    async fn greet(&mut self) -> Result<(), End> {
        self.refuse_connection()?;
        if self.connection.has_early_input() {
            self.unauthorized_pipelining()?;
        }
        self.welcome().await
    }

    /// A table without which nothing can be said to the client fails.
    pub fn data_error(&mut self) -> End {
        let text = format!("{} Server local data error", self.worker.settings.myhostname);
        self.log("reject", &format!("421 4.3.0 {text}"));
        self.transcript.note(ErrorClass::Data);
        self.reply(Reply::with_status(421, "4.3.0", text));
        End::Done
    }

    fn bare_line_feed(&mut self) -> Result<(), End> {
        match self.bare_newline {
            BareNewline::Allow | BareNewline::Normalize => Ok(()),
            BareNewline::Note => {
                self.statistics.note_bare_lf();
                Ok(())
            }
            BareNewline::Reject => {
                self.log("reject", "bare <LF> received");
                self.turn_down(&self.bare_newline_rejection());
                Err(End::Done)
            }
        }
    }

    /// What a client that sends bare LF is told. smtpd_forbid_bare_newline_reject_code
    pub fn bare_newline_rejection(&self) -> Rejection {
        let settings = &self.worker.settings;
        let text = format!("{} Error: bare <LF> received", settings.myhostname);
        Rejection::new(settings.codes.bare_newline, Status::new(5, 5, 2), text).of(ErrorClass::Protocol)
    }

    async fn too_many_errors(&mut self) -> Result<(), End> {
        self.log_end("too many errors");
        self.transcript.note(ErrorClass::Protocol);
        let text = format!("{} Error: too many errors", self.worker.settings.myhostname);
        self.reply(Reply::with_status(421, "4.7.0", text));
        Err(End::Done)
    }

    /// Queues a reply. With soft_bounce nothing is permanent.
    pub fn reply(&mut self, reply: Reply) {
        let reply = if self.worker.settings.soft_bounce && reply.code() >= 500 { softened(&reply) } else { reply };
        let text = self.connection.queue(&reply);
        self.transcript.say(Speaker::Us, text.trim_ascii_end());
        if self.debug {
            let text = text.to_vec();
            for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                self.log_dialogue('>', line.strip_suffix(b"\r").unwrap_or(line));
            }
        }
    }

    fn log_dialogue(&self, direction: char, line: &[u8]) {
        if self.debug {
            logging::info!("{direction} {}: {}", self.peer.label, text::printable(line));
        }
    }

    /// Says yes.
    pub fn succeed(&mut self, status: &str, text: impl AsRef<[u8]>) -> Success {
        self.reply(Reply::with_status(250, status, text));
        Ok(true)
    }

    /// Forgets the transaction; a message that was begun is removed.
    pub async fn forget_transaction(&mut self) {
        self.chunking = Chunking::None;
        self.forward = None;
        if let Some(message) = self.transaction.take().and_then(|transaction| transaction.message) {
            message.abort(&self.worker.cleanup).await;
        }
    }

    fn log_end(&self, label: &'static str) {
        logging::emit(&Broken {
            label,
            command: self.command,
            content_bytes: self.content_bytes,
            client: &self.peer.label,
            queue_id: self.queue_id(),
            modern: self.worker.settings.modern,
        });
    }

    /// The queue file, once there is one.
    pub fn queue_id(&self) -> Option<&str> {
        self.transaction.as_ref().and_then(Transaction::queue_id)
    }

    async fn finish(mut self, end: Result<(), End>) {
        if let Err(End::Gone(gone)) = end {
            match gone {
                // Many clients are done when the message is, and say no more.
                Gone::Lost if self.command == "END-OF-MESSAGE" => {}
                Gone::Lost => self.log_end("lost connection"),
                Gone::TimedOut => {
                    let text = format!("{} Error: timeout exceeded", self.worker.settings.myhostname);
                    self.reply(Reply::with_status(421, "4.4.2", text));
                    self.log_end("timeout");
                }
            }
        }
        self.forget_transaction().await;
        // Before the last reply: a client that comes again at once finds its place free.
        self.counted = None;
        logging::emit(&Disconnect { client: &self.peer.label, statistics: self.statistics.to_string() });
        let notice = self.notice(end);
        let _ = self.connection.close().await;
        self.worker.postmaster.tell(&self.worker.cleanup, &notice).await;
    }
}

/// The same reply as one that may be tried again.
fn softened(reply: &Reply) -> Reply {
    let lines = reply.lines().map(|line| match line.strip_prefix(b"5.") {
        Some(rest) => [&b"4."[..], rest].concat(),
        None => line.to_vec(),
    });
    Reply::lines_of(reply.code() - 100, lines.collect())
}
