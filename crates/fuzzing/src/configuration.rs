//! main.cf, master.cf and the expressions in them: whatever they say, each place that is wrong has an error of its own.

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use config::edit::{self, Change, Document};
use config::master_cf::{self, MasterCf};
use config::{Config, expand, lines, main_cf, parse_duration};

use crate::pieces::fields;

const DIRECTORY: &str = "/etc/postfix";

/// Every setting has a value or an error, and is the same one where the file is written anew; the checks come to an
/// end.
pub fn main_cf_settings(data: &[u8]) {
    let directory = Path::new(DIRECTORY);
    let config = match Config::parse(data, directory, &[]) {
        Ok(config) => config,
        Err(error) => {
            assert!(error.to_string().starts_with("/etc/postfix/main.cf, line "), "{error}");
            return;
        }
    };
    let names: Vec<String> = config.settings().map(|(name, _)| name.to_owned()).collect();
    for name in &names {
        if let Err(error) = config.lookup(name) {
            assert!(!error.to_string().is_empty());
        }
    }
    let set = |config: &Config| -> Vec<(String, String)> {
        config.settings().map(|(name, setting)| (name.to_owned(), setting.value.clone())).collect()
    };
    let written = set(&config).iter().map(|(name, value)| format!("{name} = {value}\n")).collect::<String>();
    let again = Config::parse(&text::lossless::encode(&written), directory, &[]).expect("what is written is a main.cf");
    assert_eq!(set(&again), set(&config));
    let (file, services) = (directory.join("master.cf"), b"smtp inet n - n - - smtpd\n");
    if let Ok(master_cf) = config::master_cf::MasterCf::parse(services, &file, &config) {
        let said = config::Report::new(&config, (&file, services), &master_cf, &|_| true).sentences();
        assert!(said.iter().all(|sentence| !sentence.is_empty()));
    }
}

/// An expression is expanded or refused; it gets no larger than what its names stand for, and a text without is itself.
pub fn expressions(data: &[u8]) {
    let text = text::lossless::decode(data);
    // A name stands for itself, or for nothing.
    let mut scope = |name: &str| (!name.starts_with('x')).then(|| name.to_owned());
    match expand::expand(&text, &mut scope) {
        Ok(expanded) => {
            // domain_to_ascii makes eight bytes of a label of one character and its dot, which are three.
            let most = if text.contains("domain_to_ascii") { 3 * text.len() } else { text.len() };
            assert!(expanded.as_text().len() <= most + 4 * text.matches("${").count());
            assert!(!expand::is_literal(&text) || expanded.as_text() == text);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let mut names = Vec::new();
    let _ = expand::scan(&text, &mut names);
    assert!(names.len() <= text.len());
    if let Some(duration) = parse_duration(&text, 1) {
        assert!(i64::try_from(duration.as_secs()).is_ok());
    }
    if let Some(level) = config::Level::parse(&text) {
        assert_eq!(config::Level::parse(&level.to_string()), Some(level));
    }
}

/// Each entry of a master.cf is a service, or an error that names its line; arguments are words of the file, and an
/// entry that is written on one line is the same one.
pub fn master_cf_entries(data: &[u8]) {
    static CONFIG: LazyLock<Config> =
        LazyLock::new(|| Config::parse(b"", Path::new(DIRECTORY), &[]).expect("an empty main.cf"));
    let path = Path::new(DIRECTORY).join("master.cf");
    match MasterCf::parse(data, &path, &CONFIG) {
        Ok(master) => {
            for service in &master.services {
                assert!(!service.name.is_empty() && !service.command.is_empty());
                let arguments: usize = service.args.iter().map(String::len).sum();
                assert!(arguments <= 4 * data.len());
                if let Err(error) = service.arguments() {
                    assert!(!error.to_string().is_empty());
                }
            }
        }
        Err(error) => assert!(error.to_string().starts_with("/etc/postfix/master.cf: line "), "{error}"),
    }
    let mut warnings = Vec::new();
    for entry in master_cf::entries(data, &path, &mut warnings) {
        // Only what NUL has cut off leaves nothing.
        assert!(!entry.name().is_empty() || data.contains(&0));
        let (arguments, _) = entry.arguments();
        assert!(arguments.len() <= 2 * entry.arguments.len());
        for (name, _) in entry.options() {
            assert!(!name.is_empty());
        }
        let written = format!("{} {}\n", entry.fields.join(" "), entry.arguments);
        let again = master_cf::entries(&text::lossless::encode(&written), &path, &mut Vec::new());
        let said: Vec<_> = again.iter().map(|again| (&again.fields, &again.arguments)).collect();
        assert!(entry.fields.is_empty() || said == [(&entry.fields, &entry.arguments)], "{written}");
    }
}

/// A file of which nothing is asked stays as it is, byte for byte; a change is read back, and nothing else changes.
pub fn main_cf_edits(data: &[u8]) {
    let [name, value, file] = fields(data);
    assert_eq!(Document::parse(file).render(), file);
    let path = Path::new("main.cf");
    let Some(before) = settings(file, path) else { return };
    let (name, value) = (text::lossless::decode(name), text::lossless::decode(value));
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name || value.contains('\n') {
        return;
    }
    let value = value.trim_matches(|c: char| c.is_ascii_whitespace()).to_owned();
    let set = Change::Set { name: name.clone(), value: value.clone() };
    for (change, expected) in
        [(set, Some(value)), (Change::Remove(name.clone()), None), (Change::Comment(name.clone()), None)]
    {
        let (edited, _) = edit::main_cf(file, path, &[change]);
        let mut after = settings(&edited, path).expect("a file that can be read is so after an edit");
        let mut before = before.clone();
        assert_eq!(after.remove(&name), expected, "{}", edited.escape_ascii());
        before.remove(&name);
        assert_eq!(after, before);
    }
}

/// What a main.cf sets; nothing when it cannot be read without warnings.
fn settings(content: &[u8], path: &Path) -> Option<HashMap<String, String>> {
    let mut warnings = Vec::new();
    let found = main_cf::parse(content, path, &mut warnings).ok()?;
    let odd = warnings.iter().any(|warning| !matches!(warning.kind, lines::WarningKind::Overriding { .. }));
    (!odd).then(|| found.into_iter().map(|setting| (setting.name, setting.value)).collect())
}
