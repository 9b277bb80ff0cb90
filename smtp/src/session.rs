//! A session with one server, from the greeting on.
//!
//! What is written is collected in [`Session::output`] and leaves in one piece; replies come one by one. After any
//! [`Broken`] the session must not be used for anything else: nobody knows what the server has seen.

use std::rc::Rc;
use std::time::{Duration, Instant};

use config::ErrorClass;
use delivery::transcript::{Speaker, Transcript};
use dsn::Status;
use ipc::bounce::Message;
use logging::library;
use queue::QueueId;
use smtp_client::{Server, Stream};
use smtp_protocol::{Extensions, Input, Malformed, Newline, Reply, ReplyParser};

use crate::connect::connect;
use crate::failure::{Failure, Subject};
use crate::notices::Notices;
use crate::quirks::{Pix, Quirks};
use crate::sasl::{Owner, Purpose};
use crate::settings::Settings;
use crate::stage::Stage;
use crate::tls::{Policy, Shield, subject_of};

mod hello;

/// The longest reply line that is waited for to its end.
/// told: the log and the report: a protocol error.
const LONGEST_LINE: usize = 64 << 10;
/// The longest reply that is looked for among what has come and was not waited for.
/// told: the log and the report: the failure that nobody waits after.
const LONGEST_AT_HAND: usize = 64 << 10;
/// Lines without a meaning that one session may send.
/// told: the log and the report: a protocol error.
const MOST_STRAYS: u32 = 100;
/// Capacity that the output buffer keeps between messages.
const KEPT_OUTPUT: usize = 16 << 10;

/// An open session.
#[derive(Debug)]
pub struct Session {
    /// The server.
    pub server: Server,
    /// `NAME[ADDRESS]`.
    pub host: String,
    /// What it offers.
    pub extensions: Extensions,
    /// What is to be written next.
    pub output: Vec<u8>,
    /// Deliveries that it has carried, the present one included.
    pub uses: u32,
    /// When it was opened.
    pub opened: Instant,
    /// A transaction was begun and neither ended nor reset.
    pub unfinished: bool,
    /// The server has said 421: it hangs up.
    pub closing: bool,
    /// The message that it carries, for log lines.
    pub queue_id: Option<QueueId>,
    /// What was said, for the postmaster.
    pub transcript: Transcript,
    /// Whether he is told of what the server does with this message.
    is_told_of: bool,
    /// Whose login it has.
    pub owner: Owner,
    /// The login has succeeded.
    pub authenticated: bool,
    /// The word that it has begun with.
    pub hello: &'static str,
    /// What it has to be.
    pub policy: Policy,
    /// What protects it.
    pub shield: Shield,
    /// What the server has said to the hello before TLS, if somebody wants to hear of it.
    pub said: Vec<u8>,
    /// What is done about what stands in front of the server.
    pub pix: Pix,
    notices: Rc<Notices>,
    quirks: Rc<Quirks>,
    /// Limits are for whole replies, and not for each read.
    whole: bool,
    /// The dialogue goes to the log.
    debug: bool,
    /// Lines that were no replies.
    strays: u32,
    pub(crate) stream: Stream,
    input: Input,
    parser: ReplyParser,
}

/// Why a session ended in the middle.
#[derive(Debug)]
pub enum Broken {
    /// The server or the network is gone.
    Lost,
    /// The server did not answer in time.
    TimedOut,
    /// What comes is no end of lines that are no reply, or of one line.
    Malformed,
    /// What has come cannot be judged: a table of ours has no answer.
    Local,
}

impl Session {
    /// Says hello on a new connection.
    ///
    /// # Errors
    /// The server does not want to talk.
    pub async fn begin(
        stream: Stream,
        server: &Server,
        settings: &Settings,
        purpose: &Purpose<'_>,
        policy: Policy,
    ) -> Result<Self, Failure> {
        let mut session = Self {
            host: server.host(),
            server: server.clone(),
            extensions: Extensions::default(),
            output: Vec::new(),
            uses: 0,
            opened: Instant::now(),
            unfinished: false,
            closing: false,
            queue_id: Some(purpose.queue_id.clone()),
            transcript: settings.notices.open(),
            is_told_of: settings.notices.are_due_for(purpose.sender),
            owner: Owner::default(),
            authenticated: false,
            hello: "EHLO",
            policy,
            shield: Shield::Open,
            said: Vec::new(),
            pix: Pix::default(),
            notices: Rc::clone(&settings.notices),
            quirks: Rc::clone(&settings.quirks),
            whole: settings.limits.whole,
            debug: settings.verbose || server.is_in(&settings.dialogue.debug_peers),
            strays: 0,
            stream,
            input: Input::new(),
            parser: ReplyParser::new(),
        };
        let debug = session.debug;
        match library::of_peer(debug, session.rise(settings, purpose)).await {
            Ok(()) => Ok(session),
            // The server is remembered as one without a key to show, and not asked for it again.
            Err(failure) if failure.subject == Subject::RawKey => {
                let policy = session.policy.clone();
                drop(session);
                Box::pin(Self::open(server, settings, purpose, policy)).await
            }
            Err(failure) => {
                let is_told = failure.tls.is_some();
                Err(if is_told { failure } else { failure.with_tls(session.features()) })
            }
        }
    }

