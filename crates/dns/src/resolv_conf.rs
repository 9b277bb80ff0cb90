//! resolv.conf(5), as the system's resolver reads it.
//!
//! | line or option | here |
//! |---|---|
//! | `nameserver` | the first three, with the zone of a link-local address; none: the server on this machine |
//! | `search`, `domain` | the last one counts; none: the domain of this machine's name. `LOCALDOMAIN` overrides them |
//! | `sortlist` | no effect, as on getaddrinfo(3) |
//! | `ndots`, `timeout`, `attempts` | at most 15, 30 seconds, 5 |
//! | `rotate` | the servers take turns in being asked first |
//! | `use-vc` | TCP alone |
//! | `edns0`, `trust-ad` | questions with EDNS; with the AD bit |
//! | `no-aaaa` | no address of a name is IPv6, but those of the hosts file |
//! | `no-tld-query` | a name without a dot is never looked up as it is |
//! | `single-request`, `single-request-reopen` | IPv4 before IPv6 instead of both at once; each question has a socket of its own anyway |
//! | `no-reload` | a change of the file is not looked for |
//! | `debug`, `no-check-names`, `inet6`, `ip6-bytestring`, `ip6-dotint`, `no-ip6-dotint` | no effect, as in today's resolvers |
//!
//! Options of the variable `RES_OPTIONS` come after those of the file. A keyword begins its line. One form is ours:
//! `nameserver [ADDRESS]:PORT`, so that a private instance can ask a server on a port that needs no privilege.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// As many servers as the system's resolver asks. told: resolv.conf(5), which says that the others are passed over.
const MOST_SERVERS: usize = 3;
/// The port of the name service.
const PORT: u16 = 53;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers to ask, in their order; never empty.
    pub servers: Vec<SocketAddr>,
    /// Domains that the system's resolver adds to short names.
    pub search: Vec<String>,
    /// Names with at least this many dots are tried as they are first.
    pub ndots: usize,
    /// How long the first server has for an answer.
    pub timeout: Duration,
    /// How often the list of servers is gone through.
    pub attempts: u32,
    /// The servers take turns in being the first.
    pub rotate: bool,
    /// TCP alone.
    pub use_vc: bool,
    /// Questions have an OPT record.
    pub edns0: bool,
    /// Questions have the AD bit.
    pub trust_ad: bool,
    /// Names have no IPv6 addresses.
    pub no_aaaa: bool,
    /// A name without a dot is never looked up as it is.
    pub no_tld_query: bool,
    /// The families are asked for one after the other.
    pub single_request: bool,
    /// The file counts as it was at the start.
    pub no_reload: bool,
}

impl Default for ResolvConf {
    /// Without a file: the server on this machine.
    fn default() -> Self {
        Self {
            servers: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))],
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            use_vc: false,
            edns0: false,
            trust_ad: false,
            no_aaaa: false,
            no_tld_query: false,
            single_request: false,
            no_reload: false,
        }
    }
}

/// What beside the file has a say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The name of this machine.
    pub host_name: String,
    /// LOCALDOMAIN.
    pub local_domain: Option<String>,
    /// RES_OPTIONS.
    pub options: Option<String>,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn here() -> Self {
        let text = |value: OsString| value.to_string_lossy().into_owned();
        Self {
            host_name: nix::unistd::gethostname().map(text).unwrap_or_default(),
            local_domain: std::env::var_os("LOCALDOMAIN").map(text),
            options: std::env::var_os("RES_OPTIONS").map(text),
        }
    }
}

