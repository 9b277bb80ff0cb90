//! Why a message was not accepted. cleanup and postdrop say it, smtpd makes a reply of it, pickup and sendmail a
//! decision: one table for all of them. The bits are Postfix's, for its sendmail and postdrop speak with ours.

use dsn::Status;

/// The one reason that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Not now.
    Defer,
    /// The client broke the protocol.
    Protocol,
    /// No recipients.
    NoRecipients,
    /// More Received headers than hopcount_limit.
    Hops,
    /// Larger than message_size_limit.
    Size,
    /// Refused for its content.
    Content,
    /// The sender may not send.
    NoPermission,
    /// The queue file cannot be written.
    Write,
    /// Bare line feeds.
    BareLf,
}

/// What is known of a cause: its bit, the reply code and status for a client, and what it is called.
struct Row(Cause, u32, u16, Status, &'static str);

/// In the order of their weight.
const TABLE: [Row; 9] = [
    Row(Cause::Defer, 256, 451, Status::new(4, 7, 1), "service unavailable"),
    Row(Cause::Protocol, 1, 451, Status::new(4, 3, 0), "internal protocol error"),
    Row(Cause::NoRecipients, 64, 550, Status::new(5, 1, 0), "no recipients specified"),
    Row(Cause::Hops, 16, 554, Status::new(5, 4, 0), "too many hops"),
    Row(Cause::Size, 4, 552, Status::new(5, 3, 4), "message file too big"),
    Row(Cause::Content, 8, 550, Status::new(5, 7, 1), "message content rejected"),
    Row(Cause::NoPermission, 512, 550, Status::new(5, 7, 1), "service denied"),
    Row(Cause::Write, 2, 451, Status::new(4, 3, 0), "queue file write error"),
    Row(Cause::BareLf, 65536, 550, Status::new(5, 5, 2), "bare <LF> received"),
];

impl Cause {
    /// Every cause.
    pub fn all() -> impl Iterator<Item = Cause> {
        TABLE.iter().map(|row| row.0)
    }

    /// The one that says most of the bits that a program answered; `None` for success, and for bits that are not known.
    pub fn of_bits(bits: u32) -> Option<Cause> {
        TABLE.iter().find(|Row(_, bit, ..)| bits & bit != 0).map(|row| row.0)
    }

    /// Its bit.
    pub fn bit(self) -> u32 {
        self.row().1
    }

    /// The reply code for an SMTP client.
    pub fn code(self) -> u16 {
        self.row().2
    }

    /// The enhanced status code, for replies and notifications.
    pub fn status(self) -> Status {
        self.row().3
    }

    /// What it is called.
    pub fn sentence(self) -> &'static str {
        self.row().4
    }

    /// Whether the same message will fare no better at another time.
    pub fn is_permanent(self) -> bool {
        matches!(self, Cause::Content | Cause::Hops | Cause::Size)
    }

    fn row(self) -> &'static Row {
        // The order of the variants is that of the table: a law below.
        &TABLE[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_finds_its_row_and_its_bit_finds_the_cause() {
        for (at, Row(cause, bit, ..)) in TABLE.iter().enumerate() {
            assert_eq!((*cause as usize, cause.bit(), Cause::of_bits(*bit)), (at, *bit, Some(*cause)));
        }
    }

    #[test]
    fn the_most_telling_bit_decides() {
        assert_eq!(Cause::of_bits(Cause::Size.bit() | Cause::Write.bit()), Some(Cause::Size));
        assert_eq!((Cause::of_bits(0), Cause::of_bits(1 << 20)), (None, None));
    }
}
