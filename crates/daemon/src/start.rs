//! From exec to the first client: one order for all daemons.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use config::arguments::Arguments;
use config::{Accounts, Config, Param, Terminal, param, settled};
use logging::library::{self, Wanted};
use nix::errno::Errno;
use sys::identity::{Identity, become_for_good, is_root};
use sys::process::Ignored;
use sys::watchdog;
use tokio::runtime::{LocalOptions, LocalRuntime};
use wire::status::{LAST, MAIN_CF, MAIN_CF_REFUSED, SESSION_LIMIT, clients_for, descriptors};

use crate::Worker;
use crate::context::{Context, Flow, Tables};
use crate::porter;
use crate::sandbox::needs;
use crate::service::{Lifetime, Privilege, Service, Skeleton};
use crate::sessions::{Limits, Sockets, Transport, batch_log, log_panics, serve};
use crate::turns::Counter;

#[cfg(test)]
pub(crate) mod tests;

/// Why a daemon cannot start. Display is the text behind `fatal: `.
#[derive(Debug)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StartError {
    /// An error with this sentence.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Any error whose Display is a whole sentence can end a start.
impl<E: std::error::Error + 'static> From<E> for StartError {
    fn from(error: E) -> Self {
        let of_system = (&error as &(dyn std::error::Error + 'static)).downcast_ref();
        Self(of_system.map_or_else(|| error.to_string(), text::system_error))
    }
}

/// Runs a daemon from the first line of `main` to its end; the result is the exit status that master sees. The porters
/// of daemons are the same programs.
pub fn run<W: Worker>(service: &'static Service) -> ExitCode {
    if let Some(status) = porter::run_as_porter(service.name) {
        return status;
    }
    log_panics();
    logging::set_program(&log_name(service));
    match start::<W>(service) {
        Ok(()) => {
            logging::finish();
            ExitCode::SUCCESS
        }
        Err(error) => {
            logging::emit_text(logging::Severity::Fatal, format_args!("{error}"));
            logging::finish();
            // A daemon that fails at once is not started again at once. waits: it serves nobody any more
            std::thread::sleep(Duration::from_secs(1));
            ExitCode::FAILURE
        }
    }
}

/// The name in log lines: the one that the program was called by, as in Postfix, where master.cf has several for one.
fn log_name(service: &Service) -> String {
    let called = config::process_name();
    if called.is_empty() { service.name.to_owned() } else { called }
}

/// Gives up identity and powers as the service's constant says. The root directory of every worker is the queue
/// directory, whatever master.cf says: what it needs from elsewhere is open by now, or its porter's to reach. Where the
/// kernel refuses (a container without that right) a worker goes on without, unless master.cf wants it; master has said
/// so.
fn confine(service: &'static Service, config: &Config, chroot: bool) -> Result<(), StartError> {
    let walls = sandbox::Walls::prepare(&needs(service, config))?;
    let is_root_started = is_root();
    if let Some(owner) = mail_owner(config)? {
        match nix::unistd::chroot(".") {
            Ok(()) => std::env::set_current_dir("/")?,
            Err(Errno::EPERM) if !chroot => {}
            Err(error) => return Err(StartError(format!("chroot: {}", error.desc()))),
        }
        become_for_good(&owner)
            .map_err(|error| StartError(format!("set uid {}: {}", owner.uid, text::system_error(&error))))?;
    }
    sys::privilege::drop_capabilities()?;
    sys::privilege::forbid_new_privileges()?;
    // Not where the caller's own processes count.
    if is_root_started {
        sys::privilege::limit_processes(if service.threads { MOST_PROCESSES } else { 0 })?;
    }
    walls.close()?;
    Ok(())
}

/// Whose rights a worker has; nobody's but its own when it was not started as root.
pub(crate) fn mail_owner(config: &Config) -> Result<Option<Identity>, StartError> {
    if !is_root() {
        return Ok(None);
    }
    // waits: before the first client
    Ok(Some(Identity::of_account(&Accounts::read(config)?.mail_owner)?))
}

fn start<W: Worker>(service: &'static Service) -> Result<(), StartError> {
    sys::process::ignore(Ignored::FileSize);
    if service.skeleton == Skeleton::Datagram {
        sys::process::ignore(Ignored::Terminate);
    }
    let (arguments, config, terminal) = understand(service)?;
    let transport = check(service, &arguments)?;
    let queue_directory = config.get(param::QUEUE_DIRECTORY)?;
    std::env::set_current_dir(&queue_directory).map_err(|error| {
        StartError(format!("chdir {}: {error}", queue_directory.display(), error = text::system_error(&error)))
    })?;
    logging::set_up(below(&queue_directory, config.log_setup(&log_name(service), terminal)));
    let (sockets, flow) = take_over(&arguments, transport)?;
    // Open until the process ends if it does not get as far as serving: master takes the end of the channel for a
    // worker on its way out, and would start one after the other while this one waits before it exits.
    let held = ManuallyDrop::new(sockets.status.as_ref().map(OwnedFd::try_clone).transpose()?);
    net::idna::use_old_rules(config.get(param::ENABLE_IDNA2003_COMPATIBILITY)?);
    // Zone data is read once, while the file system is in reach.
    sys::time::local(0);
    let descriptors = sys::privilege::raise_descriptor_limit().unwrap_or(u64::MAX);
    let mut context = context(service, config, &arguments, queue_directory, flow)?;
    if service.skeleton == Skeleton::Sessions {
        // More clients wait outside: master tells of it.
        context.session_limit = context.session_limit.min(clients_for(descriptors));
    }
    let limits = limits(&context)?;
    if service.skeleton == Skeleton::Shared {
        context.session_limit = clients_for(descriptors);
    }
    listen_to_libraries(&context)?;
    if std::env::var_os(LAST).is_some() {
        context.empty();
    }
    let context = Rc::new(context);
    if !W::REFUSES
        && let Some(withheld) = context.config.withheld(service.name).first()
    {
        let name = withheld.name;
        return Err(StartError(format!("{name} is not implemented: {} does not serve while it is set", service.name)));
    }
    // ipc_idle, ipc_ttl
    ipc::keep_connections(context.config.get(param::IPC_IDLE)?, context.config.get(param::IPC_TTL)?);
    let worker = Rc::new(W::start(&context)?);
    context.serve_tables()?;
    let turns = Counter::new();
    confine(service, &context.config, arguments.chroot)?;
    let runtime = runtime(turns)?;
    drop(ManuallyDrop::into_inner(held));
    let watchdog = context.config.get(watchdog_of(service))?;
    runtime.block_on(async move {
        batch_log();
        tokio::task::spawn_local(feed_watchdog(watchdog));
        tokio::task::spawn_local(ipc::close_unused());
        serve(worker, context, service, sockets, limits).await
    })?;
    Ok(())
}

/// What libraries tell of their work is for who looks for something: with -v all of it, with debug_peer_list that of
/// sessions with such peers.
fn listen_to_libraries(context: &Context) -> Result<(), StartError> {
    if context.verbose > 0 {
        library::listen(Wanted::All);
    } else if !context.config.get(param::DEBUG_PEER_LIST)?.is_empty() {
        library::listen(Wanted::OfPeers);
    }
    Ok(())
}

/// One thread for all sessions; those that wait for the disk are few.
fn runtime(turns: Counter) -> std::io::Result<LocalRuntime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(BLOCKING_THREADS);
    turns.watch(&mut builder);
    builder.build_local(LocalOptions::default())
}

