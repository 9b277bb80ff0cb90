//! Tables of destinations.

use lookup::{Maps, TableError};

/// What tables say of a destination, and where it is a plain domain, of the domains above it, `.parent`.
///
/// # Errors
/// A table failed.
pub fn look_up(maps: &Maps, destination: &str) -> Result<Option<String>, TableError> {
    let key = destination.to_ascii_lowercase();
    let mut found = maps.lookup(key.as_bytes())?;
    let is_domain = !key.contains(['[', ':', '/']) && net::address::parse(key.as_bytes()).is_none();
    let mut rest = key.as_str();
    while found.is_none() && is_domain {
        let Some((_, parent)) = rest.split_once('.') else { break };
        found = maps.lookup_partial(format!(".{parent}").as_bytes())?;
        rest = parent;
    }
    Ok(found.map(|value| String::from_utf8_lossy(&value).into_owned()))
}
