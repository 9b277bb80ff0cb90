//! What a program with rights opens, what becomes of the system's answer, and which paths tests take for missing.

use super::Complaints;
use super::source::Source;

/// Code that runs as root, or as a user on whose behalf somebody else acts.
const WITH_RIGHTS: [&str; 7] = [
    "crates/delivery/src/",
    "crates/logging/src/",
    "local/src/",
    "master/src/",
    "postcat/src/",
    "postfix/src/",
    "postlogd/src/",
];
/// Calls that take a name for what it says. `sys::open` looks at what was opened.
const BY_NAME: [&str; 9] = [
    "File::open(",
    "File::create(",
    "OpenOptions::new()",
    "File::options()",
    "fs::read(",
    "fs::read_to_string(",
    "fs::write(",
    "fs::copy(",
    "fs::set_permissions(",
];
/// The comment that says why nobody else can change what the name means.
const EXCUSE: &str = "name: ";
/// The comment that says that nobody reads the text of an error.
const NOT_SHOWN: &str = "Not shown: ";
/// Paths that a test hopes no machine has. In a process's own directory of /proc nobody can make one.
const HOPED_TO_BE_MISSING: [&str; 6] = ["nonexist", "missing", "nosuch", "no-such", "does-not", "not-there"];
/// How many lines above a call its comment may stand.
const NEAR: usize = 4;

pub(super) fn check(source: &Source, complaints: &mut Complaints) {
    let has_rights = WITH_RIGHTS.iter().any(|start| source.path.starts_with(start));
    for (number, line) in source.numbered().filter(|(_, line)| !line.test) {
        // What did not exist before is nobody else's.
        let by_name = BY_NAME.iter().find(|call| has_call(&line.code, call) && !line.code.contains("create_new(true)"));
        if let Some(call) = by_name.filter(|_| has_rights && !is_explained(source, number, EXCUSE)) {
            let what = format!("`{call}` follows a name: use sys::open, or say who alone can change it: `// {EXCUSE}`");
            complaints.add(&source.path, number, what);
        }
        if is_bare_kind(&line.code) && !is_explained(source, number, NOT_SHOWN) {
            let what = "an error of the system without its number: use Errno, or say in words what is wrong";
            complaints.add(&source.path, number, what);
        }
    }
    for (number, line) in source.numbered().filter(|(_, line)| line.test) {
        let mut roots = line.text.split("\"/").skip(1);
        if roots.any(|path| HOPED_TO_BE_MISSING.iter().any(|start| path.starts_with(start))) {
            complaints.add(
                &source.path,
                number,
                "a path that some machine may have: `/proc/self/none` is missing everywhere",
            );
        }
    }
}

fn has_call(code: &str, call: &str) -> bool {
    let is_word = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    code.match_indices(call).any(|(at, _)| !is_word(&code[..at]))
}

fn is_explained(source: &Source, number: usize, excuse: &str) -> bool {
    let lines = &source.lines[number.saturating_sub(NEAR + 1)..number];
    lines.iter().any(|line| line.comment.as_deref().is_some_and(|comment| comment.contains(excuse)))
}

/// An error that is made of its kind alone: its text is Rust's, and what it was is lost.
fn is_bare_kind(code: &str) -> bool {
    let made = ["io::Error::from(io::ErrorKind::", "ok_or(io::ErrorKind::", "|_| io::ErrorKind::"];
    made.iter().any(|made| code.contains(made))
        || code
            .split("ErrorKind::")
            .skip(1)
            .any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).starts_with(".into()"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> Vec<String> {
        let mut complaints = Complaints::default();
        check(&Source::new(path, text), &mut complaints);
        complaints.0
    }

    #[test]
    fn root_opens_no_name_without_a_word() {
        let open = "let file = File::open(path)?;\n";
        assert_eq!(complaints("master/src/x.rs", open).len(), 1);
        assert_eq!(complaints("smtpd/src/x.rs", open).len(), 0);
        let explained = format!("// name: root's directory.\n{open}");
        assert_eq!(complaints("master/src/x.rs", &explained).len(), 0);
        assert_eq!(complaints("master/src/x.rs", "LogFile::open(x)").len(), 0);
        assert_eq!(complaints("master/src/x.rs", "OpenOptions::new().create_new(true).open(x)").len(), 0);
        assert_eq!(complaints("master/src/x.rs", &format!("// name: x\n{}{open}", "a();\n".repeat(5))).len(), 1);
    }

    #[test]
    fn what_a_test_takes_for_missing_is_missing_on_every_machine() {
        let test = |path: &str| format!("#[cfg(test)]\nmod tests {{ const P: &str = \"{path}\"; }}\n");
        assert_eq!(complaints("smtpd/src/x.rs", &test(concat!("/non", "existent/x"))).len(), 1);
        assert_eq!(complaints("smtpd/src/x.rs", &test("/proc/self/none")).len(), 0);
    }

    #[test]
    fn an_error_of_the_system_keeps_its_number() {
        for bare in [
            "return Err(io::ErrorKind::NotFound.into());",
            "x.ok_or(io::ErrorKind::NotFound)?;",
            "io::Error::from(io::ErrorKind::WouldBlock)",
            "r.map_err(|_| io::ErrorKind::BrokenPipe)?;",
        ] {
            assert_eq!(complaints("smtpd/src/x.rs", bare).len(), 1, "{bare}");
        }
        for fine in ["error.kind() == io::ErrorKind::NotFound", "io::Error::new(io::ErrorKind::InvalidInput, \"no\")"] {
            assert_eq!(complaints("smtpd/src/x.rs", fine).len(), 0, "{fine}");
        }
    }
}