/// Threads of a worker that wait for the disk at the same time; more work waits for one of them.
const BLOCKING_THREADS: usize = 64;
/// Processes and threads that the user of the mail system may have, as far as one with threads is concerned.
/// told: the process, by the error of fork.
pub(crate) const MOST_PROCESSES: u64 = 8192;

/// The command line and main.cf, with the log set up before anything of them is refused: the reason is for the
/// operator.
fn understand(service: &Service) -> Result<(Arguments, Config, Terminal), StartError> {
    let parsed = Arguments::parse(std::env::args_os().skip(1));
    let terminal = match &parsed {
        Ok(arguments) if arguments.log_to_terminal => Terminal::Alone,
        _ => Terminal::Nothing,
    };
    let loaded = load(service, parsed.as_ref().ok());
    let readable = || Config::load_readable(&Config::default_directory()).ok();
    if let Some(config) = loaded.as_ref().ok().cloned().or_else(readable) {
        logging::set_up(config.log_setup(&log_name(service), terminal));
    }
    let (arguments, config) = (parsed?, loaded?);
    config.log_file()?;
    arguments.refuse_words(service.name)?;
    config.check_names()?;
    if arguments.debug {
        debug(&config)?;
    }
    Ok((arguments, config, terminal))
}

/// debugger_command, for `-D`: it has its time to look at this process before that goes on.
fn debug(config: &Config) -> Result<(), StartError> {
    let command: String = config.get(param::DEBUGGER_COMMAND)?;
    if command.is_empty() {
        logging::warning!("-D: there is no debugger_command");
        return Ok(());
    }
    logging::info!("running: {}", text::printable(command.as_bytes()));
    let mut shell = std::process::Command::new("/bin/sh");
    // waits: this process serves nobody yet.
    let status = shell.args(["-c", &command]).stdin(std::process::Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            logging::warning!("debugger_command: {status}");
            Ok(())
        }
        Err(error) => Err(StartError(format!("debugger_command: /bin/sh: {}", net::reason(&error)))),
    }
}

