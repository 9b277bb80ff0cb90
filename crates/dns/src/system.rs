//! Look-ups as the system's resolver does them: where nsswitch.conf(5) says, with the search list of resolv.conf(5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use net::Family;

use crate::{LookupError, LookupFault, RecordType, Resolver};

/// A place where hosts are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// hosts(5).
    Files,
    /// The name servers.
    Dns,
}

/// The places, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places(Vec<Place>);

impl Default for Places {
    /// Without a file: hosts(5), then the name servers.
    fn default() -> Self {
        Self(vec![Place::Files, Place::Dns])
    }
}

impl Places {
    /// Reads the `hosts:` line of a file; one that is missing or has none is the default.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        std::fs::read(path).map_or_else(|_| Self::default(), |bytes| Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// The places of a text. Services that only answer for this machine or its link have no part in mail; the daemon
    /// behind `resolve` answers as a name server too, which resolv.conf names.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim_start());
        let Some(list) = lines.filter_map(|line| line.strip_prefix("hosts:")).next() else { return Self::default() };
        let mut places = Vec::new();
        for word in list.split_ascii_whitespace() {
            let place = match word {
                "files" => Place::Files,
                "dns" | "resolve" => Place::Dns,
                _ => continue,
            };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Self(places)
    }
}

impl Resolver {
    /// The addresses of a name in one family as the system's resolver has them.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn native_addresses(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, LookupError> {
        self.native_family(name, family).await.map_err(|missing| missing.as_error(name, family))
    }

    /// The addresses of a name in every family that mail uses, those of IPv4 first, as the system's resolver has them
    /// when it is asked for both at once.
    ///
    /// # Errors
    /// There are none in any family.
    pub async fn native_hosts(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        let used: Vec<Family> =
            [Family::V4, Family::V6].into_iter().filter(|family| self.protocols().has(*family)).collect();
        let (Some(first), Some(second)) = (used.first().copied(), used.get(1).copied()) else {
            return self.native_addresses(name, used.first().copied().unwrap_or(Family::V4)).await;
        };
        match tokio::join!(self.native_family(name, first), self.native_family(name, second)) {
            (Err(one), Err(other)) => Err(one.with(other).as_error(name, first)),
            (one, other) => Ok([one, other].into_iter().flatten().flatten().collect()),
        }
    }

    async fn native_family(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, Missing> {
        if !self.protocols().has(family) {
            return Err(Missing::NoData);
        }
        if let Some(address) = numeric(name) {
            return if Family::of(address) == family { Ok(vec![address]) } else { Err(Missing::NoData) };
        }
        let mut missing = Missing::Name;
        for place in &self.places().0 {
            match place {
                Place::Files => {
                    if let Some(found) = self.hosts().addresses(name, family).map_err(|_| Missing::ForNow)? {
                        let kind = RecordType::from(family);
                        tracing::debug!("{kind} of {name}: the hosts file has {found:?}");
                        return if found.is_empty() { Err(Missing::NoData) } else { Ok(found) };
                    }
                }
                Place::Dns => match self.searched(name, family).await {
                    Ok(found) => return Ok(found),
                    Err(failed) => missing = failed,
                },
            }
        }
        Err(missing)
    }

    /// The name of an address as the system's resolver has it; `.` if that is the root.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn native_name(&self, address: IpAddr) -> Result<String, LookupError> {
        let reversed = crate::resolver::reverse_name(address);
        let mut error = LookupError::new(&reversed, RecordType::Ptr, LookupFault::NotFound);
        for place in &self.places().0 {
            match place {
                Place::Files => {
                    let failed = |_| LookupError::new(&reversed, RecordType::Ptr, LookupFault::TryAgain);
                    if let Some(name) = self.hosts().name(address).map_err(failed)? {
                        tracing::debug!("PTR of {reversed}: the hosts file has {name}");
                        return Ok(name);
                    }
                }
                Place::Dns => match self.reverse_untold(&reversed).await {
                    Ok(names) => match names.first() {
                        Some(name) if name.is_root() => return Ok(".".to_owned()),
                        Some(name) if is_host(&name.to_string()) => return Ok(name.to_string()),
                        // What can be the name of no host is passed over.
                        _ => error.fault = LookupFault::NotFound,
                    },
                    Err(failed) if failed.fault == LookupFault::TryAgain => error = failed,
                    Err(failed) => error.fault = Missing::of(&failed, &reversed).fault(),
                },
            }
        }
        Err(error)
    }

    /// DNS with the search list. What is temporary counts more than what is final, and what is known of the name itself
    /// more than a domain that was only guessed.
    async fn searched(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, Missing> {
        let mut missing = Missing::Name;
        for candidate in Searching::SYSTEM.candidates(name, self.conf()) {
            match self.addresses_untold(&candidate, family).await {
                Ok(found) => return Ok(found),
                Err(failed) => match Missing::of(&failed, &candidate) {
                    Missing::ForNow => return Err(Missing::ForNow),
                    found if candidate == name || found == Missing::NoData => missing = found,
                    _ => {}
                },
            }
        }
        Err(missing)
    }
}

