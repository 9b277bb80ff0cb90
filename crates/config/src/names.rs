//! Which names of main.cf and master.cf mean something.
//!
//! A name is valid when it is a parameter, when it belongs to a service (`relay_destination_rate_delay`), or when some
//! value that programs read refers to it: by `$name`, as a restriction class, or as the prefix of an old-style table
//! (`ldap:prefix` reads `prefix_server_host`). Everything else is most likely a typing error.

use std::collections::HashSet;

use crate::entry::{self, Kind};
use crate::master_cf::RawEntry;
use crate::settings::Config;
use crate::transport;

/// A setting that nothing reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unused {
    /// It is an `-o` option of master.cf, at this line; otherwise a setting of main.cf or the command line.
    pub entry: Option<usize>,
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// The settings of main.cf, by name, and then the options of `services`, in their order, that nothing reads.
pub fn unused(config: &Config, services: &[RawEntry]) -> Vec<Unused> {
    let main = Names::of_main_cf(config);
    let own: Vec<Options> = services.iter().map(Options::of).collect();
    let service_names: HashSet<String> = services.iter().flat_map(service_parameters).collect();
    let known = |name: &str| entry::find(name).is_some() || service_names.contains(name);
    let mut found = Vec::new();
    for (name, setting) in config.settings() {
        if !(known(name) || main.has(name) || own.iter().any(|options| options.names.has(name))) {
            let (name, value) = (name.to_string(), setting.value.clone());
            found.push(Unused { entry: None, name, value });
        }
    }
    for options in own {
        for (name, value) in options.settings {
            if !(known(&name) || main.has(&name) || options.names.has(&name)) {
                found.push(Unused { entry: Some(options.line), name, value });
            }
        }
    }
    found
}

/// The `-o` options of an entry of master.cf, and what they refer to.
struct Options {
    line: usize,
    settings: Vec<(String, String)>,
    names: Names,
}

impl Options {
    fn of(entry: &RawEntry) -> Options {
        let settings = entry.options();
        let mut names = Names::default();
        for (name, value) in &settings {
            names.add(name, value, value);
        }
        Options { line: entry.line, settings, names }
    }
}

/// The per-transport parameters that a service has.
pub fn service_parameters(entry: &RawEntry) -> Vec<String> {
    let program = entry.field(7).unwrap_or_default();
    transport::families_of(program).map(|family| format!("{}{}", entry.name(), family.suffix)).collect()
}

/// Names that values refer to.
#[derive(Debug, Default)]
pub struct Names {
    names: HashSet<String>,
    prefixes: Vec<String>,
}

/// Table types whose settings stand in main.cf when the table's name is no path.
const CLIENT_TABLES: [&str; 5] = ["ldap", "mysql", "pgsql", "sqlite", "memcache"];

impl Names {
    /// The names that the settings of main.cf refer to.
    pub fn of_main_cf(config: &Config) -> Names {
        let mut names = Names::default();
        for (name, setting) in config.settings() {
            let expanded = config.expand_noting(&setting.value).map(|(text, _)| text);
            names.add(name, &setting.value, &expanded.unwrap_or_default());
        }
        names
    }

    fn add(&mut self, name: &str, raw: &str, expanded: &str) {
        // What a program expands itself does not refer to main.cf.
        if entry::find(name).is_some_and(|entry| entry.kind == Kind::Raw) {
            return;
        }
        self.names.extend(crate::names_in(raw));
        if name == "smtpd_restriction_classes" {
            self.names.extend(text::split_list(expanded).into_iter().map(str::to_string));
        }
        for word in expanded.split([' ', '\t', ',', '\r', '\n']) {
            let word = word.strip_prefix("proxy:").unwrap_or(word);
            let Some((kind, table)) = word.split_once(':') else { continue };
            if CLIENT_TABLES.contains(&kind) && !table.starts_with(['/', '.']) && !table.is_empty() {
                self.prefixes.push(format!("{table}_"));
            }
        }
    }

    /// Whether some value refers to the name.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name) || self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn run(main_cf: &str, master_cf: &str) -> Vec<String> {
        let path = Path::new("/etc/postfix");
        let config = Config::parse(main_cf.as_bytes(), path, &[]).unwrap();
        let services = crate::master_cf::entries(master_cf.as_bytes(), path, &mut Vec::new());
        let found = unused(&config, &services);
        found.into_iter().map(|unused| format!("{}={}", unused.name, unused.value)).collect()
    }

    #[test]
    fn a_name_that_some_value_refers_to_is_used() {
        let main_cf = "foo = 1\nbar = 2\nmyorigin = $bar\nmua = permit\nrestricted = reject\n\
                       smtpd_restriction_classes = restricted\nvirtual_alias_maps = ldap:mine, mysql:/etc/x\n\
                       mine_server_host = localhost\ndefault_rbl_reply = $raw\nraw = 1\n";
        let master_cf = "a unix - - n - - smtp -o smtpd_client_restrictions=$mua -o x=1 -o y=$x -o {z = 2 3}\n";
        assert_eq!(run(main_cf, master_cf), ["foo=1", "raw=1", "y=$x", "z=2 3"]);
    }

    #[test]
    fn a_service_has_the_parameters_of_its_program() {
        let main_cf = "a_destination_rate_delay = 1s\nb_destination_rate_delay = 1s\nc_time_limit = 5\n";
        let master_cf = "a unix - - n - - smtp\nb unix - - n - - smtpd\nc unix - n n - - pipe\n";
        assert_eq!(run(main_cf, master_cf), ["b_destination_rate_delay=1s"]);
    }

    #[test]
    fn every_name_that_a_default_refers_to_is_in_the_table() {
        for entry in crate::table::TABLE.iter().filter(|entry| entry.kind != Kind::Raw) {
            for name in crate::names_in(entry.default) {
                assert!(entry::find(&name).is_some(), "{}: {name}", entry.name);
            }
        }
    }
}