impl ResolvConf {
    /// Reads a file; a missing one is the default, as for the system's resolver.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn read(path: &Path, surroundings: &Surroundings) -> Result<Self, ResolvConfError> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Self::parse(&String::from_utf8_lossy(&bytes), surroundings)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::parse("", surroundings)),
            Err(error) => Err(ResolvConfError { path: path.to_owned(), reason: net::reason(&error) }),
        }
    }

    /// Reads the text of a file. Lines that make no sense are skipped, as the system's resolver does.
    #[must_use]
    pub fn parse(text: &str, surroundings: &Surroundings) -> Self {
        let mut conf = Self { servers: Vec::new(), ..Self::default() };
        let mut search = None;
        for line in text.lines() {
            let Some((keyword, rest)) = line.split_once([' ', '\t']) else { continue };
            match keyword {
                "nameserver" => conf.servers.extend(rest.split_ascii_whitespace().next().and_then(server)),
                "search" => search = Some(domains(rest)),
                // told: nobody; the keyword has one value.
                "domain" => search = Some(domains(rest).into_iter().take(1).collect()),
                "options" => rest.split_ascii_whitespace().for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        let options = surroundings.options.as_deref().unwrap_or_default();
        options.split_ascii_whitespace().for_each(|word| conf.option(word));
        let own = || surroundings.host_name.split_once('.').map(|(_, domain)| domains(domain)).unwrap_or_default();
        conf.search = surroundings.local_domain.as_deref().map(domains).or(search).unwrap_or_else(own);
        // told: see there.
        conf.servers.truncate(MOST_SERVERS);
        if conf.servers.is_empty() {
            conf.servers = Self::default().servers;
        }
        conf
    }

    fn option(&mut self, word: &str) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let number = value.parse::<u32>().ok();
        match (name, number) {
            ("ndots", Some(value)) => self.ndots = value.min(15) as usize,
            ("timeout", Some(value)) => self.timeout = Duration::from_secs(u64::from(value.clamp(1, 30))),
            ("attempts", Some(value)) => self.attempts = value.clamp(1, 5),
            ("rotate", None) => self.rotate = true,
            ("use-vc", None) => self.use_vc = true,
            ("edns0", None) => self.edns0 = true,
            ("trust-ad", None) => self.trust_ad = true,
            ("no-aaaa", None) => self.no_aaaa = true,
            ("no-tld-query", None) => self.no_tld_query = true,
            ("single-request" | "single-request-reopen", None) => self.single_request = true,
            ("no-reload", None) => self.no_reload = true,
            _ => {}
        }
    }
}

/// The domains of a list, without final dots. What stands after a comment sign is none.
fn domains(text: &str) -> Vec<String> {
    let words = text.split_ascii_whitespace().take_while(|word| !word.starts_with(['#', ';']));
    let domains = words.map(|word| word.trim_end_matches('.').to_owned()).filter(|domain| !domain.is_empty());
    domains.collect()
}

/// `ADDRESS`, `ADDRESS%ZONE` or `[ADDRESS]:PORT`.
fn server(word: &str) -> Option<SocketAddr> {
    if let Some(rest) = word.strip_prefix('[') {
        let (address, port) = rest.split_once("]:")?;
        return with_port(address, port.parse().ok()?);
    }
    with_port(word, PORT)
}

fn with_port(text: &str, port: u16) -> Option<SocketAddr> {
    match text.split_once('%') {
        Some((address, zone)) => {
            let address: Ipv6Addr = address.parse().ok()?;
            Some(SocketAddrV6::new(address, port, 0, index_of(zone)).into())
        }
        None => Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, port)),
    }
}

