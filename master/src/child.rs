//! Starting one worker: its command line, environment and descriptors.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Instant;

use wire::status::{LAST, MAIN_CF, MAIN_CF_REFUSED, Report, SESSION_LIMIT, descriptors};

use crate::accepted::Accepted;
use crate::service::{Service, Worker};

/// What all workers get from master.
pub(crate) struct Nursery {
    /// $daemon_directory.
    pub programs: PathBuf,
    /// The cleaned environment (import_environment).
    pub environment: Vec<(OsString, OsString)>,
    /// The flow-control pipe.
    pub flow: (OwnedFd, OwnedFd),
    pub keep_stdout: bool,
    pub foreground: bool,
    pub verbose: u32,
    /// Counts workers; the next one is told its number.
    pub generation: u32,
}

/// The program of a service; whether it is there is for the caller to find out.
pub(crate) fn program(directory: &Path, command: &str) -> PathBuf {
    directory.join(command)
}

/// Why a worker was not started: the limit of processes is reached, or there is something about its program.
pub(crate) fn not_started(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock => format!("master_spawn: fork: {} -- throttling", net::reason(error)),
        _ => format!("master_spawn: exec {}: {}", path.display(), net::reason(error)),
    }
}

impl Nursery {
    /// Starts a worker.
    pub(crate) fn start(&mut self, service: &Service, accepted: &Accepted) -> io::Result<Worker> {
        let (ours, theirs) = sys::descriptor::packet_pair()?;
        self.generation = self.generation.wrapping_add(1);
        let stdout = std::io::stdout();
        let mut map = vec![
            (descriptors::FLOW_READ, self.flow.0.as_fd()),
            (descriptors::FLOW_WRITE, self.flow.1.as_fd()),
            (descriptors::STATUS, theirs.as_fd()),
        ];
        let mut next = descriptors::FIRST_LISTENER;
        for listener in &service.listeners {
            map.push((next, listener.socket.as_fd()));
            next += 1;
        }
        if self.keep_stdout {
            map.push((1, stdout.as_fd()));
        }
        let mut environment = self.environment.clone();
        environment.push(("GENERATION".into(), format!("{:o}", self.generation).into()));
        let sessions = service.next_part();
        environment.push((SESSION_LIMIT.into(), sessions.to_string().into()));
        if service.is_put_away() {
            environment.push((LAST.into(), "yes".into()));
        }
        if let Some(file) = &accepted.file {
            map.push((next, file.as_fd()));
            environment.push((MAIN_CF.into(), next.to_string().into()));
            if accepted.alone {
                environment.push((MAIN_CF_REFUSED.into(), "yes".into()));
            }
        }
        let process = sys::process::spawn(&sys::process::Spawn {
            path: program(&self.programs, &service.entry.command),
            arguments: self.arguments(service),
            environment,
            descriptors: map,
            identity: None,
            directory: None,
            own_group: false,
        })?;
        Ok(Worker {
            process,
            status: Some(ours),
            report: Report::Idle,
            started_work: false,
            finished_work: false,
            since: Instant::now(),
            sessions,
        })
    }

    /// argv in the order that Postfix's master uses.
    fn arguments(&self, service: &Service) -> Vec<OsString> {
        let entry = &service.entry;
        let mut arguments: Vec<OsString> = vec![entry.command.as_str().into()];
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
        match entry.max_proc {
            Some(1) => add(&["-l"]),
            None => add(&["-z"]),
            Some(_) => {}
        }
        if Path::new(&entry.command).file_name() != Some(entry.name.as_ref()) {
            add(&["-n", &entry.name]);
        }
        add(&["-t", entry.kind.name()]);
        let flags =
            [(self.foreground, "-d"), (self.verbose > 0, "-v"), (entry.unprivileged, "-u"), (entry.chroot, "-c")];
        for (_, flag) in flags.iter().filter(|(set, _)| *set) {
            add(&[flag]);
        }
        if service.knows_stress() {
            add(&["-o", if service.is_stressed() { "stress=yes" } else { "stress=" }]);
        }
        if service.listeners.len() > 1 {
            add(&["-s", &service.listeners.len().to_string()]);
        }
        arguments.extend(entry.args.iter().map(OsString::from));
        arguments
    }
}

/// The environment of workers: what import_environment names, from this process or as `NAME=VALUE`.
pub(crate) fn clean_environment(
    import: &[String],
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Vec<(OsString, OsString)> {
    import
        .iter()
        .filter_map(|item| match item.split_once('=') {
            Some((name, value)) => Some((name.into(), value.into())),
            None => lookup(item).map(|value| (item.into(), value)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn a_lack_of_processes_is_no_fault_of_a_program() {
        let said = |error: Errno| not_started(Path::new("/d/smtpd"), &error.into());
        assert_eq!(said(Errno::EAGAIN), "master_spawn: fork: Resource temporarily unavailable -- throttling");
        assert_eq!(said(Errno::ENOENT), "master_spawn: exec /d/smtpd: No such file or directory");
    }

    #[test]
    fn the_environment_is_what_is_named_and_nothing_else() {
        let import = ["TZ", "LANG=C", "ABSENT"].map(str::to_owned);
        let got = clean_environment(&import, |name| (name == "TZ").then(|| "UTC".into()));
        assert_eq!(got, [("TZ".into(), "UTC".into()), ("LANG".into(), OsString::from("C"))]);
    }
}
