//! Processes that tests have left behind: those that live in the directory of the run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::failure::Outcome;

/// How long a process may take to end after its test.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for the processes whose working directory is below `folder` to end; the names of those that stay, each with
/// the program and the directory.
pub fn processes(folder: &Path) -> Outcome<Vec<String>> {
    let step = Duration::from_millis(100);
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        if below(folder).is_empty() {
            break;
        }
        std::thread::sleep(step);
    }
    Ok(below(folder))
}

fn below(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()));
    processes
        .filter_map(|entry| {
            let place = fs::read_link(entry.path().join("cwd")).ok().filter(|place| place.starts_with(folder))?;
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            Some(format!("process {}, {}in {}", entry.file_name().display(), line, place.display()))
        })
        .collect()
}
