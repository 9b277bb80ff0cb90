//! Parameters of main.cf: which of them, in which order, in which form.

use std::collections::BTreeMap;

use config::names::Names;
use config::{Config, Kind, Setting, find, transport};

use crate::options::Options;
use crate::out::{self, Failure};
use crate::source::Source;
use crate::{fold, json, names};

/// Prints the parameters that the command line asks for.
pub fn show(options: &Options) -> Result<(), Failure> {
    let source = Source::load(options)?;
    if !options.defaults {
        names::warn_before(&source)?;
    }
    let known = known(options, &source);
    let mut values = Vec::new();
    if options.arguments.is_empty() {
        for name in known.keys() {
            values.extend(value(options, &source, &known, name)?.map(|value| (name, value)));
        }
    } else {
        for name in &options.arguments {
            if known.contains_key(name) {
                values.extend(value(options, &source, &known, name)?.map(|value| (name, value)));
            } else {
                out::warning(format_args!("{name}: unknown parameter{}", names::suggestion(name)));
            }
        }
    }
    if options.json {
        out::lines(values.iter().map(|(name, value)| json::member(name, value)))?;
    } else {
        out::lines(values.iter().map(|(name, value)| line(options, name, value)))?;
    }
    if !options.defaults {
        names::warn_after(&source, options);
    }
    if options.explicit && options.arguments.is_empty() {
        names::warn_unimplemented(&source);
    }
    Ok(())
}

/// The names that may be shown, with their unexpanded defaults (None: main.cf invents the name).
fn known(options: &Options, source: &Source) -> BTreeMap<String, Option<String>> {
    let mut known = BTreeMap::new();
    let config = &source.config;
    if options.classes.builtin {
        let shown = config.table().iter().filter(|entry| !entry.legacy && !transport::is_service_default(entry));
        known.extend(shown.map(|entry| (entry.name.to_owned(), Some(entry.default.to_owned()))));
    }
    if options.classes.service {
        for (name, default) in source.services.iter().flat_map(service_parameters) {
            known.entry(name).or_insert(Some(default));
        }
    }
    if options.classes.user && !options.defaults {
        let unused: Vec<String> =
            Names::new(config, &source.services).unused().into_iter().map(|unused| unused.name).collect();
        let services: Vec<String> = source.services.iter().flat_map(config::names::service_parameters).collect();
        for (name, _) in config.settings() {
            let builtin = find(name).is_some_and(|entry| !entry.legacy);
            if !(builtin || services.iter().any(|service| service == name) || unused.iter().any(|other| other == name))
            {
                known.insert(name.to_owned(), None);
            }
        }
    }
    known
}

fn service_parameters(entry: &config::master_cf::RawEntry) -> Vec<(String, String)> {
    transport::families_of(entry.field(7).unwrap_or_default())
        .map(|family| (format!("{}{}", entry.name(), family.suffix), format!("${}", family.fallback)))
        .collect()
}

/// The printed form of one parameter.
fn line(options: &Options, name: &str, value: &str) -> String {
    if options.hide_values {
        return name.to_owned();
    }
    let start = if options.hide_names { String::new() } else { format!("{name} =") };
    fold::value(&start, value, options.fold)
}

/// The value of one parameter; None when `-n` leaves it out.
fn value(
    options: &Options,
    source: &Source,
    known: &BTreeMap<String, Option<String>>,
    name: &str,
) -> Result<Option<String>, Failure> {
    let config = &source.config;
    let raw = match config.setting(name) {
        Some(Setting { value, .. }) => value.clone(),
        None if options.explicit && !(name == "config_directory" && source.shows_directory) => return Ok(None),
        None => match config.default(name) {
            Some(default) => default.to_owned(),
            None => known.get(name).cloned().flatten().unwrap_or_default(),
        },
    };
    if options.hide_values {
        return Ok(Some(String::new()));
    }
    if name == "mynetworks" && !config.is_set(name) {
        compute_mynetworks(config)?;
    }
    Ok(Some(if options.expand { expanded(config, name, &raw)? } else { raw }))
}

/// The default of mynetworks follows from the machine, and cannot always be computed: says why.
fn compute_mynetworks(config: &Config) -> Result<(), Failure> {
    let (_, warnings) = config.probe_protocols().map_err(Failure::new)?;
    if let Some(why) = config.interfaces().map_err(Failure::new)?.nothing() {
        return Err(Failure::new(why));
    }
    let (_, more) = config.default_mynetworks().map_err(Failure::new)?;
    warnings.iter().chain(&more).for_each(|warning| out::warning(format_args!("{warning}")));
    Ok(())
}

/// A value with its `$` expressions expanded.
pub fn expanded(config: &Config, name: &str, raw: &str) -> Result<String, Failure> {
    if find(name).is_some_and(|entry| entry.kind == Kind::Raw) {
        return Ok(raw.to_owned());
    }
    match config.expand_noting(raw) {
        Ok((text, _)) => Ok(text),
        Err(error) => {
            out::warning(format_args!("{error}"));
            Err(Failure::new("macro processing error"))
        }
    }
}
