//! A whole SMTP session as the server has it, with a client that says anything and a mail system that answers anything.

use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use dsn::Status;
use net::Protocols;
use smtp_protocol::Reply;
use smtp_protocol::parameters::RcptParameters;
use smtp_server::{
    Attempt, BareNewline, CommandLine, Counted, Dialogue, Facts, FilterReply, Flushed, Judgement, Lacking, Next, Peer,
    Privileges, Received, Refusal, Rejection, Secured, Services, Settings, Stage, Step, TlsLevel, TlsRefusal, TlsStart,
    Told, Turn, Unanswered, Unqueued,
};

use crate::pieces::{assert_one_line, choices};
use crate::tables::quiet;

/// A message is acknowledged only when it is on stable storage, and only with recipients that were accepted; no message
/// is left open by the next one; content is asked for only with a recipient; who is hung up on hears nothing more; and
/// whatever a client says, a reply is one that can be sent; and nothing of what was said before TLS counts under it.
pub fn smtp_dialogue(data: &[u8]) {
    quiet();
    let (choice, data) = choices(data);
    let (answers, script) = data.split_at(data.iter().position(|byte| *byte == 0).unwrap_or(data.len()));
    let mut system = System::new(choice, answers);
    let peer = Peer::nameless(([192, 0, 2, 1], 1025).into(), ([192, 0, 2, 2], 25).into());
    let may = system.privileges(&peer);
    let lacking = Lacking { no_mail: false };
    let mut dialogue = Dialogue::new(Rc::new(settings(choice)), lacking, peer, may);
    let mut next = now(dialogue.greet(&mut system, b""));
    for line in script.split(|byte| *byte == b'\n') {
        let done = carried_out(&mut dialogue, &mut system, next);
        if done == Next::Close {
            break;
        }
        if done == Next::Response {
            let line = CommandLine { bytes: line.to_vec(), bare_lf: line.ends_with(b"\x01"), length: line.len() };
            next = now(dialogue.response(&mut system, line));
            continue;
        }
        if let Some(turn) = dialogue.enough() {
            assert_eq!((turn.next, turn.reply.map(|reply| reply.code())), (Next::Close, Some(421)));
            break;
        }
        let line = CommandLine { bytes: line.to_vec(), bare_lf: line.ends_with(b"\x01"), length: line.len() };
        let behind: &[u8] = if system.answer() == 7 { b"NOOP" } else { b"" };
        next = now(dialogue.command(&mut system, line, behind));
    }
    now(system.abort());
}

/// Does what a turn says, content included; what is left to do.
fn carried_out(dialogue: &mut Dialogue, system: &mut System, mut turn: Turn) -> Next {
    loop {
        check(&turn, system);
        turn = match turn.next {
            Next::Command | Next::Discard(_) => return Next::Command,
            Next::Close => return Next::Close,
            Next::Response => {
                assert_eq!(turn.reply.map(|reply| reply.code()), Some(334));
                assert!(system.logs_in, "a response is read that nobody asks for");
                return Next::Response;
            }
            Next::StartTls => {
                assert_eq!(turn.reply.map(|reply| reply.code()), Some(220));
                let refusal = (system.answer() == 5).then_some(TlsRefusal::NoCertificate);
                let turn = now(dialogue.secured(system, Secured { refusal, ..Secured::default() }));
                let facts = dialogue.facts(None, None);
                assert!(facts.tls.is_some() && facts.helo.is_none() && facts.login.is_none());
                assert!(facts.sender.is_none() && !system.open && !system.logs_in);
                if turn.next == Next::Command {
                    // The client speaks next.
                    return Next::Command;
                }
                turn
            }
            Next::Content => {
                assert_eq!(turn.reply.map(|reply| reply.code()), Some(354));
                assert!(system.recipients > 0, "content without a recipient");
                let content = system.content();
                now(dialogue.content(system, content))
            }
            Next::Chunk(chunk) => {
                assert!(turn.reply.is_none(), "a chunk is answered when it has come");
                assert!(system.recipients > 0, "content without a recipient");
                let content = system.content();
                now(dialogue.chunk(system, chunk, content))
            }
        };
    }
}

/// What holds for every turn.
fn check(turn: &Turn, system: &mut System) {
    let stored = std::mem::take(&mut system.stored);
    let Some(reply) = &turn.reply else {
        assert!(!stored, "a message is taken and nobody says so");
        assert!(matches!(turn.next, Next::Close | Next::Chunk(_)), "silence, and then {:?}", turn.next);
        return;
    };
    assert!((200..600).contains(&reply.code()));
    let mut wire = Vec::new();
    reply.write(&mut wire);
    let lines = wire.strip_suffix(b"\r\n").expect("a reply ends").split(|byte| *byte == b'\n');
    let mut texts = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    texts.by_ref().for_each(assert_one_line);
    assert_eq!(reply.code() == 250 && is_acknowledgement(reply), stored, "250 is said of what is on stable storage");
    if let Some(rejection) = system.refused.take() {
        assert_eq!(reply.code(), rejection, "what the site refuses is refused");
    }
}

