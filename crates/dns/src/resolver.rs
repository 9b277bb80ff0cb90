//! The resolver: questions of mail, asked of the name servers of resolv.conf.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType as WireType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use net::{Family, Protocols};

use crate::answer::{Answer, LONGEST_CHAIN, follow};
use crate::{Hosts, LookupError, LookupFault, RecordType, ResolvConf, ResolvConfError};

/// Asks name servers. Cheap to clone; must be used inside a tokio runtime.
#[derive(Clone)]
pub struct Resolver {
    pool: NameServerPool<TokioRuntimeProvider>,
    conf: Arc<ResolvConf>,
    hosts: Arc<Hosts>,
    protocols: Protocols,
}

/// One mail exchanger of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailExchanger {
    /// Lower is better.
    pub preference: u16,
    /// Its name, without final dot.
    pub host: String,
}

/// The mail exchangers of a domain, in the order of the answer.
pub type MailExchangers = Vec<MailExchanger>;

impl Resolver {
    /// A resolver for the servers of /etc/resolv.conf, with /etc/hosts.
    ///
    /// # Errors
    /// /etc/resolv.conf exists and cannot be read.
    pub fn from_system(protocols: Protocols) -> Result<Self, ResolvConfError> {
        Self::from_file(Path::new("/etc/resolv.conf"), protocols)
    }

    /// A resolver for the servers that the resolv.conf at `path` names, with /etc/hosts.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn from_file(path: &Path, protocols: Protocols) -> Result<Self, ResolvConfError> {
        let hosts = Hosts::read(Path::new("/etc/hosts"));
        Ok(Self::new(ResolvConf::read(path)?, hosts, protocols))
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
        Ok(Self::new(ResolvConf::read(&conf)?, Hosts::read(&hosts), protocols))
    }

    /// A resolver for these servers, without a hosts file.
    #[must_use]
    pub fn with_servers(servers: Vec<SocketAddr>, protocols: Protocols) -> Self {
        let conf = ResolvConf { servers, ..ResolvConf::default() };
        Self::new(conf, Hosts::default(), protocols)
    }

    /// A resolver for a configuration in memory.
    #[must_use]
    pub fn new(conf: ResolvConf, hosts: Hosts, protocols: Protocols) -> Self {
        let mut options = ResolverOpts::default();
        options.timeout = conf.timeout;
        let servers = conf.servers.iter().map(|server| name_server(*server));
        let context = Arc::new(PoolContext::new(options, no_tls()));
        let pool = NameServerPool::from_config(servers, context, TokioRuntimeProvider::default());
        Self { pool, conf: Arc::new(conf), hosts: Arc::new(hosts), protocols }
    }

    /// The protocol set that look-ups of addresses are limited to.
    #[must_use]
    pub fn protocols(&self) -> Protocols {
        self.protocols
    }

    /// The mail exchangers of a domain. A null MX (RFC 7505) is an error.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn mx(&self, domain: &str) -> Result<MailExchangers, LookupError> {
        let found = self
            .lookup(domain, RecordType::Mx, |data| match data {
                RData::MX(mx) => Some((mx.preference, mx.exchange.clone())),
                _ => None,
            })
            .await?;
        if let [(_, host)] = found.as_slice()
            && host.is_root()
        {
            return Err(fault(domain, RecordType::Mx, LookupFault::NullMx));
        }
        let exchangers = found.into_iter().filter(|(_, host)| !host.is_root());
        Ok(exchangers.map(|(preference, host)| MailExchanger { preference, host: text(&host) }).collect())
    }

    /// The addresses of a name in one family, from DNS alone.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn addresses(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, LookupError> {
        if !self.protocols.has(family) {
            return Err(fault(name, family.into(), LookupFault::NoData));
        }
        self.lookup(name, family.into(), |data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
        .await
    }

    /// The addresses of a name in one family as the system's resolver has them: hosts file, then DNS with the
    /// search list.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn native_addresses(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, LookupError> {
        if !self.protocols.has(family) {
            return Err(fault(name, family.into(), LookupFault::NoData));
        }
        if self.hosts.knows(name) {
            let found = self.hosts.addresses(name, family);
            return if found.is_empty() { Err(fault(name, family.into(), LookupFault::NoData)) } else { Ok(found) };
        }
        let mut error = fault(name, family.into(), LookupFault::NotFound);
        for candidate in self.candidates(name) {
            match self.addresses(&candidate, family).await {
                Ok(found) => return Ok(found),
                Err(failed) if failed.is_temporary() => return Err(failed),
                // What is known of the name itself says more than a domain that was only guessed.
                Err(failed) if candidate == name => error = failed,
                Err(_) => {}
            }
        }
        Err(error)
    }

    /// The name of an address as the system's resolver has it: hosts file, then DNS.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn native_name(&self, address: IpAddr) -> Result<String, LookupError> {
        if let Some(name) = self.hosts.name(address) {
            return Ok(name.to_owned());
        }
        let names = self.reverse(address).await?;
        names.into_iter().next().ok_or_else(|| fault(&text(&Name::from(address)), RecordType::Ptr, LookupFault::NoData))
    }

    /// The PTR names of an address, without final dot.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn reverse(&self, address: IpAddr) -> Result<Vec<String>, LookupError> {
        let name = text(&Name::from(address));
        let pick = |data: &RData| match data {
            RData::PTR(target) => Some(text(&target.0)),
            _ => None,
        };
        self.lookup(&name, RecordType::Ptr, pick).await
    }

    /// The answers of a list in the name service: always IPv4, whatever protocols mail uses (RFC 5782 2.3).
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn list_addresses(&self, name: &str) -> Result<Vec<Ipv4Addr>, LookupError> {
        let pick = |data: &RData| match data {
            RData::A(address) => Some(address.0),
            _ => None,
        };
        self.lookup(name, RecordType::A, pick).await
    }

    /// The name servers of a zone, without final dot; a name inside of a zone has none of its own.
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn ns(&self, zone: &str) -> Result<Vec<String>, LookupError> {
        let pick = |data: &RData| match data {
            RData::NS(target) => Some(text(&target.0)),
            _ => None,
        };
        self.lookup(zone, RecordType::Ns, pick).await
    }

    /// The texts of a name; the strings of one record are joined (RFC 7208 3.3).
    ///
    /// # Errors
    /// See [`LookupFault`].
    pub async fn txt(&self, name: &str) -> Result<Vec<Vec<u8>>, LookupError> {
        let pick = |data: &RData| match data {
            RData::TXT(texts) => Some(texts.txt_data.concat()),
            _ => None,
        };
        self.lookup(name, RecordType::Txt, pick).await
    }

    /// One question, with every alias followed.
    async fn lookup<T>(
        &self,
        name: &str,
        record_type: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, LookupError> {
        let failed = |kind| fault(name, record_type, kind);
        if !net::hostname::is_valid(name.as_bytes()) {
            return Err(failed(LookupFault::InvalidName));
        }
        let mut target = Name::from_ascii(name).map_err(|_| failed(LookupFault::InvalidName))?;
        target.set_fqdn(true);
        for _ in 0..LONGEST_CHAIN {
            let records = self.ask(&target, record_type).await.map_err(failed)?;
            match follow(&target, &records, &pick) {
                Answer::Found(found) => return Ok(found),
                Answer::Alias(next) => target = next,
                Answer::Nothing => return Err(failed(LookupFault::NoData)),
                Answer::Loop => break,
            }
        }
        Err(failed(LookupFault::Malformed))
    }

    /// One question as often as resolv.conf allows.
    async fn ask(&self, name: &Name, record_type: RecordType) -> Result<Vec<Record>, LookupFault> {
        let mut kind = LookupFault::TryAgain;
        for _ in 0..self.conf.attempts {
            let mut options = DnsRequestOptions::default();
            options.use_edns = true;
            options.recursion_desired = true;
            let query = Query::query(name.clone(), wire_type(record_type));
            match self.pool.send(DnsRequest::from_query(query, options)).first_answer().await {
                Ok(response) => {
                    return match response.response_code {
                        ResponseCode::NXDomain if response.answers.is_empty() => Err(LookupFault::NotFound),
                        ResponseCode::NXDomain | ResponseCode::NoError => Ok(response.into_message().answers),
                        _ => Err(LookupFault::NonRecoverable),
                    };
                }
                Err(error) => kind = classify(&error),
            }
            if matches!(kind, LookupFault::NotFound | LookupFault::NoData) {
                break;
            }
        }
        Err(kind)
    }

    /// The names that the system's resolver tries for a name, in order.
    fn candidates(&self, name: &str) -> Vec<String> {
        let searched = self.conf.search.iter().map(|domain| format!("{name}.{domain}"));
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        if dots >= self.conf.ndots {
            std::iter::once(name.to_owned()).chain(searched).collect()
        } else {
            searched.chain(std::iter::once(name.to_owned())).collect()
        }
    }
}

