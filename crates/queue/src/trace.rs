//! The attribute `trace_flags`: which report the sender asked for.

crate::set! {
    /// Which report the sender asked for; nothing is none.
    pub struct Trace {
        /// Probe of the verify service: find out, deliver nothing.
        VERIFY = 256,
        /// `sendmail -bv`: report what would be done.
        USER_VERIFY = 512,
        /// `sendmail -v`: report what was done.
        RECORD = 1024,
    }
}

impl Trace {
    /// Whether the message only finds out what would be done.
    pub const fn is_probe(self) -> bool {
        self.has(Trace::VERIFY.with(Trace::USER_VERIFY))
    }
}
