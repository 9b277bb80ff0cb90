//! The mail system that a configuration directory describes.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use config::{Config, Terminal, param};

/// A mail system: where its parts are.
pub(crate) struct Instance {
    pub config: Config,
    pub queue: PathBuf,
    pub daemons: PathBuf,
    pub commands: PathBuf,
    pub data: PathBuf,
}

impl Instance {
    /// Reads main.cf and checks that the caller may control this mail system. For `reload`, main.cf may be one that
    /// cannot be used: to say so is the business of the master that is found by the rest of it.
    pub(crate) fn open(directory: &Path, command: &str) -> Result<Self, String> {
        let config = open_config(directory, command)?;
        let text = |error: config::ValueError| error.to_string();
        let instance = Self {
            queue: config.get(param::QUEUE_DIRECTORY).map_err(text)?,
            daemons: config.get(param::DAEMON_DIRECTORY).map_err(text)?,
            commands: config.get(param::COMMAND_DIRECTORY).map_err(text)?,
            data: config.get(param::DATA_DIRECTORY).map_err(text)?,
            config,
        };
        instance.authorize()?;
        instance.note_old_level();
        // A queue that is not where main.cf says is not made there.
        std::env::set_current_dir(&instance.queue)
            .map_err(|error| format!("chdir({}): {}", instance.queue.display(), net::reason(&error)))?;
        Ok(instance)
    }

    /// The same mail system, were these settings in its main.cf.
    pub(crate) fn with(&self, settings: &[(String, String)]) -> Self {
        let config = settings.iter().fold(self.config.clone(), |config, (name, value)| config.with(name, value));
        Self {
            config,
            queue: self.queue.clone(),
            daemons: self.daemons.clone(),
            commands: self.commands.clone(),
            data: self.data.clone(),
        }
    }

    /// Every command says so, under the name of the command itself, when the configuration is written for an older
    /// version.
    fn note_old_level(&self) {
        if self.config.compatibility_level() >= config::CURRENT_LEVEL {
            return;
        }
        logging::set_program("postfix");
        logging::info!("Postfix is using backwards-compatible default settings");
        logging::info!("See https://www.postfix.org/COMPATIBILITY_README.html for details");
        let level = config::CURRENT_LEVEL;
        logging::info!(
            "To disable backwards compatibility use \"postconf compatibility_level={level}\" and \"postfix reload\""
        );
        logging::set_program(NAME);
    }

    fn authorize(&self) -> Result<(), String> {
        let owner = std::fs::metadata(&self.queue).map(|metadata| metadata.uid()).ok();
        if sys::identity::is_root() || owner == Some(nix::unistd::geteuid().as_raw()) {
            return Ok(());
        }
        logging::error!("to submit mail, use the Postfix sendmail command");
        Err("the postfix command is reserved for the superuser".to_owned())
    }

    /// A command of the mail system for this instance; it finds the configuration in its environment.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env(config::MAIL_CONFIG, self.config.directory())
            .env("PATH", "/bin:/usr/bin:/sbin:/usr/sbin")
            .env("MAIL_LOGTAG", self.config.lookup("syslog_name").ok().flatten().unwrap_or_default())
            .current_dir(&self.queue);
        command
    }

    /// Runs a command and waits for it.
    pub(crate) fn run(&self, program: &Path, arguments: &[&str]) -> Result<ExitStatus, String> {
        let status = self.command(program).args(arguments).status();
        status.map_err(|error| format!("{}: {}", program.display(), net::reason(&error)))
    }

    /// Whether a master holds the lock of this instance.
    pub(crate) fn is_running(&self) -> Result<bool, String> {
        let path = self.queue.join("pid/master.pid");
        let held = sys::lock::is_held(&path);
        held.map_err(|error| format!("open lock file {}: {}", path.display(), net::reason(&error)))
    }

    /// The process that the lock file names; in a container that may be process 1.
    pub(crate) fn master_pid(&self) -> Result<i32, String> {
        let path = self.queue.join("pid/master.pid");
        // name: in root's directory.
        let text =
            std::fs::read_to_string(&path).map_err(|error| format!("{}: {}", path.display(), net::reason(&error)))?;
        let pid = text.lines().next().unwrap_or_default().trim().parse().ok();
        pid.filter(|pid| *pid > 0).ok_or_else(|| format!("{}: no process id", path.display()))
    }
}

/// Under which lines of this program stand in the log, as those of Postfix's control script do.
pub(crate) const NAME: &str = "postfix-script";

/// Main.cf, with the log under the name that Postfix's control script has, and standard error.
fn open_config(directory: &Path, command: &str) -> Result<Config, String> {
    let config = match command {
        // A system whose log cannot be written can be looked at and stopped, but not started.
        "reload" | "stop" | "quick-stop" | "drain" | "abort" | "status" | "flush" => {
            let config = match command {
                "reload" => Config::load_readable(directory),
                _ => Config::load(directory, &[]),
            };
            config.inspect(|config| {
                if let Err(error) = config.set_up_log(NAME, Terminal::Also) {
                    logging::warning!("{error}");
                }
            })
        }
        _ => Config::load_with_log(directory, NAME, Terminal::Also),
    };
    config.map_err(|error| error.to_string())
}
