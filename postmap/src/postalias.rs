//! postalias - alias databases: make, query, change
//!
//! # Synopsis
//! `postalias [-fijnNoprsuvw] [-c config_dir] [-d key] [-q key] [file_type:]file...`
//!
//! # Description
//! As postmap, for source text in the syntax of aliases(5): `name: destination, destination`.
//!
//! # Privilege
//! As postmap.
//!
//! # Diagnostics
//! Exit status 0: done, or found. 1: not found, or an error.

mod build;
mod message;
mod options;
mod query;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::run()
}
