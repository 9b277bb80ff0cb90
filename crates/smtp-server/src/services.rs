//! What a dialogue asks of the system around it.

use net::peer::Peer;
use smtp_protocol::Reply;
use smtp_protocol::parameters::RcptParameters;

use crate::facts::Facts;
use crate::filters::{FilterReply, Told};
use crate::rejection::Rejection;
use crate::settings::BareNewline;
use crate::tls::TlsStart;
use crate::turn::Turn;

/// What one client may do that others may not.
#[derive(Clone, Debug)]
pub struct Privileges {
    /// Be somebody else. smtpd_authorized_xclient_hosts
    pub xclient: bool,
    /// Have each recipient see a sender of its own. smtpd_authorized_verp_clients
    pub verp: bool,
    /// Say where its messages come from. smtpd_authorized_xforward_hosts
    pub xforward: bool,
    /// smtpd_forbid_bare_newline, after the exclusions.
    pub bare_newline: BareNewline,
    /// EHLO keywords that it is not to see, upper case; `None`: the table that knows cannot be asked.
    /// smtpd_discard_ehlo_keyword_address_maps, smtpd_discard_ehlo_keywords
    pub discarded: Option<Vec<String>>,
}

/// What is counted of a client. smtpd_client_*_rate_limit
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// MAIL
    Message,
    /// RCPT
    Recipient,
    /// AUTH
    Login,
    /// A handshake that resumes no session.
    NewTls,
}

/// When the site has a word about a client. smtpd_*_restrictions
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before the greeting.
    Connect,
    /// At HELO and EHLO.
    Helo,
    /// At MAIL.
    Mail,
    /// At RCPT, and at VRFY.
    Recipient,
    /// At DATA, and at the first BDAT.
    Data,
    /// Behind the content.
    EndOfData,
    /// At ETRN.
    Etrn,
}

/// The site's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Go on.
    Accept,
    /// Say no.
    Reject(Rejection),
    /// Say nothing and close the connection.
    HangUp,
}

/// A table that a decision needs cannot be asked; logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered;

/// A recipient has no place; logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unqueued {
    /// A filter says so to the client. smtpd_proxy_filter
    Said(Reply),
    /// There is no queue file for the message yet.
    NotOpened,
    /// There was one, with other recipients.
    Lost,
}

/// What becomes of the wish to have the mail of a domain now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// It is on its way.
    Begun,
    /// There is no list of what waits for the domain. fast_flush_domains
    NotServed,
    /// The domain makes no sense.
    Bad,
    /// Nobody can say; logged.
    Unable,
}

/// What is known of content that was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes of the message so far, as message_size_limit counts them.
    pub size: u64,
    /// Beyond message_size_limit.
    pub too_large: bool,
    /// A line ended in LF alone.
    pub bare_lf: bool,
    /// The queue file went away meanwhile: the content is nowhere.
    pub lost: bool,
}

/// A login that begins: AUTH.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// As the client wrote it.
    pub mechanism: &'a [u8],
    /// The response that came with the command, in base64, as far as the client keeps to it.
    pub initial: Option<&'a [u8]>,
    /// The client.
    pub peer: &'a Peer,
    /// Nobody can listen.
    pub secured: bool,
}

/// How a login goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The client is asked for more: this challenge, in base64.
    Challenge(Vec<u8>),
    /// The client is this user.
    Done(String),
    /// No.
    Refused(Refusal),
    /// Nobody can say.
    Unavailable(Refusal),
}

/// Why a login has failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// For the client and the log; `None` when nobody has said.
    pub reason: Option<String>,
    /// Who it would have been.
    pub user: Option<String>,
}

/// The system around a dialogue. One value of it belongs to one dialogue, and holds the message that is on its way.
#[allow(async_fn_in_trait, reason = "a session never leaves its thread")]
pub trait Services {
    /// What this client may do.
    fn privileges(&self, peer: &Peer) -> Privileges;

    /// Tells the filters of something; the first reply that one of them has for the client, which was logged. To be
    /// held or discarded is the message's matter, and no reply. smtpd_milters
    async fn tell_filters(&mut self, told: Told<'_>, facts: Facts<'_>) -> Option<FilterReply>;