    /// Connects and says hello.
    ///
    /// # Errors
    /// The server is not there, or does not want to talk.
    pub async fn open(
        server: &Server,
        settings: &Settings,
        purpose: &Purpose<'_>,
        policy: Policy,
    ) -> Result<Self, Failure> {
        let connected = connect(server, settings).await;
        let stream = connected.map_err(|failure| failure.with_tls(policy.open()))?;
        Self::begin(stream, server, settings, purpose, policy).await
    }

    /// Everything before the first message.
    async fn rise(&mut self, settings: &Settings, purpose: &Purpose<'_>) -> Result<(), Failure> {
        let wrapped = self.wrap(settings, purpose).await;
        self.or_farewell(wrapped)?;
        self.greet(settings, purpose).await?;
        let protected = self.protect(settings, purpose).await;
        self.or_farewell(protected)?;
        let authenticated = self.authenticate(settings, purpose).await;
        self.or_farewell(authenticated)
    }

    fn or_farewell(&mut self, result: Result<(), Failure>) -> Result<(), Failure> {
        result.inspect_err(|_| self.farewell())
    }

    /// Forgets what has come and was not read.
    pub fn forget(&mut self) {
        self.input = Input::new();
        self.parser = ReplyParser::new();
    }

    /// Whether the server is in debug_peer_list, or every dialogue is to be logged.
    pub fn is_debugged(&self) -> bool {
        self.debug
    }

    /// The next reply.
    ///
    /// # Errors
    /// It did not come.
    pub async fn reply(&mut self, limit: Duration) -> Result<Reply, Broken> {
        // smtp_per_request_deadline
        let end = self.whole.then(|| Instant::now() + limit);
        // What has come needs no timer.
        loop {
            if let Some(reply) = self.parse()? {
                return Ok(reply);
            }
            let limit = end.map_or(limit, |end| end.saturating_duration_since(Instant::now()));
            match tokio::time::timeout(limit, self.stream.read(self.input.room())).await {
                Ok(Ok(0) | Err(_)) => return Err(Broken::Lost),
                Ok(Ok(_)) => {}
                Err(_) => return Err(Broken::TimedOut),
            }
        }
    }

    /// A reply that has come already; nothing is waited for. Others have to wait meanwhile, so it has to be a short
    /// one: a server may send faster than it is read.
    pub fn reply_at_hand(&mut self) -> Option<Reply> {
        let mut left = LONGEST_AT_HAND;
        loop {
            match self.parse() {
                Ok(None) => {}
                parsed => return parsed.ok().flatten(),
            }
            let count = self.stream.try_read(self.input.room()).ok().filter(|count| *count > 0)?;
            left = left.checked_sub(count)?;
        }
    }

    /// Writes the output buffer, and empties it.
    ///
    /// # Errors
    /// The server is gone, or takes nothing.
    pub async fn send(&mut self, limit: Duration) -> Result<(), Broken> {
        let mut output = std::mem::take(&mut self.output);
        let written = self.send_bytes(&output, limit).await;
        output.clear();
        output.shrink_to(KEPT_OUTPUT);
        self.output = output;
        written
    }

