//! The shape of a program: what it is stands in the file of its `main`, what it does beside it.

use super::Complaints;
use super::shape::is_function;
use super::source::Source;
use crate::workspace::{PROGRAMS, Package};

/// Lines of code that the file of `main` may have.
const CODE_LINES: usize = 60;
/// The headings of a manual page.
const HEADINGS: [&str; 4] = ["Synopsis", "Description", "Privilege", "Diagnostics"];
/// Those of a program that talks to others: every daemon, and some commands.
const WITH_PEERS: [&str; 5] = ["Synopsis", "Description", "Privilege", "Peers", "Diagnostics"];
/// The development commands: no program of the mail system, and without a manual page.
const XTASK: &str = "xtask";

pub(super) fn check(source: &Source, packages: &[Package], complaints: &mut Complaints) {
    let Some((folder, file)) = source.path.split_once("/src/") else { return };
    let Some(package) = packages.iter().find(|package| package.folder == folder) else { return };
    if package.layer != PROGRAMS && package.folder != XTASK {
        return;
    }
    worker(source, file, complaints);
    let has_main = source.lines.iter().any(|line| line.code.starts_with("fn main("));
    if !has_main || file.contains('/') {
        return;
    }
    if package.folder != XTASK {
        let name = if file == "main.rs" { &package.name } else { file.trim_end_matches(".rs") };
        let is_daemon = package.needs.iter().any(|needed| needed == "daemon");
        title(source, name, complaints);
        headings(source, is_daemon, complaints);
        if is_daemon {
            service(source, complaints);
        }
    }
    code(source, complaints);
}

/// Clients are served in one file, whatever the daemon.
fn worker(source: &Source, file: &str, complaints: &mut Complaints) {
    for (number, line) in source.numbered().filter(|(_, line)| line.code.starts_with("impl") && file != "service.rs") {
        if line.code.contains("Worker for ") {
            complaints.add(&source.path, number, "`impl Worker` stands in src/service.rs");
        }
    }
}

/// `//! bounce, defer, trace - what it is`, which `cargo xtask docs` takes too.
fn title(source: &Source, name: &str, complaints: &mut Complaints) {
    let first = source.lines.first().and_then(|line| line.text.strip_prefix("//! ")).unwrap_or_default();
    let names = first.split_once(" - ").map_or("", |(names, _)| names);
    if names.split(", ").next() != Some(name) {
        complaints.add(&source.path, 1, format!("the manual page of a program begins with `//! {name} - what it is`"));
    }
}

fn headings(source: &Source, is_daemon: bool, complaints: &mut Complaints) {
    let head = source.lines.iter().map_while(|line| line.text.strip_prefix("//!"));
    let found: Vec<&str> = head.filter_map(|text| text.strip_prefix(" # ")).collect();
    let wanted: &[&str] = if is_daemon || found.contains(&"Peers") { &WITH_PEERS } else { &HEADINGS };
    if found != wanted {
        let wanted = wanted.join(", ");
        complaints.add(&source.path, 1, format!("the headings of a manual page are {wanted}, in this order"));
    }
}

fn service(source: &Source, complaints: &mut Complaints) {
    if !source.lines.iter().any(|line| line.code.starts_with("static SERVICE: Service = Service {")) {
        complaints.add(&source.path, 1, "a daemon says what it may do: `static SERVICE: Service = Service {`");
    }
}

