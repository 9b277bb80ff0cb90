//! Why a message was not accepted: the bits that cleanup and postdrop answer, and what they are called where people read
//! them. The values are Postfix's.

/// The client broke the protocol.
pub const BAD: u32 = 1;
/// The queue file cannot be written.
pub const WRITE: u32 = 2;
/// Larger than message_size_limit.
pub const SIZE: u32 = 4;
/// Refused for its content.
pub const CONTENT: u32 = 8;
/// More Received headers than hopcount_limit.
pub const HOPS: u32 = 16;
/// No recipients.
pub const NO_RECIPIENTS: u32 = 64;
/// Refused by a proxy filter.
pub const PROXY: u32 = 128;
/// Not now.
pub const DEFER: u32 = 256;
/// The sender may not send.
pub const NO_PERMISSION: u32 = 512;
/// Bare line feeds.
pub const BARE_LF: u32 = 65536;

/// The bits in the order of their weight, with what they are called.
const SENTENCES: [(u32, &str); 10] = [
    (DEFER, "service unavailable"),
    (PROXY, "message rejected by proxy"),
    (BAD, "internal protocol error"),
    (NO_RECIPIENTS, "no recipients specified"),
    (HOPS, "too many hops"),
    (SIZE, "message file too big"),
    (CONTENT, "message content rejected"),
    (NO_PERMISSION, "service denied"),
    (WRITE, "queue file write error"),
    (BARE_LF, "bare <LF> received"),
];

/// The bit that says most about an outcome, and what it is called.
pub fn weightiest(status: u32) -> Option<(u32, &'static str)> {
    SENTENCES.into_iter().find(|(bit, _)| status & bit != 0)
}

/// What an outcome is called.
pub fn sentence(status: u32) -> &'static str {
    weightiest(status).map_or("unknown error", |(_, sentence)| sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_telling_bit_decides() {
        assert_eq!(sentence(SIZE | WRITE), "message file too big");
        assert_eq!(sentence(WRITE), "queue file write error");
        assert_eq!(sentence(1 << 20), "unknown error");
        assert_eq!(weightiest(0), None);
    }
}
