//! The stages of a delivery, for the status line.

use ipc::delivery::Timestamp;
use logging::records::delivery::Delays;

/// When a message passed from one hand to the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stages {
    /// It arrived.
    pub arrival: Timestamp,
    /// It entered the active queue.
    pub active: Timestamp,
    /// The agent got it; `None` where no agent had it (then the queue has all the time).
    pub handoff: Option<Timestamp>,
    /// The connection was ready.
    pub ready: Option<Timestamp>,
    /// It was delivered, or not.
    pub done: Timestamp,
}

impl Stages {
    /// What the status line says of them, with so many digits behind the point (delay_logging_resolution_limit).
    pub fn delays(&self, decimals: u8) -> Delays {
        let (in_queue, connection, transmission) = match (self.handoff, self.ready) {
            (None, _) => (self.done.since(self.active), 0.0, 0.0),
            (Some(handoff), None) => (handoff.since(self.active), 0.0, self.done.since(handoff)),
            (Some(handoff), Some(ready)) => (handoff.since(self.active), ready.since(handoff), self.done.since(ready)),
        };
        let (total, before_queue) = (self.done.since(self.arrival), self.active.since(self.arrival));
        Delays { total, before_queue, in_queue, connection, transmission, decimals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u32) -> Timestamp {
        Timestamp { seconds: 1000 + i64::from(micros / 1_000_000), micros: micros % 1_000_000 }
    }

    #[test]
    fn a_stage_that_was_not_reached_gives_its_time_to_the_last_known_one() {
        let full = Stages {
            arrival: at(0),
            active: at(70_000),
            handoff: Some(at(130_000)),
            ready: Some(at(180_000)),
            done: at(240_000),
        };
        let of = |stages: Stages| {
            let Delays { total, before_queue, in_queue, connection, transmission, .. } = stages.delays(2);
            [total, before_queue, in_queue, connection, transmission].map(|seconds| (seconds * 100.0).round())
        };
        assert_eq!(of(full), [24.0, 7.0, 6.0, 5.0, 6.0]);
        assert_eq!(of(Stages { ready: None, ..full }), [24.0, 7.0, 6.0, 0.0, 11.0]);
        assert_eq!(of(Stages { handoff: None, ready: None, ..full }), [24.0, 7.0, 17.0, 0.0, 0.0]);
    }
}
