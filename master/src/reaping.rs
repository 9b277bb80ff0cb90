//! The end of a worker: what it means, and what follows from it.

use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use logging::records::master::{End, ProcessEnded};
use mio::unix::SourceFd;
use signal_hook::consts::signal::{SIGKILL, SIGTERM};

use crate::child::program;
use crate::service::ServiceId;
use crate::supervisor::{Source, Supervisor};
use crate::timer::Event;

/// Before a worker that was killed before it did anything is started again.
const KILLED_PAUSE: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Reaps the workers that have ended; true when any has.
    pub(crate) fn reap(&mut self) -> bool {
        let ended = if self.init { self.ended_of_all() } else { self.ended_workers() };
        for (id, pid, status) in &ended {
            self.bury(*id, *pid, *status);
            self.forget_if_gone(*id);
        }
        !ended.is_empty()
    }

    fn ended_workers(&mut self) -> Vec<(ServiceId, u32, ExitStatus)> {
        let mut ended = Vec::new();
        for (id, service) in &mut self.services {
            for (pid, worker) in &mut service.workers {
                if let Ok(Some(status)) = worker.process.try_wait() {
                    ended.push((*id, *pid, status));
                }
            }
        }
        ended
    }

    /// Process 1 inherits what others leave behind, and must not take the end of a worker for that of a stranger: each
    /// process is reaped in one place.
    fn ended_of_all(&self) -> Vec<(ServiceId, u32, ExitStatus)> {
        let mut ended = Vec::new();
        while let Some((pid, status)) = next_ended() {
            let owner = self.services.iter().find(|(_, service)| service.workers.contains_key(&pid));
            ended.extend(owner.map(|(id, _)| (*id, pid, status)));
        }
        ended
    }

    fn bury(&mut self, id: ServiceId, pid: u32, status: ExitStatus) {
        let Some(service) = self.services.get_mut(&id) else { return };
        let Some(mut worker) = service.workers.remove(&pid) else { return };
        self.sources.retain(|_, source| !matches!(source, Source::Worker(_, other) if *other == pid));
        let path = program(&self.nursery.programs, &service.entry.command);
        let told_to_end = worker.status.is_none();
        if let Some(channel) = worker.status.take() {
            let _ = self.poll.registry().deregister(&mut SourceFd(&channel.as_raw_fd()));
        }
        match (status.code(), status.signal()) {
            (Some(0), _) => return self.watch(id),
            (Some(code), _) => log_end(&path, pid, End::Status(code.unsigned_abs())),
            (None, Some(SIGTERM)) if told_to_end => return self.watch(id),
            (None, signal) => log_end(&path, pid, End::Signal(signal.unwrap_or(0).unsigned_abs())),
        }
        match (worker.has_proved_itself(), status.signal()) {
            (true, _) => {}
            // It comes from outside and says nothing about the program, unless it comes again and again.
            (false, Some(SIGKILL | SIGTERM)) if worker.started_work => {}
            (false, Some(SIGKILL | SIGTERM)) => self.throttle(id, KILLED_PAUSE),
            (false, _) => {
                logging::warning!("{}: bad command startup -- throttling", path.display());
                self.throttle(id, self.throttle_time());
            }
        }
        self.watch(id);
        self.resume(id);
    }

    /// A process that ended in the middle of its work may leave work that nobody will announce again: a service that is
    /// woken up regularly is woken up now.
    pub(crate) fn resume(&mut self, id: ServiceId) {
        let Some(service) = self.services.get(&id) else { return };
        if !service.throttled && service.entry.wakeup.is_some_and(|wakeup| !wakeup.conditional) {
            self.begin_wakeup(id);
        }
    }

    pub(crate) fn throttle_time(&self) -> Duration {
        // service_throttle_time
        self.config.get(config::param::SERVICE_THROTTLE_TIME).unwrap_or(Duration::from_secs(60))
    }

    pub(crate) fn throttle(&mut self, id: ServiceId, time: Duration) {
        let Some(service) = self.services.get_mut(&id) else { return };
        service.throttled = true;
        self.timers.after(time, Event::EndThrottle(id));
        self.watch(id);
    }
}

/// The next process that has ended, whoever started it.
fn next_ended() -> Option<(u32, ExitStatus)> {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    loop {
        let (pid, raw) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, code << 8),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, signal as i32),
            Ok(WaitStatus::StillAlive) => return None,
            Err(nix::errno::Errno::EINTR) | Ok(_) => continue,
            Err(_) => return None,
        };
        return Some((u32::try_from(pid.as_raw()).ok()?, ExitStatus::from_raw(raw)));
    }
}

fn log_end(path: &Path, pid: u32, end: End) {
    logging::emit(&ProcessEnded { program: path.display().to_string(), process_id: pid, end });
}
