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
        return node.to_string();
    }
    let domain = config.setting("mydomain").and_then(|s| config.expand(&s.value).ok());
    format!("{node}.{}", domain.filter(|d| !d.is_empty()).unwrap_or(NO_DOMAIN.to_string()))
}

/// What follows the first dot of myhostname.
fn mydomain(config: &Config, node: &str) -> String {
    let set = config.setting("myhostname").and_then(|s| config.expand(&s.value).ok());
    let name = set.unwrap_or_else(|| node.to_string());
    match name.split_once('.') {
        Some((_, domain)) if !domain.is_empty() => domain.to_string(),
        _ => NO_DOMAIN.to_string(),
    }
}

fn node_name() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let text = text.trim();
    if text.is_empty() { "localhost".to_string() } else { text.to_string() }
}

fn process_name() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&program).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