/// The log service by a path that also leads to it from a changed root directory: the working directory is the queue.
fn below(queue_directory: &Path, mut setup: logging::Setup) -> logging::Setup {
    for destination in &mut setup.destinations {
        if let logging::Destination::Postlog(path, _) = destination
            && let Ok(relative) = path.strip_prefix(queue_directory)
        {
            *path = relative.to_path_buf();
        }
    }
    setup
}

fn load(service: &Service, arguments: Option<&Arguments>) -> Result<Config, StartError> {
    let mut overrides = arguments.map(|it| it.overrides.clone()).unwrap_or_default();
    // Master does not say a name that is the program's.
    let name = arguments.and_then(|it| it.name.clone()).unwrap_or_else(|| service.name.to_owned());
    overrides.push(("service_name".to_owned(), name));
    let directory = Config::default_directory();
    let accepted = match std::env::var(MAIN_CF).ok().and_then(|number| number.parse().ok()) {
        None => return Ok(Config::load(&directory, &overrides)?),
        Some(number) => read_whole(number)?,
    };
    if std::env::var_os(MAIN_CF_REFUSED).is_none()
        && let Ok(Some(on_disk)) = settled::try_read(&directory.join("main.cf"), QUIET)
    {
        let config = Config::parse(&on_disk, &directory, &overrides);
        let is_sound = || config.as_ref().is_ok_and(|config| !config.has_fatal_value());
        // Nobody has accepted a main.cf that was edited since, and nobody must die of it.
        if on_disk == accepted || is_sound() {
            return Ok(config?);
        }
    }
    Ok(Config::parse(&accepted, &directory, &overrides)?)
}

/// For how long nobody may have touched a main.cf that a new worker reads, though it was not accepted.
const QUIET: Duration = Duration::from_secs(2);

/// What an inherited descriptor has from its start, without moving its position: other workers have the same one.
fn read_whole(number: i32) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::from(sys::descriptor::inherit(number)?);
    let mut content = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(0)];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}

/// The demands that a program makes on its master.cf entry, with Postfix's texts.
fn check(service: &Service, arguments: &Arguments) -> Result<Transport, StartError> {
    let failed = |text: String| Err(StartError(text));
    let name = arguments.name.as_deref().unwrap_or(service.name);
    if arguments.standard_io {
        return Ok(Transport::Unix);
    }
    let transport = match arguments.transport.as_deref() {
        None => return failed("no transport type specified".to_owned()),
        Some("inet") => Transport::Inet,
        Some("unix") => Transport::Unix,
        Some("unix-dgram") => Transport::Datagram,
        Some(other) => return failed(format!("unsupported transport type: {other}")),
    };
    if service.privilege == Privilege::Delivers && arguments.unprivileged && is_root() {
        return failed(format!("service {name} requires privileged operation"));
    }
    match service.skeleton {
        Skeleton::Solitary | Skeleton::Trigger | Skeleton::Datagram if !arguments.alone => {
            failed(format!("service {name} requires a process limit of 1"))
        }
        Skeleton::Unlimited if !arguments.unlimited => failed(format!("service {name} requires a process limit of 0")),
        _ => Ok(transport),
    }
}

fn take_over(arguments: &Arguments, transport: Transport) -> Result<(Sockets, Option<Flow>), StartError> {
    if arguments.standard_io {
        let client = std::io::stdin().as_fd().try_clone_to_owned()?;
        return Ok((Sockets { listeners: Vec::new(), status: None, transport, standard_io: Some(client) }, None));
    }
    let by_hand = |_| StartError("do not run this command by hand".to_owned());
    let status = sys::descriptor::inherit(descriptors::STATUS).map_err(by_hand)?;
    sys::descriptor::set_nonblocking(status.as_fd(), true)?;
    let read = sys::descriptor::inherit(descriptors::FLOW_READ).map_err(by_hand)?;
    let write = sys::descriptor::inherit(descriptors::FLOW_WRITE).map_err(by_hand)?;
    let first = descriptors::FIRST_LISTENER;
    let listeners = (first..first + i32::from(arguments.listeners))
        .map(sys::descriptor::inherit)
        .collect::<std::io::Result<Vec<OwnedFd>>>()
        .map_err(by_hand)?;
    let sockets = Sockets { listeners, status: Some(status), transport, standard_io: None };
    Ok((sockets, Some(Flow::new(read, write))))
}