/// A zone by its number or by the name of its interface; 0, with which nothing can be reached, if there is no such
/// interface.
fn index_of(zone: &str) -> u32 {
    zone.parse().or_else(|_| nix::net::if_::if_nametoindex(zone)).unwrap_or(0)
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

    fn parse(text: &str) -> ResolvConf {
        ResolvConf::parse(text, &Surroundings::default())
    }

    fn servers(text: &str) -> Vec<String> {
        parse(text).servers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_three_servers_are_taken_and_what_is_none_is_skipped() {
        assert_eq!(
            servers(
                "# comment\nnameserver 192.0.2.1 ; first\nnameserver nonsense\nnameserver\t[127.0.0.1]:5353\n\
                 nameserver [::1]:5454\nnameserver 192.0.2.9\n"
            ),
            ["192.0.2.1:53", "127.0.0.1:5353", "[::1]:5454"]
        );
        // A keyword begins its line, in small letters, and is followed by a blank.
        for text in [" nameserver 192.0.2.1", "NAMESERVER 192.0.2.1", "nameserver", "nameserver 192.0.2.1#x"] {
            assert_eq!(servers(text), ["127.0.0.1:53"], "{text}");
        }
    }

    #[test]
    fn a_link_local_server_keeps_its_zone_by_name_and_by_number() {
        let index = nix::net::if_::if_nametoindex("lo").unwrap();
        for zone in ["lo".to_owned(), index.to_string()] {
            assert_eq!(servers(&format!("nameserver fe80::53%{zone}")), [format!("[fe80::53%{index}]:53")]);
        }
        assert_eq!(servers("nameserver fe80::53%no-such-interface"), ["[fe80::53]:53"]);
    }

    #[test]
    fn every_option_is_read_within_its_bounds() {
        let conf = parse(
            "options timeout:1 attempts:9 rotate ndots:99\noptions use-vc edns0 trust-ad no-aaaa no-tld-query\n\
             options single-request no-reload debug bogus ndots:x rotate:1\n",
        );
        assert_eq!((conf.timeout, conf.attempts, conf.ndots), (Duration::from_secs(1), 5, 15));
        assert!(conf.rotate && conf.use_vc && conf.edns0 && conf.trust_ad && conf.no_aaaa && conf.no_tld_query);
        assert!(conf.single_request && conf.no_reload);
        assert!(parse("options single-request-reopen").single_request);
        let least = parse("options timeout:0 attempts:0 ndots:0");
        assert_eq!((least.timeout, least.attempts, least.ndots), (Duration::from_secs(1), 1, 0));
    }

    #[test]
    fn the_last_search_or_domain_counts_and_domain_has_one() {
        for (text, expected) in [
            ("search a.test. b.test", &["a.test", "b.test"] as &[&str]),
            ("search a.test\nsearch b.test", &["b.test"]),
            ("search a.test b.test\ndomain c.test d.test", &["c.test"]),
            ("domain a.test\nsearch b.test c.test", &["b.test", "c.test"]),
            ("search a.test # b.test", &["a.test"]),
            ("search .", &[]),
        ] {
            assert_eq!(parse(text).search, expected, "{text}");
        }
    }

    #[test]
    fn the_environment_and_the_hosts_own_domain_have_their_say() {
        let mut surroundings = Surroundings { host_name: "mx.corp.test".to_owned(), ..Surroundings::default() };
        let search = |text: &str, surroundings: &Surroundings| ResolvConf::parse(text, surroundings).search;
        assert_eq!(search("", &surroundings), ["corp.test"]);
        assert_eq!(search("search a.test", &surroundings), ["a.test"]);
        surroundings.local_domain = Some("e.test f.test".to_owned());
        surroundings.options = Some("timeout:2 rotate".to_owned());
        let conf = ResolvConf::parse("search a.test\noptions timeout:9", &surroundings);
        assert_eq!(conf.search, ["e.test", "f.test"]);
        assert!(conf.timeout == Duration::from_secs(2) && conf.rotate);
    }

    #[test]
    fn without_servers_this_machine_is_asked() {
        assert_eq!(parse("search x\n").servers, ResolvConf::default().servers);
        let directory = std::env::temp_dir().join(format!("resolv-conf-{}", std::process::id()));
        let missing = ResolvConf::read(&directory.join("none"), &Surroundings::default()).unwrap();
        assert_eq!(missing, ResolvConf::default());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text: String, option in "options [a-z]*:[0-9]{0,12}") {
            let _ = parse(&text);
            let _ = parse(&option);
        }
    }
}
