//! Which entry of a transport is delivered next, and which small job may overtake a big one.
//!
//! The first job in order that has something for a free destination is served. For every entry it is given, it earns a
//! slot; when it is big and has earned enough, the later job with the best ratio of waiting time to size goes in front
//! of it. So a message to one recipient does not wait for a mailing list, and the list is slowed down by a bounded
//! factor only (slot_cost / (slot_cost - 1)).

use std::time::{Duration, Instant};

use super::job::{Job, JobId};
use super::transport::{Delivery, Transport};

/// The best job to overtake the current one, as found a moment ago: looking for it means looking at every job.
pub struct Candidate {
    current: JobId,
    found: Instant,
    job: Option<JobId>,
}

/// How long a search is believed.
const CANDIDATE_LIFE: Duration = Duration::from_secs(1);

impl<R> Transport<R> {
    /// The next entry to deliver. The caller must call [`Transport::finish`] when its delivery is over.
    pub fn select(&mut self, now: Instant) -> Option<Delivery<R>> {
        if !self.has_work() {
            return None;
        }
        let &(label, _) = self.ready.first()?;
        let current = self.order.at(label)?;
        let job = self.overtaker(current, now).unwrap_or(current);
        let destinations = &self.destinations;
        let (destination, recipients, empty) = self.jobs[job].take(|number| destinations[number].is_free())?;
        if empty {
            let label = self.jobs[job].label;
            self.destinations[destination].waiting.remove(&label);
        }
        self.started(job, destination, now);
        self.reindex(destination);
        let message = self.jobs[job].message;
        self.retire(job);
        let nexthop = self.destinations[destination].nexthop.clone();
        Some(Delivery { message, nexthop, recipients, job, destination })
    }

    /// Puts a smaller job in front of the current one when that has earned it.
    fn overtaker(&mut self, current: JobId, now: Instant) -> Option<JobId> {
        let cost = self.limits.slot_cost;
        if cost < 2 {
            return None; // TRANSPORT_delivery_slot_cost
        }
        let job = &self.jobs[current];
        let worthwhile = self.limits.minimum_slots.saturating_mul(cost);
        if job.slots_available == 0 || job.total() < worthwhile {
            return None;
        }
        let most = (job.waiting() + job.slots_available) / cost;
        if most == 0 {
            return None;
        }
        let earned = job.slots_available / cost + self.limits.slot_loan;
        let candidate = self.best_candidate(current, most, now)?;
        let needed = self.jobs[candidate].remaining();
        let discounted = needed.saturating_mul(100u32.saturating_sub(self.limits.slot_discount)) / 100;
        if earned < discounted {
            return None;
        }
        self.overtake(current, candidate, needed);
        Some(candidate)
    }

    fn best_candidate(&mut self, current: JobId, most: u32, now: Instant) -> Option<JobId> {
        let fresh = self.candidate.as_ref();
        let fresh = fresh.filter(|c| c.current == current && now < c.found + CANDIDATE_LIFE);
        if let Some(known) = fresh {
            let job = known.job?;
            return self.is_candidate(job, most).then_some(job);
        }
        let label = self.jobs[current].label;
        let later = self.order.after(label);
        let best = later
            .filter(|job| self.is_candidate(*job, most))
            .map(|job| (score(&self.jobs[job], now), job))
            .reduce(|best, other| if other.0 > best.0 { other } else { best })
            .map(|(_, job)| job);
        self.candidate = Some(Candidate { current, found: now, job: best });
        best
    }

    fn is_candidate(&self, job: JobId, most: u32) -> bool {
        let job = &self.jobs[job];
        let remaining = job.remaining();
        job.overtook.is_none()
            && (1..=most).contains(&remaining)
            && job.destinations().any(|number| self.destinations[number].is_free())
    }

    fn overtake(&mut self, current: JobId, candidate: JobId, needed: u32) {
        let price = needed.saturating_mul(self.limits.slot_cost);
        let job = &mut self.jobs[current];
        job.slots_available = job.slots_available.saturating_sub(price);
        job.overtakers += 1;
        let front = self.jobs[current].label;
        self.order.remove(self.jobs[candidate].label);
        let label = match self.order.insert_before(front, candidate) {
            Some(label) => label,
            None => {
                self.spread();
                let front = self.jobs[current].label;
                // cannot fail: spreading leaves room before every job
                self.order.insert_before(front, candidate).expect("room after spreading")
            }
        };
        self.relabel(candidate, label);
        let job = &mut self.jobs[candidate];
        job.overtook = Some(current);
        job.granted = needed;
        job.selected_before_grant = job.selected;
        self.candidate = None;
        self.lend_extra(candidate);
    }

    /// A job that overtook another is finished: what it did not use goes back. Jobs that overtook this one have nobody
    /// to give back to any more.
    pub(super) fn give_back(&mut self, job: JobId) {
        let used = self.jobs[job].selected - self.jobs[job].selected_before_grant;
        let unused = self.jobs[job].granted.saturating_sub(used);
        if let Some(parent) = self.jobs[job].overtook.take() {
            let slots = unused.saturating_mul(self.limits.slot_cost);
            let parent = &mut self.jobs[parent];
            parent.slots_available = parent.slots_available.saturating_add(slots);
            parent.overtakers -= 1;
        }
        if std::mem::take(&mut self.jobs[job].overtakers) > 0 {
            let overtakers = self.jobs.iter_mut().filter(|(_, other)| other.overtook == Some(job));
            overtakers.for_each(|(_, other)| (other.overtook, other.granted) = (None, 0));
        }
    }
}

/// Waiting time by size: short messages that waited long come first.
fn score<R>(job: &Job<R>, now: Instant) -> f64 {
    let waited = now.saturating_duration_since(job.arrived).as_secs();
    (waited + 1) as f64 / f64::from(job.total().max(1))
}
