//! Which names of main.cf and master.cf mean something.
//!
//! A name is valid when it is a parameter, when it belongs to a service (`relay_destination_rate_delay`), or when some
//! value that programs read refers to it: by `$name`, as a restriction class, or as the prefix of an old-style table
//! (`ldap:prefix` reads `prefix_server_host`). Everything else is most likely a typing error.

use std::collections::{BTreeSet, HashSet};

use crate::clients::{self, ClientTable};
use crate::comments;
use crate::entry::{self, Kind};
use crate::expand::{self, ExpandError};
use crate::master_cf::RawEntry;
use crate::settings::{Config, Origin};
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

/// A name that a value refers to and that nothing defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undefined {
    /// The value is that of an `-o` option of master.cf, and not of main.cf.
    pub in_master: bool,
    /// The line of the setting, or of the service; 0 for one of the command line.
    pub line: usize,
    /// The name.
    pub name: String,
}

/// A `#` behind other text of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The value is that of an `-o` option of master.cf, and not of main.cf.
    pub in_master: bool,
    /// The line of the setting, or of the service; 0 for one of the command line.
    pub line: usize,
    /// The sentence.
    pub text: String,
}

/// An obsolete parameter that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obsolete {
    /// It is an `-o` option of master.cf, at this line; otherwise a setting of main.cf or the command line.
    pub entry: Option<usize>,
    /// The parameter.
    pub name: String,
    /// What to set in its place; empty when nothing is to be set; `nothing` when there is nothing like it any more.
    pub instead: &'static str,
}

impl std::fmt::Display for Obsolete {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "support for parameter \"{}\" will be removed; instead, ", self.name)?;
        match self.instead {
            "" => f.write_str("do not specify (leave at default)"),
            "nothing" => f.write_str("do not specify"),
            other => write!(f, "specify \"{other}\""),
        }
    }
}

/// Both files as far as names are concerned.
#[derive(Debug)]
pub struct Names<'a> {
    config: &'a Config,
    main: Uses,
    services: Vec<Options>,
    of_services: HashSet<String>,
}

impl<'a> Names<'a> {
    /// The names of main.cf and of the options of `services`.
    pub fn new(config: &'a Config, services: &[RawEntry]) -> Names<'a> {
        Names {
            config,
            main: Uses::of_main_cf(config),
            services: services.iter().map(|entry| Options::of(config, entry)).collect(),
            of_services: services.iter().flat_map(service_parameters).collect(),
        }
    }

    /// The settings of main.cf, by name, and then the options of the services, in their order, that nothing reads.
    pub fn unused(&self) -> Vec<Unused> {
        let mut found = Vec::new();
        for (name, setting) in self.config.settings() {
            if !(self.is_parameter(name) || self.main.has(name) || self.services.iter().any(|it| it.uses.has(name))) {
                found.push(Unused { entry: None, name: name.to_owned(), value: setting.value.clone() });
            }
        }
        for options in &self.services {
            for (name, value) in &options.settings {
                if !(self.is_parameter(name) || self.main.has(name) || options.uses.has(name)) {
                    found.push(Unused { entry: Some(options.line), name: name.clone(), value: value.clone() });
                }
            }
        }
        found
    }

    /// The names that values refer to and that nothing defines, as often as they stand there: those of the services,
    /// then those of main.cf.
    pub fn undefined(&self) -> Vec<Undefined> {
        let mut found = Vec::new();
        for options in &self.services {
            let is_missing = |name: &str| !(options.sets(name) || self.is_defined(name));
            let missing = options.uses.references.iter().filter(|(name, _)| is_missing(name));
            found.extend(missing.map(|(name, line)| Undefined { in_master: true, line: *line, name: name.clone() }));
        }
        // A name of main.cf may have its value from those who read it.
        let given = |name: &str| self.services.iter().any(|options| options.sets(name));
        let missing = self.main.references.iter().filter(|(name, _)| !(self.is_defined(name) || given(name)));
        found.extend(missing.map(|(name, line)| Undefined { in_master: false, line: *line, name: name.clone() }));
        found
    }

    /// The obsolete parameters that are set, in the same order.
    pub fn obsolete(&self) -> Vec<Obsolete> {
        let of = |entry: Option<usize>, name: &str| {
            let instead = entry::find(name)?.instead?;
            Some(Obsolete { entry, name: name.to_owned(), instead })
        };
        let main = self.config.settings().filter_map(|(name, _)| of(None, name));
        let options = self.services.iter().flat_map(|service| {
            service.settings.iter().filter_map(|(name, _)| of(Some(service.line), name)).collect::<Vec<_>>()
        });
        main.chain(options).collect()
    }

    /// The tables behind a database client, each once.
    pub fn client_tables(&self) -> BTreeSet<&ClientTable> {
        self.main.tables.iter().chain(self.services.iter().flat_map(|options| &options.uses.tables)).collect()
    }

    /// The expressions that make no sense: of main.cf, then of the services.
    pub fn errors(&self) -> impl Iterator<Item = &ExpandError> {
        self.main.errors.iter().chain(self.services.iter().flat_map(|options| &options.uses.errors))
    }

    /// What was meant as comments behind other text, in values of the services and then of main.cf.
    pub fn comments(&self) -> Vec<Comment> {
        let of = |in_master: bool, uses: &Uses| {
            let comment = |(text, line): &(String, usize)| Comment { in_master, line: *line, text: text.clone() };
            uses.comments.iter().map(comment).collect::<Vec<_>>()
        };
        let services = self.services.iter().flat_map(|options| of(true, &options.uses));
        services.chain(of(false, &self.main)).collect()
    }

    fn is_defined(&self, name: &str) -> bool {
        self.is_parameter(name) || self.config.is_set(name) && !self.main.reads(name)
    }

    /// A parameter of the table, or one of a service.
    fn is_parameter(&self, name: &str) -> bool {
        self.of_services.contains(name)
            || entry::find(name).is_some_and(|entry| entry.is_name() && !transport::is_service_default(entry))
    }
}

/// The parameter that a typing error could have made this name of: one letter in eight may be wrong, at most three.
pub fn nearest(name: &str) -> Option<&'static str> {
    let limit = (name.len() / 8).clamp(1, 3);
    let candidates =
        crate::table::TABLE.iter().filter(|entry| !entry.legacy && entry.name.len().abs_diff(name.len()) <= limit);
    let distances = candidates.map(|entry| (strsim::osa_distance(name, entry.name), entry.name));
    distances.filter(|(distance, _)| *distance <= limit).min().map(|(_, name)| name)
}

