//! What the queue manager says of a message on its way through the queue.

use std::fmt;

use crate::record::{ALWAYS, records};

records! {
    program "qmgr";

    /// A message has entered the active queue, for its first or another attempt.
    Active<'a>: Info "queue_active" {
        /// The message.
        queue_id: &'a str,
        /// The sender as it is shown.
        from: String,
        /// Bytes of content.
        size: u64,
        /// Recipients.
        recipients: u64,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message." = line.queue_id;
        from: Text, ALWAYS, "The sender; empty for notifications." = &line.from;
        size: Integer, ALWAYS, "The size of the content in bytes." = line.size;
        nrcpt: Integer, ALWAYS, "The number of recipients." = line.recipients;
    }
    example { queue_id: "3F1E9552170", from: "alice@example.org".to_owned(), size: 2417, recipients: 2, }

    /// A message has waited for too long, or its end was ordered: it goes back to its sender.
    Expired<'a>: Info "expired" {
        /// The message.
        queue_id: &'a str,
        /// The sender as it is shown.
        from: String,
        /// It was ordered.
        forced: bool,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message." = line.queue_id;
        from: Text, ALWAYS, "The sender; empty for notifications." = &line.from;
        status: Text, ALWAYS, "`expired`, or `force-expired` by postsuper." = line.status();
    }
    example { queue_id: "3F1E9552170", from: "alice@example.org".to_owned(), forced: false, }

    /// A message has left the queue: every recipient is done, or cleanup has not accepted it.
    Removed<'a>: Info "removed" {
        /// The message.
        queue_id: &'a str,
        /// `canceled` or `discarded`.
        why: Option<&'a str>,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message." = line.queue_id;
        reason: Text, "if cleanup says it", "`canceled`: its client gave up or it was refused; `discarded`: it was accepted \
            and thrown away." = line.why;
    }
    example { queue_id: "3F1E9552170", why: None, }
}

impl Expired<'_> {
    fn status(&self) -> &'static str {
        if self.forced { "force-expired" } else { "expired" }
    }
}

impl fmt::Display for Active<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queue_id, from, size, recipients } = self;
        write!(f, "{queue_id}: from=<{from}>, size={size}, nrcpt={recipients} (queue active)")
    }
}

impl fmt::Display for Expired<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: from=<{}>, status={}, returned to sender", self.queue_id, self.from, self.status())
    }
}

impl fmt::Display for Removed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: removed", self.queue_id)?;
        self.why.map_or(Ok(()), |why| write!(f, " ({why})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_postfix_s() {
        let from = "a@b".to_owned();
        let active = Active { queue_id: "ABC", from: from.clone(), size: 7, recipients: 2 };
        assert_eq!(active.to_string(), "ABC: from=<a@b>, size=7, nrcpt=2 (queue active)");
        let expired = Expired { queue_id: "ABC", from, forced: true };
        assert_eq!(expired.to_string(), "ABC: from=<a@b>, status=force-expired, returned to sender");
        let removed = |why| Removed { queue_id: "ABC", why }.to_string();
        assert_eq!([removed(None), removed(Some("canceled"))], ["ABC: removed", "ABC: removed (canceled)"]);
    }
}
