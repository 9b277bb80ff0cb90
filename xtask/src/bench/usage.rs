//! Processor time and context switches of an instance, by program.
//!
//! The kernel adds the time of a process that has ended to its parent's and forgets its name: so the processes are
//! looked at again and again while they live. What one did between the last look and its end is in the sum, under no
//! name.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use testing::process::{Process, cpu_seconds};

/// Between two looks: a fortieth of a processor at most goes into them.
const LOOK: Duration = Duration::from_millis(200);

/// What processes have used.
#[derive(Clone, Copy, Default, Debug)]
pub struct Spent {
    /// CPU seconds.
    pub cpu: f64,
    pub switches: f64,
}

/// What an instance has used.
pub struct Usage {
    /// CPU seconds of all its processes, those that have ended included.
    pub cpu: f64,
    pub switches: f64,
    pub by_program: BTreeMap<String, Spent>,
}

/// An observation that runs.
pub struct Watch {
    master: i32,
    cpu_before: f64,
    stop: Sender<()>,
    thread: JoinHandle<Seen>,
}

impl Watch {
    /// Begins to observe the session that this process leads.
    pub fn begin(master: i32) -> Watch {
        let (stop, stopped) = mpsc::channel();
        let mut seen = Seen::default();
        seen.look(master, true);
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(LOOK).is_err_and(|error| error == mpsc::RecvTimeoutError::Timeout) {
                seen.look(master, false);
            }
            seen.look(master, false);
            seen
        });
        Watch { master, cpu_before: cpu_seconds(master), stop, thread }
    }

    /// What was used since the beginning.
    pub fn end(self) -> Usage {
        let cpu = cpu_seconds(self.master) - self.cpu_before;
        // Its thread ends by this alone.
        drop(self.stop);
        let by_program = self.thread.join().unwrap_or_default().by_program();
        Usage { cpu, switches: by_program.values().map(|spent| spent.switches).sum(), by_program }
    }
}

/// Each process with what it had used at the beginning and at the last look.
#[derive(Default)]
struct Seen(HashMap<i32, (String, Spent, Spent)>);

impl Seen {
    fn look(&mut self, master: i32, first: bool) {
        for process in Process::of_session(master) {
            let now = Spent { cpu: process.cpu(), switches: process.switches() as f64 };
            let before = if first { now } else { Spent::default() };
            let entry = self.0.entry(process.pid).or_insert_with(|| (String::new(), before, now));
            // A child of master has its own name a moment after it has its number.
            (entry.0, entry.2) = (process.name, now);
        }
    }

    fn by_program(self) -> BTreeMap<String, Spent> {
        let mut programs: BTreeMap<String, Spent> = BTreeMap::new();
        for (name, before, now) in self.0.into_values() {
            let spent = programs.entry(name).or_default();
            spent.cpu += now.cpu - before.cpu;
            spent.switches += now.switches - before.switches;
        }
        programs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_before_counts_from_the_beginning_and_what_came_later_as_a_whole() {
        let spent = |cpu| Spent { cpu, switches: cpu };
        let seen = Seen(HashMap::from([
            (1, ("smtpd".to_owned(), spent(5.0), spent(7.0))),
            (2, ("smtpd".to_owned(), spent(0.0), spent(1.0))),
        ]));
        assert_eq!(seen.by_program()["smtpd"].cpu, 3.0);
    }
}
