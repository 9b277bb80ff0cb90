//! The configuration in force: main.cf, the overrides of a master.cf entry or the command line, and the defaults of the
//! table.
//!
//! It is loaded once and never changes; a reload makes a new one. It reads no lookup table.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::entry::{self, Param};
use crate::error::{ConfigError, ValueError};
use crate::expand::{self, ExpandError, Scope};
use crate::level::Level;
use crate::lines::Warning;
use crate::transport::Family;
use crate::value::Value;
use crate::{computed, files, main_cf, param, value, words};

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of main.cf.
    File {
        /// main.cf.
        file: PathBuf,
        /// The physical line the setting starts on.
        line: usize,
    },
    /// An `-o` option.
    Override,
}

/// An explicit setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The value, unexpanded.
    pub value: String,
    /// Where it stands.
    pub origin: Origin,
}

/// The configuration in force.
#[derive(Clone, Debug)]
pub struct Config {
    directory: PathBuf,
    settings: BTreeMap<String, Setting>,
    computed: HashMap<&'static str, String>,
    mynetworks: OnceLock<Result<String, String>>,
    warnings: Vec<Warning>,
}

impl Config {
    /// Reads main.cf of `directory`; `overrides` win over it, the last of a name wins.
    ///
    /// Errors are of the file as a whole; a wrong value is the error of the one who asks for it.
    pub fn load(directory: &Path, overrides: &[(String, String)]) -> Result<Config, ConfigError> {
        let file = directory.join("main.cf");
        let content = std::fs::read(&file).map_err(|source| ConfigError::Open { file: file.clone(), source })?;
        Config::parse(&content, directory, overrides)
    }

    /// The directory of main.cf when nobody names one: that of the environment, or
    /// [`DEFAULT_DIRECTORY`](crate::DEFAULT_DIRECTORY).
    pub fn default_directory() -> PathBuf {
        Config::directory_of_environment().unwrap_or_else(|| PathBuf::from(crate::DEFAULT_DIRECTORY))
    }

    /// The directory that [`MAIL_CONFIG`](crate::MAIL_CONFIG) names, if it is set and not empty.
    pub fn directory_of_environment() -> Option<PathBuf> {
        std::env::var_os(crate::MAIL_CONFIG).filter(|directory| !directory.is_empty()).map(PathBuf::from)
    }

    /// As [`Config::load`], of main.cf's content.
    pub fn parse(content: &[u8], directory: &Path, overrides: &[(String, String)]) -> Result<Config, ConfigError> {
        let file = directory.join("main.cf");
        let mut warnings = Vec::new();
        let mut settings = BTreeMap::new();
        for assignment in main_cf::parse(content, &file, &mut warnings)? {
            let origin = Origin::File { file: file.clone(), line: assignment.line };
            settings.insert(assignment.name, Setting { value: assignment.value, origin });
        }
        for (name, value) in overrides {
            let setting = Setting { value: value.clone(), origin: Origin::Override };
            settings.insert(name.clone(), setting);
        }
        let mut config = Config {
            directory: directory.to_path_buf(),
            settings,
            computed: HashMap::new(),
            mynetworks: OnceLock::new(),
            warnings,
        };
        config.computed = computed::defaults(&config);
        Ok(config)
    }

    /// The same configuration with one more override.
    pub fn with(&self, name: &str, value: &str) -> Config {
        let mut config = self.clone();
        let setting = Setting { value: value.to_owned(), origin: Origin::Override };
        config.settings.insert(name.to_owned(), setting);
        config
    }

    /// The value of a parameter.
    pub fn get<T: Value>(&self, param: Param<T>) -> Result<T, ValueError> {
        let name = param.name();
        let Some(entry) = entry::find(name) else {
            return Err(ValueError::Meaning(format!("{name}: unknown parameter")));
        };
        let raw = self.raw(name).unwrap_or_default();
        if T::RAW {
            return T::from_text(raw, name, entry);
        }
        let text = words::checked(name, self.expand_as(name, raw)?, &self.directory)?;
        T::from_text(&text, name, entry)
    }

    /// What is wrong with the value of a parameter whose entry this is.
    pub(crate) fn value_error(&self, name: &str, entry: &entry::Entry) -> Option<ValueError> {
        let text = self.lookup(name).map(Option::unwrap_or_default);
        let checked = text.and_then(|text| words::checked(name, text, &self.directory));
        checked.and_then(|text| value::check(&text, name, entry)).err()
    }

    /// The names and the level that every program asks for, whatever it does with them.
    ///
    /// # Errors
    /// The first that makes no sense: no program goes on then.
    pub fn check_names(&self) -> Result<(), ValueError> {
        for param in [param::COMPATIBILITY_LEVEL, param::MYHOSTNAME, param::MYDOMAIN, param::MYORIGIN] {
            self.get(param)?;
        }
        Ok(())
    }

