//! What master has to do later.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use crate::service::ServiceId;

/// Something to be done at a time. Events about services that are gone are ignored when they come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// Try a broken service again (service_throttle_time).
    EndThrottle(ServiceId),
    /// Wake a service up; the number is the generation of its timer.
    Wakeup(ServiceId, u32),
    /// Consider whether a service is still under stress.
    EndStress(ServiceId),
    /// Close the connection of a wakeup that nobody took.
    EndWakeup(u64),
    /// Close the sockets of a service that was put away.
    Close(ServiceId),
    /// Look at the addresses of this machine.
    Look,
    /// `-e`: the time of master itself is over.
    Exit,
}

/// Events in the order of their times.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Event)>>,
}

impl Timers {
    pub(crate) fn after(&mut self, delay: Duration, event: Event) {
        self.heap.push(Reverse((Instant::now() + delay, event)));
    }

    /// How long the event loop may wait.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((time, _))| time.saturating_duration_since(Instant::now()))
    }

    /// The next event that is due.
    pub(crate) fn due(&mut self) -> Option<Event> {
        let Reverse((time, _)) = self.heap.peek()?;
        if *time > Instant::now() {
            return None;
        }
        self.heap.pop().map(|Reverse((_, event))| event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_and_not_early() {
        let mut timers = Timers::default();
        timers.after(Duration::from_secs(3600), Event::Exit);
        timers.after(Duration::ZERO, Event::EndWakeup(1));
        assert_eq!(timers.due(), Some(Event::EndWakeup(1)));
        assert_eq!(timers.due(), None);
        assert!(timers.patience().unwrap() > Duration::from_secs(3000));
    }
}
