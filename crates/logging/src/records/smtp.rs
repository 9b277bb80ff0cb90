//! What the SMTP client says of servers that take no mail, before the status line tells what that means for a
//! recipient, and of what it changes in a message.

use std::fmt;

use crate::record::{ALWAYS, records};

records! {
    program "smtp";

    /// A server cannot be reached; the next one is tried.
    ConnectFailed<'a>: Info "connect_failed" {
        /// `name[address]:port`
        relay: &'a str,
        /// What the network says.
        reason: &'a str,
    }
    members(line) {
        relay: Text, ALWAYS, "The server, `name[address]:port`." = line.relay;
        reason: Text, ALWAYS, "What the network said." = line.reason;
    }
    example { relay: "mx1.example.com[203.0.113.24]:25", reason: "Connection refused", }

    /// An attempt over one server has failed, and the message is not done with: another server is tried, or a later
    /// time.
    AttemptFailed<'a>: Info "attempt_failed" {
        /// The message.
        queue_id: &'a str,
        /// The server, or `none`.
        relay: &'a str,
        /// Enhanced status code.
        dsn: String,
        /// The text.
        reason: &'a str,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message." = line.queue_id;
        relay: Text, ALWAYS, "The server that was talked to, `name[address]:port`, or `none`." = line.relay;
        dsn: Text, ALWAYS, "The enhanced status code (RFC 3463)." = &line.dsn;
        reason: Text, ALWAYS, "The reply of the server, or what went wrong." = line.reason;
    }
    example {
        queue_id: "16DE755211F",
        relay: "mx1.example.com[203.0.113.24]:25",
        dsn: "4.3.2".to_owned(),
        reason: "host mx1.example.com[203.0.113.24] said: 451 4.3.2 try again later (in reply to MAIL FROM command)",
    }

    /// A check of what leaves has something to say about a header or a line of a message.
    Content<'a>: Info "outgoing_content" {
        /// The message.
        queue_id: &'a str,
        /// `warning`, `info`, `replace`, `prepend`, `strip`.
        action: &'static str,
        /// `header` or `body`.
        class: &'static str,
        /// The start of the header or the line.
        content: &'a str,
        /// The text of the rule.
        text: Option<String>,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message." = line.queue_id;
        action: Text, ALWAYS, "`warning`, `info`, `replace`, `prepend` or `strip`." = line.action;
        class: Text, ALWAYS, "`header` or `body`." = line.class;
        content: Text, ALWAYS, "The start of the line." = line.content;
        reason: Text, "if there is one", "The text of the rule." = &line.text;
    }
    example {
        queue_id: "16DE755211F",
        action: "replace",
        class: "header",
        content: "User-Agent: Mail 1.0 on inside.example.com",
        text: Some("User-Agent: Mail".to_owned()),
    }
}

impl fmt::Display for ConnectFailed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connect to {}: {}", self.relay, self.reason)
    }
}

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {} {}", self.queue_id, self.action, self.class, self.content)?;
        self.text.as_ref().map_or(Ok(()), |text| write!(f, ": {text}"))
    }
}

impl fmt::Display for AttemptFailed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.queue_id, self.reason)
    }
}