/// When the worker ends by itself. max_use is for each of the places that it has, so that it gets as old as a process
/// with one.
fn limits(context: &Context) -> Result<Limits, StartError> {
    let max_idle = context.config.get(param::MAX_IDLE)?;
    let max_use: u64 = context.config.read(param::MAX_USE)?;
    Ok(match context.service.lifetime {
        Lifetime::Limited => Limits { max_idle, max_use: max_use.saturating_mul(context.session_limit as u64) },
        Lifetime::Remembers(time) => {
            let time = context.config.get(time)?;
            Limits { max_idle: if max_idle.is_zero() { max_idle } else { max_idle.max(time) }, max_use: 0 }
        }
        Lifetime::Keeps(map) if !context.config.get(map)?.trim().is_empty() => Limits { max_idle, max_use: 0 },
        Lifetime::Keeps(_) | Lifetime::Endless => Limits { max_idle: Duration::ZERO, max_use: 0 },
    })
}

pub(crate) fn context(
    service: &'static Service,
    config: Config,
    arguments: &Arguments,
    queue_directory: PathBuf,
    flow: Option<Flow>,
) -> Result<Context, StartError> {
    let session_limit = match service.skeleton {
        Skeleton::Sessions | Skeleton::Shared | Skeleton::Unlimited => {
            std::env::var(SESSION_LIMIT).ok().and_then(|text| text.parse().ok()).unwrap_or(100)
        }
        // The process limit of 1 says that there is one process, which serves every client.
        Skeleton::Solitary | Skeleton::Trigger | Skeleton::Datagram => usize::MAX,
    };
    let stress = arguments.overrides.iter().any(|(name, value)| name == "stress" && !value.is_empty());
    Ok(Context {
        protocols: protocols(&config)?,
        service_name: arguments.name.clone().unwrap_or_else(|| service.name.to_owned()),
        program: service.name,
        words: arguments.words.clone(),
        queue_directory,
        verbose: arguments.verbose,
        session_limit: std::cmp::max(session_limit, 1),
        stress: Cell::new(stress),
        flow: RefCell::new(flow),
        tables: Tables::default(),
        draining: tokio::sync::watch::Sender::new(false),
        emptying: Cell::new(false),
        service,
        chroot: arguments.chroot,
        porter: OnceCell::new(),
        of_tables: OnceCell::new(),
        config,
    })
}

/// The families of inet_protocols that the kernel has; what it lacks is logged.
fn protocols(config: &Config) -> Result<net::Protocols, StartError> {
    let (protocols, warnings) = config.probe_protocols().map_err(|error| StartError::new(error.to_string()))?;
    for warning in warnings {
        logging::warning!("{warning}");
    }
    Ok(protocols)
}

/// How often the watchdog is fed. Shorter than nearly every other timer on purpose: a timer that would be the next to
/// run out costs two system calls when it is set, a later one costs none.
const FEED: Duration = Duration::from_secs(60);

/// How long the loop of a service may stand still: where all mail or all lines wait, there is a limit of its own.
fn watchdog_of(service: &Service) -> Param<Duration> {
    match service.name {
        "qmgr" => param::QMGR_DAEMON_TIMEOUT,
        "postlogd" => param::POSTLOGD_WATCHDOG_TIMEOUT,
        _ => param::DAEMON_TIMEOUT,
    }
}

/// A loop that does not turn for so long is the end of the process.
async fn feed_watchdog(timeout: Duration) {
    let seconds = u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
    watchdog::watch(seconds, too_late);
    let pause = Duration::from_secs(u64::from(watchdog::interval(seconds))).min(FEED);
    loop {
        watchdog::feed();
        // Lines that were repeated, and are not any more.
        logging::flush();
        tokio::time::sleep(pause).await;
    }
}

/// The last words of a worker that hangs.
fn too_late() {
    logging::emit_text(logging::Severity::Fatal, format_args!("watchdog timeout"));
    logging::finish();
    // A service that hangs at once is not started again at once. waits: it serves nobody any more
    std::thread::sleep(Duration::from_secs(1));
}
