//! From `crates/config/parameters/*.toml` to the Rust source of `config::table` and `config::param`: programs read the
//! constants, and no TOML at start.

use std::fmt::Write;

use serde::Deserialize;

use super::Generated;
use crate::failure::{Failure, Outcome};

/// One parameter as its subject's file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameter {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    default: String,
    #[serde(default)]
    computed: bool,
    unit: Option<String>,
    min: Option<i64>,
    max: Option<i64>,
    programs: Vec<String>,
    since: Option<String>,
    #[serde(default)]
    legacy: bool,
    instead: Option<String>,
    /// Of a parameter of lmtp: that of smtp which is the same there, where the names differ in more than the agent's.
    twin: Option<String>,
    /// What follows the name of a service in the parameters of services for which this one stands in.
    of_service: Option<String>,
    #[serde(default)]
    implemented: bool,
    without: Option<String>,
    #[serde(default)]
    needless: Vec<String>,
    #[serde(default)]
    paragraph: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    parameter: Vec<Parameter>,
}

/// The source; `subjects` are the names of the files without `.toml`, and their contents.
pub(super) fn generated(subjects: &[(String, String)]) -> Outcome<Vec<Generated>> {
    let parameters = parameters(subjects).map_err(Failure)?;
    Ok(vec![
        Generated { path: "crates/config/src/table.rs".to_owned(), text: table(&parameters).map_err(Failure)? },
        Generated { path: "crates/config/src/param.rs".to_owned(), text: constants(&parameters).map_err(Failure)? },
    ])
}

/// All parameters by name; an error is a sentence that names the file and the parameter.
fn parameters(subjects: &[(String, String)]) -> Result<Vec<(&str, Parameter)>, String> {
    let mut parameters = Vec::new();
    for (subject, content) in subjects {
        let parsed: Subject = toml::from_str(content).map_err(|error| format!("{subject}.toml: {error}"))?;
        for parameter in parsed.parameter {
            check(&parameter).map_err(|e| format!("{subject}.toml: {}: {e}", parameter.name))?;
            parameters.push((subject.as_str(), parameter));
        }
    }
    parameters.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    if let Some(pair) = parameters.windows(2).find(|pair| pair[0].1.name == pair[1].1.name) {
        return Err(format!("{}.toml: {}: stands twice", pair[1].0, pair[1].1.name));
    }
    Ok(parameters)
}

fn check(parameter: &Parameter) -> Result<(), String> {
    rust_type(&parameter.kind)?;
    unit_seconds(parameter.unit.as_deref().unwrap_or("s"))?;
    if parameter.unit.is_some() && parameter.kind != "duration" {
        return Err("only a duration has a unit".to_owned());
    }
    if parameter.paragraph.trim().is_empty() {
        return Err("without a paragraph".to_owned());
    }
    let is_there = parameter.implemented || parameter.legacy;
    match (parameter.without.as_deref(), is_there) {
        (None, true) | (Some("harmless" | "refused"), false) => {}
        (Some(_), true) => return Err("is there, and says what happens without it".to_owned()),
        (None, false) => return Err("not implemented, and does not say what happens without it".to_owned()),
        (Some(other), false) => return Err(format!("without: unknown word {other}")),
    }
    if parameter.programs.is_empty() && !parameter.legacy {
        return Err("no program reads it".to_owned());
    }
    Ok(())
}

fn table(parameters: &[(&str, Parameter)]) -> Result<String, String> {
    let mut out = String::from(
        "//! Every parameter, one line each, sorted by name. Generated from `parameters/*.toml` by\n\
         //! `cargo xtask docs`; never edited by hand.\n\n\
         use crate::entry::{Entry, Kind};\n\n\
         /// Every parameter of Postfix 3.11, sorted by name.\n\
         pub static TABLE: &[Entry] = &[\n",
    );
    for (subject, p) in parameters {
        let kind = match p.kind.as_str() {
            "duration" if p.unit.as_deref() == Some("ms") => "Milliseconds".to_owned(),
            "duration" => {
                let unit = unit_seconds(p.unit.as_deref().unwrap_or("s"))?;
                format!("Duration {{ unit: {unit} }}")
            }
            other => variant(other)?.to_owned(),
        };
        writeln!(
            out,
            "    Entry {{ name: {:?}, default: {:?}, computed: {}, kind: Kind::{kind}, min: {:?}, max: {:?}, \
             programs: &[{}], since: {:?}, legacy: {}, instead: {:?}, implemented: {}, refused: {}, paragraph: {:?}, subject: {:?} }},",
            p.name,
            p.default,
            p.computed,
            p.min,
            p.max,
            quoted(&p.programs),
            p.since,
            p.legacy,
            p.instead,
            p.implemented,
            p.without.as_deref() == Some("refused"),
            p.paragraph,
            subject
        )
        .map_err(|error| error.to_string())?;
    }
    out.push_str("];\n");
    out.push_str(
        "\n/// Values that ask for nothing: a parameter that is not implemented and has one of them needs no report.\n\
         pub static NEEDLESS: &[(&str, &[&str])] = &[\n",
    );
    for (_, p) in parameters.iter().filter(|(_, p)| !p.needless.is_empty()) {
        writeln!(out, "    ({:?}, &[{}]),", p.name, quoted(&p.needless)).map_err(|error| error.to_string())?;
    }
    out.push_str("];\n");
    out.push_str(
        "\n/// Ends of names of parameters that a service has for itself, sorted, each with the parameter that stands in.\n\
         pub static OF_SERVICE: &[(&str, &str)] = &[\n",
    );
    let mut ends: Vec<_> = parameters.iter().filter_map(|(_, p)| Some((p.of_service.as_deref()?, &p.name))).collect();
    ends.sort_unstable();
    for (end, name) in ends {
        writeln!(out, "    ({end:?}, {name:?}),").map_err(|error| error.to_string())?;
    }
    out.push_str("];\n");
    Ok(out)
}

