//! hosts(5): names that exist without DNS, `localhost` above all.
//!
//! The file is opened once, before the program enters its sandbox, and gone through at every look-up, as the system's
//! resolver does: a line that is written into it counts at once, and its size does not matter. A file that is put into
//! its place is another one; [`crate::Resolver::changed`] tells of it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::str::SplitAsciiWhitespace;
use std::sync::Arc;

use net::Family;

/// The longest line, in bytes. told: who looks a name up: with a longer one, or one that cannot be read, it is not
/// known what the file says, and an internal name must not be asked of strangers for that.
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

    /// The addresses of `name` in `family`; `None` if the file does not have the name at all. Lines that make no sense
    /// are skipped, those with a zone too.
    ///
    /// # Errors
    /// The file cannot be read as a whole, or a line is too long.
    pub fn addresses(&self, name: &str, family: Family) -> io::Result<Option<Vec<IpAddr>>> {
        let mut found: Option<Vec<IpAddr>> = None;
        self.each_line(|address, names| {
            if names.any(|known| known.eq_ignore_ascii_case(name)) {
                let addresses = found.get_or_insert_default();
                if Family::of(address) == family && !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            true
        })?;
        Ok(found)
    }

    /// The first name of the first line for `address`.
    ///
    /// # Errors
    /// As [`addresses`](Self::addresses), before such a line is found.
    pub fn name(&self, address: IpAddr) -> io::Result<Option<String>> {
        let mut found = None;
        self.each_line(|listed, names| {
            if listed == address {
                found = names.next().map(str::to_owned);
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// Shows the lines until `visit` wants no more.
    fn each_line(&self, mut visit: impl FnMut(IpAddr, &mut SplitAsciiWhitespace<'_>) -> bool) -> io::Result<()> {
        let mut reader: Box<dyn BufRead> = match &self.0 {
            Source::None => return Ok(()),
            Source::File(file) => Box::new(BufReader::new(At { file, offset: 0 })),
            Source::Text(text) => Box::new(text.as_bytes()),
        };
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut line)? as u64 {
                0 => return Ok(()),
                length if length > LONGEST_LINE => return Err(nix::errno::Errno::EFBIG.into()),
                _ => {}
            }
            let text = String::from_utf8_lossy(&line);
            let mut words = text.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
            if !visit(address, &mut words) {
                return Ok(());
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
        hosts.addresses(name, family).unwrap().map(|list| list.iter().map(ToString::to_string).collect())
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
            assert_eq!(addresses(&hosts, unknown, Family::V4), None, "{unknown}");
        }
        assert_eq!(hosts.name("127.0.0.1".parse().unwrap()).unwrap().as_deref(), Some("localhost"));
        assert_eq!(hosts.name("192.0.2.1".parse().unwrap()).unwrap(), None);
    }

    #[test]
    fn a_line_without_end_is_an_error_and_not_two_lines() {
        let long = format!("127.0.0.1 first{}127.0.0.9 second\n", " ".repeat(1 << 20));
        let hosts = Hosts::parse(&format!("127.0.0.2 before\n{long}"));
        for name in ["before", "first", "second", "nobody"] {
            assert_eq!(hosts.addresses(name, Family::V4).unwrap_err().kind(), io::ErrorKind::FileTooLarge, "{name}");
        }
        assert_eq!(hosts.name("127.0.0.2".parse().unwrap()).unwrap().as_deref(), Some("before"));
        assert!(hosts.name("127.0.0.9".parse().unwrap()).is_err());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_and_not_an_empty_one() {
        let hosts = Hosts::open(&std::env::temp_dir());
        assert!(hosts.addresses("name", Family::V4).is_err());
    }

    #[test]
    fn a_line_that_is_added_counts_at_once_however_large_the_file_is() {
        let path = std::env::temp_dir().join(format!("dns-hosts-{}", std::process::id()));
        let blocked: String = (0..300_000).map(|n| format!("0.0.0.0 host{n}.blocked.test\n")).collect();
        std::fs::write(&path, blocked).unwrap();
        let hosts = Hosts::open(&path);
        assert_eq!(addresses(&hosts, "smarthost", Family::V4), None);
        let mut file = File::options().append(true).open(&path).unwrap();
        io::Write::write_all(&mut file, b"127.0.0.5 smarthost\n").unwrap();
        assert_eq!(addresses(&hosts, "smarthost", Family::V4), Some(vec!["127.0.0.5".to_owned()]));
        std::fs::remove_file(&path).unwrap();
    }
}
