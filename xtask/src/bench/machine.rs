//! The machine that measures: what a page of numbers has to say about it, and what it has to allow.

use std::fs;
use std::process::Command;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// Today in UTC, `2026-11-22`.
pub fn date() -> Outcome<String> {
    Ok(workspace::output(Command::new("date").args(["-u", "+%F"]))?.trim().to_owned())
}

/// Processes that want a processor, mean of the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(f64::NAN)
}

/// Processors, memory, kernel and the file system of the queue, in one line.
pub fn describe() -> Outcome<String> {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kernel = workspace::output(Command::new("uname").args(["-sr"]))?;
    let kind = workspace::output(Command::new("df").arg("--output=fstype").arg(std::env::temp_dir()))?;
    Ok(format!(
        "{} x {}, {:.0} GiB of memory, {}, queue on {}",
        cores(),
        field(&processor, "model name").unwrap_or("processor"),
        field(&memory, "MemTotal").and_then(kilobytes).unwrap_or(f64::NAN) / (1 << 20) as f64,
        kernel.trim(),
        kind.lines().last().unwrap_or_default(),
    ))
}

/// Processors that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Thousands of clients have a descriptor each.
pub fn raise_open_files() -> Outcome {
    let raise = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    raise.map_err(|error| Failure::about("number of open files", error))
}

/// The value of a line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

fn kilobytes(value: &str) -> Option<f64> {
    value.strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_name() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nMemTotal:       2048 kB\n";
        assert_eq!(field(text, "model name"), Some("Some CPU @ 2 GHz"));
        assert_eq!(field(text, "MemTotal").and_then(kilobytes), Some(2048.0));
        assert_eq!(field(text, "flags"), None);
    }
}
