//! What main.cf and its tables ask of a connection to one server, for one message.
//!
//! Whatever makes no sense, or cannot be looked up, makes mail wait: it never goes with less than was asked for.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use dsn::Status;
use lookup::Maps;
use queue::SendOptions;
use smtp_client::{Endpoint, dane};
use tls::{Anchors, Matching, NameRule, Wanted, hex, unhex};

use super::anchors::Shelf;
use super::level::{Feature, Features, Level, Outcome};
use super::per_site::Site;
use super::policy::{Entry, External, ServerName, is_server_name};
use super::report::Reporting;
use super::requiretls::{self, Strictness};
use super::tables::look_up;
use super::terms::{Engine, Offer, Policy, REQUIRETLS};
use super::way::Way;
use crate::failure::{Failure, Subject};

/// What main.cf says of TLS.
#[cfg_attr(test, derive(Clone))]
pub struct Rules {
    /// `smtp` or `lmtp`.
    pub agent: &'static str,
    /// smtp_tls_security_level, or what smtp_enforce_tls and smtp_use_tls say.
    pub level: Level,
    /// smtp_tls_security_level is empty because of an old level: the notice of the first delivery.
    pub old_default: Option<String>,
    /// What is asked of servers with TLSA records.
    pub dane: dane::Rules,
    /// smtp_tls_policy_maps.
    pub policies: Maps,
    /// smtp_tls_per_site.
    pub per_site: Maps,
    /// Where TLS is optional.
    pub optional: Offer,
    /// Where it is not.
    pub mandatory: Offer,
    /// smtp_tls_verify_cert_match
    pub verify_match: Vec<String>,
    /// smtp_tls_secure_cert_match
    pub secure_match: Vec<String>,
    /// smtp_tls_fingerprint_cert_match
    pub fingerprints: Vec<String>,
    /// smtp_tls_servername
    pub servername: String,
    /// smtp_tls_CAfile, smtp_tls_CApath.
    pub anchors: Rc<Anchors>,
    /// smtp_tls_trust_anchor_file
    pub tafiles: Vec<PathBuf>,
    /// What trust anchor files hold.
    pub shelf: Rc<Shelf>,
    /// smtp_tls_enable_rpk
    pub raw_keys: bool,
    /// smtp_tls_connection_reuse
    pub reuse: bool,
    /// requiretls_enable, smtp_requiretls_policy.
    pub requiretls: Option<requiretls::Rules>,
    /// tls_required_enable
    pub may_be_waived: bool,
    /// smtp_tls_enforce_sts_mx_patterns
    pub sts_patterns: bool,
    /// How sessions are made.
    pub engine: Engine,
    /// smtp_tlsrpt_enable
    pub reporting: Option<Reporting>,
    /// minimal_backoff_time: mail that has waited for so long has failed before.
    pub minimal_backoff: Duration,
    /// smtp_log_tls_feature_status.
    pub log_feature: bool,
}

impl Rules {
    /// Whether TLS may be used at all.
    pub fn may_need_tls(&self) -> bool {
        self.level != Level::None || !self.policies.is_empty() || !self.per_site.is_empty()
    }

    /// The table whose file is not what was read.
    pub fn changed(&self) -> Option<&str> {
        let tables = [&self.policies, &self.per_site].into_iter().find_map(|table| table.changed());
        tables.or_else(|| self.requiretls.as_ref().and_then(requiretls::Rules::changed))
    }

    /// The value of `tls=`, if it is logged.
    pub fn shown(&self, features: Option<&Features>) -> Option<String> {
        features.filter(|_| self.log_feature).map(|features| features.to_string())
    }

    /// What the connection has to be, as far as main.cf and its tables know it. Where they ask for DANE, nothing that
    /// a server can show will do: see `policy_by_dns`.
    ///
    /// # Errors
    /// That cannot be found out, or the message must not go this way.
    pub fn policy(&self, way: &Way<'_>) -> Result<Policy, Failure> {
        self.complete(self.asked(way)?, way)
    }

