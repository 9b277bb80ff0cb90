//! What bounce says of the notifications that it sends.

use std::fmt;

use crate::record::{ALWAYS, records};

records! {
    program "bounce";

    /// A notification about a message is on its way, as a message of its own.
    Notification<'a>: Info "notification" {
        /// The message that it is about.
        queue_id: &'a str,
        /// `sender non-delivery notification` ...
        kind: &'a str,
        /// The message that it is.
        notification_id: &'a str,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message that it is about." = line.queue_id;
        notification: Text, ALWAYS, "What is told to whom: `sender non-delivery notification`, `sender delay notification`, \
            `sender delivery status notification`, and the same of `postmaster`." = line.kind;
        notification_id: Text, ALWAYS, "The message that the notification is." = line.notification_id;
    }
    example {
        queue_id: "16DE755211F",
        kind: "sender non-delivery notification",
        notification_id: "4A0BB552131",
    }
}

impl fmt::Display for Notification<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.queue_id, self.kind, self.notification_id)
    }
}
