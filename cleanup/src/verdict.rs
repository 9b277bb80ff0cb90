//! What is to become of a message: the queue, the hold queue, nothing, back to its client or to its sender.

use ipc::cleanup::{Cause, Flags};

use crate::failure::Failure;

/// What was decided so far.
#[derive(Debug, Default)]
pub struct Verdict {
    /// It waits until somebody looks at it.
    pub hold: bool,
    /// It is taken and thrown away.
    pub discard: bool,
    /// The sender is known: there is somebody who can be told.
    pub has_sender: bool,
    /// The client has nobody to tell of a failure: the sender gets a notification.
    bounces: bool,
    /// The first thing that was wrong.
    failure: Option<Failure>,
}

impl Verdict {
    /// Before the first record. soft_bounce: nothing is returned.
    pub fn new(flags: Flags, soft_bounce: bool) -> Self {
        let mut verdict = Verdict { bounces: flags.has(Flags::BOUNCE) && !soft_bounce, ..Verdict::default() };
        verdict.add(flags);
        verdict
    }

    /// HOLD and DISCARD, which may be said at any time.
    pub fn add(&mut self, flags: Flags) {
        self.hold |= flags.has(Flags::HOLD);
        self.discard |= flags.has(Flags::DISCARD);
    }

    /// The message is not accepted; the first failure counts.
    pub fn refuse(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    /// What was wrong, if anything.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Whether this is what was wrong first.
    pub fn is_refused_for(&self, cause: Cause) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.cause == cause)
    }

    /// Whether records are still looked at. A message that will be bounced is completed for the notification.
    pub fn goes_on(&self) -> bool {
        !self.discard && (self.failure.is_none() || self.will_bounce())
    }

    /// Whether the failure, if any, is reported to the sender and not to the client.
    pub fn will_bounce(&self) -> bool {
        self.bounces && self.has_sender && self.failure.as_ref().is_none_or(|failure| failure.cause.is_permanent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_counts_and_ends_the_message() {
        let mut verdict = Verdict::new(Flags::EXTERNAL, false);
        assert!(verdict.goes_on());
        verdict.refuse(Failure::new(Cause::Size));
        verdict.refuse(Failure::new(Cause::Write));
        assert!(verdict.is_refused_for(Cause::Size) && !verdict.goes_on());
    }

    #[test]
    fn a_message_goes_on_to_its_bounce_where_trying_again_is_pointless_and_a_sender_is_known() {
        for (cause, soft_bounce, has_sender, expected) in [
            (Cause::Size, false, true, true),
            (Cause::Size, false, false, false),
            (Cause::Size, true, true, false),
            (Cause::Write, false, true, false),
        ] {
            let mut verdict = Verdict::new(Flags::SUBMITTED, soft_bounce);
            verdict.has_sender = has_sender;
            verdict.refuse(Failure::new(cause));
            assert_eq!(verdict.goes_on(), expected, "{cause:?} {soft_bounce} {has_sender}");
        }
    }

    #[test]
    fn nothing_is_looked_at_of_a_message_that_is_thrown_away() {
        let mut verdict = Verdict::new(Flags::SUBMITTED.with(Flags::HOLD), false);
        verdict.add(Flags::of_record(Flags::DISCARD.bits()));
        assert!(verdict.hold && verdict.discard && !verdict.goes_on());
    }
}
