//! One running mail system in a folder of its own: start, stop, commands, log, delivered mail.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::accounts::Accounts;
use crate::maildir::Mail;
use crate::port::Port;
use crate::process::Process;
use crate::programs::{ENVIRONMENT, Implementation, Programs};
use crate::setup::{Setup, write_old};
use crate::wait::{PATIENCE, until, until_true};

/// How long a reload of C Postfix is given to end the workers that ran before it, and a mark to get into the log.
const LEAVING: Duration = Duration::from_secs(2);

/// Marks in logs so far.
static MARKS: AtomicUsize = AtomicUsize::new(0);

/// An instance; dropped, it is stopped and its folder removed (kept when the test fails).
#[derive(Debug)]
pub struct Instance {
    folder: PathBuf,
    port: Port,
    accounts: Accounts,
    setup: Setup,
    master: Option<Master>,
}

/// The running master.
#[derive(Debug)]
enum Master {
    /// Started here.
    Child(Child),
    /// Started by a command of the instance; its parent is process 1.
    Detached(i32),
}

impl Master {
    fn pid(&self) -> i32 {
        match self {
            Master::Child(child) => child.id() as i32,
            Master::Detached(pid) => *pid,
        }
    }

    /// Whether it has ended, and been reaped.
    fn is_gone(&mut self) -> bool {
        match self {
            Master::Child(child) => matches!(child.try_wait(), Ok(Some(_))),
            Master::Detached(pid) => Process::of_pid(*pid).is_none(),
        }
    }
}

/// A master that a killed test could not stop ends by itself after this many seconds (`master -e`).
const LIFETIME: &str = "900";

impl Instance {
    pub(crate) fn new(folder: PathBuf, port: Port, accounts: Accounts, setup: Setup) -> Instance {
        Instance { folder, port, accounts, setup, master: None }
    }

    /// The folder: `etc`, `queue`, `data`, `mail`, `log`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Configuration directory.
    pub fn etc(&self) -> PathBuf {
        self.folder.join("etc")
    }

    /// Queue directory.
    pub fn queue(&self) -> PathBuf {
        self.folder.join("queue")
    }

    /// The users that it runs as.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Its programs.
    pub fn programs(&self) -> &Programs {
        self.setup.programs()
    }

    /// Port of its SMTP server, the same over IPv4 and IPv6.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its SMTP server over IPv4.
    pub fn v4(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
    }

    /// Its SMTP server over IPv6.
    pub fn v6(&self) -> SocketAddr {
        (Ipv6Addr::LOCALHOST, self.port()).into()
    }

    /// Starts master and waits until it says that it has.
    pub fn start(&mut self) {
        if let Err(why) = self.try_start() {
            panic!("no start: {why}\n{}", self.log());
        }
    }

    /// Starts master; what it printed or logged last if it ends instead.
    pub fn try_start(&mut self) -> Result<(), String> {
        let before = self.count_log("daemon started");
        let stderr = File::create(self.folder.join("stderr")).map_err(|e| e.to_string())?;
        let mut command = Command::new(self.programs().daemon("master"));
        command.arg("-c").arg(self.etc()).args(["-e", LIFETIME]);
        command.env_clear().envs(ENVIRONMENT).current_dir("/");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
        let mut child = child.map_err(|e| format!("{}: {e}", self.programs().daemon("master").display()))?;
        let mut ended = None;
        until_true(PATIENCE, || {
            ended = child.try_wait().ok().flatten();
            ended.is_some() || self.count_log("daemon started") > before
        });
        if let Some(status) = ended {
            return Err(format!("master ended with {status}: {}", self.stderr()));
        }
        self.master = Some(Master::Child(child));
        if self.count_log("daemon started") > before { Ok(()) } else { Err("master says nothing".to_owned()) }
    }

    /// Takes over the master that `postfix start` has started: it is stopped with this instance.
    pub fn adopt(&mut self) {
        let file = self.queue().join("pid/master.pid");
        let pid = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
        let pid = pid.unwrap_or_else(|| panic!("{}: no process id\n{}", file.display(), self.log()));
        self.master = Some(Master::Detached(pid));
    }

