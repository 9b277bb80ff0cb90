//! What the TLS of a client is made of, and what the log hears when a part of it is not there.

use std::path::Path;

use crate::fingerprint::Digest;
use crate::trust::Anchors;

/// The algorithm of fingerprints; `None` disables TLS.
pub fn digest(name: &str) -> Option<Digest> {
    let found = Digest::named(name);
    if found.is_none() {
        logging::warning!("Digest algorithm \"{}\" not found", text::printable(name.as_bytes()));
        logging::warning!("disabling TLS support");
    }
    found
}

/// Whom we believe: the authorities of a file, of a directory, and with `is_appended` those of the system; either name
/// may be empty. `Err` disables TLS, and has the authorities that could be read.
///
/// # Errors
/// The file cannot be read.
pub fn anchors(file: &str, directory: &str, is_appended: bool) -> Result<Anchors, Anchors> {
    let mut anchors = Anchors::default();
    let mut is_whole = true;
    if !file.is_empty()
        && let Err(error) = anchors.add_file(Path::new(file))
    {
        let also = if directory.is_empty() { String::new() } else { format!(", CApath=\"{directory}\"") };
        let line = format!("cannot load Certification Authority data, CAfile=\"{file}\"{also}: disabling TLS support");
        logging::info!("{}", text::printable(line.as_bytes()));
        logging::warning!("TLS library problem: {}", text::printable(error.to_string().as_bytes()));
        is_whole = false;
    }
    if !directory.is_empty() {
        anchors.add_directory(Path::new(directory));
    }
    if is_appended && !(file.is_empty() && directory.is_empty()) {
        anchors.add_system();
    }
    if is_whole { Ok(anchors) } else { Err(anchors) }
}
