//! master.cf: the services, what they are allowed, and how many of them may run.
//!
//! Reading stops at the first error: a supervisor that guesses starts the wrong thing. What a service's name means as
//! an address is the supervisor's business; whether the command exists is checked by nobody here.

mod disable;
mod fields;

use std::fmt;
use std::path::{Path, PathBuf};

pub use disable::Disabled;
pub use fields::{RawEntry, entries, is_option, split_arguments};

use crate::arguments::{ArgumentError, Arguments};
use crate::error::ConfigError;
use crate::level::Level;
use crate::lines::Warning;
use crate::param;
use crate::report;
use crate::settings::Config;
use crate::settled;

/// How clients reach a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceKind {
    /// TCP.
    Inet,
    /// A UNIX-domain stream socket in `public/` or `private/`.
    Unix,
    /// A FIFO in `public/` or `private/`.
    Fifo,
    /// As `Unix`, over which connections are passed on.
    Pass,
    /// A UNIX-domain datagram socket.
    UnixDgram,
}

impl ServiceKind {
    /// The word in master.cf and behind `-t`.
    pub fn name(self) -> &'static str {
        match self {
            ServiceKind::Inet => "inet",
            ServiceKind::Unix => "unix",
            ServiceKind::Fifo => "fifo",
            ServiceKind::Pass => "pass",
            ServiceKind::UnixDgram => "unix-dgram",
        }
    }

    /// The way that the clients of `program` take, whatever master.cf says: qmgr and pickup, which old files have as
    /// `fifo`, hear our own clients too, and those have more to say than a letter.
    fn taken_by(self, program: &str) -> ServiceKind {
        match (self, program) {
            (ServiceKind::Fifo, "qmgr" | "nqmgr" | "oqmgr" | "pickup") => ServiceKind::Unix,
            _ => self,
        }
    }

    fn parse(word: &str) -> Option<ServiceKind> {
        use ServiceKind::*;
        [Inet, Unix, Fifo, Pass, UnixDgram].into_iter().find(|kind| kind.name() == word)
    }
}

/// When the supervisor wakes a service up by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wakeup {
    /// Every so many seconds.
    pub seconds: u32,
    /// Only after the service has been used.
    pub conditional: bool,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEntry {
    /// The first line of the entry in master.cf.
    pub line: usize,
    /// The name as written: `smtp`, `[::1]:smtp`, `cleanup`.
    pub name: String,
    /// How clients reach it.
    pub kind: ServiceKind,
    /// For the mail system alone.
    pub private: bool,
    /// Runs as mail_owner from the start.
    pub unprivileged: bool,
    /// Runs with the queue directory as its root.
    pub chroot: bool,
    /// None: never.
    pub wakeup: Option<Wakeup>,
    /// The most clients served at a time; None: no limit (0 in master.cf). `-` is default_process_limit.
    pub max_proc: Option<u32>,
    /// The program, relative to daemon_directory.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
}

impl ServiceEntry {
    /// Its arguments as the program reads them.
    ///
    /// # Errors
    /// The program would end of them.
    pub fn arguments(&self) -> Result<Arguments, ArgumentError> {
        Arguments::of_entry(self.program(), &self.args)
    }

    /// The program without the directories in front of it.
    pub fn program(&self) -> &str {
        program_of(&self.command)
    }
}

/// master.cf, read.
#[derive(Debug, Default)]
pub struct MasterCf {
    /// The services that are to run, in the order of the file; those that are disabled are left out.
    pub services: Vec<ServiceEntry>,
    /// Sentences to log before anything is started.
    pub warnings: Vec<String>,
    /// The sentence about services whose chroot column is an old default.
    pub old_chroot: Option<String>,
}

