//! Commands that start, stop or tell master something.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use wire::verdict::Verdict;

use crate::instance::{Instance, NAME};
use crate::{check, layout, reindex};

/// A file that says that the last stop left nothing to repair (`quick-stop`).
const QUICK_START: &str = "quick-start";

/// How long master may take to judge a configuration: names in it may have to be looked up.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);

/// `start` and `start-fg`.
pub(crate) fn start(instance: &Instance, foreground: bool) -> Result<ExitCode, String> {
    if instance.is_running()? {
        return Err("the Postfix mail system is already running".to_owned());
    }
    let quick = fs::remove_file(instance.queue.join(QUICK_START)).is_ok();
    if !quick {
        if let Err(why) = check::fatal(instance) {
            logging::emit_text(logging::Severity::Fatal, format_args!("{why}"));
            return Err("Postfix integrity check failed!".to_owned());
        }
        reindex::make_missing(instance, NAME);
        check::warn(instance);
    }
    logging::info!("starting the Postfix mail system");
    logging::flush();
    let program = instance.daemons.join("master");
    let mut master = instance.command(&program);
    if !quick {
        // Master repeats nothing of it.
        master.env(config::TOLD, "1");
    }
    let failed = |error: std::io::Error| format!("{}: {}", program.display(), net::reason(&error));
    if foreground {
        let option = if std::process::id() == 1 { "-i" } else { "-s" };
        return Err(failed(master.arg(option).exec()));
    }
    if master.arg("-w").status().map_err(failed)?.success() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err("mail system startup failed".to_owned())
    }
}

/// `stop`: asks, waits, then forces.
pub(crate) fn stop(instance: &Instance) -> Result<ExitCode, String> {
    require_running(instance)?;
    logging::info!("stopping the Postfix mail system");
    signal(instance, Signal::SIGTERM)?;
    for _ in 0..5 {
        for _ in 0..10 {
            if !instance.is_running()? {
                return Ok(ExitCode::SUCCESS);
            }
            sleep(Duration::from_millis(100));
        }
        logging::info!("waiting for the Postfix mail system to terminate");
    }
    let pid = instance.master_pid()?;
    if pid == 1 {
        // No signal forces process 1, and its group as a number means every process there is.
        return Err("process 1 does not end".to_owned());
    }
    logging::warning!("stopping the Postfix mail system with force");
    // A group that is gone by now is what was wanted.
    let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    Ok(ExitCode::SUCCESS)
}

/// `quick-stop`: the next start skips the checks.
pub(crate) fn quick_stop(instance: &Instance) -> Result<ExitCode, String> {
    let code = stop(instance)?;
    let path = instance.queue.join(QUICK_START);
    // name: in the queue directory itself, which is root's.
    fs::write(&path, "").map_err(|error| format!("{}: {}", path.display(), net::reason(&error)))?;
    Ok(code)
}

/// `drain`: master goes at once, workers end when their clients are served.
pub(crate) fn drain(instance: &Instance) -> Result<ExitCode, String> {
    require_running(instance)?;
    logging::info!("stopping the Postfix mail system");
    signal(instance, Signal::SIGKILL)?;
    Ok(ExitCode::SUCCESS)
}

/// `abort`: everything ends at once.
pub(crate) fn abort(instance: &Instance) -> Result<ExitCode, String> {
    require_running(instance)?;
    logging::info!("aborting the Postfix mail system");
    signal(instance, Signal::SIGTERM)?;
    Ok(ExitCode::SUCCESS)
}

/// `reload`: master reads and judges the configuration; its reason to refuse is ours.
pub(crate) fn reload(instance: &Instance) -> Result<ExitCode, String> {
    require_running(instance)?;
    logging::info!("refreshing the Postfix mail system");
    layout::create_missing(instance)?;
    reindex::make_missing(instance, NAME);
    let _turn = one_at_a_time(instance)?;
    let before = Verdict::read(&instance.queue);
    signal(instance, Signal::SIGHUP)?;
    let deadline = Instant::now() + RELOAD_PATIENCE;
    while Instant::now() < deadline {
        match Verdict::read(&instance.queue) {
            Some(verdict) if before.as_ref() != Some(&verdict) => {
                return match verdict.refused {
                    None => {
                        check::report(instance);
                        Ok(ExitCode::SUCCESS)
                    }
                    Some(why) => Err(format!("reload refused, the running configuration stays in force: {why}")),
                };
            }
            _ => sleep(Duration::from_millis(5)),
        }
    }
    Err("master does not say whether it has reloaded -- see its log".to_owned())
}

/// Who reloads at the same time waits, so that each gets the verdict on his own reload.
fn one_at_a_time(instance: &Instance) -> Result<Flock<fs::File>, String> {
    let path = instance.queue.join("pid");
    let failed = |why: String| format!("lock {}: {why}", path.display());
    // name: in the queue directory itself, which is root's.
    let directory = fs::File::open(&path).map_err(|error| failed(net::reason(&error)))?;
    Flock::lock(directory, FlockArg::LockExclusive).map_err(|(_, error)| failed(error.desc().to_owned()))
}

/// `flush`: deliver all queued mail now.
pub(crate) fn flush(instance: &Instance) -> Result<ExitCode, String> {
    let status = instance.run(&instance.commands.join("postqueue"), &["-f"])?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}

/// `status`.
pub(crate) fn status(instance: &Instance) -> Result<ExitCode, String> {
    if instance.is_running()? {
        logging::info!("the Postfix mail system is running: PID: {}", instance.master_pid()?);
        Ok(ExitCode::SUCCESS)
    } else {
        logging::info!("the Postfix mail system is not running");
        Ok(ExitCode::FAILURE)
    }
}

/// Sends master a signal.
pub(crate) fn signal(instance: &Instance, signal: Signal) -> Result<(), String> {
    let pid = instance.master_pid()?;
    kill(Pid::from_raw(pid), signal).map_err(|error| format!("signal process {pid}: {error}", error = error.desc()))
}

fn require_running(instance: &Instance) -> Result<(), String> {
    if instance.is_running()? { Ok(()) } else { Err("the Postfix mail system is not running".to_owned()) }
}
