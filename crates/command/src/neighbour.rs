//! Programs that are another program of the same directory under their own name.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Replaces this process by the program `file` that lies beside it, called `name`, with the same arguments. Returns
/// only when that fails, with the failure reported.
pub fn become_neighbour(name: &'static str, file: &str) -> ExitCode {
    let program = std::env::current_exe().map(|path| path.with_file_name(file));
    let error = match program {
        Ok(program) => Command::new(program).arg0(name).args(std::env::args_os().skip(1)).exec(),
        Err(error) => error,
    };
    eprintln!("{name}: fatal: execute {file}: {error}", error = text::system_error(&error));
    // EX_TEMPFAIL of sysexits.h
    ExitCode::from(75)
}
