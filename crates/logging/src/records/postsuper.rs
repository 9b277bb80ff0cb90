//! What postsuper says of the messages that an operator has named.

use std::fmt;

use crate::record::{ALWAYS, records};

records! {
    program "postsuper";

    /// An operator has done something to a message that was named.
    Handled<'a>: Info "handled" {
        /// The message.
        queue_id: &'a str,
        /// `removed`, `requeued` ...
        action: &'a str,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message." = line.queue_id;
        action: Text, ALWAYS, "`removed`, `requeued`, `expired`, `placed on hold` or `released from hold`." = line.action;
    }
    example { queue_id: "3F1E9552170", action: "placed on hold", }
}

impl fmt::Display for Handled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.queue_id, self.action)
    }
}
