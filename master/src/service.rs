//! One service of master.cf and its workers.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use config::master_cf::{ServiceEntry, ServiceKind};
use wire::status::{LOG, Order, Report};

use crate::accepted::Accepted;
use crate::listener::Listener;

/// Number of a service in this master; never used again.
pub(crate) type ServiceId = usize;

/// A service that master runs.
pub(crate) struct Service {
    pub entry: ServiceEntry,
    /// Type and canonical name: what makes an entry of a reloaded master.cf the same service. Empty: it was put away.
    pub identity: String,
    pub listeners: Vec<Listener>,
    pub workers: HashMap<u32, Worker>,
    pub share: Share,
    /// Broken: nothing is started until the throttle ends.
    pub throttled: bool,
    /// Master waits for clients of this service.
    pub listening: bool,
    /// When the last sign of stress was seen.
    pub stressed: Option<Instant>,
    /// When the operator was last told that all workers are busy.
    pub warned: Option<Instant>,
    /// Changes when the wakeup timer is set anew: older timer events are void.
    pub wakeup_generation: u32,
    /// A conditional wakeup waits for the first client.
    pub wakeup_dormant: bool,
    /// The main.cf of its workers, for a service of a configuration that is no longer in force.
    pub accepted: Option<Accepted>,
}

/// How master.cf's process limit (clients served at the same time) is divided among workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Workers at the same time.
    pub workers: usize,
    /// Clients of one worker, at most.
    pub sessions: usize,
    /// Clients of all workers together.
    pub all: usize,
}

/// One process of a service.
pub(crate) struct Worker {
    pub process: Child,
    /// Our end of its channel; gone when the worker has been told to end.
    pub status: Option<OwnedFd>,
    pub report: Report,
    /// Has begun to serve a client.
    pub started_work: bool,
    /// Has served all its clients at some time.
    pub finished_work: bool,
    pub since: Instant,
    /// Its part of the process limit.
    pub sessions: usize,
}

/// How long stress lasts after its last sign, and how often it is reported.
pub(crate) const STRESS_TIME: Duration = Duration::from_secs(1000);
/// A worker that has served clients for this long is not broken.
const PROVEN: Duration = Duration::from_secs(1);
/// Clients of one worker of a service without a limit.
/// told: nobody; more clients wait.
const UNLIMITED_SESSIONS: usize = 10_000;

impl Share {
    /// At most one worker a core; `session_limit` (process_session_limit, 0: none) bounds the share of one.
    pub(crate) fn divide(process_limit: Option<u32>, cores: usize, session_limit: usize) -> Self {
        let cores = cores.max(1);
        let Some(limit) = process_limit.map(|limit| limit as usize) else {
            return match session_limit {
                0 => Self { workers: cores, sessions: UNLIMITED_SESSIONS, all: usize::MAX },
                bound => Self { workers: usize::MAX, sessions: bound, all: usize::MAX },
            };
        };
        let bound = if session_limit == 0 { usize::MAX } else { session_limit };
        let sessions = limit.div_ceil(cores).min(bound).max(1);
        Self { workers: limit.div_ceil(sessions), sessions, all: limit }
    }

    /// The part of one more worker, where others have `taken` so much: all together never exceed the limit.
    fn next(&self, taken: usize) -> usize {
        self.all.saturating_sub(taken).clamp(1, self.sessions)
    }
}

impl Service {
    pub(crate) fn new(entry: ServiceEntry, identity: String, share: Share, listeners: Vec<Listener>) -> Self {
        Self {
            wakeup_dormant: entry.wakeup.is_some_and(|wakeup| wakeup.conditional),
            entry,
            identity,
            listeners,
            workers: HashMap::new(),
            share,
            throttled: false,
            listening: false,
            stressed: None,
            warned: None,
            wakeup_generation: 0,
            accepted: None,
        }
    }

    /// Whether master shall start a worker for the next client that waits.
    pub(crate) fn wants_worker(&self) -> bool {
        let serving = self.workers.values().filter(|worker| worker.status.is_some());
        let idle = serving.clone().any(|worker| worker.report == Report::Idle);
        // A service that is one process is never two, not even while the old one ends.
        let count = if self.entry.max_proc == Some(1) { self.workers.len() } else { serving.count() };
        !self.is_put_away() && !self.throttled && !idle && count < self.share.workers
    }

