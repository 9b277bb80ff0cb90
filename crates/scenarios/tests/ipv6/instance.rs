//! The mail system of a group of cases: its files, start, reload, stop, and log.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Gid, Pid, Uid, chown};
use testing::Programs;
use testing::accounts::Accounts;
use testing::programs::ENVIRONMENT;
use testing::wait::until_true;

use crate::folder::write_old;
use crate::network::{Network, spawn};

/// Services behind the SMTP server.
const SERVICES: &str = "\
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
lmtp      unix  -       -       n       -       -       lmtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
anvil     unix  -       -       n       -       1       anvil
";
const QUEUES: [&str; 11] =
    ["incoming", "active", "deferred", "bounce", "defer", "flush", "hold", "trace", "saved", "corrupt", "private"];

/// A mail system of a case; dropped, it ends.
pub struct Instance<'a> {
    network: &'a Network,
    programs: Programs,
    folder: PathBuf,
    base: Vec<String>,
    master: Option<Child>,
    mark: usize,
}

impl<'a> Instance<'a> {
    /// Makes the files. `service` is the first field of the SMTP server's entry in master.cf.
    pub fn new(network: &'a Network, main_cf: &[String], service: &str, more_services: &str) -> Instance<'a> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("postfix-rs-ipv6-{}-{number}", std::process::id()));
        let accounts = Accounts::for_caller();
        make_folders(&folder, &accounts);
        let programs = Programs::under_test();
        let set = |name: &str, value: &dyn std::fmt::Display| format!("{name} = {value}");
        let base = vec![
            set("compatibility_level", &"3.6"),
            set("queue_directory", &folder.join("q").display()),
            set("data_directory", &folder.join("d").display()),
            set("daemon_directory", &programs.daemons.display()),
            set("command_directory", &programs.commands.display()),
            set("mail_owner", &accounts.owner),
            set("setgid_group", &accounts.group),
            "myhostname = mail.example.net".to_owned(),
            "mydomain = example.net".to_owned(),
            "alias_maps =".to_owned(),
            "alias_database =".to_owned(),
            "local_recipient_maps =".to_owned(),
            "mydestination = $myhostname, localhost".to_owned(),
            // An outcome without the addresses that a case asks for is the same at once.
            "inet_interfaces_wait = 0s".to_owned(),
            "ipc_timeout = 20s".to_owned(),
            "smtpd_delay_reject = yes".to_owned(),
        ];
        let instance = Instance { network, programs, folder, base, master: None, mark: 0 };
        instance.write_main(main_cf);
        let server = format!("{service} inet n - n - - smtpd\n");
        write_old(&instance.conf().join("master.cf"), &(server + SERVICES + more_services));
        instance
    }

    /// The folder of main.cf.
    pub fn conf(&self) -> PathBuf {
        self.folder.join("conf")
    }

    /// The queue directory.
    pub fn queue(&self) -> PathBuf {
        self.folder.join("q")
    }

    /// Writes main.cf: the settings, over those that every instance has.
    pub fn write_main(&self, settings: &[String]) {
        let name = |line: &String| line.split('=').next().unwrap_or_default().trim().to_owned();
        let given: Vec<String> = settings.iter().map(name).collect();
        let base = self.base.iter().filter(|line| !given.contains(&name(line))).cloned();
        let conf = self.conf().display().to_string();
        let settings = settings.iter().map(|line| line.replace("$CONF", &conf));
        write_old(&self.conf().join("main.cf"), &(base.chain(settings).collect::<Vec<_>>().join("\n") + "\n"));
    }

    /// A command of this instance, run to its end; its standard output.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.programs.run(name, &self.conf()).args(arguments).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|e| panic!("{name}: {e}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts the supervisor and waits until it has started, or has given up.
    pub fn start(&mut self, wrap: &str) {
        self.mark = self.network.log.count();
        let mut command = Command::new(self.programs.daemon("master"));
        command.arg("-c").arg(self.conf()).arg("-d").env_clear().envs(ENVIRONMENT).current_dir("/");
        command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        self.master = Some(spawn(command, wrap).unwrap_or_else(|e| panic!("master: {e}")));
        until_true(Duration::from_secs(10), || {
            self.status() != "running" || self.lines(0).iter().any(|line| line.contains("daemon started"))
        });
    }

    /// `running`, or the exit status.
    pub fn status(&mut self) -> String {
        match self.master.as_mut().map(Child::try_wait) {
            Some(Ok(None)) => "running".to_owned(),
            Some(Ok(Some(status))) => status.code().map_or("killed".to_owned(), |code| code.to_string()),
            _ => "not started".to_owned(),
        }
    }

    /// Tells the supervisor to read its configuration again.
    pub fn reload(&self) {
        if let Some(master) = &self.master {
            let _ = kill(pid(master), Signal::SIGHUP);
        }
    }

    /// How many log lines there are; for `log`.
    pub fn position(&self) -> usize {
        self.network.log.count() - self.mark
    }

    /// Log lines after a position, as they are.
    pub fn lines(&self, from: usize) -> Vec<String> {
        self.network.log.lines(self.mark + from)
    }

    /// Log lines after a position that are to be kept, without what differs from run to run, each once.
    pub fn log(&self, from: usize, keep: impl Fn(&str) -> bool) -> Vec<String> {
        let mut log = Vec::new();
        for line in self.lines(from).iter().filter(|line| keep(line)) {
            let line = self.clean(line);
            if !log.contains(&line) {
                log.push(line);
            }
        }
        log
    }

    fn clean(&self, line: &str) -> String {
        let folders = [(self.conf(), "$CONF"), (self.programs.daemons.clone(), "$D/libexec"), (self.queue(), "$QUEUE")];
        let line =
            folders.iter().fold(line.to_owned(), |line, (path, name)| line.replace(&path.display().to_string(), name));
        clean(&line)
    }
}

