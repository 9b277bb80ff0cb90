//! hosts(5): names that exist without DNS, `localhost` above all.
//!
//! The file is opened once, before the program enters its sandbox, and gone through at every look-up, as the system's
//! resolver does: a line that is written into it counts at once, and its size does not matter. A file that is put into its
//! place is another one; [`crate::Resolver::changed`] tells of it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::str::SplitAsciiWhitespace;
use std::sync::Arc;

use net::Family;

/// The longest line that is looked at.
const LONGEST_LINE: u64 = 1 << 20;

/// The lines of a hosts file, in their order.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    None,
    File(Arc<File>),
    Text(Arc<str>),
}

impl Hosts {
    /// Opens a file; one that is missing or unreadable has no lines.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        File::open(path).map_or_else(|_| Self::default(), |file| Self(Source::File(Arc::new(file))))
    }

    /// The lines of a text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(Source::Text(text.into()))
    }

    /// The addresses of `name` in `family`; `None` if the file does not have the name at all. Lines that make no sense are
    /// skipped, those with a zone too.
    #[must_use]
    pub fn addresses(&self, name: &str, family: Family) -> Option<Vec<IpAddr>> {
        let mut found: Option<Vec<IpAddr>> = None;
        self.each_line(|address, names| {
            if names.any(|known| known.eq_ignore_ascii_case(name)) {
                let addresses = found.get_or_insert_default();
                if Family::of(address) == family && !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            true
        });
        found
    }

    /// The first name of the first line for `address`.
    #[must_use]
    pub fn name(&self, address: IpAddr) -> Option<String> {
        let mut found = None;
        self.each_line(|listed, names| {
            if listed == address {
                found = names.next().map(str::to_owned);
            }
            found.is_none()
        });
        found
    }

    /// Shows the lines until `visit` wants no more.
    fn each_line(&self, mut visit: impl FnMut(IpAddr, &mut SplitAsciiWhitespace<'_>) -> bool) {
        let mut reader: Box<dyn BufRead> = match &self.0 {
            Source::None => return,
            Source::File(file) => Box::new(BufReader::new(At { file, offset: 0 })),
            Source::Text(text) => Box::new(text.as_bytes()),
        };
        let mut line = Vec::new();
        loop {
            line.clear();
            // What stands beyond the limit is read as a line of its own, and makes no sense.
            match reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line);
            let mut words = text.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
            if !visit(address, &mut words) {
                return;
            }
        }
    }
}

/// A file from a place on, whoever else reads it.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(hosts: &Hosts, name: &str, family: Family) -> Option<Vec<String>> {
        hosts.addresses(name, family).map(|list| list.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn names_are_found_by_family_and_addresses_by_their_first_line() {
        let hosts = Hosts::parse(
            "127.0.0.1 localhost # me\n::1 localhost ip6-localhost\n127.0.0.1 other\nnonsense x\n192.0.2.1\n\
             fe80::1%lo zoned\n192.0.2.5 two\n192.0.2.6\ttwo",
        );
        assert_eq!(addresses(&hosts, "LOCALHOST", Family::V6), Some(vec!["::1".to_owned()]));
        assert_eq!(addresses(&hosts, "ip6-localhost", Family::V4), Some(vec![]));
        assert_eq!(addresses(&hosts, "two", Family::V4), Some(vec!["192.0.2.5".to_owned(), "192.0.2.6".to_owned()]));
        for unknown in ["x", "zoned", "me", "#"] {
            assert_eq!(hosts.addresses(unknown, Family::V4), None, "{unknown}");
        }
        assert_eq!(hosts.name("127.0.0.1".parse().unwrap()).as_deref(), Some("localhost"));
        assert_eq!(hosts.name("192.0.2.1".parse().unwrap()), None);
    }

    #[test]
    fn a_line_that_is_added_counts_at_once_however_large_the_file_is() {
        let path = std::env::temp_dir().join(format!("dns-hosts-{}", std::process::id()));
        let blocked: String = (0..300_000).map(|n| format!("0.0.0.0 host{n}.blocked.test\n")).collect();
        std::fs::write(&path, blocked).unwrap();
        let hosts = Hosts::open(&path);
        assert_eq!(hosts.addresses("smarthost", Family::V4), None);
        let mut file = File::options().append(true).open(&path).unwrap();
        io::Write::write_all(&mut file, b"127.0.0.5 smarthost\n").unwrap();
        assert_eq!(addresses(&hosts, "smarthost", Family::V4), Some(vec!["127.0.0.5".to_owned()]));
        std::fs::remove_file(&path).unwrap();
    }
}
