//! The channel between master and one worker: a seqpacket socket pair, one byte a message each way.
//!
//! Master never believes more than the byte: an unknown one is logged and ignored, and the end of the channel says that
//! the other side is gone. It replaces Postfix's 12-byte record, because a worker here serves many clients at once and
//! is told when to change its ways instead of being replaced.

/// What a worker tells master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Serves nobody: will take the next client at once. Also the state that a new worker is assumed to be in.
    Idle,
    /// Serves clients and has room for more.
    Busy,
    /// Serves as many clients as it may.
    Full,
}

impl Report {
    /// The byte on the channel.
    pub fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Busy => b'B',
            Self::Full => b'F',
        }
    }

    /// The report that a byte stands for.
    pub fn parse(byte: u8) -> Option<Self> {
        [Self::Idle, Self::Busy, Self::Full].into_iter().find(|report| report.byte() == byte)
    }
}

/// What master tells a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Take no new clients; end when the present ones are served. Same as the end of the channel.
    Drain,
    /// Take every client that waits at this moment, however many, and then as `Drain`: the sockets are to be closed. A
    /// worker that is started for this alone is told by [`LAST`], before it could see the sockets.
    Empty,
    /// All workers of the service are full: use the settings for stress.
    Stress,
    /// The stress is over.
    Relax,
}

impl Order {
    /// The byte on the channel.
    pub fn byte(self) -> u8 {
        match self {
            Self::Drain => b'D',
            Self::Empty => b'E',
            Self::Stress => b'S',
            Self::Relax => b'R',
        }
    }

    /// The order that a byte stands for.
    pub fn parse(byte: u8) -> Option<Self> {
        [Self::Drain, Self::Empty, Self::Stress, Self::Relax].into_iter().find(|order| order.byte() == byte)
    }
}

/// What a worker tells master when the system's log does not take its lines, and its walls keep it from finding another
/// connection: master answers with [`LOG`], when there is one.
pub const LOG_WANTED: u8 = b'L';

/// What master sends together with the descriptor of a connection to the system's log.
pub const LOG: u8 = b'L';

/// The descriptors that a worker inherits, by number.
pub mod descriptors {
    /// Flow-control pipe, read end.
    pub const FLOW_READ: i32 = 3;
    /// Flow-control pipe, write end.
    pub const FLOW_WRITE: i32 = 4;
    /// The channel to master.
    pub const STATUS: i32 = 5;
    /// The first listening socket; `-s COUNT` says how many there are.
    pub const FIRST_LISTENER: i32 = 6;
}

/// Descriptors of a worker that belong to no client: log, channels, tables, connections to other services.
const OWN_DESCRIPTORS: u64 = 24;
/// Descriptors of a worker for one client: the connection, and one to pass on what it brings.
const DESCRIPTORS_A_CLIENT: u64 = 2;

/// Clients that a worker can serve at the same time with so many descriptors: a limit of getrlimit(2), whose number has
/// a sign on some systems; one that is no count is none.
pub fn clients_for(descriptors: impl TryInto<u64>) -> usize {
    let descriptors = descriptors.try_into().unwrap_or(u64::MAX);
    let clients = descriptors.saturating_sub(OWN_DESCRIPTORS) / DESCRIPTORS_A_CLIENT;
    usize::try_from(clients).unwrap_or(usize::MAX).max(1)
}

/// Environment variable with the number of the descriptor that has the accepted main.cf. Workers share the descriptor's
/// position and must not move it.
pub const MAIN_CF: &str = "MAIL_MAIN_CF";

/// Environment variable that is there when the main.cf on disk is not to be read, because a reload has refused it.
pub const MAIN_CF_REFUSED: &str = "MAIL_MAIN_CF_REFUSED";

/// Environment variable with the number of clients that this worker may serve at the same time.
pub const SESSION_LIMIT: &str = "MAIL_SESSION_LIMIT";

/// Environment variable that is there for the last worker of a service: as if [`Order::Empty`] had come before anything
/// else.
pub const LAST: &str = "MAIL_LAST";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_stands_for_at_most_one_message_of_each_direction() {
        for report in [Report::Idle, Report::Busy, Report::Full] {
            assert_eq!(Report::parse(report.byte()), Some(report));
        }
        for order in [Order::Drain, Order::Empty, Order::Stress, Order::Relax] {
            assert_eq!(Order::parse(order.byte()), Some(order));
        }
        assert_eq!((Report::parse(0), Report::parse(LOG_WANTED)), (None, None));
        assert!(Order::parse(LOG).is_none());
    }

    #[test]
    fn a_worker_serves_somebody_however_few_descriptors_it_has() {
        assert_eq!(clients_for(0), 1);
        assert_eq!(clients_for(1024), 500);
        assert!(clients_for(u64::MAX) > 1_000_000);
    }
}
