//! From exec to the event loop.

use std::fs::OpenOptions;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::master_cf::MasterCf;
use config::{Accounts, Config, Terminal, param};
use logging::records::master::{Started, Terminating};
use net::presence::Changes;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::unistd::{getpgrp, getpid, setsid};
use sys::identity::{Identity, is_root};

use crate::accepted::Accepted;
use crate::arguments::Arguments;
use crate::background::{self, Report};
use crate::child::{Nursery, clean_environment};
use crate::listener::{self, as_owner};
use crate::lockfile::LockFile;
use crate::plan::Plan;
use crate::reload::{read_main_cf, version};
use crate::supervisor::Supervisor;
use crate::timer::Event;

/// The lock file that says that a master runs here, below the queue directory.
const PID_FILE: &str = "pid/master.pid";

/// Runs master; the result is its exit status.
pub(crate) fn run() -> ExitCode {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    logging::set_program("master");
    let mut report = Report::inherited();
    match start(&mut report) {
        Ok(code) => {
            logging::finish();
            code
        }
        Err(why) => {
            logging::emit_text(logging::Severity::Fatal, format_args!("{why}"));
            logging::finish();
            // Who has started us hears it too: by standard error as long as it is open, or through the parent.
            eprintln!("master: fatal: {}", text::printable(why.as_bytes()));
            report.failed(&why);
            ExitCode::FAILURE
        }
    }
}

