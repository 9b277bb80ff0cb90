//! resolv.conf(5), as much of it as mail needs.
//!
//! One form is ours: `nameserver [ADDRESS]:PORT`, so that a private instance can ask a server on a port that
//! needs no privilege.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// As many servers as the system's resolver takes.
const MOST_SERVERS: usize = 3;
/// As many search domains as older resolvers take; bounds the work a name can cause.
const MOST_DOMAINS: usize = 6;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers to ask; never empty.
    pub servers: Vec<SocketAddr>,
    /// Domains that the system's resolver adds to short names.
    pub search: Vec<String>,
    /// Names with at least this many dots are tried as they are first.
    pub ndots: usize,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often to ask.
    pub attempts: u32,
}

impl Default for ResolvConf {
    /// Without a file: the server on this machine.
    fn default() -> Self {
        Self {
            servers: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 53))],
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        }
    }
}

impl ResolvConf {
    /// Reads a file; a missing one is the default, as for the system's resolver.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn read(path: &Path) -> Result<Self, ResolvConfError> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Self::parse(&String::from_utf8_lossy(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(ResolvConfError { path: path.to_owned(), reason: net::reason(&error) }),
        }
    }

    /// Reads the text of a file. Lines that make no sense are skipped, as the system's resolver does.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut conf = Self { servers: Vec::new(), ..Self::default() };
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => conf.servers.extend(words.next().and_then(server)),
                Some("search" | "domain") => {
                    conf.search = words.map(|word| word.trim_end_matches('.').to_owned()).collect();
                }
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        conf.servers.truncate(MOST_SERVERS);
        conf.search.retain(|domain| !domain.is_empty());
        conf.search.truncate(MOST_DOMAINS);
        if conf.servers.is_empty() {
            conf.servers = Self::default().servers;
        }
        conf
    }

    fn option(&mut self, word: &str) {
        let Some((name, value)) = word.split_once(':') else { return };
        let Ok(value) = value.parse::<u32>() else { return };
        match name {
            "ndots" => self.ndots = value.min(15) as usize,
            "timeout" => self.timeout = Duration::from_secs(u64::from(value.clamp(1, 30))),
            "attempts" => self.attempts = value.clamp(1, 5),
            _ => {}
        }
    }
}

/// `ADDRESS` or `[ADDRESS]:PORT`; a zone is cut off, because the DNS library takes none.
fn server(word: &str) -> Option<SocketAddr> {
    if word.starts_with('[') {
        let (address, port) = word.trim_start_matches('[').split_once("]:")?;
        return Some(SocketAddr::new(address.parse().ok()?, port.parse().ok()?));
    }
    let address: IpAddr = word.split('%').next()?.parse().ok()?;
    Some(SocketAddr::new(address, 53))
}

/// The file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConfError {
    path: PathBuf,
    reason: String,
}

impl fmt::Display for ResolvConfError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "open {}: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for ResolvConfError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_options_and_search_are_read_and_the_rest_is_skipped() {
        let conf = ResolvConf::parse(
            "# comment\nnameserver 192.0.2.1 ; first\nnameserver nonsense\nnameserver [127.0.0.1]:5353\n\
             nameserver [::1]:5454\nnameserver 192.0.2.9\nsearch a.test. b.test\noptions timeout:1 attempts:9 rotate ndots:2\n",
        );
        let servers: Vec<_> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "127.0.0.1:5353", "[::1]:5454"]);
        assert_eq!(conf.search, ["a.test", "b.test"]);
        assert_eq!((conf.timeout, conf.attempts, conf.ndots), (Duration::from_secs(1), 5, 2));
    }

    #[test]
    fn without_servers_this_machine_is_asked() {
        assert_eq!(ResolvConf::parse("search x\n").servers, ResolvConf::default().servers);
        let missing = ResolvConf::read(Path::new("/proc/self/none")).unwrap();
        assert_eq!(missing, ResolvConf::default());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text: String, option in "options [a-z]*:[0-9]{0,12}") {
            let _ = ResolvConf::parse(&text);
            let _ = ResolvConf::parse(&option);
        }
    }
}
