//! `name=value` words behind `set-permissions` and `upgrade-configuration`: settings that count from now on, written
//! into main.cf.

use std::path::Path;

use config::edit::{Change, Replacement, main_cf};
use config::{Config, Origin};

/// Understands the words.
///
/// # Errors
/// The usage of the command, for a word that is no setting.
pub(crate) fn parse(command: &str, words: &[String]) -> Result<Vec<(String, String)>, String> {
    let usage = |_| format!("usage: postfix {command} [name=value...]");
    let split = |word: &String| config::main_cf::split(word).map(|(name, value)| (name.to_owned(), value.to_owned()));
    words.iter().map(|word| split(word).map_err(usage)).collect()
}

/// Writes those into main.cf that say something new, and tells of them.
pub(crate) fn store(config: &Config, settings: &[(String, String)]) -> Result<(), String> {
    let is_set = |name: &str| config.settings().find(|(other, _)| *other == name).map(|(_, setting)| setting);
    let is_new = |(name, value): &&(String, String)| {
        is_set(name).is_none_or(|it| it.value != *value || it.origin == Origin::Override)
    };
    let new: Vec<&(String, String)> = settings.iter().filter(is_new).collect();
    if new.is_empty() {
        return Ok(());
    }
    let file = config.directory().join("main.cf");
    for (name, value) in &new {
        println!("Editing {}, setting {name} = {value}", file.display());
    }
    let change = |(name, value): &(String, String)| Change::Set { name: name.clone(), value: value.clone() };
    let changes: Vec<Change> = new.into_iter().map(change).collect();
    replace(&file, |content| main_cf(content, &file, &changes).0)
}

/// Replaces a file by what `edit` makes of it.
pub(crate) fn replace(file: &Path, edit: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<(), String> {
    let replacement = Replacement::begin(file).map_err(|error| error.to_string())?;
    let content = replacement.content().map_err(|error| error.to_string())?;
    replacement.commit(&edit(&content)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_setting_with_blanks_around_its_parts_or_it_is_told_the_usage() {
        let parse = |word: &str| parse("set-permissions", &[word.to_owned()]);
        let setting = |value: &str| Ok(vec![("mail_owner".to_owned(), value.to_owned())]);
        assert_eq!(parse("mail_owner=x"), setting("x"));
        assert_eq!(parse("mail_owner = x y"), setting("x y"));
        assert_eq!(parse("mail_owner="), setting(""));
        for word in ["mail_owner", "=x", ""] {
            assert_eq!(parse(word), Err("usage: postfix set-permissions [name=value...]".to_owned()), "{word}");
        }
    }

    #[test]
    fn what_main_cf_says_already_is_not_written_again() {
        let folder = std::env::temp_dir().join(format!("postfix-settings-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("main.cf");
        let before = "# mine\nmail_owner = x\nsetgid_group = y\n";
        std::fs::write(&file, before).unwrap();
        let config = || Config::load(&folder, &[]).unwrap();
        let setting = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        store(&config(), &setting("mail_owner", "x")).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
        store(&config(), &setting("mail_owner", "z")).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before.replace("= x", "= z"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