fn start(report: &mut Report) -> Result<ExitCode, String> {
    let arguments = Arguments::parse(std::env::args_os().skip(1))?;
    let directory = directory(&arguments);
    let (config, text) = read_with_log(&directory)?;
    let queue = config.get(param::QUEUE_DIRECTORY).map_err(|error| error.to_string())?;
    authorize(Path::new(&queue))?;
    std::env::set_current_dir(&queue).map_err(|error| format!("chdir {}: {}", queue.display(), net::reason(&error)))?;
    let pid_file = Path::new(PID_FILE);
    if arguments.test_lock {
        let held = sys::lock::is_held(pid_file);
        let held = held.map_err(|error| format!("open lock file {PID_FILE}: {}", net::reason(&error)))?;
        return Ok(if held { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    if arguments.wait && !report.is_awaited() {
        // inet_interfaces_wait
        let addresses = config.get(param::INET_INTERFACES_WAIT).map_err(|error| error.to_string())?;
        return background::start_and_wait(addresses);
    }
    detach(&arguments)?;
    let owner = owner(&config)?;
    let (_pid, _data) = take_locks(&config, pid_file, &owner)?;
    if let Some(why) = config.unusable_place() {
        return Err(why);
    }
    let mut master = prepare(&arguments, config, owner)?;
    master.accepted = Accepted::new(&text);
    // It was about an earlier master.
    let _ = std::fs::remove_file(wire::verdict::FILE);
    logging::emit(&Started { version: version(&master.config), configuration: directory.display().to_string() });
    if let Some(missing) = sandbox::missing() {
        logging::warning!("{missing}");
    }
    if !arguments.foreground {
        leave_standard_error()?;
    }
    report.ready(&master.missing_addresses());
    let signal = master.run().map_err(|error| format!("event loop: {error}", error = text::system_error(&error)))?;
    end(&mut master, signal);
    Ok(ExitCode::SUCCESS)
}

/// Main.cf with its text, and the log that it names. One that cannot be used names a log all the same, if it can be
/// read.
fn read_with_log(directory: &Path) -> Result<(Config, Vec<u8>), String> {
    let read = read_main_cf(directory);
    let readable = || Config::load_readable(directory).ok();
    if let Some(config) = read.as_ref().ok().map(|(config, _)| config.clone()).or_else(readable) {
        config.set_up_log("master", Terminal::Nothing).map_err(|error| error.to_string())?;
    }
    read
}

fn prepare(arguments: &Arguments, config: Config, owner: Identity) -> Result<Supervisor, String> {
    // Queue files and logs may grow beyond what the caller's shell allows.
    let _ = setrlimit(Resource::RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY);
    let _ = sys::privilege::raise_descriptor_limit();
    let directory = config.directory().to_path_buf();
    let text = |error: config::ValueError| error.to_string();
    let (read, write) = flow_pipe().map_err(|error| format!("pipe: {error}", error = text::system_error(&error)))?;
    let import = config.get(param::IMPORT_ENVIRONMENT).map_err(text)?;
    let mut environment = clean_environment(&import, |name| std::env::var_os(name));
    environment.retain(|(name, _)| name != config::MAIL_CONFIG);
    environment.push((config::MAIL_CONFIG.into(), directory.into()));
    let nursery = Nursery {
        programs: config.get(param::DAEMON_DIRECTORY).map_err(text)?,
        environment,
        flow: (read, write),
        keep_stdout: arguments.keep_stdout || arguments.init || arguments.foreground,
        foreground: arguments.foreground,
        verbose: arguments.verbose,
        generation: 0,
    };
    // Lines wait until the socket of the log service is there.
    logging::batch(|| {});
    let master_cf = MasterCf::load(&listener::master_cf(&config), &config).map_err(|error| error.to_string())?;
    // From now on no address comes without word.
    let changes = Changes::open().ok();
    let plan = Plan::make(config.clone(), master_cf, &owner, None)?;
    let mut master = Supervisor::new(config, owner, nursery, arguments.init, changes)
        .map_err(|error| format!("event loop: {error}", error = text::system_error(&error)))?;
    plan.carry_out(&mut master);
    logging::end_batch();
    if let Some(time) = arguments.exit_after {
        master.timers.after(time, Event::Exit);
    }
    Ok(master)
}

fn directory(arguments: &Arguments) -> PathBuf {
    arguments.directory.clone().unwrap_or_else(Config::default_directory)
}

/// Root, or a user with a mail system of his own.
fn authorize(queue: &Path) -> Result<(), String> {
    if is_root() {
        return Ok(());
    }
    let owner = std::fs::metadata(queue).map(|metadata| metadata.uid()).ok();
    if owner == Some(nix::unistd::geteuid().as_raw()) {
        return Ok(());
    }
    Err("the master command is reserved for the superuser".to_owned())
}

/// The pipe whose bytes are the tokens of flow control; whoever reads or writes one waits for nobody.
fn flow_pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = std::io::pipe()?;
    let (read, write) = (OwnedFd::from(read), OwnedFd::from(write));
    sys::descriptor::set_nonblocking(read.as_fd(), true)?;
    sys::descriptor::set_nonblocking(write.as_fd(), true)?;
    Ok((read, write))
}

/// Leaves the terminal: standard input and output to /dev/null, a session of our own. Standard error stays until all is
/// well.
fn detach(arguments: &Arguments) -> Result<(), String> {
    if arguments.foreground {
        return Ok(());
    }
    let null = null()?;
    let replace =
        |result: nix::Result<()>| result.map_err(|error| format!("standard streams: {error}", error = error.desc()));
    replace(nix::unistd::dup2_stdin(&null))?;
    if !arguments.keep_stdout && !arguments.init {
        replace(nix::unistd::dup2_stdout(&null))?;
    }
    if !arguments.init && !arguments.debug && setsid().is_err() && getpgrp() != getpid() {
        return Err("unable to set session and process group ID".to_owned());
    }
    Ok(())
}

fn leave_standard_error() -> Result<(), String> {
    nix::unistd::dup2_stderr(null()?).map_err(|error| format!("standard streams: {error}", error = error.desc()))
}

fn null() -> Result<std::fs::File, String> {
    // name: of a device of root's.
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    null.map_err(|error| format!("open /dev/null: {}", net::reason(&error)))
}

fn owner(config: &Config) -> Result<Identity, String> {
    if !is_root() {
        return Ok(Identity::current());
    }
    let accounts = Accounts::read(config).map_err(|error| error.to_string())?;
    // waits: at start
    Identity::of_account(&accounts.mail_owner)
        .map_err(|error| format!("parameter mail_owner: {}", text::system_error(&error)))
}

fn take_locks(config: &Config, pid_file: &Path, owner: &Identity) -> Result<(LockFile, LockFile), String> {
    let name = |lock: &LockFile| {
        lock.name_process().map_err(|error| format!("write lock file: {error}", error = text::system_error(&error)))
    };
    let pid = LockFile::take(pid_file)?;
    name(&pid)?;
    let data = config.get(param::DATA_DIRECTORY).map_err(|error| error.to_string())?;
    let path = Path::new(&data).join("master.lock");
    let lock = as_owner(owner, || LockFile::take(&path).map_err(std::io::Error::other))
        .map_err(|error| text::system_error(&error))?;
    name(&lock)?;
    Ok((pid, lock))
}

fn end(master: &mut Supervisor, signal: Option<i32>) {
    logging::emit(&Terminating { signal: signal.map(i32::unsigned_abs) });
    logging::flush();
    master.end_all();
    if let (Some(signal), false) = (signal, master.init) {
        // Die of the signal, so that the parent sees why.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
}
