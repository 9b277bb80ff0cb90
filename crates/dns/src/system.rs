//! Look-ups as the system's resolver does them: where nsswitch.conf(5) says, with the search list of resolv.conf(5).

use std::net::IpAddr;
use std::path::Path;

use net::Family;

use crate::{LookupError, LookupFault, Resolver};

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

    /// The places of a text. Services that only answer for this machine or its link have no part in mail; the daemon behind
    /// `resolve` answers as a name server too, which resolv.conf names.
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
        if !self.protocols().has(family) {
            return Err(LookupError::new(name, family.into(), LookupFault::NoData));
        }
        let mut error = LookupError::new(name, family.into(), LookupFault::NotFound);
        for place in &self.places().0 {
            match place {
                Place::Files => {
                    if let Some(found) = self.hosts().addresses(name, family) {
                        let none = || Err(LookupError::new(name, family.into(), LookupFault::NoData));
                        return if found.is_empty() { none() } else { Ok(found) };
                    }
                }
                Place::Dns => match self.searched(name, family).await {
                    Ok(found) => return Ok(found),
                    Err(failed) => error = failed,
                },
            }
        }
        Err(error)
    }

    /// The name of an address as the system's resolver has it.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn native_name(&self, address: IpAddr) -> Result<String, LookupError> {
        let reversed = crate::reverse_name(address);
        let mut error = LookupError::new(&reversed, crate::RecordType::Ptr, LookupFault::NotFound);
        for place in &self.places().0 {
            match place {
                Place::Files => {
                    if let Some(name) = self.hosts().name(address) {
                        return Ok(name);
                    }
                }
                Place::Dns => match self.reverse(address).await {
                    Ok(names) => match names.into_iter().next() {
                        Some(name) => return Ok(name),
                        None => error.fault = LookupFault::NoData,
                    },
                    Err(failed) => error = failed,
                },
            }
        }
        Err(error)
    }

    /// DNS with the search list. What is temporary counts more than what is final, and what is known of the name itself more
    /// than a domain that was only guessed.
    async fn searched(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, LookupError> {
        let mut error = LookupError::new(name, family.into(), LookupFault::NotFound);
        for candidate in candidates(name, self.conf()) {
            match self.addresses(&candidate, family).await {
                Ok(found) => return Ok(found),
                Err(failed) if failed.is_temporary() => return Err(LookupError { name: name.to_owned(), ..failed }),
                Err(failed) if candidate == name || failed.fault == LookupFault::NoData => {
                    error = LookupError { name: name.to_owned(), ..failed };
                }
                Err(_) => {}
            }
        }
        Err(error)
    }
}

/// The names that are tried for a name, in their order: with ndots dots as it is first, else as it is last. A final dot
/// says that it is whole.
fn candidates(name: &str, conf: &crate::ResolvConf) -> Vec<String> {
    if let Some(whole) = name.strip_suffix('.') {
        return vec![whole.to_owned()];
    }
    let dots = name.bytes().filter(|byte| *byte == b'.').count();
    let searched = conf.search.iter().map(|domain| format!("{name}.{domain}"));
    let as_it_is = (!(dots == 0 && conf.no_tld_query)).then(|| name.to_owned());
    if dots >= conf.ndots { as_it_is.into_iter().chain(searched).collect() } else { searched.chain(as_it_is).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ResolvConf, Surroundings};

    fn names(name: &str, text: &str) -> Vec<String> {
        candidates(name, &ResolvConf::parse(text, &Surroundings::default()))
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
