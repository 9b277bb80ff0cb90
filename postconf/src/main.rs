//! postconf - show and change the configuration
//!
//! # Synopsis
//! `postconf [-dfhHjnpqvx] [-c config_dir] [-C class,...] [-o name=value] [parameter ...]` `postconf [-e] [-c
//! config_dir] parameter=value ...` `postconf -X|-# [-c config_dir] parameter ...` `postconf -M|-F|-P [-efhHjoqvxX#]
//! [-c config_dir] [service[/type[/name]] ...]` `postconf -a|-A|-l|-m` `postconf -b|-t [-c config_dir] [template_file]`
//! `postconf --explain [-c config_dir] [-o name=value] parameter ...`
//!
//! # Description
//! Shows parameters of main.cf as set or by default (`-d` defaults, `-n` what is set, `-x` with `$` expressions
//! expanded, `-h` without names, `-H` without values, `-f` folded), and services of master.cf (`-M` entries, `-F` their
//! fields, `-P` their `-o` options). Given `name=value` it changes the file: comments, order, mode and owner stay, and
//! the file is replaced as a whole. `-j` shows the same as JSON, one object a line. `-b` prints the texts of delivery
//! reports, `-t` their templates. `--explain` tells what a parameter means, what it is set to and where. Settings that
//! nothing reads are named in warnings, as are those whose effect is not implemented.
//!
//! # Privilege
//! The caller's.
//!
//! # Diagnostics
//! Exit status 0 even when a parameter is unknown (a warning); 1 when a file cannot be read, parsed or replaced, or an
//! option makes no sense. Errors go to standard error.

mod change;
mod explain;
mod fold;
mod json;
mod names;
mod options;
mod out;
mod parameters;
mod run;
mod services;
mod source;
mod templates;

use std::process::ExitCode;

fn main() -> ExitCode {
    logging::set_up_command("postconf", false);
    run::run().unwrap_or_else(|why| logging::fatal!("{why}"))
}
