//! The human part of a report: built in, or from `bounce_template_file`.
//!
//! A template is a small header (Charset, From, Subject, Postmaster-Subject), an empty line, and text in which `$name`
//! and `${name}` stand for parameters. The file's form is that of bounce(5).

use std::collections::BTreeMap;
use std::fmt;

/// Which report a template is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Mail that will not be delivered.
    Failure,
    /// Mail that is still being tried.
    Delay,
    /// Mail that was delivered, when the sender asked to be told.
    Success,
    /// What `sendmail -bv` and `sendmail -v` asked for.
    Verify,
}

impl Kind {
    /// Every kind, in the order of bounce(5).
    pub const ALL: [Kind; 4] = [Kind::Failure, Kind::Delay, Kind::Success, Kind::Verify];

    /// The name of the block in the template file.
    pub const fn block_name(self) -> &'static str {
        match self {
            Kind::Failure => "failure_template",
            Kind::Delay => "delay_template",
            Kind::Success => "success_template",
            Kind::Verify => "verify_template",
        }
    }
}

/// One template, variables not yet replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Character set of the text.
    pub charset: String,
    /// The From: text; `ADDRESS (NAME)` or any form of RFC 5322.
    pub from: String,
    /// Subject for the sender.
    pub subject: String,
    /// Subject for the copy to postmaster; `None` where postmaster gets none.
    pub postmaster_subject: Option<String>,
    /// The text, line by line.
    pub body: Vec<String>,
}

/// All four templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates(BTreeMap<Kind, Template>);

impl Default for Templates {
    fn default() -> Self {
        Templates(Kind::ALL.into_iter().map(|kind| (kind, built_in(kind))).collect())
    }
}

impl Templates {
    /// The built-in templates with those of a template file in their place.
    pub fn from_file(text: &str) -> Result<Self, TemplateError> {
        let mut templates = Templates::default();
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, end) = block_start(line).ok_or(TemplateError::NotABlock { line: index + 1 })?;
            let kind = Kind::ALL.into_iter().find(|kind| kind.block_name() == name);
            let kind = kind.ok_or_else(|| TemplateError::UnknownName { line: index + 1, name: name.to_owned() })?;
            let mut block = Vec::new();
            loop {
                match lines.next() {
                    Some((_, text)) if text.trim_end() == end => break,
                    Some((_, text)) => block.push(text),
                    None => return Err(TemplateError::NoEnd { line: index + 1, end: end.to_owned() }),
                }
            }
            let template = parse_block(&block, &templates.0[&kind], index + 2)?;
            templates.0.insert(kind, template);
        }
        Ok(templates)
    }

    /// The template of a kind.
    pub fn of(&self, kind: Kind) -> &Template {
        &self.0[&kind]
    }
}

impl Template {
    /// The text with its variables replaced; a name that `value` does not know stays as it is written.
    pub fn expand(&self, value: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
        self.body.iter().map(|line| expand(line, value)).collect()
    }
}

/// What is wrong with a template file; lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the facts of the sentence that Display writes")]
pub enum TemplateError {
    /// A line outside a block that starts none.
    NotABlock { line: usize },
    /// A block of a name that is no template.
    UnknownName { line: usize, name: String },
    /// A block without its end line.
    NoEnd { line: usize, end: String },
    /// A header line of a block that is none of the known fields.
    BadHeader { line: usize, text: String },
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TemplateError::NotABlock { line } => write!(f, "line {line}: need \"name = <<EOF\""),
            TemplateError::UnknownName { line, name } => write!(f, "line {line}: unknown template name \"{name}\""),
            TemplateError::NoEnd { line, end } => write!(f, "line {line}: the template has no end line \"{end}\""),
            TemplateError::BadHeader { line, text } => {
                write!(f, "line {line}: need Charset, From, Subject or Postmaster-Subject, not \"{text}\"")
            }
        }
    }
}

impl std::error::Error for TemplateError {}

fn block_start(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once('=')?;
    let end = rest.trim_start().strip_prefix("<<")?.trim();
    (!end.is_empty()).then_some((name.trim(), end))
}