/// Why the system's resolver has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// There is no such name.
    Name,
    /// The name has no address in this family.
    NoData,
    /// What the name is an alias for has no address in this family.
    NoDataOfAlias,
    /// Perhaps later.
    ForNow,
}

impl Missing {
    /// Of an answer of DNS about `asked`. A refusal to understand the question is no hope for later, and a circle of
    /// aliases is an alias for nothing.
    fn of(error: &LookupError, asked: &str) -> Missing {
        match error.fault {
            LookupFault::TryAgain | LookupFault::Malformed | LookupFault::Filtered | LookupFault::NotFiltered => {
                Missing::ForNow
            }
            LookupFault::Loop => Missing::NoDataOfAlias,
            LookupFault::NoData if error.name == asked.strip_suffix('.').unwrap_or(asked) => Missing::NoData,
            LookupFault::NoData => Missing::NoDataOfAlias,
            LookupFault::NotFound
            | LookupFault::NonRecoverable
            | LookupFault::InvalidData
            | LookupFault::InvalidName
            | LookupFault::NullMx
            | LookupFault::NoService => Missing::Name,
        }
    }

    /// Both families together: that the name exists is known when one says so and the other does not deny it; two
    /// aliases for nothing are no name.
    fn with(self, other: Missing) -> Missing {
        match (self, other) {
            (Missing::NoData, Missing::NoData | Missing::NoDataOfAlias | Missing::ForNow) => Missing::NoData,
            (Missing::NoDataOfAlias | Missing::ForNow, Missing::NoData) => Missing::NoData,
            (Missing::ForNow, _) | (_, Missing::ForNow) => Missing::ForNow,
            _ => Missing::Name,
        }
    }

    fn fault(self) -> LookupFault {
        match self {
            Missing::Name => LookupFault::NotFound,
            Missing::NoData | Missing::NoDataOfAlias => LookupFault::NoData,
            Missing::ForNow => LookupFault::TryAgain,
        }
    }

    fn as_error(self, name: &str, family: Family) -> LookupError {
        LookupError::new(name, family.into(), self.fault())
    }
}

fn is_host(name: &str) -> bool {
    net::hostname::is_valid(name.as_bytes()) || numeric(name).is_some()
}

/// A name that is an address, in any form that the system's resolver takes for one: inet_aton(3), and IPv6 as in RFC
/// 4291.
fn numeric(name: &str) -> Option<IpAddr> {
    name.parse::<Ipv6Addr>().map(IpAddr::from).ok().or_else(|| aton(name).map(IpAddr::from))
}

/// One to four numbers, decimal, octal or hexadecimal, of which the last one fills what the others leave.
fn aton(text: &str) -> Option<Ipv4Addr> {
    let number = |word: &str| {
        let (digits, radix) = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
            Some(digits) => (digits, 16),
            None if word.len() > 1 && word.starts_with('0') => (&word[1..], 8),
            None => (word, 10),
        };
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| char::from(byte).is_digit(radix));
        is_number.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
    };
    let numbers = text.split('.').map(number).collect::<Option<Vec<u32>>>().filter(|numbers| numbers.len() <= 4)?;
    let (last, others) = numbers.split_last()?;
    let bits = 32 - 8 * u32::try_from(others.len()).ok()?;
    let fits = others.iter().all(|number| *number < 256) && u64::from(*last) < 1u64 << bits;
    let high = others.iter().enumerate().map(|(at, number)| number << (24 - 8 * at)).sum::<u32>();
    fits.then(|| Ipv4Addr::from(high | last))
}

/// Which names may become longer by the domains of the search list (RES_DEFNAMES and RES_DNSRCH of resolver(3)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Searching {
    /// One without a dot.
    pub short: bool,
    /// One with a dot; and all domains are tried instead of the first.
    pub all: bool,
}

impl Searching {
    /// What the system's resolver does.
    const SYSTEM: Searching = Searching { short: true, all: true };

