//! The resolver: questions of mail, asked of the name servers of resolv.conf.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use net::{Family, Protocols};
use sys::watch::Stamp;

use crate::answer::{self, LONGEST_CHAIN, follow};
use crate::dnssec::Validation;
use crate::filter::RecordFilter;
use crate::message::Data;
use crate::name::Name;
use crate::servers::Servers;
use crate::{
    Dnssec, Hosts, LookupError, LookupFault, MailExchanger, MailExchangers, Offers, Places, Probe, RecordType,
    ResolvConf, ResolvConfError, Searching, Signed, Surroundings,
};

/// Asks name servers. Cheap to clone; must be used inside a tokio runtime.
#[derive(Clone)]
pub struct Resolver {
    servers: Arc<Servers>,
    hosts: Hosts,
    places: Arc<Places>,
    protocols: Protocols,
    searching: Searching,
    stamps: Arc<Vec<Stamp>>,
    validation: Arc<Validation>,
    pub(crate) filter: Option<Arc<RecordFilter>>,
}

impl Resolver {
    /// A resolver for the servers of /etc/resolv.conf, with /etc/hosts.
    ///
    /// # Errors
    /// /etc/resolv.conf exists and cannot be read.
    pub fn from_system(protocols: Protocols) -> Result<Self, ResolvConfError> {
        Self::of_files("/etc/resolv.conf".into(), "/etc/hosts".into(), protocols)
    }

    /// The resolver of an instance: `resolv.conf` and `hosts` in its configuration directory stand in for those of the
    /// system, so that a private instance can have name servers of its own.
    ///
    /// # Errors
    /// A resolv.conf exists and cannot be read.
    pub fn of_instance(directory: &Path, protocols: Protocols) -> Result<Self, ResolvConfError> {
        let file = |name: &str| Some(directory.join(name)).filter(|path| path.exists());
        let conf = file("resolv.conf").unwrap_or_else(|| "/etc/resolv.conf".into());
        let hosts = file("hosts").unwrap_or_else(|| "/etc/hosts".into());
        Self::of_files(conf, hosts, protocols)
    }

    fn of_files(conf: PathBuf, hosts: PathBuf, protocols: Protocols) -> Result<Self, ResolvConfError> {
        let places = Path::new("/etc/nsswitch.conf");
        // Before they are read: what changes in between is noticed.
        let mut stamps = vec![Stamp::of(&hosts), Stamp::of(places)];
        let of_conf = Stamp::of(&conf);
        let conf = ResolvConf::read(&conf, &Surroundings::here())?;
        // no-reload
        if !conf.no_reload {
            stamps.push(of_conf);
        }
        let resolver = Self::new(conf, Hosts::open(&hosts), protocols);
        Ok(Self { places: Arc::new(Places::read(places)), stamps: Arc::new(stamps), ..resolver })
    }

    /// A resolver for these servers, without a hosts file.
    #[must_use]
    // tests: of smtp, which is another crate.
    pub fn with_servers(servers: Vec<SocketAddr>, protocols: Protocols) -> Self {
        let conf = ResolvConf { servers, ..ResolvConf::default() };
        Self::new(conf, Hosts::default(), protocols)
    }

    /// A resolver for a configuration in memory.
    #[must_use]
    pub fn new(conf: ResolvConf, hosts: Hosts, protocols: Protocols) -> Self {
        Self {
            servers: Arc::new(Servers::new(conf)),
            hosts,
            places: Arc::default(),
            protocols,
            searching: Searching::default(),
            stamps: Arc::default(),
            validation: Arc::default(),
            filter: None,
        }
    }

    /// The same resolver, with another use of the search list in look-ups of addresses.
    #[must_use]
    pub fn searching(self, searching: Searching) -> Self {
        Self { searching, ..self }
    }

    /// The same resolver, which asks this to find out whether there are validated answers at all.
    #[must_use]
    pub fn probing(self, probe: Probe) -> Self {
        Self { validation: Arc::new(Validation::with(probe)), ..self }
    }