/// Why master.cf cannot be used.
#[derive(Debug)]
pub enum MasterCfError {
    /// The file cannot be read.
    Open {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An entry is wrong.
    Entry {
        /// The file.
        file: PathBuf,
        /// The entry's first line.
        line: usize,
        /// What is wrong with it.
        problem: EntryProblem,
    },
    /// A parameter that decides about services is wrong.
    Config(ConfigError),
}

/// What is wrong with an entry of master.cf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryProblem {
    /// The line ends before this field.
    Missing(&'static str),
    /// A field that has no default is `-`.
    NoDefault(&'static str),
    /// A field has a value that means nothing.
    BadValue(&'static str, String),
    /// No such transport type.
    BadType(String),
    /// An inet service that says it is private.
    PrivateInet,
    /// `{` without `}` in an argument.
    MissingBrace(String),
    /// Something after the `}` of an argument.
    AfterBrace(String),
    /// What an option sets is no `name=value`: why not, and the text.
    Setting(&'static str, String),
}

impl fmt::Display for EntryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryProblem::Missing(field) => write!(f, "missing \"{field}\" field"),
            EntryProblem::NoDefault(field) => write!(f, "field \"{field}\" has no default value"),
            EntryProblem::BadValue(field, value) => {
                write!(f, "field \"{field}\": bad value: \"{value}\"")
            }
            EntryProblem::BadType(word) => write!(f, "bad transport type: {word}"),
            EntryProblem::PrivateInet => f.write_str("inet service cannot be private"),
            EntryProblem::MissingBrace(text) => write!(f, "missing '}}' in \"{text}\""),
            EntryProblem::Setting(problem, text) => write!(f, "{problem}: \"{text}\""),
            EntryProblem::AfterBrace(text) => write!(f, "syntax error after '}}' in \"{text}\""),
        }
    }
}

impl fmt::Display for MasterCfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MasterCfError::Open { file, source } => {
                write!(f, "open {}: {}", file.display(), text::system_error(source))
            }
            MasterCfError::Entry { file, line, problem } => {
                write!(f, "{}: line {line}: {problem}", file.display())
            }
            MasterCfError::Config(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MasterCfError {}

impl MasterCf {
    /// Reads master.cf at `path`.
    pub fn load(path: &Path, config: &Config) -> Result<MasterCf, MasterCfError> {
        let content = settled::read(path, settled::QUIET, settled::PATIENCE)
            .map_err(|source| MasterCfError::Open { file: path.to_path_buf(), source })?;
        MasterCf::parse(&content, path, config)
    }

    /// As [`MasterCf::load`], of the file's content.
    pub fn parse(content: &[u8], path: &Path, config: &Config) -> Result<MasterCf, MasterCfError> {
        let defaults = Defaults::of(config)?;
        let mut odd = Vec::new();
        let mut services = Vec::new();
        let mut left_open = Vec::new();
        for raw in entries(content, path, &mut odd) {
            match service(&raw, &defaults) {
                Ok(None) => {}
                Ok(Some(service)) => {
                    if defaults.chroot && raw.field(4) == Some("-") {
                        left_open.push(raw.line);
                    }
                    services.push(service);
                }
                Err(problem) => {
                    let file = path.to_path_buf();
                    return Err(MasterCfError::Entry { file, line: raw.line, problem });
                }
            }
        }
        let old_chroot = (!left_open.is_empty()).then(|| report::old_chroot(path, &left_open));
        Ok(MasterCf { services, warnings: odd.iter().map(Warning::to_string).collect(), old_chroot })
    }
}

fn program_of(command: &str) -> &str {
    command.rsplit('/').next().unwrap_or_default()
}

/// What `-` means, and which services are left out.
struct Defaults {
    chroot: bool,
    max_proc: u32,
    disabled: Disabled,
}

impl Defaults {
    fn of(config: &Config) -> Result<Defaults, MasterCfError> {
        let bad = |error| MasterCfError::Config(ConfigError::Value(error));
        let limit = config.get(param::DEFAULT_PROCESS_LIMIT).map_err(bad)?;
        // master_service_disable
        let disabled = config.get(param::MASTER_SERVICE_DISABLE).map_err(bad)?;
        Ok(Defaults {
            chroot: config.compatibility_level() < Level::new(1, 0),
            max_proc: u32::try_from(limit).unwrap_or(u32::MAX),
            disabled: Disabled::new(&disabled),
        })
    }
}

/// One entry; None when it is disabled, whatever else it says.
fn service(raw: &RawEntry, defaults: &Defaults) -> Result<Option<ServiceEntry>, EntryProblem> {
    let name = raw.name();
    let word = required(raw, 1, "transport type")?;
    let kind = ServiceKind::parse(word).ok_or_else(|| EntryProblem::BadType(word.to_owned()))?;
    if defaults.disabled.matches(name, kind.name()) {
        return Ok(None);
    }
    let private = flag(raw, 2, "private", true)?;
    if kind == ServiceKind::Inet && private {
        return Err(EntryProblem::PrivateInet);
    }
    let unprivileged = flag(raw, 3, "unprivileged", true)?;
    let chroot = flag(raw, 4, "chroot", defaults.chroot)?;
    let wakeup = wakeup(raw)?;
    let max_proc = match present(raw, 6, "max_proc")? {
        "-" => defaults.max_proc,
        text => number(text, "max_proc")?,
    };
    let command = required(raw, 7, "command")?.to_owned();
    let args = split_arguments(&raw.arguments)?;
    Ok(Some(ServiceEntry {
        line: raw.line,
        name: name.to_owned(),
        kind: kind.taken_by(program_of(&command)),
        private,
        unprivileged,
        chroot,
        wakeup,
        max_proc: (max_proc > 0).then_some(max_proc),
        command,
        args,
    }))
}

fn present<'a>(raw: &'a RawEntry, at: usize, name: &'static str) -> Result<&'a str, EntryProblem> {
    raw.field(at).ok_or(EntryProblem::Missing(name))
}

fn required<'a>(raw: &'a RawEntry, at: usize, name: &'static str) -> Result<&'a str, EntryProblem> {
    match present(raw, at, name)? {
        "-" => Err(EntryProblem::NoDefault(name)),
        text => Ok(text),
    }
}

fn flag(raw: &RawEntry, at: usize, name: &'static str, default: bool) -> Result<bool, EntryProblem> {
    match present(raw, at, name)? {
        "-" => Ok(default),
        "y" => Ok(true),
        "n" => Ok(false),
        other => Err(EntryProblem::BadValue(name, other.to_owned())),
    }
}

fn wakeup(raw: &RawEntry) -> Result<Option<Wakeup>, EntryProblem> {
    let text = present(raw, 5, "wakeup_time")?;
    if text == "-" {
        return Ok(None);
    }
    let seconds = number(text, "wakeup_time")?;
    let conditional = text.ends_with('?');
    Ok((seconds > 0).then_some(Wakeup { seconds, conditional }))
}

/// The digits a field starts with; Postfix ignores what follows them.
fn number(text: &str, name: &'static str) -> Result<u32, EntryProblem> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    match text[..end].parse::<u32>() {
        Ok(number) if i32::try_from(number).is_ok() => Ok(number),
        _ => Err(EntryProblem::BadValue(name, text.to_owned())),
    }
}