fn is_acknowledgement(reply: &Reply) -> bool {
    reply.lines().any(|line| line.windows(10).any(|part| part == b"queued as "))
}

/// What a future gives that waits for nobody.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a dialogue waits for nothing but its services"),
    }
}

fn settings(choice: u8) -> Settings {
    Settings {
        auth_only: choice & 4 != 0,
        banner: "mx.test ESMTP".to_owned(),
        bare_newline: BareNewline::Normalize,
        bare_newline_code: 550,
        broken_auth_clients: choice & 2 != 0,
        delay_open: choice & 16 == 0,
        forbid_unauth_pipelining: choice & 1 != 0,
        hard_error_limit: 20,
        helo_required: choice & 2 != 0,
        junk_command_limit: 100,
        line_length_limit: 2048,
        mail_name: "Postfix".to_owned(),
        message_size_limit: Some(1000),
        myhostname: "mx.test".to_owned(),
        protocols: Protocols { v4: true, v6: choice & 4 != 0 },
        queue_minfree: 0,
        recipient_limit: 5,
        recipient_overshoot_limit: 2,
        requiretls: choice & 8 != 0,
        sasl_enabled: choice & 1 != 0,
        sasl_response_limit: 30,
        smtputf8: choice & 8 != 0,
        strict_utf8: choice & 1 != 0,
        soft_error_limit: 10,
        strict_envelopes: choice & 16 != 0,
        tls: if choice & 128 != 0 { TlsLevel::Encrypt } else { TlsLevel::May },
        tls_wrapper: false,
        verp_delimiters: "+=".to_owned(),
        verp_filter: "-=+".to_owned(),
        vrfy_disabled: false,
    }
}

/// A mail system that answers what the input says, and knows what it has been told.
struct System<'a> {
    choice: u8,
    answers: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    /// A transaction has begun.
    begun: bool,
    /// There is a queue file.
    open: bool,
    /// A login has begun.
    logs_in: bool,
    /// Recipients that it has.
    recipients: usize,
    /// A message was put on stable storage since the last turn.
    stored: bool,
    /// The code with which the site has refused since the last turn.
    refused: Option<u16>,
}

impl<'a> System<'a> {
    fn new(choice: u8, answers: &'a [u8]) -> Self {
        let answers = answers.iter().cycle();
        System {
            choice,
            answers,
            begun: false,
            open: false,
            logs_in: false,
            recipients: 0,
            stored: false,
            refused: None,
        }
    }

    /// The next answer, 0 to 7; 0 is the friendly one.
    fn answer(&mut self) -> u8 {
        self.answers.next().map_or(0, |byte| byte & 7)
    }

    /// Content that was read.
    fn content(&mut self) -> Received {
        let answer = self.answer();
        self.open &= answer != 7;
        Received { size: 10, too_large: answer == 5, bare_lf: answer == 6, lost: !self.open }
    }

    /// How a login goes on.
    fn step(&mut self) -> Step {
        let refusal = Refusal { reason: Some("\r\n no".to_owned()), user: Some("\r\n".to_owned()) };
        let step = match self.answer() {
            1 => Step::Refused(refusal),
            2 => Step::Unavailable(Refusal::default()),
            3 | 4 => Step::Done("user".to_owned()),
            _ => Step::Challenge(b"\r\n".repeat(300)),
        };
        self.logs_in = matches!(step, Step::Challenge(_));
        step
    }

    fn rejection(&mut self, code: u16) -> Rejection {
        self.refused = Some(code);
        Rejection::new(code, Status::new(5, 7, 1), "<\r\n>: no")
    }
}

