//! hosts(5): names that exist without DNS, `localhost` above all.

use std::net::IpAddr;
use std::path::Path;

use net::Family;

/// The largest hosts file that is read; blocklists live in such files.
const LARGEST_FILE: u64 = 4 << 20;

/// The file's lines in order. It is read once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    lines: Vec<(IpAddr, Vec<String>)>,
}

impl Hosts {
    /// Reads a file; one that is missing, unreadable or larger than 4 MiB is empty.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        match std::fs::metadata(path) {
            Ok(data) if data.len() <= LARGEST_FILE => {}
            _ => return Self::default(),
        }
        let bytes = std::fs::read(path).unwrap_or_default();
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    /// Reads the text of a file; lines that make no sense are skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let address = words.next()?.parse().ok()?;
            let names: Vec<_> = words.map(str::to_ascii_lowercase).collect();
            (!names.is_empty()).then_some((address, names))
        });
        Self { lines: lines.collect() }
    }

    /// The addresses of `name` in `family`.
    #[must_use]
    pub fn addresses(&self, name: &str, family: Family) -> Vec<IpAddr> {
        let mut found = Vec::new();
        for (address, _) in self.lines.iter().filter(|(_, names)| has(names, name)) {
            if Family::of(*address) == family && !found.contains(address) {
                found.push(*address);
            }
        }
        found
    }

    /// Whether the file has `name` in any family.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.lines.iter().any(|(_, names)| has(names, name))
    }

    /// The first name of the first line for `address`.
    #[must_use]
    pub fn name(&self, address: IpAddr) -> Option<&str> {
        let line = self.lines.iter().find(|(listed, _)| *listed == address);
        line.and_then(|(_, names)| names.first()).map(String::as_str)
    }
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_family_and_addresses_by_their_first_line() {
        let hosts = Hosts::parse(
            "127.0.0.1 localhost # me\n::1 localhost ip6-localhost\n127.0.0.1 other\nnonsense x\n192.0.2.1\n",
        );
        assert_eq!(hosts.addresses("LOCALHOST", Family::V6), ["::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(hosts.name("127.0.0.1".parse().unwrap()), Some("localhost"));
        assert_eq!(hosts.name("192.0.2.1".parse().unwrap()), None);
        assert!(hosts.knows("ip6-localhost") && !hosts.knows("x"));
    }
}
