//! main.cf files that are changed.

use std::path::Path;

use config::edit::{Change, Replacement, main_cf};

/// A setting.
pub(crate) fn set(name: &str, value: &str) -> Change {
    Change::Set { name: name.to_owned(), value: value.to_owned() }
}

/// Changes the main.cf of a directory.
pub(crate) fn change(directory: &Path, changes: &[Change]) -> Result<(), String> {
    if changes.is_empty() {
        return Ok(());
    }
    let file = directory.join("main.cf");
    let replacement = Replacement::begin(&file).map_err(|error| error.to_string())?;
    let content = replacement.content().map_err(|error| error.to_string())?;
    let (content, warnings) = main_cf(&content, &file, changes);
    warnings.iter().for_each(|warning| logging::warning!("{warning}"));
    replacement.commit(&content).map_err(|error| error.to_string())
}
