//! From the command line to the exit status.

use std::path::Path;
use std::process::ExitCode;

use config::DEFAULT_DIRECTORY;

use crate::instances::Instances;
use crate::options::{Act, Options};
use crate::{edit, iterate};

/// Runs the command.
pub(crate) fn run() -> ExitCode {
    command::run("postmulti", || act().map(|done| if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

/// True: done for all.
fn act() -> Result<bool, String> {
    let options = Options::parse(std::env::args_os().skip(1))?;
    let config = command::configure("postmulti", None)?;
    if config.directory() != Path::new(DEFAULT_DIRECTORY) {
        let directory = config.directory().display();
        return Err(format!("Non-default configuration directory: MAIL_CONFIG={directory}"));
    }
    let instances = Instances::read(config)?;
    match &options.act {
        Act::List { json } => iterate::list(&instances, &options, *json),
        Act::Postfix(words) => iterate::postfix(&instances, &options, words),
        Act::Command(words) => iterate::command(&instances, &options, words),
        Act::Edit(edit) => edit::run(&instances, &options, edit).map(|()| true),
    }
}