fn parse_block(block: &[&str], default: &Template, first_line: usize) -> Result<Template, TemplateError> {
    let header_end = block.iter().position(|line| line.trim().is_empty()).unwrap_or(block.len());
    let mut template = default.clone();
    template.body = block.get(header_end + 1..).unwrap_or_default().iter().map(|l| (*l).to_owned()).collect();
    for (offset, line) in block[..header_end].iter().enumerate() {
        let bad = || TemplateError::BadHeader { line: first_line + offset, text: (*line).to_owned() };
        let (name, value) = line.split_once(':').ok_or_else(bad)?;
        let value = value.trim().to_owned();
        match name.trim().to_ascii_lowercase().as_str() {
            "charset" => template.charset = value,
            "from" => template.from = value,
            "subject" => template.subject = value,
            "postmaster-subject" => template.postmaster_subject = Some(value),
            _ => return Err(bad()),
        }
    }
    Ok(template)
}

fn expand(line: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        if let Some(more) = after.strip_prefix('$') {
            out.push('$');
            rest = more;
            continue;
        }
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let bare_end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
        let (name, more) = braced.unwrap_or_else(|| after.split_at(bare_end));
        match value(name) {
            Some(text) if !name.is_empty() => {
                out.push_str(&text);
                rest = more;
            }
            _ => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn built_in(kind: Kind) -> Template {
    let (subject, postmaster_subject, text) = match kind {
        Kind::Failure => ("Undelivered Mail Returned to Sender", Some("Postmaster Copy: Undelivered Mail"), FAILURE),
        Kind::Delay => ("Delayed Mail (still being retried)", Some("Postmaster Warning: Delayed Mail"), DELAY),
        Kind::Success => ("Successful Mail Delivery Report", None, SUCCESS),
        Kind::Verify => ("Mail Delivery Status Report", None, VERIFY),
    };
    Template {
        charset: "us-ascii".to_owned(),
        from: "MAILER-DAEMON (Mail Delivery System)".to_owned(),
        subject: subject.to_owned(),
        postmaster_subject: postmaster_subject.map(str::to_owned),
        body: text.lines().map(str::to_owned).collect(),
    }
}

const FAILURE: &str = "\
This is the mail system at host $myhostname.

Your message was not delivered to the recipients named below,
and it will not be tried again. It is attached at the end.

If you need help, write to postmaster and include this report;
the attached message itself may be left out.

                   The mail system
";

const DELAY: &str = "\
This is the mail system at host $myhostname.

THIS IS A WARNING ONLY: there is no need to send your message again.

For $delay_warning_time_hours hour(s) it could not be delivered to the recipients
named below. It is tried until it is $maximal_queue_lifetime_days day(s) old.

If you need help, write to postmaster and include this report.

                   The mail system
";

const SUCCESS: &str = "\
This is the mail system at host $myhostname.

Your message was delivered to the recipients named below. Where it
was handed on to another system, that system may still report a failure.

                   The mail system
";

const VERIFY: &str = "\
This is the mail system at host $myhostname.

Here is the delivery report that you asked for.

                   The mail system
";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_replaces_the_blocks_it_has() {
        let text = "# ours\n\nfailure_template = <<EOF\nSubject: Oops\n\nAt $myhostname, $$5 ${x}$y.\nEOF\n";
        let templates = Templates::from_file(text).unwrap();
        let failure = templates.of(Kind::Failure);
        assert_eq!(failure.subject, "Oops");
        assert_eq!(failure.from, built_in(Kind::Failure).from);
        let value = |name: &str| (name == "myhostname").then(|| "h.test".to_owned());
        assert_eq!(failure.expand(&value), ["At h.test, $5 ${x}$y."]);
        assert_eq!(templates.of(Kind::Delay), &built_in(Kind::Delay));
    }

    #[test]
    fn a_bad_file_is_named_by_its_line() {
        let no_end = Templates::from_file("\nfailure_template = <<EOF\nx: y\n").unwrap_err();
        assert_eq!(no_end, TemplateError::NoEnd { line: 2, end: "EOF".to_owned() });
        let header = Templates::from_file("delay_template = <<E\nSubject: a\nFoo: b\n\nE\n").unwrap_err();
        assert_eq!(header, TemplateError::BadHeader { line: 3, text: "Foo: b".to_owned() });
    }

    proptest! {
        #[test]
        fn any_text_is_expanded_without_panic(text in any::<String>()) {
            let _ = Templates::from_file(&text);
            prop_assert_eq!(expand(&text.replace('$', ""), &|_| None), text.replace('$', ""));
            let _ = expand(&text, &|name| Some(name.to_owned()));
        }
    }
}
