//! Standard output and the way a command ends.

use std::fmt;
use std::io::{self, Write};

use text::lossless::encode;

/// Why the command stops; Display is the sentence behind `fatal: `.
#[derive(Debug)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Failure {
    /// A failure with this sentence.
    pub fn new(text: impl ToString) -> Failure {
        Failure(text.to_string())
    }
}

/// A warning on standard error. What is not ASCII in it becomes `?`, byte for byte.
pub fn warning(text: fmt::Arguments<'_>) {
    logging::warning!("{}", text::printable_ascii(&encode(&text.to_string())));
}

/// Prints lines. A reader that has gone away is no error.
pub fn lines<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> Result<(), Failure> {
    let mut text = String::new();
    for line in lines {
        text.push_str(line.as_ref());
        text.push('\n');
    }
    match io::stdout().lock().write_all(&encode(&text)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure(format!("write standard output: {error}", error = text::system_error(&error))))
        }
        _ => Ok(()),
    }
}
