//! What a rule of header_checks, body_checks and their kin has one do, as far as all of them agree.
//!
//! Which actions there are is the matter of who asks the table: one that receives mail can refuse it, one that sends it
//! can only change it.

use crate::header::name_length;

/// An action with its text: `PREPEND X-Seen: yes`.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// The action in upper case.
    pub action: Vec<u8>,
    /// The text.
    pub text: &'a [u8],
}

impl<'a> Rule<'a> {
    /// Reads the result of a table.
    pub fn parse(result: &'a [u8]) -> Self {
        let result = result.trim_ascii();
        let end = result.iter().position(u8::is_ascii_whitespace).unwrap_or(result.len());
        Rule { action: result[..end].to_ascii_uppercase(), text: result[end..].trim_ascii_start() }
    }

    /// What is wrong with a text that is to stand in the message: in place of a field, or before one, stands another
    /// one. `title`: the parameter that has the table.
    pub fn misfit(&self, title: &str, in_header: bool) -> Option<String> {
        let action = text::printable(&self.action);
        if self.text.is_empty() {
            return Some(format!("{action} action without text in {title} map"));
        }
        let fits = !in_header || name_length(self.text).is_some();
        (!fits).then(|| {
            let text = text::printable(self.text);
            format!("bad {action} header text \"{text}\" in {title} map -- need \"headername: headervalue\"")
        })
    }
}

/// A text as log lines about checks show it.
pub fn shown(content: &[u8]) -> String {
    // told: nobody; the message keeps the text, the log shows its start.
    text::printable(&content[..content.len().min(MAX_LOGGED)])
}

/// Longest text in a log line.
/// told: nobody; as above.
const MAX_LOGGED: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_a_word_in_any_case_and_the_rest_is_its_text() {
        let rule = |result| Rule::parse(result);
        assert_eq!(rule(b"replace  X: y z "), Rule { action: b"REPLACE".to_vec(), text: b"X: y z" });
        assert_eq!(rule(b" IGNORE"), Rule { action: b"IGNORE".to_vec(), text: b"" });
        assert_eq!(rule(b""), Rule { action: Vec::new(), text: b"" });
    }

    #[test]
    fn in_place_of_a_field_stands_another_and_of_a_line_any_text() {
        let misfit = |result: &'static [u8], in_header| Rule::parse(result).misfit("smtp_header_checks", in_header);
        assert_eq!(misfit(b"REPLACE X: y", true), None);
        assert_eq!(misfit(b"REPLACE plain", false), None);
        let bad = "bad REPLACE header text \"plain\" in smtp_header_checks map -- need \"headername: headervalue\"";
        assert_eq!(misfit(b"REPLACE plain", true).as_deref(), Some(bad));
        let none = "PREPEND action without text in smtp_header_checks map";
        assert_eq!(misfit(b"prepend", false).as_deref(), Some(none));
    }
}
