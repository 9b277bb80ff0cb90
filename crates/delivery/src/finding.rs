//! What an agent found out about one recipient.

use dsn::{Action, Status};
use ipc::bounce::Diagnostic;
use ipc::delivery::{Timestamp, Verdict};

/// The result of one delivery, before anybody is told.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Delivered, to be tried again, or failed.
    pub verdict: Verdict,
    /// Enhanced status code.
    pub status: Status,
    /// The text in the log line's parentheses and in the report; one line.
    pub reason: String,
    /// `relay=`: the host that was talked to, `none`, or the agent's own name.
    pub relay: String,
    /// For a delivery: what a success report says. `None` is [`Action::Delivered`].
    pub action: Option<Action>,
    /// The reply of a server, or the words of a program.
    pub diagnostic: Option<Diagnostic>,
    /// The remote server, or empty.
    pub remote_mta: String,
    /// The connection that was used, if any.
    pub connection: Connection,
}

/// Facts about the connection of a delivery.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// When it was ready for mail; `None` where no connection was set up (or it failed).
    pub ready: Option<Timestamp>,
    /// How many deliveries it has carried, this one included; logged from 2 on.
    pub uses: u32,
    /// The value of `tls=`, where it is logged (smtp_log_tls_feature_status).
    pub tls: Option<String>,
}

impl Finding {
    /// Delivered.
    pub fn sent(status: Status, reason: impl Into<String>, relay: impl Into<String>) -> Self {
        Self::new(Verdict::Sent, status, reason, relay)
    }

    /// Not delivered, to be tried again.
    pub fn deferred(status: Status, reason: impl Into<String>, relay: impl Into<String>) -> Self {
        Self::new(Verdict::Deferred, status, reason, relay)
    }

    /// Not delivered, and never will be.
    pub fn bounced(status: Status, reason: impl Into<String>, relay: impl Into<String>) -> Self {
        Self::new(Verdict::Bounced, status, reason, relay)
    }

    /// The verdict that the class of the status implies.
    pub fn from_status(status: Status, reason: impl Into<String>, relay: impl Into<String>) -> Self {
        let verdict = match status.class() {
            2 => Verdict::Sent,
            5 => Verdict::Bounced,
            _ => Verdict::Deferred,
        };
        Self::new(verdict, status, reason, relay)
    }

    fn new(verdict: Verdict, status: Status, reason: impl Into<String>, relay: impl Into<String>) -> Self {
        let class = match verdict {
            Verdict::Sent => 2,
            Verdict::Deferred => 4,
            Verdict::Bounced => 5,
        };
        Finding {
            verdict,
            status: status.with_class(class),
            reason: reason.into(),
            relay: relay.into(),
            action: None,
            diagnostic: None,
            remote_mta: String::new(),
            connection: Connection::default(),
        }
    }

    /// With the reply of a remote server (RFC 3464 Diagnostic-Code and Remote-MTA).
    pub fn with_reply(mut self, reply: impl Into<String>, server: impl Into<String>) -> Self {
        self.remote_mta = server.into();
        self.with_diagnostic("smtp", reply)
    }

    /// With the words of the program that refused it, as much as can travel.
    pub fn with_diagnostic(mut self, kind: &str, text: impl Into<String>) -> Self {
        self.diagnostic = Some(Diagnostic { kind: kind.to_owned(), text: ipc::cut(text.into()) });
        self
    }

    /// With the connection that carried it.
    pub fn over(mut self, connection: Connection) -> Self {
        self.connection = connection;
        self
    }

    /// With the action of a success report: relayed or expanded.
    pub fn with_action(mut self, action: Action) -> Self {
        self.action = Some(action);
        self
    }
}
