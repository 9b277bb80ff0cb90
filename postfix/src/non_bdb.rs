//! `postfix non-bdb`: what stands in for tables of Berkeley DB (`hash`, `btree`), turned on in main.cf and off again.
//!
//! What it makes of main.cf and master.cf is what Postfix's script of that name makes of them, so that either may be
//! used after the other. The index files of `enable-reindex` are made here and now.

use std::process::ExitCode;

use config::edit::{Action, Change, Document, main_cf};
use config::master_cf::entries;
use config::param;

use crate::instance::Instance;
use crate::{reindex, settings};

/// Under which lines stand in the log.
const NAME: &str = "postfix-non-bdb-script";
/// The words of non_bdb_migration_level.
const LEVELS: [&str; 3] = ["disable", "enable-redirect", "enable-reindex"];
/// The service of `enable-reindex`.
const SERVICE: &str = "nbdb_reindex";
const SERVICE_LINE: &str = "nbdb_reindex unix y      n       n       -       1       nbdb_reindexd";

/// Carries out a command.
///
/// # Errors
/// A sentence: nothing has changed.
pub(crate) fn run(instance: &Instance, words: &[String]) -> Result<ExitCode, String> {
    logging::set_program(NAME);
    let level = lookup(instance, param::NON_BDB_MIGRATION_LEVEL.name())?;
    if !LEVELS.contains(&level.as_str()) {
        return Err(format!("invalid non-Berkeley-DB migration level: '{}'", text::printable(level.as_bytes())));
    }
    match words {
        [word] if word == "status" => println!("{level}"),
        [word] if LEVELS.contains(&word.as_str()) => set(instance, word)?,
        _ => {
            let usage = "usage: postfix non-bdb status (or enable-redirect, or enable-reindex, or disable)";
            return Err(usage.to_owned());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn lookup(instance: &Instance, name: &str) -> Result<String, String> {
    Ok(instance.config.lookup(name).map_err(|error| error.to_string())?.unwrap_or_default())
}

/// Writes a level into main.cf, and the service into master.cf that belongs to it.
fn set(instance: &Instance, level: &str) -> Result<(), String> {
    let is_on = level != "disable";
    for name in [param::DEFAULT_DATABASE_TYPE.name(), param::DEFAULT_CACHE_DB_TYPE.name()] {
        let kind = lookup(instance, name)?;
        if is_on && matches!(kind.as_str(), "hash" | "btree") {
            return Err(format!("parameter {name} specifies a Berkeley DB type: '{kind}'"));
        }
    }
    let name = param::NON_BDB_MIGRATION_LEVEL.name().to_owned();
    let change = if is_on { Change::Set { name, value: level.to_owned() } } else { Change::Remove(name) };
    let folder = instance.config.directory();
    let (main, master) = (folder.join("main.cf"), folder.join("master.cf"));
    settings::replace(&main, |content| main_cf(content, &main, &[change]).0)?;
    let is_wanted = level == "enable-reindex";
    settings::replace(&master, |content| services(content, &master, is_wanted))?;
    if is_wanted {
        reindex::make_missing(
            &instance.with(&[(param::NON_BDB_MIGRATION_LEVEL.name().to_owned(), level.to_owned())]),
            NAME,
        );
    }
    Ok(())
}

/// A master.cf with the service, or without it.
fn services(content: &[u8], file: &std::path::Path, is_wanted: bool) -> Vec<u8> {
    let mut document = Document::parse(content);
    let is_it = |line: &&str| {
        let entry = entries(line.as_bytes(), file, &mut Vec::new()).into_iter().next();
        entry.is_some_and(|entry| entry.name() == SERVICE && entry.field(1) == Some("unix"))
    };
    let there: Vec<usize> = document.entries().enumerate().filter(|(_, line)| is_it(line)).map(|(at, _)| at).collect();
    if is_wanted && there.is_empty() {
        document.append(SERVICE_LINE.to_owned());
    } else if !is_wanted {
        there.into_iter().for_each(|at| document.act(at, Action::Remove));
    }
    document.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_there_once_or_not_at_all_and_the_rest_stays() {
        let edited = |content: &str, is_wanted| {
            String::from_utf8(services(content.as_bytes(), std::path::Path::new("/c"), is_wanted)).unwrap()
        };
        let before = "# mine\nsmtp inet n - n - - smtpd\n  -o x=y\n";
        let with = edited(before, true);
        assert_eq!(with, format!("{before}{SERVICE_LINE}\n"));
        assert_eq!((edited(&with, true), edited(&with, false)), (with, before.to_owned()));
        assert_eq!(edited(before, false), before);
    }
}
