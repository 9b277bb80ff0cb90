//! One line in each of its forms.

use std::fmt::Write;

use sys::time::{Civil, local};

use crate::record::{Field, Value};

/// How serious a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// What libraries tell of their work.
    Debug,
    /// Normal operation.
    Info,
    /// Somebody should look.
    Warning,
    /// Something was not done.
    Error,
    /// The process cannot go on.
    Fatal,
    /// The process has found itself broken.
    Panic,
}

impl Severity {
    /// The word in front of the text, with its colon and blank; empty for info.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Debug => "debug: ",
            Self::Info => "",
            Self::Warning => "warning: ",
            Self::Error => "error: ",
            Self::Fatal => "fatal: ",
            Self::Panic => "panic: ",
        }
    }

    /// The name in the JSON form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            _ => self.prefix().trim_end_matches(": "),
        }
    }

    /// syslog(3): LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR, LOG_CRIT.
    pub(crate) fn syslog(self) -> u8 {
        match self {
            Self::Debug => 7,
            Self::Info => 6,
            Self::Warning => 4,
            Self::Error => 3,
            Self::Fatal | Self::Panic => 2,
        }
    }
}

/// The form of lines in files and on standard output (maillog_format).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `Nov 22 11:41:25 mx postfix/local[6557]: text`.
    #[default]
    Postfix,
    /// One JSON object a line.
    Json,
}

/// Longest text in bytes, as Postfix cuts it. told: who reads the line, which is as long as a line can be.
pub(crate) const MAX_TEXT: usize = 2000;
/// Longest line of JSON in bytes, which postlogd takes whole. told: who reads the line, by its member `cut`.
pub(crate) const MAX_JSON: usize = 4000;
/// Most texts of an array in JSON. told: who reads the line, by its member `cut`.
const MAX_TEXTS: usize = 40;

/// A text ready to be shown: the severity word, then printable characters, cut at [`MAX_TEXT`] bytes.
pub(crate) fn clean(severity: Severity, text: &str, out: &mut String) {
    out.push_str(severity.prefix());
    let end = text.floor_char_boundary(MAX_TEXT);
    text::printable_into(&text.as_bytes()[..end], out);
}

/// The facts that every line has.
pub(crate) struct Origin<'a> {
    pub tag: &'a str,
    pub pid: u32,
    pub host: &'a str,
}

/// `Mon DD HH:MM:SS` in local time, as texts of lines have it.
pub fn moment(unix: i64) -> String {
    let mut out = String::new();
    stamp(&local(unix), false, &mut out);
    out
}

/// `Mon DD HH:MM:SS`, with the day as maillog_file has it (zero-padded) or as syslog has it (blank-padded).
pub(crate) fn stamp(now: &Civil, zero_padded: bool, out: &mut String) {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.get(usize::from(now.month) - 1).copied().unwrap_or("???");
    let (day, hour, minute, second) = (now.day, now.hour, now.minute, now.second);
    // Writing to a String does not fail.
    let _ = if zero_padded {
        write!(out, "{month} {day:02} {hour:02}:{minute:02}:{second:02}")
    } else {
        write!(out, "{month} {day:2} {hour:02}:{minute:02}:{second:02}")
    };
}

/// The line of a maillog file, without its newline.
pub(crate) fn postfix(origin: &Origin<'_>, time: &Civil, severity: Severity, text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    stamp(time, true, &mut out);
    let _ = write!(out, " {} {}[{}]: ", origin.host, origin.tag, origin.pid);
    clean(severity, text, &mut out);
    out
}

/// The datagram of syslog (RFC 3164 as the C library writes it): facility and severity, time, tag, text.
pub(crate) fn syslog(origin: &Origin<'_>, facility: u8, unix: i64, severity: Severity, text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let _ = write!(out, "<{}>", facility * 8 + severity.syslog());
    stamp(&local(unix), false, &mut out);
    let _ = write!(out, " {}[{}]: ", origin.tag, origin.pid);
    clean(severity, text, &mut out);
    out
}

/// The JSON form: one object on one line. Of values for which there is no room the start, and then `"cut":true`.
pub(crate) fn json(origin: &Origin<'_>, unix: i64, severity: Severity, text: &str, fields: &[Field]) -> String {
    let texts = fields.iter().flat_map(|(_, value)| value.texts()).map(String::len);
    let longest = texts.max().unwrap_or(0).max(text.len());
    let too_many = fields.iter().any(|(_, value)| value.texts().len() > MAX_TEXTS);
    let mut room = longest.min(MAX_TEXT);
    loop {
        let mut line = object(origin, unix, severity, (text, fields), room);
        line.push_str(if too_many || longest > room { ",\"cut\":true}" } else { "}" });
        if line.len() <= MAX_JSON || room == 0 {
            return line;
        }
        room /= 2;
    }
}

