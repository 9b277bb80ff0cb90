//! Changes of the list of instances, and of what main.cf says of one.

use std::path::{Path, PathBuf};

use config::{Config, param};

use crate::instances::{Instance, Instances};
use crate::options::{Action, Edit, Options, Which};
use crate::place::{change, set};
use crate::{create, destroy};

/// Carries it out.
pub(crate) fn run(instances: &Instances, options: &Options, edit: &Edit) -> Result<(), String> {
    let primary = instances.primary();
    if edit.action == Action::Init {
        let wrapper = set("multi_instance_wrapper", "${command_directory}/postmulti -p --");
        return change(&primary.directory, &[wrapper, set("multi_instance_enable", "yes")]);
    }
    if edit.action.adds() {
        return add(instances, options, edit);
    }
    let Which::One(name) = &options.which else { return Err("Select an instance via '-i name'".to_owned()) };
    let instance = instances.named(name).ok_or_else(|| format!("No instance named {name}"))?;
    if matches!(edit.action, Action::Destroy | Action::Deport) && instance.directory == primary.directory {
        return Err("Cannot remove the primary instance".to_owned());
    }
    if edit.action == Action::Assign {
        conflicts(instances, &instance.directory, &names(edit))?;
    }
    if matches!(edit.action, Action::Destroy | Action::Deport) && instance.enabled {
        return Err("Cannot remove enabled instances".to_owned());
    }
    require_manager(primary)?;
    match edit.action {
        Action::Enable => change(&instance.directory, &[set("multi_instance_enable", "yes")]),
        Action::Disable => change(&instance.directory, &[set("multi_instance_enable", "no")]),
        Action::Assign => change(&instance.directory, &assigned(edit)),
        Action::Destroy => {
            destroy::check(instance)?;
            deport(instances, instance)?;
            destroy::remove(instance)
        }
        _ => deport(instances, instance),
    }
}

/// An instance is made or found, and added to the list.
fn add(instances: &Instances, options: &Options, edit: &Edit) -> Result<(), String> {
    let primary = instances.primary();
    let directory = PathBuf::from(place(primary, edit, "config_directory")?);
    if let Some(other) = instances.all().iter().find(|other| other.directory == directory) {
        let (new, other) = (directory.display(), other.directory.display());
        return Err(format!(
            "new config_directory={new} is already in use by instance {other}, config_directory={other}"
        ));
    }
    let at = position(instances, &options.which)?;
    let is_there = directory.join("main.cf").is_file() && directory.join("master.cf").is_file();
    if edit.action == Action::Create && !is_there {
        let queue = place(primary, edit, "queue_directory")?;
        let data = place(primary, edit, "data_directory")?;
        let places = [("queue_directory", queue.clone()), ("data_directory", data.clone())];
        let claims: Vec<(&str, String)> = names(edit).into_iter().chain(places).collect();
        conflicts(instances, &directory, &claims)?;
        require_manager(primary)?;
        create::create(primary, &directory, (Path::new(&queue), Path::new(&data)), assigned(edit))?;
    } else {
        let there = Instance::read(&directory)?;
        let mut claims = names(edit);
        if claims.is_empty() {
            claims.push(("multi_instance_name", there.name.clone()));
        }
        for name in ["queue_directory", "data_directory"] {
            claims.push((name, there.value(name)?));
        }
        conflicts(instances, &directory, &claims)?;
        require_manager(primary)?;
        change(&directory, &assigned(edit))?;
    }
    let mut list: Vec<PathBuf> = instances.secondary().iter().map(|other| other.directory.clone()).collect();
    list.insert(at, directory);
    store(primary, &list)
}

/// Removes an instance from the list.
fn deport(instances: &Instances, instance: &Instance) -> Result<(), String> {
    let others = instances.secondary().iter().filter(|other| other.directory != instance.directory);
    store(instances.primary(), &others.map(|other| other.directory.clone()).collect::<Vec<_>>())
}