impl Services for System<'_> {
    fn privileges(&self, _: &Peer) -> Privileges {
        let bare_newline = if self.choice & 32 != 0 { BareNewline::Reject } else { BareNewline::Normalize };
        let discarded = Some(if self.choice & 64 != 0 { vec!["CHUNKING".to_owned()] } else { Vec::new() });
        Privileges { xclient: true, verp: true, xforward: true, bare_newline, discarded }
    }

    async fn tell_filters(&mut self, told: Told<'_>, facts: Facts<'_>) -> Option<FilterReply> {
        let is_in_message = matches!(told, Told::Mail(_) | Told::Recipient(_) | Told::Refused(..) | Told::Data);
        assert!(facts.sender.is_some() || !is_in_message);
        match self.answer() {
            2 => Some(FilterReply::new(450, "450-4.7.1 a\r\n450 4.7.1 b")),
            3 => Some(FilterReply::new(421, "421 4.7.0 bye")),
            _ => None,
        }
    }

    fn filters_say(&self) -> Option<FilterReply> {
        (self.choice & 129 == 129).then(|| FilterReply::new(550, "550 5.7.1 no"))
    }

    async fn reset_filters(&mut self) {}

    async fn arrive(&mut self, peer: &Peer, _: bool) -> bool {
        assert_one_line(peer.label.as_bytes());
        self.answer() != 3
    }

    async fn exceeds(&mut self, _: Counted, _: &Peer) -> bool {
        self.answer() == 3
    }

    async fn may_start_tls(&mut self, _: &Peer) -> TlsStart {
        match self.answer() {
            1 => TlsStart::Broken,
            2 => TlsStart::TooMany,
            _ => TlsStart::Ready,
        }
    }

    async fn mechanisms(&mut self, _: bool) -> Option<String> {
        assert!(self.choice & 1 != 0, "nobody is to log in");
        (self.answer() != 7).then(|| "PLAIN LOGIN".to_owned())
    }

    fn is_not_for_auth(&self, _: &Peer) -> Result<bool, Unanswered> {
        if self.choice & 16 != 0 { Err(Unanswered) } else { Ok(self.choice & 8 != 0) }
    }

    async fn log_in(&mut self, attempt: Attempt<'_>) -> Step {
        let needs_tls = self.choice & 132 != 0;
        assert!(self.choice & 1 == 1 && (attempt.secured || !needs_tls));
        assert!(!self.begun && !attempt.mechanism.is_empty());
        self.step()
    }

    async fn respond(&mut self, response: &[u8]) -> Step {
        assert!(std::mem::take(&mut self.logs_in) && response.len() < 30);
        self.step()
    }

    fn forget_login(&mut self) {
        self.logs_in = false;
    }

    fn replacement(&self, line: &[u8]) -> Result<Option<Vec<u8>>, Unanswered> {
        match line.first() {
            Some(b'?') => Err(Unanswered),
            Some(b'!') => Ok(Some(line[1..].to_vec())),
            _ => Ok(None),
        }
    }

    fn means_nothing(&self, word: &[u8]) -> bool {
        word == b"PING"
    }

    fn is_forbidden(&self, word: &[u8]) -> bool {
        word == b"GET"
    }

    async fn is_malformed(&mut self, _: Option<&[u8]>, address: &[u8]) -> bool {
        assert!(!address.is_empty());
        self.answer() == 4
    }

    fn free_space(&self) -> Option<u64> {
        Some(1 << 30)
    }

    async fn flush(&mut self, domain: &[u8]) -> Flushed {
        assert!(domain.iter().all(|byte| byte.is_ascii_graphic()), "a domain, or an address in brackets");
        [Flushed::Begun, Flushed::NotServed, Flushed::Bad, Flushed::Unable][domain.len() % 4]
    }

    async fn judge(&mut self, stage: Stage, facts: Facts<'_>) -> Judgement {
        assert!(facts.helo.is_none_or(|name| !name.chars().any(char::is_control)));
        assert_eq!(facts.queue_id.is_some(), self.open, "a queue file is known as long as there is one");
        let has_sender = matches!(stage, Stage::Mail | Stage::Data | Stage::EndOfData);
        assert!(facts.sender.is_some() || !has_sender);
        match self.answer() {
            1 => Judgement::Reject(self.rejection(554)),
            2 => Judgement::Reject(self.rejection(450)),
            3 => Judgement::HangUp,
            _ => Judgement::Accept,
        }
    }

    fn log(&self, _: &str, text: &str, _: Facts<'_>) {
        assert_one_line(text.as_bytes());
    }

    fn note(&self, _: &str, _: &[u8], _: &Peer) {}

    fn begin(&mut self) {
        assert!(!self.begun && !self.open, "a message begins before the last one has ended");
        self.begun = true;
    }

    async fn open_early(&mut self, facts: Facts<'_>) -> Result<Option<String>, Unqueued> {
        assert!(self.begun && !self.open && facts.sender.is_some());
        if self.answer() == 5 {
            return Err(Unqueued::NotOpened);
        }
        self.open = true;
        Ok(Some("QUEUEID".to_owned()))
    }

    async fn take(
        &mut self,
        facts: Facts<'_>,
        _: &RcptParameters,
        argument: &[u8],
    ) -> Result<Option<String>, Unqueued> {
        // Filters get them as they came, each ended by a NUL.
        for argument in [facts.mail.unwrap_or_default(), argument] {
            assert!(!argument.contains(&0) && !argument.contains(&b'\n'), "{}", argument.escape_ascii());
        }
        assert!(self.begun && facts.recipient.is_some_and(|recipient| !recipient.is_empty()));
        match self.answer() {
            5 if !self.open => return Err(Unqueued::NotOpened),
            6 => return Err(Unqueued::Lost),
            7 => return Err(Unqueued::Said(Reply::plain(450, "no"))),
            _ => {}
        }
        self.open = true;
        self.recipients += 1;
        assert!(self.recipients <= 5, "smtpd_recipient_limit");
        Ok(Some("QUEUEID".to_owned()))
    }

    async fn begin_content(&mut self, facts: Facts<'_>) -> Result<(), Turn> {
        assert!(self.open);
        assert_eq!(facts.recipients as usize, self.recipients);
        Ok(())
    }

    async fn finish(&mut self, _: Facts<'_>) -> Result<Option<Reply>, Turn> {
        assert!(self.recipients > 0, "a message without a recipient is no message");
        if !std::mem::take(&mut self.open) || self.answer() == 1 {
            return Err(self.rejection(451).into());
        }
        self.stored = true;
        Ok(None)
    }

    async fn abort(&mut self) {
        (self.begun, self.open, self.recipients) = (false, false, 0);
    }
}
