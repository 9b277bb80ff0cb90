//! What delivery agents say: what has become of each recipient. Log readers read this line most.

use std::fmt;

use crate::delay;
use crate::record::{ALWAYS, records};

records! {
    program "smtp";

    /// What has become of a recipient.
    Status<'a>: Info "status" {
        /// The message.
        queue_id: &'a str,
        /// The recipient as it is to be shown.
        to: String,
        /// The recipient before aliasing, if it differs.
        original: Option<String>,
        /// The host, `none`, or the agent's own name.
        relay: &'a str,
        /// Deliveries over the connection; shown from 2 on.
        connection_uses: u32,
        /// The times that it took.
        delays: Delays,
        /// TLS features, where they are logged.
        tls: Option<&'a str>,
        /// Enhanced status code.
        dsn: String,
        /// `sent`, `deferred`, `bounced`, `SOFTBOUNCE`, `deliverable`, `undeliverable`.
        status: &'static str,
        /// The text in parentheses.
        reason: &'a str,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message." = line.queue_id;
        to: Text, ALWAYS, "The recipient." = &line.to;
        orig_to: Text, "if it differs", "The recipient before aliases." = &line.original;
        relay: Text, ALWAYS, "The server that was talked to, `none`, or the agent itself (`local`)." = line.relay;
        conn_use: Integer, "from 2 on", "How many messages the connection has carried." = line.reuse();
        delay: Number, ALWAYS, "Seconds since the message arrived." = line.delays.rounded(line.delays.total);
        delay_before_queue: Number, ALWAYS, "Of these, before the message was in the active queue: the first of `delays`."
            = line.delays.rounded(line.delays.before_queue);
        delay_in_queue: Number, ALWAYS, "Waiting in the active queue: the second." = line.delays.rounded(line.delays.in_queue);
        delay_connection: Number, ALWAYS, "Finding the server, connecting, saying hello: the third."
            = line.delays.rounded(line.delays.connection);
        delay_transmission: Number, ALWAYS, "Handing the message over: the fourth."
            = line.delays.rounded(line.delays.transmission);
        tls: Text, "if smtp_log_tls_feature_status is set", "What was said about TLS." = line.tls;
        dsn: Text, ALWAYS, "The enhanced status code (RFC 3463)." = &line.dsn;
        status: Text, ALWAYS, "`sent`, `deferred`, `bounced`, `SOFTBOUNCE`, `deliverable` or `undeliverable`." = line.status;
        reason: Text, ALWAYS, "The last reply, or what went wrong." = line.reason;
    }
    example {
        queue_id: "16DE755211F",
        to: "bob@example.com".to_owned(),
        original: Some("staff@example.org".to_owned()),
        relay: "mx.example.com[203.0.113.25]:25",
        connection_uses: 2,
        delays: Delays {
            total: 2.24,
            before_queue: 0.07,
            in_queue: 0.01,
            connection: 1.56,
            transmission: 0.6,
            decimals: 2,
        },
        tls: Some("may:none"),
        dsn: "2.0.0".to_owned(),
        status: "sent",
        reason: "250 2.0.0 Ok: queued as 5D1AA55212B",
    }
}

/// The time that a delivery took, in seconds: in all, and in each of its stages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delays {
    /// Since the message arrived.
    pub total: f64,
    /// Before it was in the active queue.
    pub before_queue: f64,
    /// In the active queue.
    pub in_queue: f64,
    /// Until the connection was ready.
    pub connection: f64,
    /// Handing it over.
    pub transmission: f64,
    /// Digits behind the point (delay_logging_resolution_limit).
    pub decimals: u8,
}

impl Delays {
    fn shown(&self, seconds: f64) -> String {
        delay::format(seconds, self.decimals)
    }

    /// The number that the text shows.
    fn rounded(&self, seconds: f64) -> Option<f64> {
        self.shown(seconds).parse().ok()
    }
}

impl Status<'_> {
    fn reuse(&self) -> Option<u32> {
        (self.connection_uses > 1).then_some(self.connection_uses)
    }
}

/// `Q: to=<R>, orig_to=<O>, relay=RELAY, conn_use=N, delay=T, delays=a/b/c/d, tls=X, dsn=X.Y.Z, status=S (TEXT)`.
impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: to=<{}>", self.queue_id, self.to)?;
        if let Some(original) = &self.original {
            write!(f, ", orig_to=<{original}>")?;
        }
        write!(f, ", relay={}", self.relay)?;
        if let Some(uses) = self.reuse() {
            write!(f, ", conn_use={uses}")?;
        }
        let Delays { total, before_queue, in_queue, connection, transmission, .. } = self.delays;
        let stages = [before_queue, in_queue, connection, transmission].map(|seconds| self.delays.shown(seconds));
        write!(f, ", delay={}, delays={}", self.delays.shown(total), stages.join("/"))?;
        if let Some(tls) = self.tls {
            write!(f, ", tls={tls}")?;
        }
        write!(f, ", dsn={}, status={} ({})", self.dsn, self.status, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, Value};

    fn line() -> Status<'static> {
        Status {
            queue_id: "16DE755211F",
            to: "rej@sink.test".into(),
            original: None,
            relay: "127.0.0.1[127.0.0.1]:2600",
            connection_uses: 1,
            delays: Delays {
                total: 0.24,
                before_queue: 0.07,
                in_queue: 0.06,
                connection: 0.0501,
                transmission: 0.06,
                decimals: 2,
            },
            tls: Some("may:none"),
            dsn: "5.1.1".to_owned(),
            status: "bounced",
            reason: "host said no",
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
        let line = Status { original: Some("a@b".into()), connection_uses: 3, tls: None, ..line() };
        let text = line.to_string();
        assert!(text.contains(", orig_to=<a@b>, relay=127.0.0.1[127.0.0.1]:2600, conn_use=3, delay="), "{text}");
    }

    #[test]
    fn delays_are_the_numbers_that_the_text_shows_and_what_is_absent_is_left_out() {
        let fields = line().fields();
        let of = |wanted| fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.clone());
        assert_eq!(of("delay_connection"), Some(Value::Number(0.05)));
        assert_eq!((of("orig_to"), of("conn_use")), (None, None));
    }
}