    /// Writes these bytes, and keeps none.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_bytes(&mut self, bytes: &[u8], limit: Duration) -> Result<(), Broken> {
        match tokio::time::timeout(limit, self.stream.write(bytes)).await {
            Ok(result) => result.map_err(|_| Broken::Lost),
            Err(_) => Err(Broken::TimedOut),
        }
    }

    /// Appends a command line to the output.
    pub fn command(&mut self, parts: &[&[u8]]) {
        let start = self.output.len();
        for part in parts {
            self.output.extend_from_slice(part);
        }
        self.log_sent(start);
        self.output.extend_from_slice(b"\r\n");
    }

    /// Logs the command that stands in the output from `start` on, if the dialogue is to be logged.
    pub fn log_sent(&mut self, start: usize) {
        self.transcript.say(Speaker::Us, self.output.get(start..).unwrap_or_default());
        self.log_dialogue('>', self.output.get(start..).unwrap_or_default());
    }

    /// Logs a line of the dialogue, if it is to be logged.
    pub fn log_dialogue(&self, direction: char, line: &[u8]) {
        // debug_peer_list
        if self.debug {
            logging::info!("{direction} {}: {}", self.server.relay(), text::printable(line));
        }
    }

    /// Whether the session has nothing to say and the server has not hung up: it can take another message.
    pub fn is_quiet(&mut self) -> bool {
        if self.closing || !self.input.is_empty() {
            return false;
        }
        let quiet = self.stream.try_read(self.input.room());
        matches!(quiet, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Whether the server has said something that nobody has read.
    pub fn has_unread(&mut self) -> bool {
        !self.input.is_empty() || self.stream.try_read(self.input.room()).is_ok_and(|count| count > 0)
    }

    /// It begins to carry a message.
    pub fn carry(&mut self, message: &Message) {
        self.uses += 1;
        self.queue_id = Some(message.queue_id.clone());
        self.is_told_of = self.notices.are_due_for(&message.sender);
    }

    /// Our address, as the server sees it unless somebody translates it.
    pub fn own_address(&self) -> Option<std::net::IpAddr> {
        self.stream.own_address()
    }

    /// Ends the session. The reply to QUIT is waited for only if smtp_skip_quit_response is off.
    pub async fn quit(mut self, settings: &Settings) {
        self.farewell();
        if self.closing {
            return;
        }
        if !settings.dialogue.skip_quit_response {
            let _ = self.reply(settings.limits.quit).await;
        }
    }

    /// Says QUIT, and waits for nothing.
    pub fn farewell(&mut self) {
        if !self.closing {
            self.transcript.say(Speaker::Us, b"QUIT");
            self.log_dialogue('>', b"QUIT");
            self.stream.write_some(b"QUIT\r\n");
        }
    }

    /// The failure that a broken session is.
    pub fn failure(&self, broken: &Broken, stage: Stage) -> Failure {
        let host = &self.host;
        let (status, reason) = match broken {
            Broken::Lost => (Status::new(4, 4, 2), format!("lost connection with {host} while {stage}")),
            Broken::TimedOut => (Status::new(4, 4, 2), format!("conversation with {host} timed out while {stage}")),
            Broken::Malformed => {
                (Status::new(4, 5, 0), format!("remote protocol error in reply from {host} while {stage}"))
            }
            Broken::Local => (Status::new(4, 3, 0), format!("local data error while talking to {host}")),
        };
        let failure = Failure { subject: subject_of(broken, self), ..Failure::of_host(status, reason) };
        failure.by(&self.server).with_tls(self.features())
    }

    fn parse(&mut self) -> Result<Option<Reply>, Broken> {
        while let Some(line) = self.input.line(Newline::Lenient) {
            self.transcript.say(Speaker::Them, line.bytes);
            // debug_peer_list
            if self.debug {
                logging::info!("< {}: {}", self.server.relay(), text::printable(line.bytes));
            }
            let parsed = match self.quirks.filters_replies() {
                true => {
                    let line = line.bytes.to_vec();
                    let line = self.filtered(line)?;
                    self.parser.line(&line)
                }
                false => self.parser.line(line.bytes),
            };
            for text in self.parser.excess() {
                logging::warning!("{}: {text}", self.server.relay());
            }
            match parsed {
                Ok(Some(reply)) => {
                    self.closing |= reply.code() == 421;
                    return Ok(Some(reply));
                }
                Ok(None) => {}
                Err(Malformed(line)) => self.stray(&line)?,
            }
        }
        if self.input.pending().len() > LONGEST_LINE {
            self.breach();
            return Err(Broken::Malformed);
        }
        Ok(None)
    }

    /// smtp_reply_filter
    fn filtered(&self, line: Vec<u8>) -> Result<Vec<u8>, Broken> {
        match self.quirks.filtered(&line) {
            Ok(None) => Ok(line),
            Ok(Some(new)) => {
                let (old, new_shown) = (text::printable(&line), text::printable(&new));
                logging::info!("{}: replacing server reply \"{old}\" with \"{new_shown}\"", self.server.relay());
                Ok(new)
            }
            Err(error) => {
                if let Some(id) = &self.queue_id {
                    let (table, shown) = (error.table(), text::printable(&line));
                    logging::warning!(id: id, "table {table} lookup error for {shown}");
                }
                Err(Broken::Local)
            }
        }
    }

    /// A line that is no reply is passed over: what matters may follow.
    fn stray(&mut self, line: &[u8]) -> Result<(), Broken> {
        if let Some(queue_id) = &self.queue_id {
            let line = text::printable(line.get(..100).unwrap_or(line));
            let protocol = if self.hello == "LHLO" { "LMTP" } else { "ESMTP" };
            logging::warning!(id: queue_id, "non-{protocol} response from {}: {line}", self.server.relay());
        }
        self.breach();
        self.strays += 1;
        if self.strays > MOST_STRAYS { Err(Broken::Malformed) } else { Ok(()) }
    }

    /// The server has broken the protocol.
    fn breach(&mut self) {
        if self.is_told_of {
            self.transcript.note(ErrorClass::Protocol);
        }
    }

    /// Takes note of a reply that is neither of the class that the command asks for nor a refusal.
    pub fn note_strange(&mut self, reply: &Reply, class: u16) {
        if reply.class() != class && !matches!(reply.class(), 4 | 5) {
            self.breach();
        }
    }
}

/// notify_classes
impl Drop for Session {
    fn drop(&mut self) {
        if self.transcript.is_due() {
            self.notices.add(self.server.relay(), std::mem::take(&mut self.transcript));
        }
    }
}