    /// What is asked for.
    pub(super) fn asked(&self, way: &Way<'_>) -> Result<Entry, Failure> {
        if self.is_waived(way.options) { Ok(self.waived()) } else { self.entry(way) }
    }

    /// What that comes to.
    pub(super) fn complete(&self, entry: Entry, way: &Way<'_>) -> Result<Policy, Failure> {
        let mut policy = self.resolve(entry, way)?;
        if let Some(rules) = self.requiretls.as_ref().filter(|_| way.options.has(SendOptions::REQUIRETLS)) {
            self.require(&mut policy, rules, way)?;
        }
        self.check_wrapper(&policy)?;
        Ok(policy)
    }

    /// `TLS-Required: no` (RFC 8689 4), which REQUIRETLS makes void.
    pub fn is_waived(&self, options: SendOptions) -> bool {
        let waived = options.has(SendOptions::TLS_REQUIRED_NO) && !options.has(SendOptions::REQUIRETLS);
        self.may_be_waived && waived
    }

    /// No more than TLS if the server can.
    fn waived(&self) -> Entry {
        Entry::of(match self.level {
            Level::None => Level::None,
            _ if self.engine.wrapper => Level::Encrypt,
            _ => Level::May,
        })
    }

    /// What the tables say, or main.cf where they say nothing.
    fn entry(&self, way: &Way<'_>) -> Result<Entry, Failure> {
        if !self.policies.is_empty() {
            return Ok(self.in_policies(way)?.unwrap_or_else(|| Entry::of(self.level)));
        }
        let mut sites = [None, None];
        if !self.per_site.is_empty() {
            for (site, key) in sites.iter_mut().zip([way.key(), &way.server.name]) {
                *site = self.site(key, way)?;
            }
        }
        let site = sites.into_iter().flatten().max();
        Ok(Entry::of(site.map_or(self.level, |site| site.level(self.level))))
    }

    fn in_policies(&self, way: &Way<'_>) -> Result<Option<Entry>, Failure> {
        let (title, key) = (self.policies.title(), text::printable(way.key().as_bytes()));
        let warn = |what: &dyn std::fmt::Display| {
            logging::warning!("{title}, next-hop destination \"{key}\": {what}");
        };
        let found = look_up(&self.policies, way.key()).map_err(|_| {
            warn(&"policy table lookup error");
            way.misconfigured()
        })?;
        let Some(found) = found else { return Ok(None) };
        let entry: Entry = found.parse().map_err(|error| {
            warn(&error);
            way.misconfigured()
        })?;
        for ignored in &entry.ignored {
            warn(&format_args!("ignoring attribute \"{}\" with TLS disabled", text::printable(ignored.as_bytes())));
        }
        Ok(Some(entry))
    }

    fn site(&self, key: &str, way: &Way<'_>) -> Result<Option<Site>, Failure> {
        let (title, shown) = (self.per_site.title(), text::printable(key.as_bytes()));
        let found = self.per_site.lookup(key.to_ascii_lowercase().as_bytes()).map_err(|_| {
            logging::warning!("{title}: next-hop destination \"{shown}\": per-site table lookup error");
            way.refused(Status::new(4, 3, 0), "Temporary lookup error".to_owned(), Features::unknown())
        })?;
        let Some(word) = found else { return Ok(None) };
        let word = String::from_utf8_lossy(&word);
        Site::parse(&word).map(Some).ok_or_else(|| {
            let word = text::printable(word.as_bytes());
            logging::warning!("{title}: unknown TLS policy '{word}' for next-hop destination {shown}");
            way.misconfigured()
        })
    }