/// The `-o` options of an entry of master.cf, and what they refer to.
#[derive(Debug)]
struct Options {
    line: usize,
    settings: Vec<(String, String)>,
    uses: Uses,
}

impl Options {
    fn of(config: &Config, entry: &RawEntry) -> Options {
        let settings = entry.options();
        let mut uses = Uses::default();
        for (name, value) in &settings {
            uses.add(config, name, value, entry.line);
        }
        Options { line: entry.line, settings, uses }
    }

    fn sets(&self, name: &str) -> bool {
        self.settings.iter().any(|(option, _)| option == name)
    }
}

/// The per-transport parameters that a service has.
pub fn service_parameters(entry: &RawEntry) -> Vec<String> {
    let program = entry.field(7).unwrap_or_default();
    transport::families_of(program).map(|family| format!("{}{}", entry.name(), family.suffix)).collect()
}

/// What values refer to.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    names: HashSet<String>,
    /// The same, as often as they stand there, with the lines of the settings.
    references: Vec<(String, usize)>,
    errors: Vec<ExpandError>,
    tables: Vec<ClientTable>,
    /// What was meant as comments, with the lines of the settings.
    comments: Vec<(String, usize)>,
}

impl Uses {
    /// What the settings of main.cf refer to.
    pub(crate) fn of_main_cf(config: &Config) -> Uses {
        let mut uses = Uses::default();
        for (name, setting) in config.settings() {
            let line = match &setting.origin {
                Origin::File { line, .. } => *line,
                Origin::Override => 0,
            };
            uses.add(config, name, &setting.value, line);
        }
        uses
    }

    fn add(&mut self, config: &Config, name: &str, raw: &str, line: usize) {
        let parameter = entry::find(name);
        // What a program expands itself does not refer to main.cf.
        if parameter.is_some_and(|entry| entry.kind == Kind::Raw) {
            return;
        }
        let expanded = config.expand_noting(raw).map(|(text, _)| text).unwrap_or_default();
        let mut references = Vec::new();
        if let Err(error) = expand::scan(raw, &mut references) {
            self.errors.push(error);
        }
        if name == "smtpd_restriction_classes" {
            references.extend(text::split_list(&expanded).into_iter().map(str::to_owned));
        }
        self.names.extend(references.iter().cloned());
        self.references.extend(references.into_iter().map(|name| (name, line)));
        if parameter.is_some_and(|entry| !entry.legacy) {
            self.tables.extend(clients::tables(&expanded));
            self.comments.extend(comments::stray(&expanded).into_iter().map(|text| (text, line)));
        }
    }

    /// Whether some value refers to the name, or a table reads it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name) || self.reads(name)
    }

    fn reads(&self, name: &str) -> bool {
        self.tables.iter().any(|table| table.reads(name))
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
        let found = Names::new(&config, &services).unused();
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
            let mut names = Vec::new();
            expand::scan(entry.default, &mut names).unwrap();
            for name in names {
                assert!(entry::find(&name).is_some(), "{}: {name}", entry.name);
            }
        }
    }

    #[test]
    fn a_typing_error_is_recognised_and_another_name_is_not() {
        assert_eq!(nearest("smtpd_tls_sercurity_level"), Some("smtpd_tls_security_level"));
        assert_eq!(nearest("mydistination"), Some("mydestination"));
        assert_eq!(nearest("releyhost"), Some("relayhost"));
        assert_eq!(nearest("inet_protocol"), Some("inet_protocols"));
        assert_eq!(nearest("mua_client_restrictions"), None);
        assert_eq!(nearest("foo"), None);
        assert_eq!(nearest(&"x".repeat(100_000)), None);
    }
}