fn classify(error: &NetError) -> LookupFault {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => LookupFault::NotFound,
            _ => LookupFault::NoData,
        },
        NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused | ResponseCode::FormErr | ResponseCode::NotImp)) => {
            LookupFault::NonRecoverable
        }
        _ => LookupFault::TryAgain,
    }
}

fn fault(name: &str, record_type: RecordType, fault: LookupFault) -> LookupError {
    LookupError { name: name.to_owned(), record_type, fault }
}

/// A name of an answer as text, without final dot. It comes from outside: callers check it before they use it.
fn text(name: &Name) -> String {
    let mut text = name.to_ascii();
    if text.len() > 1 && text.ends_with('.') {
        text.pop();
    }
    text
}

fn wire_type(record_type: RecordType) -> WireType {
    match record_type {
        RecordType::A => WireType::A,
        RecordType::Aaaa => WireType::AAAA,
        RecordType::Mx => WireType::MX,
        RecordType::Ns => WireType::NS,
        RecordType::Ptr => WireType::PTR,
        RecordType::Txt => WireType::TXT,
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let mut config = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut config.connections {
        let ConnectionConfig { port, .. } = connection;
        *port = server.port();
    }
    config
}

fn no_tls() -> TlsConfig {
    // cannot fail: without the library's TLS features there is nothing in it
    TlsConfig::new().expect("an empty TLS configuration")
}