/// Writes the list, and leaves no right to a directory that is not in it any more.
fn store(primary: &Instance, list: &[PathBuf]) -> Result<(), String> {
    let shown = |list: &[PathBuf]| list.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
    let config: &Config = &primary.config;
    let before = config.get(param::MULTI_INSTANCE_DIRECTORIES).map_err(|error| error.to_string())?;
    let gone = |directory: &String| before.contains(directory) && !list.contains(&PathBuf::from(directory));
    let alternate = config.get(param::ALTERNATE_CONFIG_DIRECTORIES).map_err(|error| error.to_string())?;
    let mut changes = vec![set("multi_instance_directories", &shown(list))];
    if alternate.iter().any(gone) {
        let kept: Vec<String> = alternate.iter().filter(|directory| !gone(directory)).cloned().collect();
        changes.push(set("alternate_config_directories", &kept.join(" ")));
    }
    change(&primary.directory, &changes)
}

/// Where a new one goes in the list.
fn position(instances: &Instances, which: &Which) -> Result<usize, String> {
    let others = instances.secondary();
    let found = match which {
        Which::Unsaid => Some(others.len()),
        Which::All => Some(0),
        Which::Group(group) => others.iter().position(|other| other.group == *group),
        Which::One(name) => others.iter().position(|other| other.is(name)),
    };
    found.ok_or_else(|| "No matching secondary instances".to_owned())
}

/// A directory of a new instance: as it is given, or beside that of the primary one.
fn place(primary: &Instance, edit: &Edit, parameter: &str) -> Result<String, String> {
    if let Some((_, value)) = edit.places.iter().rev().find(|(name, _)| name == parameter) {
        return Ok(value.clone());
    }
    let of_primary = primary.value(parameter)?;
    let parent = Path::new(&of_primary).parent();
    match (edit.name.as_deref().filter(|name| !name.is_empty()), parent) {
        (Some(name), Some(parent)) => Ok(parent.join(name).display().to_string()),
        _ => Err(format!("Missing {parameter} parameter value")),
    }
}

/// The name that is assigned.
fn names(edit: &Edit) -> Vec<(&'static str, String)> {
    edit.name.iter().map(|name| ("multi_instance_name", name.clone())).collect()
}

/// What is assigned, as changes of main.cf.
fn assigned(edit: &Edit) -> Vec<config::edit::Change> {
    let group = edit.group.iter().map(|group| set("multi_instance_group", group));
    group.chain(edit.name.iter().map(|name| set("multi_instance_name", name))).collect()
}

/// No two instances have a name, a queue or a data directory in common, and none has one directory for both.
fn conflicts(instances: &Instances, directory: &Path, claims: &[(&str, String)]) -> Result<(), String> {
    let claims: Vec<&(&str, String)> = claims.iter().filter(|(_, value)| !value.is_empty()).collect();
    let conflict = |name: &str, value: &str, other: &Path, of_other: &str| {
        let (new, other) = (directory.display(), other.display());
        Err(format!("instance {new}, {name}={value} conflicts with instance {other}, {of_other}={value}"))
    };
    for (at, (name, value)) in claims.iter().enumerate() {
        for other in instances.all().iter().filter(|other| other.directory != directory) {
            for of_other in alike(name) {
                if other.value(of_other)? == *value {
                    return conflict(name, value, &other.directory, of_other);
                }
            }
        }
        let own = claims[..at].iter().find(|(of_own, own)| alike(name).contains(of_own) && own == value);
        if let Some((of_own, _)) = own {
            return conflict(name, value, directory, of_own);
        }
    }
    Ok(())
}

/// The settings that must not have the value of this one.
fn alike(name: &str) -> &'static [&'static str] {
    match name {
        "multi_instance_name" => &["multi_instance_name"],
        _ => &["queue_directory", "data_directory"],
    }
}

/// Whoever edits has to have said first that there are to be several.
fn require_manager(primary: &Instance) -> Result<(), String> {
    let is_set = |name: &str| primary.value(name).map(|value| !value.trim().is_empty());
    if !is_set("multi_instance_wrapper")? {
        return Err("multi_instance_wrapper is empty, run 'postmulti -e init' first.".to_owned());
    }
    match primary.config.get(param::MULTI_INSTANCE_ENABLE) {
        Ok(true) => Ok(()),
        _ => Err("multi_instance_enable!=yes, run 'postmulti -e init' first.".to_owned()),
    }
}
