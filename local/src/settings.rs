//! What main.cf says to this agent.

use std::time::Duration;

use address::Delimiters;
use config::{MailSource, Reader, ValueError, param};
use delivery::environment;
use ipc::carrier::Lock;

config::settings! {
    /// Settings, read once.
    pub struct Settings {
        hostname: String = param::MYHOSTNAME,
        mail_name: String = param::MAIL_NAME,
        /// The machine in names of files of Maildirs: several may share one.
        machine: String => |_: &Reader<'_>| Ok::<_, ValueError>(config::node_name()),
        /// Where an address extension begins.
        delimiters: Delimiters => |from: &Reader<'_>| from.config.delimiters(),
        /// `owner-NAME` takes the place of the sender.
        owner_aliases: bool = param::OWNER_REQUEST_SPECIAL,
        expand_owner: bool = param::EXPAND_OWNER_ALIAS,
        reset_owner: bool = param::RESET_OWNER_ALIAS,
        frozen_delivered_to: bool = param::FROZEN_DELIVERED_TO,
        original_recipient: bool = param::ENABLE_ORIGINAL_RECIPIENT,
        /// smtputf8_enable
        utf8: bool = param::SMTPUTF8_ENABLE,
        /// smtputf8_autodetect_classes has forwarded mail.
        detects_utf8: bool => |from: &Reader<'_>| from.config.detects_utf8(MailSource::Forward),
        delivered_to: Contexts = param::PREPEND_DELIVERED_HEADER => Contexts::named,
        commands: Sources = param::ALLOW_MAIL_TO_COMMANDS => Sources::named,
        files: Sources = param::ALLOW_MAIL_TO_FILES => Sources::named,
        /// Where extensions that were not looked up go on to.
        propagates: Sources = param::PROPAGATE_UNMATCHED_EXTENSIONS => Sources::named,
        recipient_delimiter: String = param::RECIPIENT_DELIMITER,
        /// Unexpanded.
        forward_path: String = param::FORWARD_PATH,
        /// comsat hears of new mail.
        biff: bool = param::BIFF,
        home_mailbox: String = param::HOME_MAILBOX,
        /// Mail waits for a home directory that is not there.
        require_home: bool = param::REQUIRE_HOME_DIRECTORY,
        spool_directory: String = param::MAIL_SPOOL_DIRECTORY,
        /// As written.
        mailbox_command: String = param::MAILBOX_COMMAND,
        mailbox_transport: String = param::MAILBOX_TRANSPORT,
        fallback_transport: String = param::FALLBACK_TRANSPORT,
        /// Unexpanded.
        luser_relay: String = param::LUSER_RELAY,
        /// How mailboxes are locked and how large they may become.
        mailbox: Mailboxes => Mailboxes::read,
        /// How commands are run.
        command: Commands => Commands::read,
        /// 0 is no limit.
        duplicate_limit: usize = param::DUPLICATE_FILTER_LIMIT,
        forward_filter: String = param::FORWARD_EXPANSION_FILTER,
    }
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

/// Kinds of lists: those that may name commands or files, and those that pass extensions on.
pub struct Sources {
    /// alias_maps.
    pub alias: bool,
    /// .forward.
    pub forward: bool,
    /// :include:.
    pub include: bool,
}

config::settings! {
    /// Mailbox files.
    pub struct Mailboxes {
        locks: Vec<Lock> => locks,
        attempts: u32 = param::DELIVER_LOCK_ATTEMPTS,
        delay: Duration = param::DELIVER_LOCK_DELAY,
        stale: Duration = param::STALE_LOCK_TIME,
        strict: bool = param::STRICT_MAILBOX_OWNERSHIP,
    }
}

config::settings! {
    /// Commands.
    pub struct Commands {
        /// Split into words.
        shell: Vec<String> = param::LOCAL_COMMAND_SHELL => words,
        time_limit: Duration = param::COMMAND_TIME_LIMIT,
        filter: String = param::COMMAND_EXPANSION_FILTER,
        /// Unexpanded.
        directory: String = param::COMMAND_EXECUTION_DIRECTORY,
        directory_filter: String = param::EXECUTION_DIRECTORY_EXPANSION_FILTER,
        /// With the values of this process.
        environment: Vec<(String, String)> = param::EXPORT_ENVIRONMENT => environment::exported,
    }
}

/// mailbox_delivery_lock, or what is asked for in the old way.
fn locks(from: &Reader<'_>) -> Result<Vec<Lock>, ValueError> {
    if from.config.get(param::SUN_MAILTOOL_COMPATIBILITY)? {
        let name = param::SUN_MAILTOOL_COMPATIBILITY.name();
        logging::warning!("{name}: deprecated parameter, use \"mailbox_delivery_lock = dotlock\" instead");
        return Ok(vec![Lock::DotLock]);
    }
    Ok(Lock::named(from.config.get(param::MAILBOX_DELIVERY_LOCK)?))
}

impl Contexts {
    fn named(names: Vec<String>) -> Self {
        Contexts { file: has(&names, "file"), command: has(&names, "command"), forward: has(&names, "forward") }
    }
}

impl Sources {
    fn named(names: Vec<String>) -> Self {
        Sources { alias: has(&names, "alias"), forward: has(&names, "forward"), include: has(&names, "include") }
    }
}

fn words(text: String) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}
