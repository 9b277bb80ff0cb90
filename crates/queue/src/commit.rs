//! Group commit: one wait on the disk for all messages that wait at the same time.
//!
//! A thread takes complete files. One that waits alone gets its own fsync at once; those that
//! arrive while the disk is busy are committed together by one syncfs of the queue's file system.
//! Every waiter learns the result; nobody is told of success before the disk said so.

use std::fs::File;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use nix::errno::Errno;

/// The thread that waits for the disk; it ends when the last handle is gone.
#[derive(Clone)]
pub struct Committer {
    sender: Sender<Job>,
}

impl Committer {
    /// Starts the thread. All files must be on one file system, that of the queue directory.
    pub fn start() -> io::Result<Self> {
        let (sender, receiver) = channel();
        let together = syncfs_reports_errors();
        std::thread::Builder::new().name("commit".into()).spawn(move || run(&receiver, together))?;
        Ok(Self { sender })
    }

    /// Has `file` written to disk. The result is what the future yields.
    pub fn submit(&self, file: File) -> Pending {
        let pending = Pending { state: Arc::default() };
        let job = Job { file, state: Arc::clone(&pending.state) };
        // When the thread is gone, the returned job is dropped, which tells the waiter.
        drop(self.sender.send(job));
        pending
    }
}

/// A file's result, as soon as the disk has it.
#[must_use = "the message is not safe before this is ready"]
pub struct Pending {
    state: Arc<Mutex<State>>,
}

impl Future for Pending {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.state);
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
}

struct Job {
    file: File,
    state: Arc<Mutex<State>>,
}

impl Job {
    fn finish(&self, result: Result<(), Errno>) {
        let mut state = lock(&self.state);
        state.result.get_or_insert(result);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Job {
    /// A job that was never done must not look like success, nor wait for ever.
    fn drop(&mut self) {
        if Arc::strong_count(&self.state) > 1 {
            self.finish(Err(Errno::EIO));
        }
    }
}

fn run(receiver: &Receiver<Job>, together: bool) {
    let mut batch = Vec::new();
    while let Ok(job) = receiver.recv() {
        batch.push(job);
        batch.extend(receiver.try_iter());
        commit(&batch, together);
        batch.clear();
    }
}

fn commit(batch: &[Job], together: bool) {
    match batch {
        [first, _, ..] if together => {
            let result = syncfs(&first.file);
            batch.iter().for_each(|job| job.finish(result));
        }
        _ => batch.iter().for_each(|job| job.finish(nix::unistd::fsync(&job.file))),
    }
}

#[cfg(target_os = "linux")]
fn syncfs(file: &File) -> Result<(), Errno> {
    nix::unistd::syncfs(file)
}

#[cfg(not(target_os = "linux"))]
fn syncfs(_: &File) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// syncfs reports write errors since Linux 5.8; before that, and elsewhere, each file gets its own
/// fsync.
fn syncfs_reports_errors() -> bool {
    let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    cfg!(target_os = "linux") && release.is_ok_and(|release| at_least(&release, (5, 8)))
}

fn at_least(release: &str, wanted: (u32, u32)) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|text| text.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= wanted
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic elsewhere leaves the state as whole as before.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
