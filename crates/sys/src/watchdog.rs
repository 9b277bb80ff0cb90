//! The end of a process whose loop stands still (SIGALRM).
//!
//! The time is divided by three: only when nobody has fed the dog for all three parts in a row is it the end. A process
//! that was stopped and goes on later finds one part over, whatever time has passed, and has the other two to feed it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Parts of the time; see above.
const PARTS: u32 = 3;
/// Seconds for the last words.
const LAST_WORDS: u32 = 5;

static PART: AtomicU32 = AtomicU32::new(0);
static OVER: AtomicU32 = AtomicU32::new(0);
static LAST: OnceLock<fn()> = OnceLock::new();

/// The seconds between two feedings, at most, for a process that ends after `seconds`: less than one part of them.
pub fn interval(seconds: u32) -> u32 {
    (part(seconds) / 2).max(1)
}

fn part(seconds: u32) -> u32 {
    seconds.div_ceil(PARTS).max(2)
}

/// From now on this process ends with status 1 when it is not fed for so many seconds; before that, `last_words` is
/// called, where the process stands, and has 5 seconds. Only the first call counts. Starts with [`feed`].
pub fn watch(seconds: u32, last_words: fn()) {
    if LAST.set(last_words).is_err() {
        return;
    }
    PART.store(part(seconds), Ordering::Relaxed);
    // SAFETY: all zero is a set of no signals and no flags; the handler has the signature that goes without SA_SIGINFO,
    // and all that the structure points to lives as long as the process. SA_NODEFER: the last words may get stuck.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let handler: extern "C" fn(libc::c_int) = is_over;
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_NODEFER;
        libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
    }
}

/// The process is well.
pub fn feed() {
    OVER.store(0, Ordering::Relaxed);
    nix::unistd::alarm::set(PART.load(Ordering::Relaxed));
}

extern "C" fn is_over(_: libc::c_int) {
    let over = OVER.fetch_add(1, Ordering::Relaxed) + 1;
    if over < PARTS {
        // SAFETY: as the handler of a signal may (signal-safety(7)).
        unsafe { libc::alarm(PART.load(Ordering::Relaxed)) };
        return;
    }
    if over == PARTS {
        // SAFETY: as above. What follows may do what no handler may, and wait for a lock that the process itself has;
        // the process does nothing else any more, and if it gets stuck, this ends it.
        unsafe { libc::alarm(LAST_WORDS) };
        if let Some(last_words) = LAST.get() {
            last_words();
        }
    }
    // SAFETY: as above.
    unsafe { libc::_exit(1) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_feeds_in_time_is_never_too_late() {
        for seconds in [1, 2, 3, 7, 9, 100, 18_000, u32::MAX] {
            assert!(interval(seconds) < part(seconds));
            assert!(part(seconds) <= (seconds / PARTS + 1).max(2));
        }
    }
}