    /// How many clients the next worker may serve at the same time.
    pub(crate) fn next_part(&self) -> usize {
        let serving = self.workers.values().filter(|worker| worker.status.is_some());
        self.share.next(serving.map(|worker| worker.sessions).sum())
    }

    /// A reload has ended it; its last clients are being served.
    pub(crate) fn is_put_away(&self) -> bool {
        self.identity.is_empty()
    }

    /// Every worker that may run does, and none has room.
    pub(crate) fn is_full(&self) -> bool {
        let mut serving = self.workers.values().filter(|worker| worker.status.is_some());
        serving.clone().count() >= self.share.workers && serving.all(|worker| worker.report == Report::Full)
    }

    /// Only services for strangers, with more than one process, know stress.
    pub(crate) fn knows_stress(&self) -> bool {
        let remote = match self.entry.kind {
            ServiceKind::Inet => self.listeners.iter().any(Listener::is_remote),
            ServiceKind::Pass => true,
            _ => false,
        };
        remote && self.entry.max_proc.is_none_or(|limit| limit > 1)
    }

    /// Whether the service is under stress now.
    pub(crate) fn is_stressed(&self) -> bool {
        self.stressed.is_some_and(|since| since.elapsed() < STRESS_TIME)
    }

    /// Tells every worker.
    pub(crate) fn order(&self, order: Order) {
        for status in self.workers.values().filter_map(|worker| worker.status.as_ref()) {
            // A worker that does not read is told by the end of its channel.
            let _ = nix::unistd::write(status, &[order.byte()]);
        }
    }
}

/// A connection to the system's log for a worker whose walls keep it from finding one. Without a log there is nothing
/// to send: the worker asks again.
pub(crate) fn send_log(worker: &OwnedFd) {
    if let Ok(log) = logging::dial() {
        // A worker that does not read asks again, too.
        let _ = sys::descriptor::send_with(worker.as_fd(), &[LOG], &[log.as_fd()]);
    }
}

impl Worker {
    /// A worker that ends in an error before it has done anything is broken, and its like will be too.
    pub(crate) fn has_proved_itself(&self) -> bool {
        self.finished_work || (self.started_work && self.since.elapsed() >= PROVEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Workers of a service with this limit, as they are started one after the other.
    fn parts(share: Share) -> Vec<usize> {
        let mut parts: Vec<usize> = Vec::new();
        while parts.len() < share.workers {
            parts.push(share.next(parts.iter().sum()));
        }
        parts
    }

    #[test]
    fn the_process_limit_is_divided_among_the_cores_and_never_exceeded() {
        assert_eq!(parts(Share::divide(Some(100), 2, 0)), [50, 50]);
        assert_eq!(parts(Share::divide(Some(1), 8, 0)), [1]);
        assert_eq!(parts(Share::divide(Some(3), 2, 0)), [2, 1]);
        assert_eq!(parts(Share::divide(Some(100), 3, 0)), [34, 34, 32]);
        assert_eq!(parts(Share::divide(Some(5), 2, 2)), [2, 2, 1]);
        for (limit, cores) in (1..40).flat_map(|limit| (1..10).map(move |cores| (limit, cores))) {
            let parts = parts(Share::divide(Some(limit), cores, 0));
            assert_eq!(parts.iter().sum::<usize>(), limit as usize, "{limit} on {cores} cores: {parts:?}");
        }
        assert_eq!(Share::divide(None, 4, 0).workers, 4);
    }

    #[test]
    fn a_worker_that_follows_another_gets_what_that_one_had() {
        let share = Share::divide(Some(3), 2, 0);
        assert_eq!(share.next(1), 2);
        assert_eq!(share.next(2), 1);
    }

    #[test]
    fn one_session_a_process_is_postfix_as_it_was() {
        let share = Share::divide(Some(100), 2, 1);
        assert_eq!((share.workers, share.next(0)), (100, 1));
        let share = Share::divide(None, 2, 1);
        assert_eq!((share.workers, share.next(1000)), (usize::MAX, 1));
    }
}
