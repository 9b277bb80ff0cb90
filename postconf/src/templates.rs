//! `-b`, `-t`: the texts of delivery reports, from the file that bounce(8) would read or from another one.

use std::fs;
use std::path::Path;

use config::{Config, param};
use dsn::template::{Kind, Template, Templates};

use crate::options::{Mode, Options};
use crate::out::{self, Failure};
use crate::source::{directory, open_failure};

/// Prints the texts with their `$` expressions expanded (`-b`), or the templates as a file may have them (`-t`).
pub fn show(options: &Options) -> Result<(), Failure> {
    let config = Config::load(&directory(options), &options.overrides).map_err(Failure::new)?;
    let file = match &options.arguments[..] {
        // bounce_template_file
        [] => config.get(param::BOUNCE_TEMPLATE_FILE).map_err(Failure::new)?,
        [file] => file.clone(),
        _ => return Err(Failure::new("options -b and -t require at most one template file")),
    };
    let templates = if file.is_empty() { Templates::default() } else { load(&file)? };
    let mut lines = Vec::new();
    for kind in Kind::ALL {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let template = templates.of(kind);
        if options.mode == Mode::ReportTexts {
            lines.push(format!("expanded_{}_text = <<EOF", kind.name()));
            for line in &template.body {
                let expanded = config.report_text(line);
                lines.push(
                    expanded
                        .map_err(|error| Failure(format!("{file}: {error} in {} template: {line}", kind.name())))?,
                );
            }
        } else {
            lines.push(format!("{} = <<EOF", kind.block_name()));
            lines.extend(header(template));
            lines.push(String::new());
            lines.extend(template.body.iter().cloned());
        }
        lines.push("EOF".to_owned());
    }
    out::lines(lines)
}

fn load(file: &str) -> Result<Templates, Failure> {
    let text = fs::read_to_string(file).map_err(|error| Failure(open_failure(Path::new(file), &error)))?;
    let (templates, remarks) = Templates::from_file(&text).map_err(|error| Failure(error.of(file)))?;
    remarks.iter().for_each(|remark| out::warning(format_args!("{}", remark.of(file))));
    Ok(templates)
}

fn header(template: &Template) -> Vec<String> {
    let Template { charset, from, subject, postmaster_subject, .. } = template;
    let mut lines = vec![format!("Charset: {charset}"), format!("From: {from}"), format!("Subject: {subject}")];
    lines.extend(postmaster_subject.as_ref().map(|subject| format!("Postmaster-Subject: {subject}")));
    lines
}