/// The members of a line, each text with at most `room` bytes of its own.
fn object(origin: &Origin<'_>, unix: i64, severity: Severity, (text, fields): (&str, &[Field]), room: usize) -> String {
    let now = sys::time::utc(unix);
    // told: nobody; the room that is needed at most.
    let mut out = String::with_capacity(text.len().min(room) + 128);
    let _ = write!(
        out,
        "{{\"time\":\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z\",\"host\":",
        now.year, now.month, now.day, now.hour, now.minute, now.second
    );
    out.push_str(&text::json_string(origin.host));
    out.push_str(",\"process\":");
    out.push_str(&text::json_string(origin.tag));
    let _ = write!(out, ",\"pid\":{},\"severity\":\"{}\"", origin.pid, severity.name());
    for (name, value) in fields {
        let _ = write!(out, ",\"{name}\":");
        push_value(value, room, &mut out);
    }
    let mut cleaned = String::with_capacity(text.len().min(MAX_TEXT));
    clean(Severity::Info, text, &mut cleaned);
    out.push_str(",\"text\":");
    out.push_str(&fitting(&cleaned, room));
    out
}

fn push_value(value: &Value, room: usize, out: &mut String) {
    let _ = match value {
        Value::Text(text) => write!(out, "{}", fitting(text, room)),
        Value::Integer(number) => write!(out, "{number}"),
        Value::Number(number) => write!(out, "{number}"),
        Value::Boolean(is) => write!(out, "{is}"),
        Value::Texts(texts) => {
            let texts: Vec<_> = texts.iter().take(MAX_TEXTS).map(|text| fitting(text, room)).collect();
            write!(out, "[{}]", texts.join(","))
        }
    };
}

fn fitting(value: &str, room: usize) -> String {
    // told: see MAX_JSON.
    text::json_string(&value[..value.floor_char_boundary(room)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin<'static> = Origin { tag: "postfix/smtp", pid: 7, host: "mx" };

    #[test]
    fn a_maillog_line_has_postfix_form_and_nothing_unprintable() {
        let line = postfix(&ORIGIN, &local(0), Severity::Warning, "a\r\nb");
        assert!(line.ends_with(" mx postfix/smtp[7]: warning: a??b"), "{line}");
        assert_eq!(line.split(' ').nth(1).map(str::len), Some(2));
    }

    #[test]
    fn a_syslog_datagram_names_facility_mail() {
        assert!(syslog(&ORIGIN, 2, 0, Severity::Info, "x").starts_with("<22>"));
        assert!(syslog(&ORIGIN, 2, 0, Severity::Fatal, "x").starts_with("<18>"));
        let debug = syslog(&ORIGIN, 2, 0, Severity::Debug, "x");
        assert!(debug.starts_with("<23>") && debug.ends_with(": debug: x"), "{debug}");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let mut out = String::new();
        clean(Severity::Info, &"é".repeat(3000), &mut out);
        assert_eq!(out.len(), MAX_TEXT);
    }

    #[test]
    fn a_line_of_json_is_whole_whatever_it_tells_of() {
        let long = "\u{1}\"é".repeat(3000);
        let mut fields: Vec<Field> = ["to", "relay", "reason"].map(|name| (name, Value::Text(long.clone()))).into();
        fields.push(("many", Value::Texts(vec![long.clone(); 3000])));
        let line = json(&ORIGIN, 0, Severity::Info, &long, &fields);
        assert!(line.len() <= MAX_JSON && line.ends_with("\"cut\":true}"), "{line}");
        assert!(fields[..3].iter().all(|(name, _)| line.contains(&format!("\"{name}\":\"\\u0001"))), "{line}");
        let short = json(&ORIGIN, 0, Severity::Info, "abc", &[("to", Value::Text("a".into()))]);
        assert!(!short.contains("cut"), "{short}");
        let many = json(&ORIGIN, 0, Severity::Info, "", &[("many", Value::Texts(vec!["a=1".into(); MAX_TEXTS + 1]))]);
        assert!(many.ends_with("\"cut\":true}"), "{many}");
    }

    #[test]
    fn json_keeps_facts_apart_from_text_and_numbers_from_strings() {
        let fields = [
            ("queue_id", Value::Text("ABC".to_owned())),
            ("size", Value::Integer(17)),
            ("delay", Value::Number(0.24)),
            ("resent", Value::Boolean(true)),
            ("commands", Value::Texts(vec!["ehlo=1".to_owned(), "\"".to_owned()])),
        ];
        let line = json(&ORIGIN, 0, Severity::Info, "say \"hi\"", &fields);
        assert_eq!(
            line,
            "{\"time\":\"1970-01-01T00:00:00Z\",\"host\":\"mx\",\"process\":\"postfix/smtp\",\"pid\":7,\
             \"severity\":\"info\",\"queue_id\":\"ABC\",\"size\":17,\"delay\":0.24,\"resent\":true,\
             \"commands\":[\"ehlo=1\",\"\\\"\"],\"text\":\"say \\\"hi\\\"\"}"
        );
    }
}
