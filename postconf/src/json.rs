//! `-j`: what is shown, as JSON, one object with one member a line: a reader can stream them.

use text::lossless::to_utf8;

/// One line.
pub fn member(name: &str, value: &str) -> String {
    let quoted = |text: &str| text::json_string(&to_utf8(text));
    format!("{{{}: {}}}", quoted(name), quoted(value))
}
