//! From the command line to the exit status.

use std::process::ExitCode;

use config::{Config, param};
use lookup::{Settings, Spec};

use crate::options::{Action, Options};
use crate::{build, query};

/// What distinguishes the two programs.
pub(crate) struct Program {
    pub name: &'static str,
    pub letters: &'static str,
    pub usage: &'static str,
    /// Source text is in the syntax of aliases(5).
    pub aliases: bool,
    /// What stands between key and value in a listing.
    pub separator: &'static str,
}

/// Tables of `key value` lines.
pub(crate) static POSTMAP: Program = Program {
    name: "postmap",
    letters: "bc:d:fFhijmnNopq:rsuUvw",
    usage: "usage: postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
    aliases: false,
    separator: "\t",
};

/// Alias files.
pub(crate) static POSTALIAS: Program = Program {
    name: "postalias",
    letters: "c:d:fijnNopq:rsuvw",
    usage: "usage: postalias [-Nfinoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
    aliases: true,
    separator: ":\t",
};

/// Runs the program that it was called as.
pub(crate) fn run() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    let program = if called.to_string_lossy().ends_with("postalias") { &POSTALIAS } else { &POSTMAP };
    command::run(program.name, || act(program).map(|done| if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

/// True: done, or found.
fn act(program: &'static Program) -> Result<bool, String> {
    let options = Options::parse(program, std::env::args_os().skip(1))?;
    let config = command::configure(program.name, options.directory.as_deref())?;
    if options.tables.is_empty() {
        return Err(program.usage.to_owned());
    }
    let mut found = false;
    for table in &options.tables {
        let spec = spec(table, &config)?;
        match &options.action {
            Action::Build => {
                build::build(program, &options, &config, &spec)?;
                found = true;
            }
            // Only one table is listed, however many are named.
            Action::List => return query::list(program, &options, &config, &spec).map(|_| true),
            Action::Query(key) => {
                found |= query::query(program, &options, &config, &spec, key)?;
                // A single key is answered by the first table that has it.
                if found && key != b"-" {
                    return Ok(true);
                }
            }
            Action::Delete(key) => found |= query::delete(&options, &config, &spec, key)?,
        }
    }
    Ok(found)
}

/// `type:name`, or a name alone with default_database_type.
fn spec(table: &str, config: &Config) -> Result<Spec, String> {
    let text = match table.split_once(':') {
        Some(_) => table.to_owned(),
        // default_database_type
        None => {
            let kind = config.get(param::DEFAULT_DATABASE_TYPE).map_err(|error| error.to_string())?;
            format!("{kind}:{table}")
        }
    };
    let spec = Spec::parse(&text).map_err(|error| error.to_string())?;
    Settings::from(config).redirect.apply(spec).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_type_has_the_default_one() {
        let settings = [("default_database_type".to_owned(), "texthash".to_owned())];
        let config = Config::parse(b"", std::path::Path::new("/c"), &settings).unwrap();
        assert_eq!(spec("/x/y", &config).unwrap().to_string(), "texthash:/x/y");
        assert_eq!(spec("lmdb:/x/y", &config).unwrap().to_string(), "lmdb:/x/y");
    }
}
