//! Waiting for something to become true, never longer than a deadline, and never for a fixed time.

use std::time::{Duration, Instant};

/// How long anything that a test waits for may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks; short against everything that is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until `look` returns something; None after `patience`.
pub fn until<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

/// Looks until `look` is true; false after `patience`.
pub fn until_true(patience: Duration, mut look: impl FnMut() -> bool) -> bool {
    until(patience, || look().then_some(())).is_some()
}
