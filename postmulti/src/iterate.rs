//! One thing after the other for each chosen instance.

use std::ffi::OsString;
use std::io::Write;
use std::process::Command;

use config::{EXPORTED, param};

use crate::instances::{Instance, Instances};
use crate::options::Options;

/// Names, groups, and directories.
pub(crate) fn list(instances: &Instances, options: &Options, json: bool) -> Result<bool, String> {
    let mut text = String::new();
    for instance in in_order(instances, options) {
        let shown = |name: &str| if name.is_empty() { "-".to_owned() } else { name.to_owned() };
        let (name, group) = (shown(&instance.name), shown(&instance.group));
        let enabled = if instance.enabled { "y" } else { "n" };
        let directory = instance.directory.display().to_string();
        if json {
            let members = [("name", name), ("group", group), ("enabled", enabled.to_owned())];
            let members = members.into_iter().chain([("config_directory", directory)]);
            let members: Vec<String> =
                members.map(|(name, value)| format!("\"{name}\": {}", text::json_string(&value))).collect();
            text.push_str(&format!("{{{}}}\n", members.join(",")));
        } else {
            text.push_str(&format!("{name:<15} {group:<15} {enabled:<9} {directory}\n"));
        }
    }
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| format!("write standard output: {}", net::reason(&error)))?;
    Ok(true)
}

/// `postfix` with these words.
pub(crate) fn postfix(instances: &Instances, options: &Options, words: &[OsString]) -> Result<bool, String> {
    let primary = &instances.primary().config;
    let command = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let is_one_of = |list| -> Result<bool, String> {
        let list: Vec<String> = primary.get(list).map_err(|error: config::ValueError| error.to_string())?;
        Ok(list.contains(&command))
    };
    let starts = is_one_of(param::POSTMULTI_START_COMMANDS)?;
    let stops = is_one_of(param::POSTMULTI_STOP_COMMANDS)?;
    let needs_enabled = stops || is_one_of(param::POSTMULTI_CONTROL_COMMANDS)?;
    let mut chosen = instances.chosen(&options.which);
    chosen.retain(|instance| instance.enabled || !needs_enabled);
    if stops {
        chosen.reverse();
    }
    each(chosen, |instance| {
        let program = primary.get(param::COMMAND_DIRECTORY).map_err(|error| error.to_string())?.join("postfix");
        let mut command = Command::new(program);
        match starts && !instance.enabled {
            true => command.arg("check"),
            false => command.args(words),
        };
        finish(instance, options, command)
    })
}

/// Any command.
pub(crate) fn command(instances: &Instances, options: &Options, words: &[OsString]) -> Result<bool, String> {
    each(in_order(instances, options), |instance| {
        let mut command = Command::new(words.first().cloned().unwrap_or_default());
        command.args(&words[1..]);
        // What it logs is this program's.
        command.env("MAIL_LOGTAG", instances.primary().value("syslog_name")?);
        finish(instance, options, command)
    })
}

fn in_order<'i>(instances: &'i Instances, options: &Options) -> Vec<&'i Instance> {
    let mut chosen = instances.chosen(&options.which);
    if options.reverse {
        chosen.reverse();
    }
    chosen
}

/// Whether it was done for all; an instance for which it was not does not keep the next from its turn.
fn each(chosen: Vec<&Instance>, run: impl Fn(&Instance) -> Result<bool, String>) -> Result<bool, String> {
    if chosen.is_empty() {
        return Err("No matching instances".to_owned());
    }
    let mut done = true;
    for instance in chosen {
        match run(instance) {
            Ok(this) => done &= this,
            Err(why) => {
                logging::error!("{why}");
                done = false;
            }
        }
    }
    Ok(done)
}

/// Runs a command for an instance, and waits for it.
fn finish(instance: &Instance, options: &Options, mut command: Command) -> Result<bool, String> {
    command.env(config::MAIL_CONFIG, &instance.directory);
    for name in EXPORTED {
        command.env(name, instance.value(name)?);
    }
    // Of one that is alone it is not what main.cf says.
    command.env(param::MULTI_INSTANCE_ENABLE.name(), if instance.enabled { "yes" } else { "no" });
    if options.verbose {
        command.env("MAIL_VERBOSE", "");
    }
    logging::flush();
    let status = command.status();
    let status =
        status.map_err(|error| format!("execvp {}: {}", command.get_program().display(), net::reason(&error)))?;
    Ok(status.success())
}