fn code(source: &Source, complaints: &mut Complaints) {
    let lines = source.lines.iter().filter(|line| !line.code.trim().is_empty()).count();
    if lines > CODE_LINES {
        let what = format!("{lines} lines of code with `main`, {CODE_LINES} at most: src/service.rs or src/run.rs");
        complaints.add(&source.path, 1, what);
    }
    for (number, line) in source.numbered() {
        let code = line.code.trim_start();
        if is_function(code) && !code.starts_with("fn main(") {
            complaints.add(
                &source.path,
                number,
                "`main` is alone: other functions stand in src/service.rs or src/run.rs",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Layer;

    fn complaints(path: &str, text: &str) -> Vec<String> {
        let package = |name: &str, layer, needs: &[&str]| Package {
            name: name.to_owned(),
            folder: name.to_owned(),
            layer,
            needs: needs.iter().map(|name| (*name).to_owned()).collect(),
            programs: Vec::new(),
        };
        let packages = [
            package("smtpd", PROGRAMS, &["config", "daemon"]),
            package("postcat", PROGRAMS, &["command"]),
            package("xtask", Layer::Side, &[]),
        ];
        let mut found = Complaints::default();
        check(&Source::new(path, text), &packages, &mut found);
        found.0
    }

    fn page(name: &str, headings: &[&str], code: &str) -> String {
        let headings: String = headings.iter().map(|heading| format!("//!\n//! # {heading}\n//! x\n")).collect();
        format!("//! {name} - does a thing\n{headings}\nmod x;\n\n{code}fn main() -> ExitCode {{\n    x()\n}}\n")
    }

    const SERVICE: &str = "static SERVICE: Service = Service {\n    name: \"x\",\n};\n\n";

    #[test]
    fn a_program_opens_with_its_manual_page() {
        assert_eq!(complaints("postcat/src/main.rs", &page("postcat", &HEADINGS, "")).len(), 0);
        assert_eq!(complaints("postcat/src/main.rs", &page("postcat", &WITH_PEERS, "")).len(), 0);
        assert_eq!(complaints("postcat/src/main.rs", &page("postcat, x", &HEADINGS, "")).len(), 0);
        assert_eq!(complaints("postcat/src/other.rs", &page("other", &HEADINGS, "")).len(), 0);
        assert_eq!(complaints("postcat/src/main.rs", &page("other", &HEADINGS, "")).len(), 1);
        assert_eq!(complaints("postcat/src/main.rs", &page("postcat", &HEADINGS[..3], "")).len(), 1);
        for headings in [
            ["Description", "Synopsis", "Privilege", "Diagnostics"],
            ["SYNOPSIS", "DESCRIPTION", "PRIVILEGE", "DIAGNOSTICS"],
        ] {
            assert_eq!(complaints("postcat/src/main.rs", &page("postcat", &headings, "")).len(), 1, "{headings:?}");
        }
    }

    #[test]
    fn a_daemon_says_whom_it_talks_to_and_what_it_may_do() {
        assert_eq!(complaints("smtpd/src/main.rs", &page("smtpd", &WITH_PEERS, SERVICE)).len(), 0);
        assert_eq!(complaints("smtpd/src/main.rs", &page("smtpd", &HEADINGS, SERVICE)).len(), 1);
        assert_eq!(complaints("smtpd/src/main.rs", &page("smtpd", &WITH_PEERS, "")).len(), 1);
    }

    #[test]
    fn clients_are_served_in_one_file() {
        for worker in ["impl Worker for X {\n", "impl<S: Speaks> daemon::Worker for X<S> {\n"] {
            assert_eq!(complaints("smtpd/src/x.rs", worker).len(), 1, "{worker}");
            assert_eq!(complaints("smtpd/src/service.rs", worker).len(), 0, "{worker}");
        }
        assert_eq!(complaints("smtpd/src/x.rs", "impl Worker {\n").len(), 0);
    }

    #[test]
    fn the_file_of_main_stays_short_and_has_no_other_function() {
        let file =
            |modules: usize| format!("//! Commands.\n\n{}fn main() {{}}\n", "// why\nmod x;\n\n".repeat(modules));
        assert_eq!(complaints("xtask/src/main.rs", &file(CODE_LINES - 1)).len(), 0);
        assert_eq!(complaints("xtask/src/main.rs", &file(CODE_LINES)).len(), 1);
        let other = page("postcat", &HEADINGS, "fn other() {\n    x()\n}\n\n");
        assert_eq!(complaints("postcat/src/main.rs", &other).len(), 1);
        assert_eq!(complaints("postcat/src/run.rs", "pub(crate) fn run() {}\n").len(), 0);
    }
}
