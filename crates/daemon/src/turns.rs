//! Turns of the event loop: what the tasks of one do together, and turns that take too long. While one session computes
//! or waits, all others of the worker stand still.
//!
//! Debug builds tell of every turn of more than a tenth of a second. What counts is time in which the thread ran or
//! waited for something; time in which it was ready and others had the processor does not, so that a busy machine is no
//! news.

use std::cell::Cell;
use std::fs::File;
use std::future::poll_fn;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Lets all tasks go on that can do so now. What each of them has made for others (log lines, announcements) can leave
/// together then. Unlike `tokio::task::yield_now`, it does not look for new events in between.
pub async fn after_others() {
    let mut had_a_turn = false;
    poll_fn(|context| {
        if std::mem::replace(&mut had_a_turn, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Turns up to this length are no news.
const LONGEST: Duration = Duration::from_millis(100);

/// What a thread has used so far.
#[derive(Debug, Clone, Copy)]
struct Used {
    wall: Instant,
    /// Time on a processor.
    computing: Duration,
    /// Time in which it was ready and had none.
    queued: Duration,
}

/// Where the kernel counts; opened before the walls are closed.
pub(crate) struct Counter {
    schedule: Option<File>,
}

thread_local! {
    /// When this turn began; the loop is one thread.
    static BEGUN: Cell<Option<Used>> = const { Cell::new(None) };
}

impl Counter {
    pub(crate) fn new() -> Self {
        Self { schedule: File::open("/proc/thread-self/schedstat").ok() }
    }

    /// Has the runtime's loop tell of long turns, in a debug build.
    pub(crate) fn watch(self, runtime: &mut tokio::runtime::Builder) {
        if !cfg!(debug_assertions) {
            return;
        }
        self.tell(runtime, |text| logging::info!("{text}"));
    }

    fn tell(self, runtime: &mut tokio::runtime::Builder, tell: impl Fn(String) + Send + Sync + 'static) {
        let counter = Arc::new(self);
        let at_end = Arc::clone(&counter);
        runtime.on_thread_unpark(move || BEGUN.set(Some(counter.now())));
        runtime.on_thread_park(move || {
            BEGUN.take().and_then(|begun| complaint(begun, at_end.now())).into_iter().for_each(&tell);
        });
    }

    fn now(&self) -> Used {
        let computing = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
        Used { wall: Instant::now(), computing, queued: self.queued().unwrap_or_default() }
    }

    /// The second number: nanoseconds on a run queue (Documentation/scheduler/sched-stats).
    fn queued(&self) -> Option<Duration> {
        let mut text = [0; 128];
        let count = self.schedule.as_ref()?.read_at(&mut text, 0).ok()?;
        let nanoseconds = std::str::from_utf8(&text[..count]).ok()?.split(' ').nth(1)?.parse().ok()?;
        Some(Duration::from_nanos(nanoseconds))
    }
}

/// What is said of a turn that was too long.
fn complaint(begun: Used, ended: Used) -> Option<String> {
    let queued = ended.queued.saturating_sub(begun.queued);
    let length = ended.wall.saturating_duration_since(begun.wall).saturating_sub(queued);
    let computing = ended.computing.saturating_sub(begun.computing);
    (length > LONGEST).then(|| {
        let waiting = length.saturating_sub(computing).as_millis();
        format!(
            "every session stood still for {} ms: {waiting} ms waiting, {} ms computing",
            length.as_millis(),
            computing.as_millis()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Mutex;

    fn turn(wall: u64, computing: u64, queued: u64) -> Option<String> {
        let begun = Used { wall: Instant::now(), computing: Duration::ZERO, queued: Duration::ZERO };
        let milliseconds = Duration::from_millis;
        let ended = Used {
            wall: begun.wall + milliseconds(wall),
            computing: milliseconds(computing),
            queued: milliseconds(queued),
        };
        complaint(begun, ended)
    }

    #[test]
    fn whoever_comes_after_others_finds_what_all_of_them_have_made() {
        let made = std::rc::Rc::new(Cell::new(0));
        let tasks = tokio::task::LocalSet::new();
        for _ in 0..3 {
            let made = std::rc::Rc::clone(&made);
            tasks.spawn_local(async move {
                made.set(made.get() + 1);
                after_others().await;
                assert_eq!(made.get(), 3);
            });
        }
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(tasks);
    }

    #[test]
    fn a_turn_that_waits_or_computes_for_long_is_told_of() {
        let waited = turn(350, 20, 0).unwrap();
        assert_eq!(waited, "every session stood still for 350 ms: 330 ms waiting, 20 ms computing");
        assert!(turn(200, 200, 0).is_some());
        assert_eq!(turn(100, 100, 0), None);
    }

    #[test]
    fn a_processor_that_others_have_is_no_fault_of_the_turn() {
        assert_eq!(turn(5000, 30, 4950), None);
    }

    #[test]
    fn the_loop_tells_of_a_task_that_sleeps() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let (mut builder, log) = (tokio::runtime::Builder::new_current_thread(), Arc::clone(&told));
        Counter::new().tell(builder.enable_all(), move |text| log.lock().unwrap().push(text));
        builder.build().unwrap().block_on(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            std::thread::sleep(Duration::from_millis(150));
            tokio::time::sleep(Duration::from_millis(1)).await;
        });
        let told = told.lock().unwrap();
        assert!(told.iter().any(|text| text.starts_with("every session stood still for ")), "{told:?}");
    }
}