    /// The value of a parameter that a service has for itself (`smtp_destination_concurrency_limit`): the service's own
    /// when it is set or has a default, else that of the parameter which stands in
    /// (`default_destination_concurrency_limit`).
    pub fn of_service<T: Value>(&self, service: &str, fallback: Param<T>) -> Result<T, ValueError> {
        let own = Family::with_fallback(fallback.name()).map(|family| format!("{service}{}", family.suffix));
        let Some((name, raw)) = own.and_then(|name| self.raw(&name).map(|raw| (name.clone(), raw))) else {
            return self.get(fallback);
        };
        let text = self.expand_as(&name, raw)?;
        match entry::find(fallback.name()) {
            Some(entry) => T::from_text(&text, &name, entry),
            None => self.get(fallback),
        }
    }

    /// The unexpanded setting or default; None for a name that is neither set nor in the table.
    pub fn raw(&self, name: &str) -> Option<&str> {
        if let Some(setting) = self.settings.get(name) {
            return Some(&setting.value);
        }
        self.default(name)
    }

    /// The unexpanded default, computed ones included; of mynetworks "" when it cannot be computed.
    pub fn default(&self, name: &str) -> Option<&str> {
        if let Some(value) = self.computed.get(name) {
            return Some(value);
        }
        if name == "mynetworks" {
            return Some(self.networks().unwrap_or_default());
        }
        entry::find(name).map(|entry| entry.default)
    }

    /// The expanded value of any name; None when it is neither set nor in the table.
    pub fn lookup(&self, name: &str) -> Result<Option<String>, ValueError> {
        self.raw(name).map(|raw| self.expand_as(name, raw)).transpose()
    }

    /// Expands the `$` expressions of a text.
    pub fn expand(&self, text: &str) -> Result<String, ExpandError> {
        if expand::is_literal(text) {
            return Ok(text.to_owned());
        }
        expand::expand_text(text, &mut Walk::new(self))
    }

    /// As [`Config::expand`], with the names that are not defined (each counts as empty), and with the names of files
    /// instead of what is in them: for showing a configuration.
    pub fn expand_noting(&self, text: &str) -> Result<(String, Vec<String>), ExpandError> {
        let mut walk = Walk { files: false, ..Walk::new(self) };
        let text = expand::expand_text(text, &mut walk)?;
        Ok((text, walk.undefined))
    }

    /// The explicit setting of a name.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.get(name)
    }

    /// Every explicit setting, by name.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.settings.iter().map(|(name, setting)| (name.as_str(), setting))
    }

    /// Whether main.cf or an override sets the name.
    pub fn is_set(&self, name: &str) -> bool {
        self.settings.contains_key(name)
    }

    /// What was odd in main.cf.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The directory main.cf was read from.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The table of every parameter.
    pub fn table(&self) -> &'static [entry::Entry] {
        crate::table::TABLE
    }

    /// The level whose defaults and log lines are in force; a malformed one counts as 0.
    pub fn compatibility_level(&self) -> Level {
        let text = self.get(param::COMPATIBILITY_LEVEL).unwrap_or_default();
        Level::parse(&text).unwrap_or(Level::new(0, 0))
    }

    /// Whether log lines have the form of Postfix 3.11.
    pub fn modern_log(&self) -> bool {
        self.compatibility_level() >= Level::new(3, 11)
    }

    /// The expanded value of a parameter that the default of mynetworks depends on: it cannot refer to that.
    pub(crate) fn own_text(&self, name: &str) -> Result<String, ValueError> {
        let raw = self.raw(name).unwrap_or_default();
        let mut walk = Walk { networks: false, ..Walk::new(self) };
        expand::expand_text(raw, &mut walk).map_err(|source| ValueError::Expand { name: name.to_owned(), source })
    }

    /// The default of mynetworks, computed once.
    fn networks(&self) -> Result<&str, &str> {
        let networks = self.mynetworks.get_or_init(|| match self.default_mynetworks() {
            Ok((networks, _)) => Ok(networks),
            Err(error) => Err(error.to_string()),
        });
        match networks {
            Ok(networks) => Ok(networks),
            Err(error) => Err(error),
        }
    }

    fn expand_as(&self, name: &str, raw: &str) -> Result<String, ValueError> {
        if name == "mynetworks" && !self.is_set(name) {
            let networks = self.networks().map_err(|error| ValueError::Meaning(error.to_owned()))?;
            return Ok(networks.to_owned());
        }
        let text = self.expand(raw).map_err(|source| ValueError::Expand { name: name.to_owned(), source })?;
        // myorigin
        match name {
            "myorigin" if text.starts_with('/') => files::first_line(name, &text),
            _ => Ok(text),
        }
    }
}

/// Expansions within one value; more is a configuration that refers to itself.
const REFERENCES: usize = 10_000;

/// One walk through the values that a text refers to.
struct Walk<'a> {
    config: &'a Config,
    budget: usize,
    undefined: Vec<String>,
    /// The default of mynetworks may be asked for.
    networks: bool,
    /// A value that names a file stands for what is in it.
    files: bool,
}

