//! The order of a transport's jobs: labels between which there is nearly always room for another one, so that a job
//! that overtakes can be put in front of another without renumbering the rest.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::job::JobId;

/// The place of a job in its transport's list: smaller is earlier.
pub type Label = u64;

const GAP: u64 = 1 << 32;

/// The jobs of a transport in the order in which they are served.
#[derive(Default)]
pub struct Order {
    jobs: BTreeMap<Label, JobId>,
}

impl Order {
    /// Puts a job at the end. `None`: no room, [`Order::spread`] first.
    pub fn append(&mut self, job: JobId) -> Option<Label> {
        let last = self.jobs.last_key_value().map_or(0, |(label, _)| *label);
        let label = last.checked_add(GAP)?;
        self.jobs.insert(label, job);
        Some(label)
    }

    /// Puts a job directly before the one at `next`. `None`: no room, [`Order::spread`] first.
    pub fn insert_before(&mut self, next: Label, job: JobId) -> Option<Label> {
        let before = self.jobs.range(..next).next_back();
        let previous = before.map_or(0, |(label, _)| *label);
        let label = previous + (next - previous) / 2;
        if label == previous {
            return None;
        }
        self.jobs.insert(label, job);
        Some(label)
    }

    /// The job at this place.
    pub fn at(&self, label: Label) -> Option<JobId> {
        self.jobs.get(&label).copied()
    }

    /// Takes a job out.
    pub fn remove(&mut self, label: Label) {
        self.jobs.remove(&label);
    }

    /// The jobs after this place, in order.
    pub fn after(&self, label: Label) -> impl Iterator<Item = JobId> {
        let range = (Bound::Excluded(label), Bound::Unbounded);
        self.jobs.range(range).map(|(_, job)| *job)
    }

    /// Gives every job a new place with room around it, in the same order. Returns (job, old, new).
    pub fn spread(&mut self) -> Vec<(JobId, Label, Label)> {
        let old = std::mem::take(&mut self.jobs);
        let mut moves = Vec::with_capacity(old.len());
        for (position, (label, job)) in (1..).zip(old) {
            moves.push((job, label, position * GAP));
            self.jobs.insert(position * GAP, job);
        }
        moves
    }
}

#[cfg(test)]
mod tests {
    use super::super::arena::Number;
    use super::*;

    #[test]
    fn jobs_put_before_another_come_before_it_even_when_room_runs_out() {
        let mut order = Order::default();
        let mut last = order.append(JobId::of(0)).unwrap();
        for job in (1..200).map(JobId::of) {
            let label = match order.insert_before(last, job) {
                Some(label) => label,
                None => {
                    let moves = order.spread();
                    last = moves.iter().find(|(job, _, _)| *job == JobId::of(0)).unwrap().2;
                    order.insert_before(last, job).unwrap()
                }
            };
            assert!(label < last);
        }
        let jobs: Vec<JobId> = order.after(0).collect();
        assert_eq!(jobs.len(), 200);
        assert_eq!(jobs.last(), Some(&JobId::of(0)));
        assert_eq!(jobs[..199], (1..200).map(JobId::of).collect::<Vec<_>>()[..]);
    }
}