    /// A policy with everything that its entry leaves to main.cf.
    fn resolve(&self, entry: Entry, way: &Way<'_>) -> Result<Policy, Failure> {
        let level = entry.level;
        let in_the_clear = match &way.server.endpoint {
            Endpoint::Unix(path) => at_socket(level, path, way)?,
            Endpoint::Internet(_) => false,
        };
        let offer = if level.is_mandatory() { &self.mandatory } else { &self.optional };
        let mut policy = Policy {
            level,
            offer: Offer {
                protocols: entry.protocols.clone().unwrap_or_else(|| offer.protocols.clone()),
                grade: entry.ciphers.clone().unwrap_or_else(|| offer.grade.clone()),
                exclude: entry.exclude.clone().unwrap_or_else(|| offer.exclude.clone()),
            },
            matching: Matching::Anything,
            misnamed: Vec::new(),
            anchors: Rc::clone(&self.anchors),
            sni: None,
            raw_keys: level.may_take_raw_keys() && entry.raw_keys.unwrap_or(self.raw_keys),
            reuse: entry.reuse.unwrap_or(self.reuse),
            requiretls: None,
            external: entry.external.clone(),
            audience: None,
            in_the_clear,
            before: None,
        };
        if level == Level::None {
            return Ok(policy);
        }
        policy.sni = self.sni(&entry, way)?;
        match level {
            Level::Verify | Level::Secure => self.by_names(&mut policy, &entry, way)?,
            Level::Fingerprint => {
                let listed = if entry.matches.is_empty() { &self.fingerprints } else { &entry.matches };
                let known = fingerprints(listed, way)?;
                if self.engine.log.dane {
                    let lines = known.iter().flat_map(|one| [0, 1].map(|selector| (selector, hex(one))));
                    lines.for_each(|(selector, one)| {
                        logging::info!("fingerprint: digest as private-use TLSA record: 3 {selector} 255 {one}");
                    });
                }
                let matching = if policy.raw_keys { Matching::Keys } else { Matching::Fingerprints };
                policy.matching = matching(known);
            }
            // Until it is known what DNS says of the server nothing will do.
            Level::Dane | Level::DaneOnly | Level::HalfDane => policy.matching = Matching::Names(Vec::new()),
            Level::None | Level::May | Level::Encrypt => {}
        }
        Ok(policy)
    }

    fn sni(&self, entry: &Entry, way: &Way<'_>) -> Result<Option<String>, Failure> {
        let name = match &entry.servername {
            Some(name) => name.clone(),
            None if self.servername.is_empty() => return Ok(None),
            None => ServerName::parse(&self.servername).ok_or_else(|| {
                let (agent, name) = (self.agent, text::printable(self.servername.as_bytes()));
                logging::warning!("\"{agent}_tls_servername = {name}\" specifies an invalid hostname");
                way.misconfigured()
            })?,
        };
        Ok(match name {
            ServerName::Name(name) => Some(name),
            ServerName::Hostname => Some(way.server.name.clone()).filter(|name| is_server_name(name)),
            ServerName::Nexthop => Some(way.domain().to_owned()).filter(|name| is_server_name(name)),
        })
    }

    /// What levels verify and secure compare.
    fn by_names(&self, policy: &mut Policy, entry: &Entry, way: &Way<'_>) -> Result<(), Failure> {
        let in_main = if policy.level == Level::Verify { &self.verify_match } else { &self.secure_match };
        let mut listed = if entry.matches.is_empty() { in_main.clone() } else { entry.matches.clone() };
        if let Some(external) = entry.external.as_ref().filter(|it| self.is_held_to(it, policy.level)) {
            if !is_admitted(&way.server.name, external) {
                let (name, domain) =
                    (text::printable(way.server.name.as_bytes()), text::printable(way.domain().as_bytes()));
                let domain = external.domain.as_deref().map_or(domain, |domain| text::printable(domain.as_bytes()));
                logging::warning!("MX name '{name}' does not match STS MX pattern for '{domain}'");
                return Err(passed_over(policy.level));
            }
            // Where a plug-in names nothing to compare, main.cf does, as ever.
            if !entry.matches.is_empty() {
                listed = vec!["hostname".to_owned()];
            }
        }
        let domain = way.domain();
        let mut wanted: Vec<Wanted> = Vec::new();
        for word in &listed {
            match NameRule::parse(word).wanted(&way.server.name, domain) {
                Some(name) => wanted.push(name),
                None => policy.misnamed.push(word.clone()),
            }
        }
        policy.matching = Matching::Names(wanted);
        if !entry.tafiles.is_empty() {
            policy.anchors = self.shelf.take(&entry.tafiles).map_err(|why| way.without_anchors(&why))?;
        } else if !self.tafiles.is_empty() {
            policy.anchors = self.shelf.take(&self.tafiles).map_err(|why| way.without_anchors(&why))?;
        }
        Ok(())
    }