    /// What a filter has said to the client for good.
    fn filters_say(&self) -> Option<FilterReply>;

    /// What the filters were told is over; of a message they hear by [`abort`](Services::abort).
    async fn reset_filters(&mut self);

    /// The client has come, under a name that may be new. False when that is one connection too many; then it was
    /// logged. `exempt`: who may be anybody is not counted.
    async fn arrive(&mut self, peer: &Peer, exempt: bool) -> bool;

    /// Counts; true when it is one too many, which was logged then.
    async fn exceeds(&mut self, counted: Counted, peer: &Peer) -> bool;

    /// The mechanisms by which a client can log in, for its session, as they are announced; asked for before the
    /// greeting and where TLS begins, if anybody can log in. `None` if there are none, and so no service; logged.
    async fn mechanisms(&mut self, secured: bool) -> Option<String>;

    /// AUTH is not announced to this client. smtpd_sasl_exceptions_networks
    ///
    /// # Errors
    /// The list cannot be asked.
    fn is_not_for_auth(&self, peer: &Peer) -> Result<bool, Unanswered>;

    /// A client begins to log in.
    async fn log_in(&mut self, attempt: Attempt<'_>) -> Step;

    /// The client answers the last challenge; not yet known to be base64.
    async fn respond(&mut self, response: &[u8]) -> Step;

    /// The client has given up its login, or goes about it in a way that it cannot.
    fn forget_login(&mut self);

    /// Whether a handshake can begin.
    async fn may_start_tls(&mut self, peer: &Peer) -> TlsStart;

    /// What stands in the place of a command line, if anything does. smtpd_command_filter
    ///
    /// # Errors
    /// The table cannot be asked.
    fn replacement(&self, line: &[u8]) -> Result<Option<Vec<u8>>, Unanswered>;

    /// This word is answered as NOOP is. smtpd_noop_commands
    fn means_nothing(&self, word: &[u8]) -> bool;

    /// Who says this word is left. smtpd_forbidden_commands
    fn is_forbidden(&self, word: &[u8]) -> bool;

    /// The address in standard form is none. While nobody can say, it is not.
    async fn is_malformed(&mut self, sender: Option<&[u8]>, address: &[u8]) -> bool;

    /// Bytes that are free for the queue; `None` when the system does not say.
    fn free_space(&self) -> Option<u64>;

    /// The site's word; a "no" was logged.
    async fn judge(&mut self, stage: Stage, facts: Facts<'_>) -> Judgement;

    /// What waits for a domain, or an address in brackets, is to be delivered now. ETRN
    async fn flush(&mut self, domain: &[u8]) -> Flushed;

    /// Logs a decision that the site did not make.
    fn log(&self, action: &str, text: &str, facts: Facts<'_>);

    /// An address is taken, as `sender` or `recipient`.
    fn note(&self, what: &str, address: &[u8], peer: &Peer);

    /// A message begins.
    fn begin(&mut self);

    /// Opens the queue file of the message that has begun, before it has a recipient. Its id; none where a filter has
    /// the message.
    /// smtpd_delay_open_until_valid_rcpt
    ///
    /// # Errors
    /// The message has no place now.
    async fn open_early(&mut self, facts: Facts<'_>) -> Result<Option<String>, Unqueued>;

    /// Takes the recipient that the facts name; the first one opens the queue file. Its id; none where a filter has the
    /// message. `argument`: the recipient as the client has named it.
    ///
    /// # Errors
    /// The message has no place now.
    async fn take(
        &mut self,
        facts: Facts<'_>,
        parameters: &RcptParameters,
        argument: &[u8],
    ) -> Result<Option<String>, Unqueued>;

    /// The content begins. `only`: the recipient, if there is one and only one.
    ///
    /// # Errors
    /// It is not taken; what the client is told then.
    async fn begin_content(&mut self, facts: Facts<'_>) -> Result<(), Turn>;

    /// The message is complete. It is on stable storage, or a filter has it, and this is what that says; or this is why
    /// not.
    async fn finish(&mut self, facts: Facts<'_>) -> Result<Option<Reply>, Turn>;

    /// Nothing becomes of the message, if there is one.
    async fn abort(&mut self);
}
