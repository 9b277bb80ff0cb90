//! The environment of commands.

use ipc::carrier::Path;

/// Where commands are looked for.
const PATH: (&str, &str) = ("PATH", "/usr/bin:/bin");

/// The variables that every command has: PATH, and those of export_environment.
pub fn of_commands(exported: &[(String, String)]) -> Vec<Path> {
    let path = variable(PATH.0, PATH.1);
    std::iter::once(path).chain(exported.iter().map(|(name, value)| variable(name, value))).collect()
}

/// `NAME=value`.
pub fn variable(name: &str, value: &str) -> Path {
    Path(format!("{name}={value}").into_bytes())
}

/// What export_environment means: `NAME=value`, or the value that this process has for a name.
pub fn exported(entries: Vec<String>) -> Vec<(String, String)> {
    let variable = |entry: &String| match entry.split_once('=') {
        Some((name, value)) => Some((name.trim().to_owned(), value.trim().to_owned())),
        None => std::env::var(entry).ok().map(|value| (entry.clone(), value)),
    };
    entries.iter().filter_map(variable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_the_variables_that_are_named_and_no_others() {
        let named = exported(vec!["A = b".to_owned(), "NO_SUCH_VARIABLE".to_owned()]);
        let environment: Vec<Vec<u8>> = of_commands(&named).into_iter().map(|entry| entry.0).collect();
        assert_eq!(environment, [b"PATH=/usr/bin:/bin".to_vec(), b"A=b".to_vec()]);
    }
}
