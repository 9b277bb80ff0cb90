//! Delivery: qmgr hands an agent some recipients of one message with the open queue file, the agent reports each outcome.
//!
//! `Request` (with the descriptor of the queue file, open for reading and writing) → `Report`. The agent marks recipients
//! that are delivered (`R` becomes `D`) through the descriptor before it reports. A connection carries one delivery at a
//! time and any number of them one after the other.

use serde::{Deserialize, Serialize};

use crate::channel::Service;

/// The services `private/TRANSPORT`.
pub struct Delivery;

impl Service for Delivery {
    const NAME: &'static str = "delivery";
    const VERSION: u16 = 1;
    type Request = Request;
    type Reply = Report;
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
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Request {
    /// Bits of [`flags`].
    pub flags: u32,
    /// Queue that holds the message, normally `active`.
    pub queue_name: String,
    /// Queue id.
    pub queue_id: String,
    /// Offset in bytes of the first content record.
    pub data_offset: u64,
    /// Size in bytes of the content, as logged in `size=`.
    pub size: u64,
    /// Nexthop of all these recipients.
    #[serde(with = "serde_bytes")]
    pub nexthop: Vec<u8>,
    /// `7bit`, `8bit` or empty.
    pub encoding: String,
    /// SMTPUTF8 and REQUIRETLS bits of the size record.
    pub send_options: u32,
    /// Envelope sender, internal form, empty for the null sender.
    #[serde(with = "serde_bytes")]
    pub sender: Vec<u8>,
    /// ENVID of RFC 3461, still encoded as xtext, or empty.
    pub envelope_id: String,
    /// RET of RFC 3461: 0 none, 1 FULL, 2 HDRS.
    pub ret_flags: u32,
    /// When the message arrived.
    pub arrival: Timestamp,
    /// When it entered the active queue.
    pub active: Timestamp,
    /// When it was handed to the agent.
    pub handoff: Timestamp,
    /// The client that the message came from (log_client_* attributes), for XFORWARD and milters.
    pub client: Origin,
    /// Queue id that logs of earlier hops know (log_ident).
    pub log_ident: String,
    /// `local` or `remote`.
    pub rewrite_context: String,
    /// Who gets the message.
    pub recipients: Vec<Recipient>,
}

/// Where a message came from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Origin {
    /// Verified host name or `unknown`.
    pub name: String,
    /// Address, with `IPv6:` in front of an IPv6 one.
    pub address: String,
    /// Port.
    pub port: String,
    /// `SMTP`, `ESMTP`.
    pub protocol: String,
    /// HELO or EHLO name.
    pub helo: String,
    /// SASL method, login name and sender, each empty when there is none.
    pub sasl: [String; 3],
}

/// One recipient of a delivery request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Recipient {
    /// Address before aliasing, or empty.
    #[serde(with = "serde_bytes")]
    pub original: Vec<u8>,
    /// Address, internal form.
    #[serde(with = "serde_bytes")]
    pub address: Vec<u8>,
    /// Offset in bytes of the recipient record in the queue file; 0: no record to mark.
    pub offset: u64,
    /// ORCPT of RFC 3461 (`rfc822;user@domain`) or empty.
    #[serde(with = "serde_bytes")]
    pub dsn_orig_rcpt: Vec<u8>,
    /// NOTIFY of RFC 3461: 1 NEVER, 2 SUCCESS, 4 FAILURE, 8 DELAY.
    pub notify: u32,
}

/// What an agent may and shall do.
pub mod flags {
    /// Mark delivered recipients in the queue file.
    pub const MARK: u32 = 1;
    /// Report failures (not for verification probes).
    pub const BOUNCE: u32 = 2;
    /// Probe of the verify service: find out, deliver nothing.
    pub const VERIFY: u32 = 256;
    /// Probe of a user (`sendmail -bv`).
    pub const USER_VERIFY: u32 = 512;
    /// Record successful deliveries (`sendmail -v`).
    pub const RECORD: u32 = 1024;
    /// Use a cached connection.
    pub const CACHE_LOAD: u32 = 2048;
    /// Keep the connection in the cache.
    pub const CACHE_STORE: u32 = 4096;
    /// An earlier delay was reported to the sender.
    pub const DELAY_REPORTED: u32 = 8192;
}

/// What became of a delivery request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// One entry a recipient of the request, in its order.
    pub outcomes: Vec<Outcome>,
    /// A problem of the nexthop as a whole (not of a recipient): it drives qmgr's concurrency and dead-site logic.
    pub host_problem: Option<Problem>,
}

/// A problem of a nexthop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Enhanced status code, `4.4.1`.
    pub status: String,
    /// `connect to HOST[ADDR]:25: Connection refused`.
    pub reason: String,
}

/// What became of one recipient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Enhanced status code, `2.0.0`.
    pub status: String,
    /// RFC 3464 action for success reports: `delivered`, `relayed`, `expanded`; else empty.
    pub action: String,
    /// The text behind `status=... (`.
    pub reason: String,
    /// Diagnostic type and text of RFC 3464 (`smtp`, `550 5.1.1 no such user`), or both empty.
    pub diagnostic: (String, String),
    /// Name of the remote MTA (RFC 3464 Remote-MTA), or empty.
    pub remote_mta: String,
    /// When an alias made several addresses of the recipient: the records of those that failed. Where this is not empty,
    /// qmgr has these recorded in place of the recipient, in the log that the verdict names.
    pub expanded: Vec<crate::bounce::Record>,
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
