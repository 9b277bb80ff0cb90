//! Threads for work that may wait for other programs: look-ups that take as long as some server elsewhere likes.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A queue of jobs, and the threads that do them: started when there is work, at most so many.
pub struct Threads<J> {
    queue: Mutex<Queue<J>>,
    more: Condvar,
    limits: Limits,
    work: Box<dyn Fn(J) + Send + Sync>,
}

/// How much is done at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Jobs that are being done.
    pub threads: usize,
    /// Jobs that wait for a thread.
    pub waiting: usize,
}

struct Queue<J> {
    jobs: VecDeque<J>,
    threads: usize,
    idle: usize,
}

impl<J: Send + 'static> Threads<J> {
    /// No thread yet; each job is given to `work`.
    pub fn new(limits: Limits, work: impl Fn(J) + Send + Sync + 'static) -> Arc<Self> {
        let queue = Mutex::new(Queue { jobs: VecDeque::new(), threads: 0, idle: 0 });
        Arc::new(Self { queue, more: Condvar::new(), limits, work: Box::new(work) })
    }

    /// Leaves a job to an idle thread, or to a new one, or to the next that is free.
    ///
    /// # Errors
    /// Too many wait already, or there is no thread and none can be started; the job comes back.
    pub fn push(self: &Arc<Self>, job: J) -> Result<(), (J, io::Error)> {
        let mut queue = self.queue();
        if queue.jobs.len() >= self.limits.waiting {
            return Err((job, io::Error::other("too many look-ups are waiting")));
        }
        queue.jobs.push_back(job);
        if queue.jobs.len() > queue.idle && queue.threads < self.limits.threads {
            let threads = Arc::clone(self);
            match std::thread::Builder::new().name("look-up".into()).spawn(move || threads.run()) {
                Ok(_) => queue.threads += 1,
                // Another thread will come to it.
                Err(_) if queue.threads > 0 => {}
                Err(error) => return queue.jobs.pop_back().map_or(Ok(()), |job| Err((job, error))),
            }
        }
        self.more.notify_one();
        Ok(())
    }

    fn run(&self) {
        loop {
            let job = self.next();
            (self.work)(job);
        }
    }

    fn next(&self) -> J {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return job;
            }
            queue.idle += 1;
            queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<J>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_job_that_takes_long_holds_up_no_other() {
        let (done, finished) = channel();
        let (release, wait) = channel::<()>();
        let wait = Mutex::new(wait);
        let threads = Threads::new(Limits { threads: 2, waiting: 10 }, move |job: u32| {
            if job == 0 {
                wait.lock().unwrap().recv().unwrap();
            }
            done.send(job).unwrap();
        });
        for job in 0..4 {
            threads.push(job).unwrap();
        }
        let mut others: Vec<u32> = finished.iter().take(3).collect();
        others.sort_unstable();
        assert_eq!(others, [1, 2, 3]);
        release.send(()).unwrap();
        assert_eq!(finished.recv().unwrap(), 0);
    }

    #[test]
    fn what_does_not_fit_comes_back() {
        let (release, wait) = channel::<()>();
        let wait = Mutex::new(wait);
        let threads = Threads::new(Limits { threads: 1, waiting: 2 }, move |_: u32| {
            let _ = wait.lock().unwrap().recv();
        });
        let refused: Vec<u32> = (0..10).filter_map(|job| threads.push(job).err().map(|(job, _)| job)).collect();
        assert!(!refused.is_empty() && refused.contains(&9));
        drop(release);
    }
}
