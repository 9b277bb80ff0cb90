//! Delivery: qmgr hands an agent some recipients of one message with the open queue file, the agent reports each
//! outcome.
//!
//! `Recipients`..., `Deliver` (with the descriptor of the queue file, open for reading and writing) → `Outcomes` and
//! `Expanded`..., `End`. The agent marks recipients that are delivered (`R` becomes `D`) through the descriptor before
//! it reports. A connection carries one delivery at a time and any number of them one after the other; to an agent that
//! opens no queue file, requests may also come without it, and before the report of the one before.

use dsn::{Action, Status};
use queue::{QueueId, Recipient, Trace};
use serde::{Deserialize, Serialize};

use crate::bounce::{Diagnostic, Message, Record};
use crate::bounds::{Chunk, Weigh, chunks};
use crate::channel::{Client, IpcError, Server, Service};
use crate::recipient::Traveling;
use crate::rewrite::Context;

/// The services `private/TRANSPORT`.
pub struct Delivery;

impl Service for Delivery {
    const NAME: &'static str = "delivery";
    const VERSION: u16 = 5;
    type Request = Part;
    type Reply = Piece;
}

/// A part of a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Part {
    /// Some of the recipients.
    Recipients(Chunk<Traveling>),
    /// Everything else, and the end of the request.
    Deliver(Box<Request>),
}

/// A part of a report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Piece {
    /// What became of the next recipients of the request, in its order.
    Outcomes(Chunk<Outcome>),
    /// Some of the records that the last of those outcomes announced.
    Expanded(Chunk<Record>),
    /// The end of the report: a problem of the nexthop as a whole (not of a recipient) drives qmgr's concurrency and
    /// dead-site logic.
    End(Option<Problem>),
}

/// A point in time as queue files and delays need it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Microseconds, 0 to 999999.
    pub micros: u32,
}

impl Timestamp {
    /// Now, by the system's clock.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { seconds: since.as_secs() as i64, micros: since.subsec_micros() }
    }

    /// Seconds from `earlier` to here; 0 when the clock went backwards.
    pub fn since(self, earlier: Self) -> f64 {
        let whole = (self.seconds - earlier.seconds) as f64;
        (whole + (f64::from(self.micros) - f64::from(earlier.micros)) / 1e6).max(0.0)
    }
}

/// Some recipients of one message, for one nexthop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// Which report the sender asked for: a probe finds out, and delivers and marks nothing.
    #[serde(with = "crate::bits")]
    pub trace: Trace,
    /// More mail for this nexthop waits, so that a connection is worth keeping.
    pub more_follows: bool,
    /// The message.
    pub message: Message,
    /// Offset in bytes of the first content record.
    pub data_offset: u64,
    /// Size in bytes of the content, as logged in `size=`.
    pub size: u64,
    /// Nexthop of all these recipients.
    #[serde(with = "crate::bounds::bytes")]
    pub nexthop: Vec<u8>,
    /// When the message arrived.
    pub arrival: Timestamp,
    /// When it entered the active queue.
    pub active: Timestamp,
    /// When it was handed to the agent.
    pub handoff: Timestamp,
    /// The client that the message came from (log_client_* attributes), for XFORWARD and milters.
    pub client: Origin,
    /// Queue id that logs of earlier hops know (log_ident).
    #[serde(with = "crate::bounds::text")]
    pub log_ident: String,
    /// Whose domain completed its addresses.
    pub rewrite_context: Context,
    /// Who gets the message; they travel by themselves.
    #[serde(skip)]
    pub recipients: Vec<Recipient>,
}

impl Request {
    /// A request about a message in the active queue of which nothing more is known.
    pub fn new(queue_id: QueueId) -> Self {
        Request {
            trace: Trace::default(),
            more_follows: false,
            message: Message::new(queue_id),
            data_offset: 0,
            size: 0,
            nexthop: Vec::new(),
            arrival: Timestamp::default(),
            active: Timestamp::default(),
            handoff: Timestamp::default(),
            client: Origin::default(),
            log_ident: String::new(),
            rewrite_context: Context::Local,
            recipients: Vec::new(),
        }
    }
}

/// Where a message came from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Origin {
    /// Verified host name or `unknown`.
    #[serde(with = "crate::bounds::text")]
    pub name: String,
    /// Address, with `IPv6:` in front of an IPv6 one.
    #[serde(with = "crate::bounds::text")]
    pub address: String,
    /// Port.
    #[serde(with = "crate::bounds::text")]
    pub port: String,
    /// `SMTP`, `ESMTP`.
    #[serde(with = "crate::bounds::text")]
    pub protocol: String,
    /// HELO or EHLO name.
    #[serde(with = "crate::bounds::text")]
    pub helo: String,
    /// Who it says that it is.
    pub sasl: Sasl,
}

/// How a client has authenticated itself; each empty when there is none.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sasl {
    /// The mechanism.
    #[serde(with = "crate::bounds::text")]
    pub method: String,
    /// The login name.
    #[serde(with = "crate::bounds::text")]
    pub username: String,
    /// AUTH= of MAIL FROM.
    #[serde(with = "crate::bounds::text")]
    pub sender: String,
}

impl Weigh for Outcome {
    fn weight(&self) -> usize {
        self.diagnostic.as_ref().map_or(0, Weigh::weight) + self.reason.len() + self.remote_mta.len()
    }
}

/// Bytes of parts that are gathered before they are sent.
const GATHERED: usize = 64 << 10;