fn quoted(list: &[String]) -> String {
    list.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ")
}

fn constants(parameters: &[(&str, Parameter)]) -> Result<String, String> {
    let mut out = String::from(
        "//! A typed constant for every parameter. Generated from `parameters/*.toml` by `cargo xtask docs`; never\n\
         //! edited by hand.\n\n\
         use std::path::PathBuf;\n\
         use std::time::Duration;\n\n\
         use crate::entry::Param;\n\
         use crate::value::Raw;\n\n",
    );
    for (subject, p) in parameters {
        let doc = format!("`{}`: see docs/parameters/{subject}.md.", p.name);
        writeln!(
            out,
            "#[doc = {doc:?}]\npub const {}: Param<{}> = Param::new({:?});",
            constant(&p.name),
            rust_type(&p.kind)?,
            p.name
        )
        .map_err(|error| error.to_string())?;
    }
    out.push_str(&twins(parameters)?);
    Ok(out)
}

/// The constants for parameters that smtp and lmtp have each for itself.
fn twins(parameters: &[(&str, Parameter)]) -> Result<String, String> {
    let mut out = String::from(
        "\n/// A constant for every pair of parameters that differ in the agent alone.\n\
         pub mod twin {\n    use std::time::Duration;\n\n    use crate::declare::Twin;\n\n",
    );
    for (_, lmtp) in parameters {
        let Some(rest) = lmtp.name.strip_prefix("lmtp_") else { continue };
        let name = lmtp.twin.clone().unwrap_or_else(|| format!("smtp_{rest}"));
        let smtp = parameters.iter().map(|(_, p)| p).find(|p| p.name == name && p.kind == lmtp.kind);
        let Some(smtp) = smtp else { continue };
        let doc = format!("`{}`, `{}`.", smtp.name, lmtp.name);
        let (constant, kind) = (constant(smtp.name.trim_start_matches("smtp_")), rust_type(&smtp.kind)?);
        let line = format!("    #[doc = {doc:?}]\n    pub const {constant}: Twin<{kind}> = ");
        out.push_str(&format!("{line}Twin::new({:?}, {:?});\n", smtp.name, lmtp.name));
    }
    out.push_str("}\n");
    Ok(out)
}

/// The constant's name: upper case; a leading digit gets a word before it (`2bounce_...`).
fn constant(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    match upper.strip_prefix('2') {
        Some(rest) => format!("DOUBLE_{rest}"),
        None => upper,
    }
}

fn variant(kind: &str) -> Result<&'static str, String> {
    Ok(match kind {
        "text" => "Text",
        "raw" => "Raw",
        "bool" => "Bool",
        "int" => "Int",
        "list" => "List",
        "path" => "Path",
        other => return Err(format!("unknown type {other}")),
    })
}

fn rust_type(kind: &str) -> Result<&'static str, String> {
    Ok(match kind {
        "text" => "String",
        "raw" => "Raw",
        "bool" => "bool",
        "int" => "i64",
        "duration" => "Duration",
        "list" => "Vec<String>",
        "path" => "PathBuf",
        other => return Err(format!("unknown type {other}")),
    })
}

fn unit_seconds(unit: &str) -> Result<u32, String> {
    Ok(match unit {
        // A variant of its own.
        "ms" => 0,
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        other => return Err(format!("unknown time unit {other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_a_paragraph_that_tells_more_than_its_name() {
        for (subject, p) in parameters(&crate::docs::parameters::subjects().unwrap()).unwrap() {
            let words = p.paragraph.split_whitespace().count();
            assert!((14..=130).contains(&words), "{subject}: {}: a paragraph of {words} words", p.name);
            assert!(p.paragraph.ends_with(['.', ')']), "{subject}: {}: the last sentence has no end", p.name);
        }
    }

    #[test]
    fn a_wrong_entry_is_an_error_that_names_file_and_parameter() {
        let error = |content: &str| parameters(&[("basic".to_owned(), content.to_owned())]).map(|_| ()).unwrap_err();
        let entry = "[[parameter]]\nname = \"x\"\ndefault = \"\"\nprograms = [\"smtpd\"]\nimplemented = true\nparagraph = \"A.\"\n";
        assert_eq!(error(&format!("{entry}type = \"odd\"\n")), "basic.toml: x: unknown type odd");
        let waiting = entry.replace("implemented = true\n", "type = \"text\"\n");
        assert!(error(&waiting).contains("does not say what happens without it"));
        assert!(error(&format!("{entry}type = \"text\"\nwithout = \"harmless\"\n")).contains("is there"));
        let twice = format!("{entry}type = \"text\"\n{entry}type = \"text\"\n");
        assert_eq!(error(&twice), "basic.toml: x: stands twice");
    }
}