    /// Look-ups that ask for validated answers.
    #[must_use]
    pub fn dnssec(&self) -> Dnssec<'_> {
        Dnssec::of(self)
    }

    /// The protocol set that look-ups of addresses are limited to.
    #[must_use]
    pub fn protocols(&self) -> Protocols {
        self.protocols
    }

    /// What resolv.conf says.
    #[must_use]
    pub fn conf(&self) -> &ResolvConf {
        self.servers.conf()
    }

    /// The file of this resolver that is not what it was: a new resolver is to be made.
    #[must_use]
    pub fn changed(&self) -> Option<String> {
        self.stamps.iter().find(|stamp| stamp.changed()).map(|stamp| stamp.path().display().to_string())
    }

    pub(crate) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    pub(crate) fn validation(&self) -> &Validation {
        &self.validation
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// The mail exchangers of a domain. A null MX (RFC 7505) is an error, whatever stands beside it.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn mx(&self, domain: &str) -> Result<MailExchangers, LookupError> {
        Ok(self.exchangers(domain, false).await?.found)
    }

    pub(crate) async fn exchangers(&self, domain: &str, dnssec: bool) -> Result<Signed<MailExchangers>, LookupError> {
        let pick = |data: &Data| match data {
            Data::Exchanger(preference, host) => Some((*preference, host.clone())),
            _ => None,
        };
        let answer = self.hosts_of(domain, RecordType::Mx, LookupFault::NullMx, dnssec, pick).await?;
        let exchanger = |(preference, host)| MailExchanger { preference, host };
        answer.try_map(|hosts| Ok(hosts.into_iter().map(exchanger).collect()))
    }

    /// The hosts of a service, `_submission._tcp.example.com`. A domain that says that it has none is an error,
    /// whatever stands beside that.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn srv(&self, service: &str) -> Result<Offers, LookupError> {
        Ok(self.offers(service, false).await?.found)
    }

    pub(crate) async fn offers(&self, service: &str, dnssec: bool) -> Result<Signed<Offers>, LookupError> {
        let pick = |data: &Data| match data {
            Data::Service(offer, host) => Some((*offer, host.clone())),
            _ => None,
        };
        self.hosts_of(service, RecordType::Srv, LookupFault::NoService, dnssec, pick).await
    }

    /// Records that name hosts; the root among them is the fault `none`.
    async fn hosts_of<T>(
        &self,
        domain: &str,
        record_type: RecordType,
        none: LookupFault,
        dnssec: bool,
        pick: impl Fn(&Data) -> Option<(T, Name)>,
    ) -> Result<Signed<Vec<(T, String)>>, LookupError> {
        let answer = self.followed(domain, record_type, dnssec, pick).await.map_err(Lost::told)?;
        if answer.found.iter().any(|(_, host)| host.is_root()) {
            return Err(LookupError::new(domain, record_type, none));
        }
        answer.try_map(|found| self.host_names(domain, record_type, found))
    }

    /// The addresses of a name in one family, from DNS alone.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn addresses(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, LookupError> {
        Ok(self.of_family(name, family, false).await?.found)
    }

    /// The same, with the name that has them: where aliases lead.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn owned_addresses(&self, name: &str, family: Family) -> Result<Signed<Vec<IpAddr>>, LookupError> {
        self.of_family(name, family, false).await
    }

    pub(crate) async fn of_family(
        &self,
        name: &str,
        family: Family,
        dnssec: bool,
    ) -> Result<Signed<Vec<IpAddr>>, LookupError> {
        let mut missing: Option<LookupError> = None;
        for candidate in self.searching.candidates(name, self.conf()) {
            match self.of_one_family(&candidate, family, dnssec).await.map_err(Lost::told) {
                Err(error) if matches!(error.fault, LookupFault::NotFound | LookupFault::NoData) => {
                    // A name that is there counts more than one that is not.
                    if missing.as_ref().is_none_or(|known| known.fault == LookupFault::NotFound) {
                        missing = Some(if candidate == name {
                            error
                        } else {
                            LookupError { name: name.to_owned(), ..error }
                        });
                    }
                }
                known => return known,
            }
        }
        Err(missing.unwrap_or_else(|| LookupError::new(name, family.into(), LookupFault::NotFound)))
    }

    /// The answers of a list in the name service: always IPv4, whatever protocols mail uses (RFC 5782 2.3).
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn list_addresses(&self, name: &str) -> Result<Vec<Ipv4Addr>, LookupError> {
        let pick = |data: &Data| match data {
            Data::Address(IpAddr::V4(address)) => Some(*address),
            _ => None,
        };
        self.lookup(name, RecordType::A, pick).await
    }

    /// The name servers of a zone, without final dot; a name inside of a zone has none of its own.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn ns(&self, zone: &str) -> Result<Vec<String>, LookupError> {
        let pick = |data: &Data| match data {
            Data::NameServer(target) => Some(((), target.clone())),
            _ => None,
        };
        let found = self.lookup(zone, RecordType::Ns, pick).await?;
        Ok(self.host_names(zone, RecordType::Ns, found)?.into_iter().map(|((), host)| host).collect())
    }

    /// The texts of a name; the strings of one record are joined (RFC 7208 3.3).
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn txt(&self, name: &str) -> Result<Vec<Vec<u8>>, LookupError> {
        let pick = |data: &Data| match data {
            Data::Text(text) => Some(text.clone()),
            _ => None,
        };
        self.lookup(name, RecordType::Txt, pick).await
    }

    /// The names of records that are host names, or addresses in their place. The others are told, and left out.
    fn host_names<T>(
        &self,
        owner: &str,
        record_type: RecordType,
        found: Vec<(T, Name)>,
    ) -> Result<Vec<(T, String)>, LookupError> {
        let mut kept = Vec::new();
        for (value, name) in found {
            let text = name.to_string();
            let place =
                format_args!("domain name in resource data of {record_type} record for {owner}: {text}").to_string();
            if net::address::parse(text.as_bytes()).is_some() {
                logging::warning!("numeric {place}");
            } else if let Err(error) = net::hostname::check(text.as_bytes()) {
                logging::warning!("{error}");
                logging::warning!("malformed {place}");
                continue;
            }
            kept.push((value, text));
        }
        if kept.is_empty() { Err(LookupError::new(owner, record_type, LookupFault::InvalidData)) } else { Ok(kept) }
    }

    /// One question, with every alias followed. What is wrong with the answers is told.
    async fn lookup<T>(
        &self,
        name: &str,
        record_type: RecordType,
        pick: impl Fn(&Data) -> Option<T>,
    ) -> Result<Vec<T>, LookupError> {
        Ok(self.followed(name, record_type, false, pick).await.map_err(Lost::told)?.found)
    }

    /// The same for an answer that is to be a validated one.
    pub(crate) async fn validated<T>(
        &self,
        name: &str,
        record_type: RecordType,
        pick: impl Fn(&Data) -> Option<T>,
    ) -> Result<Signed<Vec<T>>, LookupError> {
        self.followed(name, record_type, true, pick).await.map_err(Lost::told)
    }

    /// Whether an answer was validated, that there is nothing included; `None`: there is no answer.
    pub(crate) async fn is_validated(&self, name: &Name, record_type: RecordType) -> Option<bool> {
        self.servers.hear(name, record_type, true).await.map(|answer| answer.is_authentic())
    }

    /// The addresses of a name in one family for the system's resolver, which says nothing of what is wrong with
    /// answers.
    pub(crate) async fn addresses_untold(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, LookupError> {
        Ok(self.unfiltered().of_one_family(name, family, false).await.map_err(|lost| lost.error)?.found)
    }

    /// The same for the names of an address, by its name in DNS.
    pub(crate) async fn reverse_untold(&self, name: &str) -> Result<Vec<Name>, LookupError> {
        let found = self.unfiltered().followed(name, RecordType::Ptr, false, of_pointer).await;
        Ok(found.map_err(|lost| lost.error)?.found)
    }

    async fn of_one_family(&self, name: &str, family: Family, dnssec: bool) -> Result<Signed<Vec<IpAddr>>, Lost> {
        if !self.protocols.has(family) {
            return Err(Lost::silently(LookupError::new(name, family.into(), LookupFault::NoData)));
        }
        // no-aaaa: whether the name exists is still to be known.
        if family == Family::V6 && self.conf().no_aaaa {
            let known = self.followed(name, RecordType::A, false, |data| of_family(data, Family::V4)).await;
            let fault = known.err().map_or(LookupFault::NoData, |lost| lost.error.fault);
            return Err(Lost::silently(LookupError::new(name, RecordType::Aaaa, fault)));
        }
        self.followed(name, family.into(), dnssec, |data| of_family(data, family)).await
    }

    async fn followed<T>(
        &self,
        name: &str,
        record_type: RecordType,
        dnssec: bool,
        pick: impl Fn(&Data) -> Option<T>,
    ) -> Result<Signed<Vec<T>>, Lost> {
        let target = if net::hostname::is_valid(name.as_bytes()) { Name::parse(name) } else { None };
        let invalid = || Lost::silently(LookupError::new(name, record_type, LookupFault::InvalidName));
        self.chain(name, target.ok_or_else(invalid)?, record_type, dnssec, pick).await
    }

    /// From `target`, which is `name`, to the end of its aliases. All answers on the way together are validated if each
    /// of them is.
    async fn chain<T>(
        &self,
        name: &str,
        mut target: Name,
        record_type: RecordType,
        dnssec: bool,
        pick: impl Fn(&Data) -> Option<T>,
    ) -> Result<Signed<Vec<T>>, Lost> {
        let failed = |kind| Lost::silently(LookupError::new(name, record_type, kind));
        let mut secure = dnssec;
        for step in 0..LONGEST_CHAIN {
            let of_target = |kind| match step {
                0 => failed(kind),
                // What the alias leads to is what is not there.
                _ => Lost::silently(LookupError::new(&target.to_string(), record_type, kind)),
            };
            let answer = self.servers.ask(&target, record_type, dnssec).await.map_err(of_target)?;
            let records = answer.records().map_err(|_| of_target(LookupFault::Malformed))?;
            let records = self.sifted(records, record_type).map_err(of_target)?;
            secure &= answer.is_authentic();
            match follow(&target, &records, &pick) {
                answer::Answer::Found(found, owner) => {
                    return Ok(Signed { found, owner: owner.to_string(), secure });
                }
                answer::Answer::Nothing => return Err(of_target(LookupFault::NoData)),
                answer::Answer::Loop => break,
                answer::Answer::Alias(next) => {
                    let text = next.to_string();
                    if let Err(error) = net::hostname::check(text.as_bytes()) {
                        let malformed =
                            format!("malformed domain name in resource data of CNAME record for {name}: {text}");
                        let warnings = vec![error.to_string(), malformed];
                        return Err(Lost { warnings, ..failed(LookupFault::InvalidData) });
                    }
                    target = next;
                }
            }
        }
        let warnings = vec![format!("dns_lookup: Name server loop for {name}")];
        Err(Lost { warnings, ..failed(LookupFault::Loop) })
    }
}

/// A look-up that gave nothing, and what is to be said about its answers.
struct Lost {
    error: LookupError,
    warnings: Vec<String>,
}

impl Lost {
    fn silently(error: LookupError) -> Self {
        Self { error, warnings: Vec::new() }
    }

    fn told(self) -> LookupError {
        self.warnings.iter().for_each(|warning| logging::warning!("{warning}"));
        self.error
    }
}

fn of_pointer(data: &Data) -> Option<Name> {
    match data {
        Data::Pointer(target) => Some(target.clone()),
        _ => None,
    }
}

fn of_family(data: &Data, family: Family) -> Option<IpAddr> {
    match data {
        Data::Address(address) => Some(*address).filter(|address| Family::of(*address) == family),
        _ => None,
    }
}

/// The name under which the name of an address is found (RFC 1035 3.5, RFC 3596 2.5).
pub(crate) fn reverse_name(address: IpAddr) -> String {
    let zone = if address.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" };
    format!("{}.{zone}", net::address::reversed(address))
}
