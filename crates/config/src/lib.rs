//! The meaning of main.cf and master.cf: one table of parameters, one reader, one way to ask.
//!
//! A program loads its [`Config`] once and asks it with the typed constants of [`param`]. The table behind them is
//! `parameters/*.toml`; `cargo xtask docs` turns it into the Rust source of [`param`] and [`table`], and `cargo xtask
//! tidy` says when the committed source differs. Nothing here opens a socket or a lookup table, nothing here logs:
//! warnings and errors are values, and the program that asked decides where they go.

pub mod absent;
pub mod accounts;
mod addresses;
mod agent_flags;
pub mod arguments;
mod brackets;
pub mod clients;
mod comments;
mod computed;
mod declare;
mod derived;
pub mod edit;
mod entry;
mod error;
pub mod expand;
mod expanded;
pub mod facts;
mod fatal;
mod files;
mod functions;
mod level;
pub mod lines;
mod listening;
mod log;
pub mod main_cf;
pub mod manifest;
pub mod master_cf;
pub mod names;
mod notices;
#[rustfmt::skip]
pub mod param;
mod problems;
pub mod report;
mod report_text;
pub mod restrictions;
mod settings;
pub mod settled;
mod sources;

#[rustfmt::skip]
pub mod table;
pub mod transport;
mod value;
mod withheld;
mod words;

/// Where main.cf is when nobody says otherwise (config_directory).
pub const DEFAULT_DIRECTORY: &str = "/etc/postfix";
/// The environment variable that names another directory.
pub const MAIL_CONFIG: &str = "MAIL_CONFIG";
/// What programs find in their environment that do one thing for each of several instances, by the names of settings.
pub const EXPORTED: [&str; 8] = [
    "command_directory",
    "daemon_directory",
    "config_directory",
    "queue_directory",
    "data_directory",
    "multi_instance_name",
    "multi_instance_group",
    "multi_instance_enable",
];
/// In the environment of a program: who has started it has told the operator what is not right with the files.
pub const TOLD: &str = "MAIL_CONFIG_TOLD";

pub use absent::{Absent, Own};
pub use accounts::Accounts;
pub use agent_flags::AgentFlags;
pub use brackets::Unbracketed;
pub use computed::{node_name, process_name};
pub use declare::{Agent, FromValue, Parameter, Reader, Twin};
pub use entry::{Entry, Kind, Param, find};
pub use error::{ConfigError, ValueError};
pub use level::Level;
pub use listening::Listening;
pub use log::Terminal;
pub use notices::{ErrorClass, ErrorClasses};
pub use problems::{CURRENT_LEVEL, OLD_DEFAULT};
pub use report::Report;
pub use report_text::ReportTextError;
pub use settings::{Config, Origin, Setting};
pub use sources::MailSource;
pub use value::{Raw, Value, behind_unit, parse_duration};
pub use withheld::Withheld;
