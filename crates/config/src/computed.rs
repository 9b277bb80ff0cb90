//! Defaults that depend on the machine or the process.

use std::collections::HashMap;

use crate::settings::Config;

/// The domain of a machine whose name has none.
const NO_DOMAIN: &str = "localdomain";

/// The computed defaults but mynetworks, which is computed when somebody asks.
pub(crate) fn defaults(config: &Config) -> HashMap<&'static str, String> {
    let node = node_name();
    let mut defaults = HashMap::new();
    defaults.insert("config_directory", config.directory().display().to_string());
    defaults.insert("process_id", std::process::id().to_string());
    defaults.insert("process_name", process_name());
    defaults.insert("myhostname", myhostname(config, &node));
    defaults.insert("mydomain", mydomain(config, &node));
    defaults
}

/// The node's name, completed with mydomain when it has no dot.
fn myhostname(config: &Config, node: &str) -> String {
    if node.contains('.') {
        return node.to_owned();
    }
    let domain = config.setting("mydomain").and_then(|s| config.expand(&s.value).ok());
    format!("{node}.{}", domain.filter(|d| !d.is_empty()).unwrap_or(NO_DOMAIN.to_owned()))
}

/// What follows the first dot of myhostname.
fn mydomain(config: &Config, node: &str) -> String {
    let set = config.setting("myhostname").and_then(|s| config.expand(&s.value).ok());
    let name = set.unwrap_or_else(|| node.to_owned());
    match name.split_once('.') {
        Some((_, domain)) if !domain.is_empty() => domain.to_owned(),
        _ => NO_DOMAIN.to_owned(),
    }
}

/// What the kernel calls this machine, whatever main.cf calls it.
pub fn node_name() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    if name.is_empty() { "localhost".to_owned() } else { name.to_string_lossy().into_owned() }
}

/// The name that this program was called by, without its directory (process_name).
pub fn process_name() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&program).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(content: &str) -> Config {
        Config::parse(content.as_bytes(), Path::new("/etc/postfix"), &[]).unwrap()
    }

    #[test]
    fn a_node_name_without_a_dot_is_completed_with_mydomain() {
        assert_eq!(myhostname(&config(""), "vm"), "vm.localdomain");
        assert_eq!(myhostname(&config("mydomain = example.org\n"), "vm"), "vm.example.org");
        assert_eq!(myhostname(&config("mydomain = example.org\n"), "vm.net"), "vm.net");
    }

    #[test]
    fn mydomain_is_myhostname_without_its_first_part() {
        assert_eq!(mydomain(&config(""), "vm"), "localdomain");
        assert_eq!(mydomain(&config("myhostname = a.b.example\n"), "vm"), "b.example");
        assert_eq!(mydomain(&config("myhostname = a.$mydomain\n"), "vm"), "localdomain");
    }
}
