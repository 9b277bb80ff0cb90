//! Group commit: one wait on the disk for all messages that wait at the same time.
//!
//! A thread takes complete files. One that waits alone gets its own fsync at once; those that arrive while the disk is
//! busy are committed together by one syncfs of the queue's file system, unless others write so much to that file
//! system that waiting for each file alone is cheaper. Every waiter learns the result; nobody is told of success before
//! the disk said so.
//!
//! The kernel tells a write error to the descriptors that were open when it happened, and to a new one only if nobody
//! has heard of it yet. So a syncfs counts for a file only through a descriptor that is at least as old as the file's
//! first byte: that of the oldest file of the batch. If it fails, each file is asked about itself: the error may be
//! that of somebody else's file.

use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use crate::storage::{Names, Storage, syncfs};

/// The thread that waits for the disk; it ends when the last handle is gone.
#[derive(Clone)]
pub struct Committer {
    sender: Sender<Job>,
}

impl Committer {
    /// Starts the thread. All files must be on one file system, that of the queue directory.
    pub fn start(storage: Storage) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let together = storage.commits_together();
        std::thread::Builder::new().name("commit".into()).spawn(move || run(&receiver, together))?;
        Ok(Self { sender })
    }

    /// Has `file` written to disk. The result is what the future yields.
    pub fn submit(&self, file: Arc<Unsynced>) -> Pending {
        let pending = Pending { state: Arc::default() };
        let job = Job { file, state: Arc::clone(&pending.state) };
        // When the thread is gone, the returned job is dropped, which tells the waiter.
        drop(self.sender.send(job));
        pending
    }
}

/// A file with a new message, which the disk may not have yet.
#[derive(Debug)]
pub struct Unsynced {
    /// Open since before the first byte of the message, and not synchronised since.
    pub(crate) file: File,
    /// The directory that its name is in.
    pub(crate) names: Names,
    /// A time between its opening and its first byte.
    since: Instant,
}

impl Unsynced {
    /// A file that is still empty.
    pub fn new(file: File, names: Names) -> Self {
        Self { file, names, since: Instant::now() }
    }

    /// Waits until the file and its name are on disk.
    pub(crate) fn sync(&self) -> Result<(), Errno> {
        nix::unistd::fsync(&self.file)?;
        self.names.sync(&self.file)
    }
}

/// A file's result, as soon as the disk has it.
#[must_use = "the message is not safe before this is ready"]
pub struct Pending {
    state: Arc<Mutex<State>>,
}

impl Drop for Pending {
    /// Whom it was to wake does not wait for one that is gone.
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.waker = None;
        state.wake_others();
    }
}

impl Future for Pending {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.state);
        state.wake_others();
        match state.result.take() {
            Some(Ok(())) => Poll::Ready(Ok(())),
            Some(Err(errno)) => Poll::Ready(Err(errno.into())),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[derive(Default)]
struct State {
    result: Option<Result<(), Errno>>,
    waker: Option<Waker>,
    /// Those who wait for the other files of the batch, and are woken by the waiter for this one.
    others: Vec<Waker>,
}

impl State {
    fn wake_others(&mut self) {
        self.others.drain(..).for_each(Waker::wake);
    }
}

struct Job {
    file: Arc<Unsynced>,
    state: Arc<Mutex<State>>,
}

impl Job {
    /// Notes the result. Whoever waits for it wakes the others; returned are those who have to be woken here.
    fn finish(&self, result: Result<(), Errno>, others: Vec<Waker>) -> Vec<Waker> {
        let mut state = lock(&self.state);
        state.result.get_or_insert(result);
        match state.waker.take() {
            Some(waiter) => {
                state.others = others;
                vec![waiter]
            }
            None => others,
        }
    }
}

/// Tells the results of a batch. To wake a task of another thread is a system call, so this thread wakes one waiter,
/// and that one all others: they go on in the same turn, and what they have to say leaves together.
fn finish(batch: &[Job], result: impl Fn(&Job) -> Result<(), Errno>) {
    let Some((last, others)) = batch.split_last() else { return };
    let others = others.iter().flat_map(|job| job.finish(result(job), Vec::new())).collect();
    last.finish(result(last), others).into_iter().for_each(Waker::wake);
}

impl Drop for Job {
    /// A job that was never done must not look like success, nor wait for ever.
    fn drop(&mut self) {
        if Arc::strong_count(&self.state) > 1 {
            self.finish(Err(Errno::EIO), Vec::new()).into_iter().for_each(Waker::wake);
        }
    }
}

fn run(receiver: &Receiver<Job>, together: bool) {
    let mut batch = Vec::new();
    let mut costs = Costs::default();
    while let Ok(job) = receiver.recv() {
        batch.push(job);
        batch.extend(receiver.try_iter());
        commit(&batch, together, &mut costs);
        batch.clear();
    }
}

fn commit(batch: &[Job], together: bool, costs: &mut Costs) {
    let start = Instant::now();
    if together && batch.len() > 1 && costs.prefer_together(batch.len()) {
        // Opened before any of the others had a byte.
        let oldest = batch.iter().min_by_key(|job| job.file.since);
        let all = oldest.map_or(Err(Errno::EIO), |oldest| syncfs(&oldest.file.file));
        costs.together(start.elapsed());
        finish(batch, |job| all.or_else(|_| job.file.sync()));
    } else {
        batch.chunks(1).for_each(|job| finish(job, |job| job.file.sync()));
        costs.alone(start.elapsed(), batch.len());
    }
}

/// What waiting for the disk cost lately, in seconds. syncfs waits for everything that anyone wrote to the file system:
/// usually a few messages, but now and then somebody's gigabytes.
#[derive(Debug, Default)]
struct Costs {
    one_file: Option<f64>,
    file_system: Option<f64>,
}

impl Costs {
    /// Weight of the newest wait in the running mean.
    const NEWEST: f64 = 0.25;
    /// How fast an expensive syncfs is forgotten, a batch: it is tried again after some dozens.
    const FORGET: f64 = 0.95;

    fn prefer_together(&mut self, files: usize) -> bool {
        let (Some(one), Some(all)) = (self.one_file, self.file_system.as_mut()) else { return true };
        let cheaper = *all <= one * files as f64;
        if !cheaper {
            *all *= Self::FORGET;
        }
        cheaper
    }

    fn together(&mut self, time: Duration) {
        Self::learn(&mut self.file_system, time.as_secs_f64());
    }

    fn alone(&mut self, time: Duration, files: usize) {
        Self::learn(&mut self.one_file, time.as_secs_f64() / files as f64);
    }

    fn learn(mean: &mut Option<f64>, newest: f64) {
        *mean = Some(mean.map_or(newest, |mean| mean + (newest - mean) * Self::NEWEST));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic elsewhere leaves the state as whole as before.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_committed_together_as_long_as_that_is_cheaper() {
        let mut costs = Costs::default();
        let time = Duration::from_millis;
        assert!(costs.prefer_together(2));
        costs.alone(time(2), 1);
        costs.together(time(3));
        assert!(costs.prefer_together(2) && costs.prefer_together(50));
        costs.together(time(4000));
        assert!(!costs.prefer_together(10));
        // It is tried again when the disk had time to become quiet.
        assert!((0..200).any(|_| costs.prefer_together(10)));
    }
}