impl<'a> Walk<'a> {
    fn new(config: &'a Config) -> Walk<'a> {
        Walk { config, budget: REFERENCES, undefined: Vec::new(), networks: true, files: true }
    }
}

impl Scope for Walk<'_> {
    fn value(&mut self, name: &str, depth: usize) -> Result<Option<String>, ExpandError> {
        if name == "mynetworks" && !self.config.is_set(name) {
            if !self.networks {
                return Err(ExpandError::Nesting(name.to_owned()));
            }
            return match self.config.networks() {
                Ok(networks) => Ok(Some(networks.to_owned())),
                Err(error) => Err(ExpandError::Default(error.to_owned())),
            };
        }
        let Some(raw) = self.config.raw(name) else {
            self.undefined.push(name.to_owned());
            return Ok(None);
        };
        if depth + 1 >= expand::DEPTH || self.budget == 0 {
            return Err(ExpandError::Nesting(name.to_owned()));
        }
        self.budget -= 1;
        let value = expand::expand_within(raw, depth + 1, self)?;
        // myorigin
        if self.files && name == "myorigin" && value.starts_with('/') {
            let line = files::first_line(name, &value);
            return line.map(Some).map_err(|error| ExpandError::Default(error.to_string()));
        }
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn config(content: &str, overrides: &[(&str, &str)]) -> Config {
        let overrides: Vec<_> = overrides.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Config::parse(content.as_bytes(), Path::new("/etc/postfix"), &overrides).unwrap()
    }

    #[test]
    fn an_override_wins_over_main_cf_and_may_refer_to_it() {
        let config = config("smtpd_timeout = 10\nfoo = x\n", &[("bar", "$foo y"), ("smtpd_timeout", "2m")]);
        assert_eq!(config.get(param::SMTPD_TIMEOUT), Ok(Duration::from_secs(120)));
        assert_eq!(config.lookup("bar"), Ok(Some("x y".to_owned())));
        assert_eq!(config.lookup("nosuch"), Ok(None));
    }

    #[test]
    fn defaults_with_expressions_follow_stress_and_level() {
        let relaxed = config("", &[("stress", "")]);
        let stressed = config("", &[("stress", "yes")]);
        assert_eq!(relaxed.get(param::SMTPD_TIMEOUT), Ok(Duration::from_secs(300)));
        assert_eq!(stressed.get(param::SMTPD_TIMEOUT), Ok(Duration::from_secs(10)));
        assert_eq!(config("", &[]).get(param::INET_PROTOCOLS), Ok("ipv4".to_owned()));
        let level = config("compatibility_level = 3.6\n", &[]);
        assert_eq!(level.get(param::INET_PROTOCOLS), Ok("all".to_owned()));
        assert!(!level.modern_log());
        assert!(config("compatibility_level = 3.11\n", &[]).modern_log());
    }

    #[test]
    fn a_myorigin_that_starts_with_a_slash_is_read_from_the_file() {
        let file = std::env::temp_dir().join(format!("config-mailname-{}", std::process::id()));
        std::fs::write(&file, "# name\n\nmail.example.org\n").unwrap();
        let content = format!("myorigin = {}\nfoo = x $myorigin\n", file.display());
        let config = config(&content, &[]);
        assert_eq!(config.get(param::MYORIGIN), Ok("mail.example.org".to_owned()));
        assert_eq!(config.expand("$foo").unwrap(), "x mail.example.org");
        assert_eq!(config.expand_noting("$foo").unwrap().0, format!("x {}", file.display()));
        std::fs::remove_file(&file).unwrap();
        assert!(config.get(param::MYORIGIN).is_err());
    }

    #[test]
    fn a_loop_is_an_error_and_not_a_hang() {
        let config = config("x = $y\ny = $x\na = $b$b\nb = $a$a\nsoft_bounce = $x\n", &[]);
        let error = config.get(param::SOFT_BOUNCE).unwrap_err().to_string();
        assert!(error.contains("unreasonable macro call nesting"), "{error}");
        assert!(config.lookup("a").is_err());
    }

    #[test]
    fn many_references_without_a_loop_are_bounded() {
        let mut content = String::from("a0 =\n");
        for n in 1..90 {
            content.push_str(&format!("a{n} = $a{0}$a{0}\n", n - 1));
        }
        assert!(config(&content, &[]).lookup("a89").is_err());
    }

    #[test]
    fn a_transport_has_its_own_value_its_default_or_the_fallback() {
        let config =
            config("relay_destination_concurrency_limit = 7\ndefault_destination_concurrency_limit = 9\n", &[]);
        let limit = |transport| {
            let fallback = param::DEFAULT_DESTINATION_CONCURRENCY_LIMIT;
            config.of_service(transport, fallback).unwrap()
        };
        assert_eq!((limit("relay"), limit("local"), limit("slow"), limit("smtp")), (7, 2, 9, 9));
    }
}
