//! The human part of a report: built in, or from `bounce_template_file`.
//!
//! A template is a small header (Charset, From, Subject, Postmaster-Subject), an empty line, and text in which `$name`
//! and `${name}` stand for parameters. The file's form is that of bounce(5).

use std::collections::BTreeMap;

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

    /// The word for the kind.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Failure => "failure",
            Kind::Delay => "delay",
            Kind::Success => "success",
            Kind::Verify => "verify",
        }
    }

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
    /// The built-in templates with those of a template file in their place, and what is wrong with the file. A template
    /// with an error is as good as absent.
    ///
    /// # Errors
    /// Something outside the templates makes no sense.
    pub fn from_file(text: &str) -> Result<(Self, Vec<Remark>), Remark> {
        let mut templates = Templates::default();
        let mut remarks = Vec::new();
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, end) = block_start(line).map_err(|text| Remark::at(number, text))?;
            let mut block: Vec<&str> = Vec::new();
            let ended = lines.by_ref().any(|(text, _)| {
                let is_end = text.trim_end() == end;
                block.extend((!is_end).then_some(text));
                is_end
            });
            if !ended {
                remarks.push(Remark::at(number, format!("missing \"{end}\" end marker")));
            }
            match Kind::ALL.into_iter().find(|kind| kind.block_name() == name) {
                None => {
                    remarks
                        .push(Remark::at(number, format!("unknown template name: {name} -- ignoring this template")));
                }
                Some(kind) => match parse_block(kind, &block) {
                    Ok(template) => drop(templates.0.insert(kind, template)),
                    Err(text) => remarks.push(Remark { line: None, text }),
                },
            }
        }
        Ok((templates, remarks))
    }

    /// The template of a kind.
    pub fn of(&self, kind: Kind) -> &Template {
        &self.0[&kind]
    }

    /// Every line of every text, variables not yet replaced.
    pub fn lines(&self) -> impl Iterator<Item = (Kind, &str)> {
        self.0.iter().flat_map(|(kind, template)| template.body.iter().map(|line| (*kind, line.as_str())))
    }
}

/// What is wrong with a template file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The line, from 1, where it is one line.
    line: Option<usize>,
    text: String,
}

impl Remark {
    fn at(line: usize, text: String) -> Self {
        Remark { line: Some(line), text }
    }

    /// The sentence about a file.
    pub fn of(&self, file: &str) -> String {
        match self.line {
            Some(line) => format!("{file}, line {line}: {}", self.text),
            None => format!("{file}: {}", self.text),
        }
    }
}

fn block_start(line: &str) -> Result<(&str, &str), String> {
    let (name, rest) = line.split_once('=').ok_or_else(|| format!("missing '=' after attribute name: \"{line}\""))?;
    let end = rest.trim_start().strip_prefix("<<").ok_or_else(|| format!("missing << after '=': \"{line}\""))?.trim();
    if end.is_empty() {
        return Err("missing end marker after <<".to_owned());
    }
    Ok((name.trim(), end))
}

/// A template: header fields, unless the text starts at once, an empty line, and text.
fn parse_block(kind: Kind, block: &[&str]) -> Result<Template, String> {
    let mut template = built_in(kind);
    let mut lines = block.iter().peekable();
    let name = kind.name();
    while let Some((label, value)) = lines.peek().and_then(|line| header_field(line)) {
        lines.next();
        let (field, may) = match label.to_ascii_lowercase().as_str() {
            "charset" => (&mut template.charset, true),
            "from" => (&mut template.from, true),
            "subject" => (&mut template.subject, true),
            "postmaster-subject" => {
                let may = template.postmaster_subject.is_some();
                (template.postmaster_subject.get_or_insert_default(), may)
            }
            _ => return Err(format!("unknown \"{label}\" header label in {name} template -- ignoring this template")),
        };
        let problem = match value {
            _ if !may => format!("inapplicable \"{label}\" header label"),
            "" => format!("empty \"{label}\" header value"),
            value if !value.is_ascii() => format!("non-ASCII \"{label}\" header value"),
            value => {
                value.clone_into(field);
                continue;
            }
        };
        return Err(format!("{problem} in {name} template -- ignoring this template"));
    }
    lines.next_if(|line| line.trim().is_empty());
    template.body = lines.map(|line| (*line).to_owned()).collect();
    if template.charset.eq_ignore_ascii_case("us-ascii") && !template.body.iter().all(|line| line.is_ascii()) {
        return Err(format!(
            "8-bit message text in {name} template: please specify a charset value other than us-ascii \
             -- ignoring this template for now"
        ));
    }
    Ok(template)
}

/// `Label: value`
fn header_field(line: &str) -> Option<(&str, &str)> {
    let (label, value) = line.split_once(':')?;
    let is_label = !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_graphic());
    is_label.then_some((label, value.trim()))
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
    fn a_file_replaces_the_templates_it_has() {
        let text = "# ours\n\nfailure_template = <<EOF\nSubject: Oops\n\nAt $myhostname.\nEOF\n\
                    verify_template = <<X\nno header\n\nEOF\nX\n";
        let (templates, remarks) = Templates::from_file(text).unwrap();
        assert_eq!(remarks, []);
        let failure = templates.of(Kind::Failure);
        assert_eq!((failure.subject.as_str(), &failure.body[..]), ("Oops", &["At $myhostname.".to_owned()][..]));
        assert_eq!(failure.from, built_in(Kind::Failure).from);
        assert_eq!(templates.of(Kind::Verify).body, ["no header", "", "EOF"]);
        assert_eq!(templates.of(Kind::Delay), &built_in(Kind::Delay));
    }

    #[test]
    fn a_template_with_an_error_is_as_good_as_absent() {
        for (text, remark) in [
            ("delay_template = <<E\nSubject: a\nFoo: b\n\nE\n", "t: unknown \"Foo\" header label in delay template"),
            ("delay_template = <<E\nSubject:\n\nx\nE\n", "t: empty \"Subject\" header value in delay template"),
            ("delay_template = <<E\nSubject: \u{e9}\n\nx\nE\n", "t: non-ASCII \"Subject\" header value in delay"),
            ("success_template = <<E\nPostmaster-Subject: x\n\nE\n", "t: inapplicable \"Postmaster-Subject\" header"),
            ("delay_template = <<E\nSubject: x\n\n\u{e9}\nE\n", "t: 8-bit message text in delay template"),
            ("\nfoo_template = <<E\n\nx\nE\n", "t, line 2: unknown template name: foo_template"),
        ] {
            let (templates, remarks) = Templates::from_file(text).unwrap();
            assert_eq!((&templates, remarks.len()), (&Templates::default(), 1), "{text}");
            let sentence = remarks[0].of("t");
            assert!(sentence.starts_with(remark) && sentence.contains("-- ignoring this template"), "{sentence}");
        }
    }

    #[test]
    fn an_end_that_is_missing_is_told_and_a_line_outside_is_an_error() {
        let (templates, remarks) = Templates::from_file("delay_template = <<EOF\nSubject: x\n\nhello\n").unwrap();
        assert_eq!(remarks[0].of("t"), "t, line 1: missing \"EOF\" end marker");
        assert_eq!(templates.of(Kind::Delay).body, ["hello"]);
        let error = |text: &str| Templates::from_file(text).unwrap_err().of("t");
        assert_eq!(error("zork\n"), "t, line 1: missing '=' after attribute name: \"zork\"");
        assert_eq!(error("x = <<\n"), "t, line 1: missing end marker after <<");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in any::<String>()) {
            let _ = Templates::from_file(&text);
        }
    }
}
