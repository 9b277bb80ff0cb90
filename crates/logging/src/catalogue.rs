//! The records as docs/log.md shows them: each with its example, in both forms.

use sys::time::utc;

use crate::line::{self, Origin};
use crate::record::{Description, Field, Record};

/// An example, as the log has it.
pub struct Example {
    /// In Postfix's form.
    pub text: String,
    /// In the JSON form.
    pub json: String,
}

/// When the examples were logged.
const MOMENT: i64 = 1_795_347_685;

/// The example of a record, by the code that writes the log.
pub fn example(description: &Description) -> Example {
    let record = (description.example)();
    let tag = format!("postfix/{}", description.program);
    let origin = Origin { tag: &tag, pid: 4711, host: "mx" };
    let (severity, text) = (record.severity(), record.to_string());
    Example {
        text: line::postfix(&origin, &utc(MOMENT), severity, &text),
        json: line::json(&origin, MOMENT, severity, &text, &facts(&*record)),
    }
}

/// The members of a record: its kind, and what it knows.
pub(crate) fn facts(record: &dyn Record) -> Vec<Field> {
    let event = ("event", crate::Value::Text(record.event().to_owned()));
    std::iter::once(event).chain(record.fields()).collect()
}
