//! Warnings about names and expressions that mean nothing.

use config::names::unused;
use config::{Config, Kind, find};

use crate::source::Source;

/// Names the settings that nothing reads.
pub fn warn_unused(source: &Source) {
    for unused in unused(&source.config, &source.services) {
        let file = match unused.entry {
            None => source.config.directory().join("main.cf"),
            Some(_) => source.master_cf.clone(),
        };
        logging::warning!("{}: unused parameter: {}={}", file.display(), unused.name, unused.value);
    }
}

/// Names the settings that have no effect yet.
pub fn warn_unimplemented(source: &Source) {
    for setting in source.config.unimplemented_settings() {
        logging::warning!("{}", config::Problem::Unimplemented(setting));
    }
}

/// Names what settings refer to and what is not defined, and expressions that are malformed.
pub fn warn_expressions(source: &Source) {
    let config = &source.config;
    let services: Vec<String> = source.services.iter().flat_map(config::names::service_parameters).collect();
    for (name, setting) in config.settings() {
        if find(name).is_some_and(|entry| entry.kind == Kind::Raw) {
            continue;
        }
        match config.expand_noting(&setting.value) {
            Ok((_, undefined)) => {
                undefined.iter().filter(|name| !services.contains(name)).for_each(|name| warn_undefined(config, name));
            }
            Err(error) => logging::warning!("{error}"),
        }
    }
}

fn warn_undefined(config: &Config, name: &str) {
    logging::warning!("{}: undefined parameter: {name}", config.directory().join("main.cf").display());
}