/// Sends a request; the descriptor is that of the queue file.
///
/// # Errors
/// Those of [`Channel::send_with`](crate::Channel::send_with).
pub async fn send(
    agent: &mut Client<Delivery>,
    mut request: Request,
    file: std::os::fd::BorrowedFd<'_>,
) -> Result<(), IpcError> {
    queue_recipients(agent, &mut request).await?;
    agent.send_with(&Part::Deliver(Box::new(request)), file).await
}

/// Adds a request without a file to those that the next flush sends.
///
/// # Errors
/// As [`send`].
pub async fn queue(agent: &mut Client<Delivery>, mut request: Request) -> Result<(), IpcError> {
    queue_recipients(agent, &mut request).await?;
    agent.queue(&Part::Deliver(Box::new(request)))
}

async fn queue_recipients(agent: &mut Client<Delivery>, request: &mut Request) -> Result<(), IpcError> {
    for chunk in chunks(std::mem::take(&mut request.recipients).into_iter().map(Traveling)) {
        agent.queue(&Part::Recipients(chunk))?;
        if agent.queued_bytes() > GATHERED {
            agent.flush().await?;
        }
    }
    Ok(())
}

/// The rest of a request whose first part is there.
///
/// # Errors
/// As [`Channel::must_receive`](crate::Channel::must_receive).
pub async fn receive(mut part: Part, client: &mut Server<Delivery>) -> Result<Request, IpcError> {
    let mut recipients = Vec::new();
    loop {
        match part {
            Part::Recipients(chunk) => recipients.extend(chunk.into_iter().map(|Traveling(recipient)| recipient)),
            Part::Deliver(request) => {
                client.peer_waits();
                return Ok(Request { recipients, ..*request });
            }
        }
        part = client.must_receive().await?;
    }
}

/// Sends a report.
///
/// # Errors
/// [`IpcError::TooLarge`]: nothing of the piece that is too large was sent; the report can be ended otherwise. Others:
/// the client is gone.
pub async fn report(client: &mut Server<Delivery>, report: Report) -> Result<(), IpcError> {
    queue_report(client, report).await?;
    client.flush().await
}

/// Adds a report to those that the next flush sends.
///
/// # Errors
/// As [`report`].
pub async fn queue_report(client: &mut Server<Delivery>, report: Report) -> Result<(), IpcError> {
    let mut outcomes = Vec::new();
    for mut outcome in report.outcomes {
        let expanded = std::mem::take(&mut outcome.expanded);
        outcome.following = expanded.len() as u64;
        outcomes.push(outcome);
        if !expanded.is_empty() {
            tell(client, chunks(outcomes.drain(..)).map(Piece::Outcomes)).await?;
            tell(client, chunks(expanded).map(Piece::Expanded)).await?;
        }
    }
    tell(client, chunks(outcomes).map(Piece::Outcomes)).await?;
    client.queue(&Piece::End(report.host_problem))
}

async fn tell(client: &mut Server<Delivery>, pieces: impl Iterator<Item = Piece>) -> Result<(), IpcError> {
    for piece in pieces {
        client.queue(&piece)?;
        if client.queued_bytes() > GATHERED {
            client.flush().await?;
        }
    }
    Ok(())
}

/// The rest of a report whose first piece is there, all of it at once.
///
/// # Errors
/// As [`Channel::must_receive`](crate::Channel::must_receive).
pub async fn rest_of_report(mut piece: Piece, agent: &mut Client<Delivery>) -> Result<Report, IpcError> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    loop {
        match piece {
            Piece::Outcomes(chunk) => outcomes.extend(chunk),
            Piece::Expanded(chunk) => {
                let of_nothing = || IpcError::Malformed("records of no recipient".to_owned());
                outcomes.last_mut().ok_or_else(of_nothing)?.expanded.extend(chunk);
            }
            Piece::End(host_problem) => return Ok(Report { outcomes, host_problem }),
        }
        piece = agent.must_receive().await?;
    }
}

/// What became of a delivery request.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// One entry a recipient of the request, in its order.
    pub outcomes: Vec<Outcome>,
    /// A problem of the nexthop as a whole (not of a recipient): it drives qmgr's concurrency and dead-site logic.
    pub host_problem: Option<Problem>,
}

/// A problem of a nexthop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Enhanced status code, `4.4.1`.
    #[serde(with = "crate::word")]
    pub status: Status,
    /// `connect to HOST[ADDR]:25: Connection refused`.
    #[serde(with = "crate::bounds::text")]
    pub reason: String,
}

/// What became of one recipient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Enhanced status code, `2.0.0`.
    #[serde(with = "crate::word")]
    pub status: Status,
    /// For success reports: delivered, relayed, expanded.
    #[serde(with = "crate::word::optional")]
    pub action: Option<Action>,
    /// The text behind `status=... (`.
    #[serde(with = "crate::bounds::text")]
    pub reason: String,
    /// What another system said.
    pub diagnostic: Option<Diagnostic>,
    /// Name of the remote MTA (RFC 3464 Remote-MTA), or empty.
    #[serde(with = "crate::bounds::text")]
    pub remote_mta: String,
    /// When an alias made several addresses of the recipient: the records of those that failed. Where this is not
    /// empty, qmgr has these recorded in place of the recipient, in the log that the verdict names. They travel by
    /// themselves.
    #[serde(skip)]
    pub expanded: Vec<Record>,
    /// How many of them follow.
    pub following: u64,
}

/// How a delivery to one recipient ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Delivered; the agent has marked the recipient.
    Sent,
    /// To be tried again.
    Deferred,
    /// Failed for good.
    Bounced,
}
