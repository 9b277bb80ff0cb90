//! `-w`: master goes to the background; its parent waits until it is ready, or hears why it is not.
//!
//! Between them is a pipe. One byte on it means that master serves, and what follows it are warnings; anything else is
//! the reason for its end. The parent writes either to its standard error. It has been logged by then: the parent waits
//! for the end of the child, and never kills one that is about to speak.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Set in the environment of the child: the descriptor of its end of the pipe.
const PIPE: &str = "MAIL_MASTER_READY";
const PIPE_NUMBER: i32 = 9;
/// What the child says when it serves; no text begins with it.
const READY: u8 = 1;
/// How long the child may take, but for addresses that it waits for.
const PATIENCE: Duration = Duration::from_secs(100);
/// The bytes of a reason that the parent repeats; the log has all of them.
/// told: nobody; the log has the whole, the terminal its start.
const LONGEST_REASON: u64 = 8192;

/// The child's end of the pipe, until something has been said.
pub(crate) struct Report(Option<File>);

impl Report {
    /// The end that this process was started with, if it was.
    pub(crate) fn inherited() -> Self {
        let number = std::env::var(PIPE).ok().and_then(|number| number.parse().ok());
        Self(number.and_then(|number| sys::descriptor::inherit(number).ok()).map(File::from))
    }

    /// Whether somebody waits for a report.
    pub(crate) fn is_awaited(&self) -> bool {
        self.0.is_some()
    }

    /// Master serves; warnings that it has logged are repeated to who has started it.
    pub(crate) fn ready(&mut self, warnings: &[String]) {
        let warnings = warnings.join("\n");
        self.say(&[&[READY], warnings.as_bytes()].concat());
    }

    /// Master ends, for this reason.
    pub(crate) fn failed(&mut self, why: &str) {
        self.say(why.as_bytes());
    }

    fn say(&mut self, bytes: &[u8]) {
        if let Some(mut pipe) = self.0.take() {
            // The parent may be gone; that changes nothing here.
            let _ = pipe.write_all(bytes);
        }
    }
}

/// Starts the same program again in the background, and waits for its report. The error is the text behind `fatal: `.
pub(crate) fn start_and_wait(addresses: Duration) -> Result<ExitCode, String> {
    let (read, write) = std::io::pipe().map_err(|error| format!("pipe: {}", net::reason(&error)))?;
    let mut child = spawn(write.into()).map_err(|error| format!("fork: {}", net::reason(&error)))?;
    match listen(read.into(), Instant::now() + PATIENCE + addresses) {
        Some(said) if said.first() == Some(&READY) => {
            for warning in said[1..].split(|byte| *byte == b'\n').filter(|warning| !warning.is_empty()) {
                eprintln!("master: warning: {}", text::printable(warning));
            }
            return Ok(ExitCode::SUCCESS);
        }
        Some(reason) => {
            let status = child.wait().map_err(|error| format!("wait: {}", net::reason(&error)))?;
            tell(child.id(), status, &reason);
        }
        None => {
            logging::warning!("timeout while waiting for daemon initialization");
            // It may have ended by itself in the meantime.
            let _ = child.kill();
        }
    }
    Err("daemon initialization failure -- see logs for details".to_owned())
}

fn spawn(pipe: OwnedFd) -> std::io::Result<Child> {
    let mut environment: Vec<_> = std::env::vars_os().collect();
    environment.push((PIPE.into(), PIPE_NUMBER.to_string().into()));
    let stdout = std::io::stdout();
    sys::process::spawn(&sys::process::Spawn {
        path: std::env::current_exe()?,
        arguments: std::env::args_os().collect(),
        environment,
        descriptors: vec![(1, stdout.as_fd()), (PIPE_NUMBER, pipe.as_fd())],
        identity: None,
        directory: None,
        own_group: false,
    })
}

/// What is said on the pipe until its end; None when that does not come in time.
fn listen(pipe: OwnedFd, deadline: Instant) -> Option<Vec<u8>> {
    let mut pipe = File::from(pipe).take(LONGEST_REASON);
    let mut said = Vec::new();
    loop {
        let left =
            PollTimeout::try_from(deadline.saturating_duration_since(Instant::now())).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(pipe.get_ref().as_fd(), PollFlags::POLLIN)], left) {
            Err(nix::errno::Errno::EINTR) => continue,
            Ok(count) if count > 0 => {}
            _ => return None,
        }
        let mut bytes = [0; 1024];
        match pipe.read(&mut bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return Some(said),
            Ok(count) => said.extend_from_slice(&bytes[..count]),
        }
    }
}

/// The reason for who has started us; a child that ended without one has not logged any either.
fn tell(child: u32, status: ExitStatus, reason: &[u8]) {
    if !reason.is_empty() {
        eprintln!("master: fatal: {}", text::printable(reason));
        return;
    }
    match status.signal() {
        Some(signal) => logging::error!("process {child} killed by signal {signal}"),
        None => logging::error!("process {child} exit status {}", status.code().unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(speak: impl FnOnce(&mut Report), patience: Duration) -> Option<Vec<u8>> {
        let (read, write) = std::io::pipe().unwrap();
        let mut report = Report(Some(OwnedFd::from(write).into()));
        speak(&mut report);
        let heard = listen(read.into(), Instant::now() + patience);
        drop(report);
        heard
    }

    #[test]
    fn the_end_of_the_pipe_is_no_timeout_and_a_reason_arrives_whole() {
        assert_eq!(hear(|report| report.ready(&[]), PATIENCE), Some(vec![READY]));
        let warned = hear(|report| report.ready(&["a".to_owned(), "b".to_owned()]), PATIENCE);
        assert_eq!(warned, Some([&[READY], &b"a\nb"[..]].concat()));
        assert_eq!(hear(|report| report.0 = None, PATIENCE), Some(Vec::new()));
        let long = "bind 127.0.0.1 port 25: Address already in use ".repeat(100);
        assert_eq!(hear(|report| report.failed(&long), PATIENCE), Some(long.clone().into_bytes()));
        assert_eq!(hear(|_| {}, Duration::from_millis(5)), None);
    }
}
