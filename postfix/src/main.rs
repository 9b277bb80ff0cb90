//! postfix - control of the mail system
//!
//! # Synopsis
//! `postfix [-Dv] [-c config_dir] command`
//!
//! # Description
//! `start`, `start-fg`, `stop`, `quick-stop`, `drain`, `abort`, `reload`, `flush`, `check`, `status`, `logrotate`;
//! `set-permissions [name=value...]`: owners and modes of all files as they are installed; `upgrade-configuration
//! [name=value...]`: what a configuration of another version lacks; `tls command`: TLS turned on (`enable-client`,
//! `enable-server`), keys, certificates, requests and DANE records (`new-server-key`, `new-server-cert`,
//! `deploy-server-cert`, `output-server-csr`, `output-server-tlsa`), and whether nobody has decided about it
//! (`all-default-client`, `all-default-server`); `non-bdb command`: what stands in for Berkeley DB (`status`,
//! `enable-redirect`, `enable-reindex`, `disable`). Where the default main.cf has multi_instance_directories, and
//! neither `-c` nor MAIL_CONFIG names one instance, multi_instance_wrapper does the same for all of them. The command
//! itself starts nothing but `master` and the queue tools, and holds no state: what it knows of a running system is its
//! lock file. What it says goes to the log and to standard error. `-v` and `-D` are accepted and do nothing.
//!
//! # Privilege
//! Root, or the user who owns the queue directory of a private instance.
//!
//! # Diagnostics
//! Exit status 0: done (`check`: also with warnings; `status`: running; `tls all-default-...`: yes). 1: not done, or
//! not running.

mod arguments;
mod check;
mod files;
mod instance;
mod layout;
mod non_bdb;
mod permissions;
mod process;
mod reindex;
mod rotate;
mod run;
mod settings;
mod several;
mod tls;
mod upgrade;

use std::process::ExitCode;

fn main() -> ExitCode {
    logging::set_up_command("postfix", true);
    run::run().unwrap_or_else(|why| logging::fatal!("{why}"))
}