impl Drop for Instance<'_> {
    fn drop(&mut self) {
        if let Some(mut master) = self.master.take() {
            let _ = kill(pid(&master), Signal::SIGTERM);
            if !until_true(Duration::from_secs(5), || matches!(master.try_wait(), Ok(Some(_)))) {
                let _ = master.kill();
                let _ = master.wait();
            }
            let _ = killpg(pid(&master), Signal::SIGKILL);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap_or(i32::MAX))
}

/// A log line without process and queue ids, and ports of clients.
fn clean(line: &str) -> String {
    let line = match line.split_once("]: ") {
        Some((start, rest)) if start.rsplit_once('[').is_some_and(|(_, id)| id.bytes().all(|b| b.is_ascii_digit())) => {
            let name = start.rsplit_once('[').map_or(start, |(name, _)| name);
            format!("{name}: {rest}")
        }
        _ => line.to_owned(),
    };
    let relayed = line.contains("relay") || line.contains("connect to");
    let mut out = String::new();
    let mut rest = line.as_str();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let number = word.bytes().all(|byte| byte.is_ascii_digit()) && !word.is_empty();
        if word.len() >= 9 && word.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte)) {
            out.push_str("QID");
        } else if number && out.ends_with("pid ") {
            out.push_str("PID");
        } else if number && !relayed && word.len() >= 4 && out.ends_with("]:") && out.contains(".example[") {
            out.push_str("PORT");
        } else {
            out.push_str(word);
        }
        let next = after.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or(after.len());
        out.push_str(&after[..next]);
        rest = &after[next..];
    }
    out
}

fn make_folders(folder: &Path, accounts: &Accounts) {
    let _ = fs::remove_dir_all(folder);
    let make = |path: PathBuf, owner: Uid, group: Option<Gid>, mode: u32| {
        fs::create_dir_all(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        chown(&path, Some(owner), group).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mode = Permissions::from_mode(mode);
        fs::set_permissions(&path, mode).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    };
    make(folder.to_path_buf(), accounts.root_uid, None, 0o755);
    make(folder.join("conf"), accounts.root_uid, None, 0o755);
    make(folder.join("q"), accounts.root_uid, None, 0o755);
    make(folder.join("q/pid"), accounts.root_uid, None, 0o755);
    make(folder.join("d"), accounts.owner_uid, None, 0o700);
    for name in QUEUES {
        make(folder.join("q").join(name), accounts.owner_uid, None, 0o700);
    }
    make(folder.join("q/public"), accounts.owner_uid, Some(accounts.group_gid), 0o710);
    make(folder.join("q/maildrop"), accounts.owner_uid, Some(accounts.group_gid), 0o730);
}