    /// Whether a server has to be one of those that a policy names.
    fn is_held_to(&self, external: &External, level: Level) -> bool {
        self.sts_patterns && external.is_sts && level.is_by_name() && !external.patterns.is_empty()
    }

    /// REQUIRETLS
    fn require(&self, policy: &mut Policy, rules: &requiretls::Rules, way: &Way<'_>) -> Result<(), Failure> {
        let (host, open) = (way.server.name.as_str(), Features::open(policy.level));
        let strictness = rules
            .find(way.domain())
            .map_err(|requiretls::BadRules| way.refused(Status::new(4, 7, 10), requiretls::bad_rules(host), open))?;
        if strictness == Strictness::Disable {
            return Ok(());
        }
        if !policy.level.is_matching() {
            let reason = requiretls::no_matching(policy.level.name(), host);
            match strictness {
                Strictness::Enforce => {
                    let missed = Feature { wanted: REQUIRETLS, outcome: Outcome::Missed(Some("nocertmatch")) };
                    let features = Features { requiretls: Some(missed), ..open };
                    let failure = way.refused(Status::new(5, 7, 10), reason, features);
                    return Err(Failure { subject: Subject::Ability, ..failure });
                }
                Strictness::Starttls => logging::info!(id: way.queue_id, "{reason}"),
                _ => {}
            }
        }
        policy.requiretls = Some(strictness);
        Ok(())
    }

    fn check_wrapper(&self, policy: &Policy) -> Result<(), Failure> {
        if self.engine.wrapper && !policy.level.is_mandatory() {
            let agent = self.agent;
            logging::warning!(
                "{agent}_tls_wrappermode requires \"{agent}_tls_security_level = encrypt\" (or stronger)"
            );
            return Err(passed_over(policy.level));
        }
        Ok(())
    }
}

/// The server is not what the setting allows; another may be.
fn passed_over(level: Level) -> Failure {
    let failure = Failure::of_host(Status::new(4, 3, 0), "server unavailable or unable to receive mail");
    failure.with_tls(Features::open(level))
}

/// Whether an MX host is one that the policy of its domain names (RFC 8461 4.1).
fn is_admitted(host: &str, external: &External) -> bool {
    let host = host.to_ascii_lowercase();
    external.patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).any(|pattern| {
        match pattern.strip_prefix("*.") {
            Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest == domain),
            None => host == pattern,
        }
    })
}

/// At a socket of this machine: whether nothing of it leaves the machine anyway.
fn at_socket(level: Level, path: &Path, way: &Way<'_>) -> Result<bool, Failure> {
    match level {
        Level::Dane | Level::DaneOnly => {
            let (path, name) = (path.display(), level.name());
            logging::warning!("{path}: the \"{name}\" security level is invalid for delivery via unix-domain sockets");
            Err(way.misconfigured())
        }
        Level::May => {
            logging::warning!(
                "smtp_connect_local: opportunistic TLS encryption is not appropriate for unix-domain destinations."
            );
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn fingerprints(listed: &[String], way: &Way<'_>) -> Result<Rc<[Vec<u8>]>, Failure> {
    let words = listed.iter().flat_map(|text| text.split('|')).map(str::trim).filter(|word| !word.is_empty());
    let read = |word: &str| {
        unhex(word).or_else(|| {
            logging::warning!("malformed fingerprint value: {}", text::printable(word.as_bytes()));
            None
        })
    };
    let known: Rc<[Vec<u8>]> = words.filter_map(read).collect();
    if known.is_empty() {
        let domain = text::printable(way.key().as_bytes());
        logging::warning!(
            "nexthop domain {domain}: configured at fingerprint security level, but with no fingerprints to match."
        );
        return Err(way.misconfigured());
    }
    Ok(known)
}

#[cfg(test)]
mod tests;