    /// Standard error of master.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.folder.join("stderr")).unwrap_or_default()
    }

    /// Process id of master.
    pub fn master(&self) -> i32 {
        self.master.as_ref().unwrap_or_else(|| panic!("not running")).pid()
    }

    /// All its processes, master first.
    pub fn processes(&self) -> Vec<Process> {
        let mut all = Process::of_session(self.master());
        all.sort_by_key(|p| (p.pid != self.master(), p.pid));
        all
    }

    /// Its processes of one program.
    pub fn processes_of(&self, program: &str) -> Vec<Process> {
        let name = &program[..program.len().min(15)];
        self.processes().into_iter().filter(|p| p.name == name).collect()
    }

    /// Asks master to stop, waits until every process of the instance is gone, ends what stays by force.
    pub fn stop(&mut self) {
        let Some(mut master) = self.master.take() else { return };
        let pid = master.pid();
        let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGTERM);
        let gone = until_true(PATIENCE, || master.is_gone());
        let empty = until_true(PATIENCE / 6, || Process::of_session(pid).is_empty());
        if !gone || !empty {
            let left: Vec<String> = Process::of_session(pid).iter().map(|p| format!("{}[{}]", p.name, p.pid)).collect();
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
            until_true(PATIENCE, || master.is_gone());
            assert!(std::thread::panicking(), "did not end on SIGTERM: {left:?}");
        }
    }

    /// Ends every process at once, as a power failure would.
    pub fn crash(&mut self) {
        let Some(mut master) = self.master.take() else { return };
        let pid = master.pid();
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        until_true(PATIENCE, || master.is_gone() && Process::of_session(pid).is_empty());
    }

    /// Goes on with the programs of the other mail system, on the same directories. Must be stopped.
    pub fn switch(&mut self, programs: Programs) {
        assert!(self.master.is_none(), "stop it first");
        self.setup.switch(programs);
        self.write_configuration();
    }

    /// Changes a setting of main.cf.
    pub fn set(&mut self, name: &str, value: &str) {
        self.setup.change(name, value);
        self.write_configuration();
    }

    /// Changes a setting for as long as `body` runs.
    pub fn with_setting(&mut self, name: &str, value: &str, body: impl FnOnce(&mut Instance)) {
        let before = self.setup.changed(name).map(str::to_owned);
        self.set(name, value);
        body(self);
        match before {
            Some(before) => self.set(name, &before),
            None => {
                self.setup.forget(name);
                self.write_configuration();
            }
        }
    }

    /// Adds a line to master.cf.
    pub fn add_service(&mut self, line: &str) {
        self.setup.add_service(line);
        self.write_configuration();
    }

    /// Takes the line out of master.cf that was added for a service.
    pub fn remove_service(&mut self, name: &str) {
        self.setup.forget_service(name);
        self.write_configuration();
    }

    pub(crate) fn write_configuration(&self) {
        write_old(&self.etc().join("main.cf"), &self.setup.main_cf(&self.folder, &self.accounts));
        write_old(&self.etc().join("master.cf"), &self.setup.master_cf(self.port()));
    }

    /// SIGHUP to master, as `postfix reload` sends it; waits until it is over.
    ///
    /// C Postfix says only that it begins. A worker that has nothing to do learns of it a little later and may take a
    /// client with the old configuration until then, so all that ran before are waited for, but no longer than
    /// `LEAVING`: those that are at work stay.
    pub fn reload(&self) {
        let workers = self.processes().into_iter().filter(|p| p.pid != self.master());
        let workers: Vec<i32> = workers.map(|p| p.pid).collect();
        let verdict = self.queue().join("pid/reload.status");
        let last = std::fs::read(&verdict).ok();
        let before = self.count_log("reload -- version");
        let _ = nix::sys::signal::kill(Pid::from_raw(self.master()), Signal::SIGHUP);
        let reloaded = until_true(PATIENCE, || self.count_log("reload -- version") > before);
        assert!(reloaded, "no reload\n{}", self.log());
        match self.programs().implementation {
            Implementation::Ours => {
                let is_over = until_true(PATIENCE, || std::fs::read(&verdict).ok() != last);
                assert!(is_over, "no end of the reload\n{}", self.log());
            }
            Implementation::Oracle => {
                until_true(LEAVING, || workers.iter().all(|pid| Process::of_pid(*pid).is_none()));
            }
        }
    }

    /// A command of the instance, ready to run with its configuration.
    pub fn command(&self, name: &str) -> Command {
        self.programs().run(name, &self.etc())
    }

    /// Runs a command without input.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Output {
        self.run_with(name, arguments, b"")
    }

    /// Runs a command with standard input.
    pub fn run_with(&self, name: &str, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(name);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name}: {e}"));
        if let Some(mut pipe) = child.stdin.take() {
            // A command may end without reading.
            let _ = pipe.write_all(input);
        }
        child.wait_with_output().unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Standard output of a command that must succeed.
    pub fn output(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.run(name, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {arguments:?}: {}: {said}\n{}", output.status, self.log());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Hands a message to `sendmail` as the caller.
    pub fn sendmail(&self, arguments: &[&str], text: &str) {
        let output = self.run_with("sendmail", arguments, text.as_bytes());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "sendmail {arguments:?}: {}: {said}\n{}", output.status, self.log());
    }

    /// The whole log.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("log")).unwrap_or_default()).into_owned()
    }

    fn count_log(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// Waits for a log line that holds all of `parts`; returns it.
    pub fn wait_log(&self, parts: &[&str]) -> String {
        let line = until(PATIENCE, || self.find_log(parts));
        line.unwrap_or_else(|| panic!("no log line with {parts:?}"))
    }

    /// The first log line that holds all of `parts`, if there is one now.
    pub fn find_log(&self, parts: &[&str]) -> Option<String> {
        self.log().lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned)
    }

    /// Maildir of a user of `mail.test`.
    pub fn maildir(&self, user: &str) -> PathBuf {
        self.folder.join("mail").join(user)
    }

    /// Waits until a user has at least `count` messages.
    pub fn wait_mail(&self, user: &str, count: usize) -> Vec<Mail> {
        let folder = self.maildir(user);
        let arrived = until_true(PATIENCE, || Mail::count(&folder) >= count);
        assert!(arrived, "{user} has {} of {count} messages", Mail::count(&folder));
        Mail::in_maildir(&folder)
    }

    /// Waits until no message is left in the queue, deferred and held ones aside, and the log says so.
    pub fn wait_idle(&self) {
        let busy = ["maildrop", "incoming", "active"].map(|name| self.queue().join(name));
        let idle = || busy.iter().all(|folder| fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none()));
        assert!(until_true(PATIENCE, idle), "the queue does not become empty");
        self.wait_written();
    }

    /// Waits until what processes have logged is in the log file: postlogd writes it when it comes to it, in its order.
    fn wait_written(&self) {
        if self.master.is_none() || self.setup.changed("maillog_file").is_some() {
            return;
        }
        let mark = format!("mark {}", MARKS.fetch_add(1, Ordering::Relaxed));
        self.run("postlog", &[&mark]);
        until_true(LEAVING, || self.find_log(&["/postlog[", &mark]).is_some());
    }

    /// The queue file of a message, wherever below a queue it lies now.
    pub fn queue_file(&self, queue: &str, id: &str) -> Option<PathBuf> {
        files_below(&self.queue().join(queue)).into_iter().find(|p| p.file_name().is_some_and(|name| name == id))
    }

    /// Ids of all messages in a queue.
    pub fn queue_ids(&self, queue: &str) -> Vec<String> {
        let files = files_below(&self.queue().join(queue)).into_iter();
        files.filter_map(|p| Some(p.file_name()?.to_string_lossy().into_owned())).collect()
    }

    /// Waits until the queue file is in that queue.
    pub fn wait_queue(&self, queue: &str, id: &str) -> PathBuf {
        let found = until(PATIENCE, || self.queue_file(queue, id));
        found.unwrap_or_else(|| panic!("{id} does not come into {queue}"))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(80)..];
            eprintln!("{} is kept; its log:\n{}\n{}", self.folder.display(), tail.join("\n"), self.stderr());
        } else {
            // The words of the system, not those of a library around it.
            let line = self.find_log(&["(os error "]);
            let _ = fs::remove_dir_all(&self.folder);
            assert_eq!(line, None, "a log line with the number of an error");
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_below(&entry.path())),
            Ok(_) => found.push(entry.path()),
            Err(_) => {}
        }
    }
    found
}
