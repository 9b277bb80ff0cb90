//! A private mail system: its folder, its start, its log, its stop. Its main.cf is made from conf/demo.cf, its
//! master.cf is the one that is installed, on loopback addresses and a high port.
//!
//! It never runs as root: started by root, it runs as `nobody`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, User};
use testing::accounts::{Accounts, is_root};
use testing::master_cf;
use testing::process::Process;
use testing::programs::ENVIRONMENT;
use testing::setup::{make_directories, write_old};
use testing::wait::{PATIENCE, until_true};

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// One mail system, running or not.
pub struct Demo {
    pub folder: PathBuf,
    pub port: u16,
    pub programs: PathBuf,
    user: User,
    master: Option<Child>,
    log: Log,
}

/// Which mail ends here, and where the rest goes.
pub struct Role<'a> {
    pub destination: &'a str,
    pub relayhost: &'a str,
}

/// Lines as they come from master; shown on the terminal or only kept.
#[derive(Clone, Default)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    shown: bool,
}

impl Demo {
    /// Makes the folder and its configuration.
    pub fn make(folder: &Path, port: u16, programs: &Path, role: &Role, shown: bool) -> Outcome<Demo> {
        let user = user()?;
        let accounts = Accounts::all_of(&user);
        make_directories(folder, &accounts);
        let filled = [
            ("@FOLDER@", folder.to_string_lossy()),
            ("@PROGRAMS@", programs.to_string_lossy()),
            ("@USER@", user.name.as_str().into()),
            ("@GROUP@", accounts.group.as_str().into()),
            ("@DESTINATION@", role.destination.into()),
            ("@RELAYHOST@", role.relayhost.into()),
        ];
        let mut main_cf = workspace::read(&workspace::root().join("conf/demo.cf"))?;
        for (place, value) in &filled {
            main_cf = main_cf.replace(place, value);
        }
        let servers = ["127.0.0.1", "[::1]"].map(|address| format!("{address}:{port}"));
        let master_cf: String = master_cf::lines(&servers).iter().map(|line| format!("{line}\n")).collect();
        for (name, text) in [("main.cf", main_cf), ("master.cf", master_cf)] {
            write_old(&folder.join("etc").join(name), &text);
        }
        let log = Log { shown, ..Log::default() };
        Ok(Demo { folder: folder.to_path_buf(), port, programs: programs.to_path_buf(), user, master: None, log })
    }

    /// Starts master; comes back when it says that it has started.
    pub fn start(&mut self) -> Outcome {
        let stderr = File::create(self.folder.join("stderr"))?;
        let mut command = self.command("master");
        command.arg("-s").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let child = with_signals(|| command.spawn());
        let mut child = child.map_err(|e| Failure::about(self.programs.join("master").display(), e))?;
        if let Some(stdout) = child.stdout.take() {
            let log = self.log.clone();
            std::thread::spawn(move || log.keep(stdout));
        }
        let mut ended = None;
        until_true(PATIENCE, || {
            ended = child.try_wait().ok().flatten();
            ended.is_some() || self.find_log(&["daemon started"]).is_some()
        });
        self.master = Some(child);
        match ended {
            None if self.find_log(&["daemon started"]).is_some() => Ok(()),
            None => Err(self.failure("master does not say that it has started")),
            Some(status) => Err(self.failure(&format!("master ended with {status}"))),
        }
    }

    /// A program of it, with its configuration and as its user.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.env_clear().envs(ENVIRONMENT).env("MAIL_CONFIG", self.folder.join("etc")).current_dir("/");
        if name == "master" {
            command.arg("-c").arg(self.folder.join("etc"));
        }
        if is_root() {
            command.uid(self.user.uid.as_raw()).gid(self.user.gid.as_raw());
        }
        command
    }

    /// Whether root started it: it runs as `nobody`, and so have its commands to.
    pub fn is_of_nobody(&self) -> bool {
        is_root()
    }

    /// Its SMTP server over IPv4.
    pub fn v4(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its SMTP server over IPv6.
    pub fn v6(&self) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, self.port).into()
    }

    /// Where all mail for `mail.test` arrives.
    pub fn maildir(&self) -> PathBuf {
        self.folder.join("Maildir")
    }

    /// The first log line with all of `parts`.
    pub fn find_log(&self, parts: &[&str]) -> Option<String> {
        let lines = self.log.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|line| parts.iter().all(|part| line.contains(part))).cloned()
    }

    /// Whether master has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.master.as_mut().is_none_or(|m| !matches!(m.try_wait(), Ok(None)))
    }

    /// A failure with the log behind it.
    pub fn failure(&self, what: &str) -> Failure {
        let stderr = std::fs::read_to_string(self.folder.join("stderr")).unwrap_or_default();
        let lines = self.log.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let log = if self.log.shown { String::new() } else { format!("\n{}", lines.join("\n")) };
        Failure(format!("{what} ({}){log}\n{stderr}", self.folder.display()))
    }

    /// Stops every process; says which did not end by themselves.
    pub fn stop(&mut self) -> Outcome {
        let Some(mut master) = self.master.take() else { return Ok(()) };
        let pid = master.id() as i32;
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let reaped = until_true(PATIENCE / 3, || matches!(master.try_wait(), Ok(Some(_))));
        if reaped && until_true(PATIENCE / 3, || Process::of_session(pid).is_empty()) {
            return Ok(());
        }
        let left = Process::of_session(pid);
        left.iter().for_each(|process| process.signal(Signal::SIGKILL));
        let _ = master.wait();
        let names: Vec<&str> = left.iter().map(|p| p.name.as_str()).collect();
        Err(Failure(format!("these processes had to be killed: {}", names.join(" "))))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Err(failure) = self.stop() {
            eprintln!("xtask: {failure}");
        }
    }
}

impl Log {
    fn keep(&self, stdout: impl std::io::Read) {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if self.shown {
                println!("{line}");
            }
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }
}

/// Runs `start` without blocked signals: a new process inherits what is blocked, and could not be stopped.
fn with_signals<T>(start: impl FnOnce() -> T) -> T {
    let blocked = SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::empty());
    // A mask that cannot be changed was not changed by `run` either.
    let _ = SigSet::empty().thread_set_mask();
    let started = start();
    let _ = blocked.thread_set_mask();
    started
}

/// The caller; for root, `nobody`.
fn user() -> Outcome<User> {
    let found = match is_root() {
        true => User::from_name("nobody"),
        false => User::from_uid(nix::unistd::getuid()),
    };
    found.ok().flatten().ok_or_else(|| Failure("the user to run as has no entry in the password file".to_owned()))
}