    /// The names that are tried for a name, in their order: with ndots dots as it is first, else as it is last. A final
    /// dot says that it is whole.
    pub(crate) fn candidates(self, name: &str, conf: &crate::ResolvConf) -> Vec<String> {
        if self == Searching::default() {
            return vec![name.to_owned()];
        }
        if let Some(whole) = name.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let domains = match (if dots == 0 { self.short } else { self.all }, self.all) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => usize::MAX,
        };
        let searched = conf.search.iter().take(domains).map(|domain| format!("{name}.{domain}"));
        let as_it_is = (!(dots == 0 && conf.no_tld_query)).then(|| name.to_owned());
        let mut names: Vec<String> = searched.collect();
        let at = if dots >= conf.ndots { 0 } else { names.len() };
        names.splice(at..at, as_it_is);
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ResolvConf, Surroundings};

    fn names(name: &str, text: &str) -> Vec<String> {
        Searching::SYSTEM.candidates(name, &ResolvConf::parse(text, &Surroundings::default()))
    }

    #[test]
    fn a_name_is_tried_as_it_is_before_or_after_the_search_list() {
        let search = "search a.test b.test\n";
        assert_eq!(names("n", search), ["n.a.test", "n.b.test", "n"]);
        assert_eq!(names("n.x", search), ["n.x", "n.x.a.test", "n.x.b.test"]);
        assert_eq!(names("n.x", &format!("{search}options ndots:2")), ["n.x.a.test", "n.x.b.test", "n.x"]);
        assert_eq!(names("n", &format!("{search}options ndots:0")), ["n", "n.a.test", "n.b.test"]);
        assert_eq!(names("n", &format!("{search}options no-tld-query")), ["n.a.test", "n.b.test"]);
        assert_eq!(names("n.x.", search), ["n.x"]);
        assert_eq!(names("n", ""), ["n"]);
    }

    #[test]
    fn each_option_of_the_search_has_its_names() {
        let conf = ResolvConf::parse("search a.test b.test\n", &Surroundings::default());
        let of = |short, all, name| Searching { short, all }.candidates(name, &conf);
        assert_eq!(of(false, false, "n"), ["n"]);
        assert_eq!(of(false, false, "n.x"), ["n.x"]);
        assert_eq!(of(true, false, "n"), ["n.a.test", "n"]);
        assert_eq!(of(true, false, "n.x"), ["n.x"]);
        assert_eq!(of(false, true, "n"), ["n"]);
        assert_eq!(of(false, true, "n.x"), ["n.x", "n.x.a.test", "n.x.b.test"]);
        assert_eq!(of(true, true, "n"), ["n.a.test", "n.b.test", "n"]);
    }

    #[test]
    fn what_the_system_takes_for_an_address_is_one() {
        for (text, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("123", Some("0.0.0.123")),
            ("1.2.3", Some("1.2.0.3")),
            ("1.256", Some("1.0.1.0")),
            ("0x7f.1", Some("127.0.0.1")),
            ("010.0.0.1", Some("8.0.0.1")),
            ("4294967295", Some("255.255.255.255")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("4294967296", None),
            ("1.2.3.256", None),
            ("256.1.1.1", None),
            ("1.2.3.4.5", None),
            ("1.2.3.4.", None),
            ("08", None),
            ("0x", None),
            ("+1", None),
            ("1..2", None),
            ("", None),
        ] {
            assert_eq!(numeric(text), expected.map(|text| text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_name_that_one_family_knows_exists() {
        use Missing::{ForNow, Name, NoData, NoDataOfAlias};
        for (one, other, both) in [
            (Name, Name, Name),
            (ForNow, ForNow, ForNow),
            (ForNow, NoData, NoData),
            (NoData, ForNow, NoData),
            (NoData, NoData, NoData),
            (NoDataOfAlias, NoDataOfAlias, Name),
            (ForNow, Name, ForNow),
            (Name, NoData, Name),
        ] {
            assert_eq!(one.with(other), both);
        }
    }

    #[test]
    fn the_places_come_from_the_hosts_line() {
        use Place::{Dns, Files};
        for (text, expected) in [
            ("hosts: files dns\n", vec![Files, Dns]),
            ("passwd: files\nhosts:\tdns files # x\n", vec![Dns, Files]),
            ("hosts: files\n", vec![Files]),
            ("hosts: files mdns4_minimal [NOTFOUND=return] dns\n", vec![Files, Dns]),
            ("hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns\n", vec![Dns, Files]),
            ("# hosts: dns\n", vec![Files, Dns]),
        ] {
            assert_eq!(Places::parse(text), Places(expected), "{text}");
        }
    }
}
