//! Values that stand in a file which main.cf names.

use std::fs::File;
use std::io::Read;

use crate::error::ValueError;

/// The largest file that is read for a value, in bytes.
const LIMIT: u64 = 64 * 1024;

/// The first line that is neither empty nor a comment.
pub(crate) fn first_line(name: &str, path: &str) -> Result<String, ValueError> {
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(LIMIT).read_to_string(&mut text)).map_err(|error| {
        ValueError::Meaning(format!("parameter {name}: open {path}: {}", text::system_error(&error)))
    })?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    match line {
        Some(line) => Ok(line.to_string()),
        None => Err(ValueError::Meaning(format!("parameter {name}: file {path} is empty"))),
    }
}
