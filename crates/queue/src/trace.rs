//! The attribute `trace_flags`: which report the sender asked for.

/// Probe of the verify service: find out, deliver nothing.
pub const VERIFY: u32 = 256;
/// `sendmail -bv`: report what would be done.
pub const USER_VERIFY: u32 = 512;
/// `sendmail -v`: report what was done.
pub const RECORD: u32 = 1024;

/// Whether the message only finds out what would be done.
pub const fn is_probe(flags: u32) -> bool {
    flags & (VERIFY | USER_VERIFY) != 0
}
