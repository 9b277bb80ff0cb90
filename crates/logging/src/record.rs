//! Records: log lines with named facts.

use std::fmt::Display;

use crate::line::Severity;

/// A log line as a type. `Display` is the line as Postfix writes it, after `TAG[PID]: ` and the severity word.
pub trait Record: Display {
    /// How serious it is.
    fn severity(&self) -> Severity {
        Severity::Info
    }

    /// The message that it is about.
    fn queue_id(&self) -> Option<&str> {
        None
    }

    /// The facts of the line by name, for the JSON form.
    fn fields(&self) -> Vec<Field> {
        Vec::new()
    }
}

/// A fact: its name and its value as text.
pub type Field = (&'static str, String);
