//! What an administrator should know about main.cf and master.cf before he starts the mail system: what is wrong, what
//! is asked for and not there, and nothing of what works. Each thing is told once, with its place; what belongs to one
//! missing feature is one sentence.
//!
//! Nothing is decided here, nothing is logged, and no table is opened: `postfix check` prints the sentences.

mod feature;
mod level;
mod missing;
mod names;
mod places;
mod restrictions;
mod sasl;
mod services;
mod tables;
mod tls;
mod ways;

use std::fmt;
use std::path::{Path, PathBuf};

pub use feature::Feature;
pub(crate) use level::old_chroot;
pub(crate) use places::ranges;
pub use sasl::{CLIENT_TYPE, SERVER_TYPE};
pub use tables::{BerkeleyTable, TYPES};

use crate::entry::{self, Kind};
use crate::master_cf::{self, MasterCf, RawEntry, ServiceEntry};
use crate::settings::{Config, Origin};

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// 0 main.cf, 1 master.cf, 2 another file: what stands in the first is told first.
    rank: u8,
    /// The file.
    file: PathBuf,
    /// Its line; 0 when it is about the file as a whole.
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => self.file.display().fmt(f),
            line => write!(f, "{}, line {line}", self.file.display()),
        }
    }
}

/// A sentence about a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What is the matter there.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// A setting as somebody wrote it.
#[derive(Clone, Debug)]
struct Said {
    name: String,
    /// Expanded, with file names instead of what is in the files.
    value: String,
    raw: String,
    place: Place,
}

impl Said {
    fn entry(&self) -> Option<&'static entry::Entry> {
        entry::find(&self.name)
    }

    /// The items of a list.
    fn items(&self) -> Vec<&str> {
        text::split_list_before_comment(&self.value).0
    }
}

/// Both files, read.
pub struct Report<'a> {
    config: &'a Config,
    master_file: &'a Path,
    entries: Vec<RawEntry>,
    services: &'a [ServiceEntry],
    /// The settings of main.cf by line, then those of the services.
    said: Vec<Said>,
    has_program: &'a dyn Fn(&str) -> bool,
    odd: Vec<Finding>,
    old_chroot: Option<String>,
}

impl<'a> Report<'a> {
    /// `content` and `master` are those of master.cf at `file`; `has_program` says whether the program of a service
    /// exists.
    pub fn new(
        config: &'a Config,
        (file, content): (&'a Path, &[u8]),
        master: &'a MasterCf,
        has_program: &'a dyn Fn(&str) -> bool,
    ) -> Report<'a> {
        let mut warnings = Vec::new();
        let entries = master_cf::entries(content, file, &mut warnings);
        let services = &master.services;
        let mut report = Report {
            config,
            master_file: file,
            entries,
            services,
            said: Vec::new(),
            has_program,
            odd: Vec::new(),
            old_chroot: master.old_chroot.clone(),
        };
        report.said = report.main_settings();
        let options: Vec<Said> = services.iter().flat_map(|service| report.options_of(service)).collect();
        report.said.extend(options);
        let main = config.warnings().iter().map(|warning| report.odd_line(warning, false));
        report.odd = main.chain(warnings.iter().map(|warning| report.odd_line(warning, true))).collect();
        report
    }

    /// Everything, in the order in which it should be read: what is wrong, by file and line; what is not there yet, by
    /// feature; what is kept as it was.
    pub fn sentences(&self) -> Vec<String> {
        let mut wrong = self.odd.clone();
        wrong.extend(self.wrong_values());
        wrong.extend(self.wrong_names());
        wrong.extend(self.wrong_restrictions());
        wrong.extend(self.wrong_sasl());
        wrong.extend(self.wrong_tables());
        wrong.extend(self.wrong_ways());
        wrong.extend(self.wrong_services());
        wrong.extend(self.keys_without_keeper());
        wrong.extend(self.brackets());
        wrong.sort();
        wrong.dedup();
        let mut all: Vec<String> = wrong.iter().map(Finding::to_string).collect();
        all.extend(self.obsolete());
        all.extend(self.missing());
        all.extend(self.old_level());
        all
    }

    fn main_settings(&self) -> Vec<Said> {
        let mut said = Vec::new();
        for (name, setting) in self.config.settings() {
            let Origin::File { line, .. } = &setting.origin else { continue };
            said.push(self.said(self.config, name, &setting.value, self.main(*line)));
        }
        said.sort_by_key(|said| said.place.line);
        said
    }

    fn options_of(&self, service: &ServiceEntry) -> Vec<Said> {
        let overrides = service.arguments().map(|arguments| arguments.overrides).unwrap_or_default();
        if overrides.is_empty() {
            return Vec::new();
        }
        let config = self.config_of(service);
        let place = self.master(service.line);
        overrides.iter().map(|(name, value)| self.said(&config, name, value, place.clone())).collect()
    }

    /// main.cf as a service has it.
    fn config_of(&self, service: &ServiceEntry) -> Config {
        let overrides = service.arguments().map(|arguments| arguments.overrides).unwrap_or_default();
        overrides.iter().fold(self.config.clone(), |config, (name, value)| config.with(name, value))
    }

    fn said(&self, config: &Config, name: &str, raw: &str, place: Place) -> Said {
        let is_raw = entry::find(name).is_some_and(|entry| entry.kind == Kind::Raw);
        let expanded = if is_raw { None } else { config.expand_noting(raw).ok().map(|(text, _)| text) };
        Said { name: name.to_owned(), value: expanded.unwrap_or_else(|| raw.to_owned()), raw: raw.to_owned(), place }
    }

    fn main(&self, line: usize) -> Place {
        Place { rank: 0, file: self.config.directory().join("main.cf"), line }
    }

    fn master(&self, line: usize) -> Place {
        Place { rank: 1, file: self.master_file.to_owned(), line }
    }

    /// The place of a setting of main.cf; that of the file for a default.
    fn place_of(&self, name: &str) -> Place {
        match self.config.setting(name).map(|setting| &setting.origin) {
            Some(Origin::File { line, .. }) => self.main(*line),
            _ => self.main(0),
        }
    }

    fn brackets(&self) -> Vec<Finding> {
        let found = self.config.unbracketed(&self.entries, self.master_file).into_iter();
        found
            .map(|unbracketed| {
                let text = unbracketed.sentence();
                let rank = match () {
                    () if unbracketed.file == self.master_file => 1,
                    () if unbracketed.file == self.config.directory().join("main.cf") => 0,
                    () => 2,
                };
                Finding { place: Place { rank, file: unbracketed.file, line: unbracketed.line }, text }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
