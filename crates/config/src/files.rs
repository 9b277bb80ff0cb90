//! Values that stand in a file which main.cf names.

use std::fs::File;
use std::io::Read;

use crate::error::ValueError;

/// The largest file that is read for a value, in bytes. told: whoever reads the value.
const LIMIT: u64 = 64 * 1024;

/// The first line that is neither empty nor a comment.
pub(crate) fn first_line(name: &str, path: &str) -> Result<String, ValueError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut text));
    let failed = |why: &str| ValueError::Meaning(format!("parameter {name}: open {path}: {why}"));
    if read.map_err(|error| failed(&text::system_error(&error)))? as u64 > LIMIT {
        return Err(failed(&format!("more than {LIMIT} bytes")));
    }
    let text = String::from_utf8(text).map_err(|_| failed("not UTF-8"))?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    match line {
        Some(line) => Ok(line.to_owned()),
        None => Err(ValueError::Meaning(format!("parameter {name}: file {path} is empty"))),
    }
}
