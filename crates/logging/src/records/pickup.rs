//! What pickup says of a message that a local user has handed in.

use std::fmt;

use crate::record::{ALWAYS, records};

records! {
    program "pickup";

    /// A local user has handed in a message, or one that postsuper has requeued comes in again.
    Submitted<'a>: Info "submitted" {
        /// The message.
        queue_id: &'a str,
        /// The user.
        uid: u32,
        /// The sender as he gave it.
        from: String,
        /// The queue file that it was before.
        original_id: Option<&'a str>,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message." = line.queue_id;
        uid: Integer, ALWAYS, "The user who handed it in." = line.uid;
        from: Text, ALWAYS, "The sender as that user gave it." = &line.from;
        orig_queue_id: Text, "if it was requeued", "The message as it was before." = line.original_id;
    }
    example {
        queue_id: "F05DD552121",
        uid: 1002,
        from: "alice".to_owned(),
        original_id: Some("3F1E9552170"),
    }
}

impl fmt::Display for Submitted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: uid={} from=<{}>", self.queue_id, self.uid, self.from)?;
        self.original_id.map_or(Ok(()), |id| write!(f, " orig_id={id}"))
    }
}
