//! The delivery status line: the line that log readers read most.

use std::fmt;

use dsn::Status;
use ipc::delivery::Timestamp;
use logging::delay;
use queue::QueueId;

/// `Q: to=<R>, orig_to=<O>, relay=RELAY, conn_use=N, delay=T, delays=a/b/c/d, tls=X, dsn=X.Y.Z, status=S (TEXT)`.
#[derive(Clone, Debug)]
pub struct StatusLine {
    /// Queue ID.
    pub queue_id: QueueId,
    /// The recipient as it is to be shown.
    pub to: String,
    /// The recipient before aliasing, if it differs.
    pub original: Option<String>,
    /// The host, `none`, or the agent's own name.
    pub relay: String,
    /// Deliveries over the connection; shown from 2 on.
    pub connection_uses: u32,
    /// The stages of the delivery.
    pub stages: Stages,
    /// Digits behind the point (delay_logging_resolution_limit).
    pub delay_decimals: u8,
    /// TLS features, where they are logged.
    pub tls: Option<String>,
    /// Enhanced status code.
    pub dsn: Status,
    /// `sent`, `deferred`, `bounced`, `SOFTBOUNCE`, `deliverable`, `undeliverable`.
    pub status: &'static str,
    /// The text in parentheses.
    pub reason: String,
}

/// When a message passed from one hand to the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stages {
    /// It arrived.
    pub arrival: Timestamp,
    /// It entered the active queue.
    pub active: Timestamp,
    /// The agent got it; `None` where no agent had it (then the queue has all the time).
    pub handoff: Option<Timestamp>,
    /// The connection was ready.
    pub ready: Option<Timestamp>,
    /// It was delivered, or not.
    pub done: Timestamp,
}

impl Stages {
    /// Seconds in all, and in each of the four stages: before the active queue, in it, connecting, delivering.
    pub fn delays(&self) -> (f64, [f64; 4]) {
        let total = self.done.since(self.arrival);
        let before = self.active.since(self.arrival);
        let Some(handoff) = self.handoff else {
            return (total, [before, self.done.since(self.active), 0.0, 0.0]);
        };
        let waiting = handoff.since(self.active);
        match self.ready {
            Some(ready) => (total, [before, waiting, ready.since(handoff), self.done.since(ready)]),
            None => (total, [before, waiting, 0.0, self.done.since(handoff)]),
        }
    }
}

impl fmt::Display for StatusLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |value| delay::format(value, self.delay_decimals);
        let (total, [a, b, c, d]) = self.stages.delays();
        write!(f, "{}: to=<{}>", self.queue_id, self.to)?;
        if let Some(original) = &self.original {
            write!(f, ", orig_to=<{original}>")?;
        }
        write!(f, ", relay={}", self.relay)?;
        if self.connection_uses > 1 {
            write!(f, ", conn_use={}", self.connection_uses)?;
        }
        write!(f, ", delay={}", seconds(total))?;
        write!(f, ", delays={}/{}/{}/{}", seconds(a), seconds(b), seconds(c), seconds(d))?;
        if let Some(tls) = &self.tls {
            write!(f, ", tls={tls}")?;
        }
        write!(f, ", dsn={}, status={} ({})", self.dsn, self.status, self.reason)
    }
}

impl logging::Record for StatusLine {
    fn queue_id(&self) -> Option<&str> {
        Some(self.queue_id.as_str())
    }

    fn fields(&self) -> Vec<logging::Field> {
        let (total, stages) = self.stages.delays();
        let stages = stages.map(|seconds| delay::format(seconds, self.delay_decimals)).join("/");
        let mut fields = vec![
            ("to", self.to.clone()),
            ("relay", self.relay.clone()),
            ("delay", delay::format(total, self.delay_decimals)),
            ("delays", stages),
            ("dsn", self.dsn.to_string()),
            ("status", self.status.to_owned()),
            ("reason", self.reason.clone()),
        ];
        if let Some(original) = &self.original {
            fields.push(("orig_to", original.clone()));
        }
        if self.connection_uses > 1 {
            fields.push(("conn_use", self.connection_uses.to_string()));
        }
        if let Some(tls) = &self.tls {
            fields.push(("tls", tls.clone()));
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u32) -> Timestamp {
        Timestamp { seconds: 1000 + i64::from(micros / 1_000_000), micros: micros % 1_000_000 }
    }

    fn line() -> StatusLine {
        StatusLine {
            queue_id: QueueId::parse(b"16DE755211F").unwrap(),
            to: "rej@sink.test".into(),
            original: None,
            relay: "127.0.0.1[127.0.0.1]:2600".into(),
            connection_uses: 1,
            stages: Stages {
                arrival: at(0),
                active: at(70_000),
                handoff: Some(at(130_000)),
                ready: Some(at(180_000)),
                done: at(240_000),
            },
            delay_decimals: 2,
            tls: Some("may:none".into()),
            dsn: Status::new(5, 1, 1),
            status: "bounced",
            reason: "host said no".into(),
        }
    }

    #[test]
    fn the_line_is_postfix_s() {
        assert_eq!(
            line().to_string(),
            "16DE755211F: to=<rej@sink.test>, relay=127.0.0.1[127.0.0.1]:2600, delay=0.24, \
             delays=0.07/0.06/0.05/0.06, tls=may:none, dsn=5.1.1, status=bounced (host said no)"
        );
    }

    #[test]
    fn a_reused_connection_and_an_alias_are_shown() {
        let line = StatusLine { original: Some("a@b".into()), connection_uses: 3, tls: None, ..line() };
        let text = line.to_string();
        assert!(text.contains(", orig_to=<a@b>, relay=127.0.0.1[127.0.0.1]:2600, conn_use=3, delay="), "{text}");
    }

    #[test]
    fn a_stage_that_was_not_reached_gives_its_time_to_the_last_known_one() {
        let full = line().stages;
        let no_connection = Stages { ready: None, ..full }.delays().1;
        assert_eq!(no_connection.map(|s| (s * 100.0).round()), [7.0, 6.0, 0.0, 11.0]);
        let no_agent = Stages { handoff: None, ready: None, ..full }.delays().1;
        assert_eq!(no_agent.map(|s| (s * 100.0).round()), [7.0, 17.0, 0.0, 0.0]);
    }
}
