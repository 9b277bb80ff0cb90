//! Waiting for something to become true, never longer than a deadline, and never for a fixed time.

use std::time::{Duration, Instant};

/// How long anything that a test waits for may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks: a part of the time waited so far, so that what is timed by them is exact to as much of itself.
const PART: u32 = 32;
const MOST: Duration = Duration::from_millis(10);
const LEAST: Duration = Duration::from_micros(100);

/// Looks until `look` returns something; None after `patience`.
pub fn until<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        let waited = begin.elapsed();
        if waited >= patience {
            return None;
        }
        std::thread::sleep((waited / PART).clamp(LEAST, MOST));
    }
}

/// Looks until `look` is true; false after `patience`.
pub fn until_true(patience: Duration, mut look: impl FnMut() -> bool) -> bool {
    until(patience, || look().then_some(())).is_some()
}
