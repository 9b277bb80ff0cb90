//! What main.cf says to this agent.

use std::time::Duration;

use address::Delimiters;
use config::{Config, ValueError, param};
use ipc::carrier::Lock;

/// Settings, read once.
pub struct Settings {
    /// myhostname.
    pub hostname: String,
    /// recipient_delimiter, owner_request_special.
    pub delimiters: Delimiters,
    /// owner_request_special: `owner-NAME` takes the place of the sender.
    pub owner_aliases: bool,
    /// expand_owner_alias.
    pub expand_owner: bool,
    /// reset_owner_alias.
    pub reset_owner: bool,
    /// frozen_delivered_to.
    pub frozen_delivered_to: bool,
    /// enable_original_recipient.
    pub original_recipient: bool,
    /// prepend_delivered_header: file, command, forward.
    pub delivered_to: Contexts,
    /// allow_mail_to_commands.
    pub commands: Sources,
    /// allow_mail_to_files.
    pub files: Sources,
    /// forward_path, unexpanded.
    pub forward_path: String,
    /// home_mailbox.
    pub home_mailbox: String,
    /// mail_spool_directory.
    pub spool_directory: String,
    /// mailbox_command, as written.
    pub mailbox_command: String,
    /// mailbox_transport.
    pub mailbox_transport: String,
    /// fallback_transport.
    pub fallback_transport: String,
    /// luser_relay, unexpanded.
    pub luser_relay: String,
    /// How mailboxes are locked and how large they may become.
    pub mailbox: Mailboxes,
    /// How commands are run.
    pub command: Commands,
    /// duplicate_filter_limit.
    pub duplicate_limit: usize,
    /// forward_expansion_filter.
    pub forward_filter: String,
}

/// Where a Delivered-To: header is written.
pub struct Contexts {
    /// Mailboxes and files.
    pub file: bool,
    /// Commands.
    pub command: bool,
    /// Messages sent on.
    pub forward: bool,
}

/// Which lists may name commands or files.
pub struct Sources {
    /// alias_maps.
    pub alias: bool,
    /// .forward.
    pub forward: bool,
    /// :include:.
    pub include: bool,
}

/// Mailbox files.
pub struct Mailboxes {
    /// mailbox_delivery_lock.
    pub locks: Vec<Lock>,
    /// deliver_lock_attempts.
    pub attempts: u32,
    /// deliver_lock_delay.
    pub delay: Duration,
    /// stale_lock_time.
    pub stale: Duration,
    /// mailbox_size_limit, bytes; 0: none.
    pub size_limit: u64,
    /// strict_mailbox_ownership.
    pub strict: bool,
}

/// Commands.
pub struct Commands {
    /// local_command_shell, split into words.
    pub shell: Vec<String>,
    /// command_time_limit.
    pub time_limit: Duration,
    /// command_expansion_filter.
    pub filter: String,
    /// command_execution_directory, unexpanded.
    pub directory: String,
    /// execution_directory_expansion_filter.
    pub directory_filter: String,
    /// export_environment, with the values of this process.
    pub environment: Vec<(String, String)>,
}

impl Settings {
    /// Reads the settings.
    pub fn read(config: &Config) -> Result<Self, ValueError> {
        let delivered = config.get(param::PREPEND_DELIVERED_HEADER)?;
        let owner_aliases = config.get(param::OWNER_REQUEST_SPECIAL)?;
        Ok(Settings {
            hostname: config.get(param::MYHOSTNAME)?,
            delimiters: Delimiters::new(&config.get(param::RECIPIENT_DELIMITER)?, owner_aliases),
            owner_aliases,
            expand_owner: config.get(param::EXPAND_OWNER_ALIAS)?,
            reset_owner: config.get(param::RESET_OWNER_ALIAS)?,
            frozen_delivered_to: config.get(param::FROZEN_DELIVERED_TO)?,
            original_recipient: config.get(param::ENABLE_ORIGINAL_RECIPIENT)?,
            delivered_to: Contexts {
                file: has(&delivered, "file"),
                command: has(&delivered, "command"),
                forward: has(&delivered, "forward"),
            },
            commands: Sources::read(&config.get(param::ALLOW_MAIL_TO_COMMANDS)?),
            files: Sources::read(&config.get(param::ALLOW_MAIL_TO_FILES)?),
            forward_path: config.get(param::FORWARD_PATH)?.0,
            home_mailbox: config.get(param::HOME_MAILBOX)?,
            spool_directory: config.get(param::MAIL_SPOOL_DIRECTORY)?,
            mailbox_command: config.get(param::MAILBOX_COMMAND)?.0,
            mailbox_transport: config.get(param::MAILBOX_TRANSPORT)?,
            fallback_transport: config.get(param::FALLBACK_TRANSPORT)?,
            luser_relay: config.get(param::LUSER_RELAY)?.0,
            mailbox: Mailboxes::read(config)?,
            command: Commands::read(config)?,
            duplicate_limit: usize::try_from(config.get(param::DUPLICATE_FILTER_LIMIT)?).unwrap_or(1000),
            forward_filter: config.get(param::FORWARD_EXPANSION_FILTER)?.0,
        })
    }
}

impl Sources {
    fn read(names: &[String]) -> Self {
        Sources { alias: has(names, "alias"), forward: has(names, "forward"), include: has(names, "include") }
    }
}

impl Mailboxes {
    fn read(config: &Config) -> Result<Self, ValueError> {
        let mut locks = Vec::new();
        for name in config.get(param::MAILBOX_DELIVERY_LOCK)? {
            match name.as_str() {
                "fcntl" => locks.push(Lock::Fcntl),
                "flock" => locks.push(Lock::Flock),
                // The table of words has no other.
                _ => locks.push(Lock::DotLock),
            }
        }
        Ok(Mailboxes {
            locks,
            attempts: u32::try_from(config.get(param::DELIVER_LOCK_ATTEMPTS)?).unwrap_or(20),
            delay: config.get(param::DELIVER_LOCK_DELAY)?,
            stale: config.get(param::STALE_LOCK_TIME)?,
            size_limit: u64::try_from(config.get(param::MAILBOX_SIZE_LIMIT)?).unwrap_or(0),
            strict: config.get(param::STRICT_MAILBOX_OWNERSHIP)?,
        })
    }
}

impl Commands {
    fn read(config: &Config) -> Result<Self, ValueError> {
        let exported = config.get(param::EXPORT_ENVIRONMENT)?;
        let environment = exported.iter().filter_map(|entry| match entry.split_once('=') {
            Some((name, value)) => Some((name.trim().to_owned(), value.trim().to_owned())),
            None => std::env::var(entry).ok().map(|value| (entry.clone(), value)),
        });
        Ok(Commands {
            shell: config.get(param::LOCAL_COMMAND_SHELL)?.split_whitespace().map(str::to_owned).collect(),
            time_limit: config.get(param::COMMAND_TIME_LIMIT)?,
            filter: config.get(param::COMMAND_EXPANSION_FILTER)?.0,
            directory: config.get(param::COMMAND_EXECUTION_DIRECTORY)?.0,
            directory_filter: config.get(param::EXECUTION_DIRECTORY_EXPANSION_FILTER)?.0,
            environment: environment.collect(),
        })
    }
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}
