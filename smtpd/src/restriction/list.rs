//! Lists of restrictions as main.cf and access tables write them.
//!
//! A name that is not known is no error here: it turns mail down when its turn comes, so that a mistake never opens a
//! relay and never stops the server.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use config::restrictions::REMOVED;

use crate::restriction::certificate;
use crate::restriction::{Class, Hosts, Listed, Mismatch, Restriction, Services, Subject, Tables};

/// A parsed list.
#[derive(Clone, Debug, Default)]
pub struct List(pub(super) Vec<Restriction>);

/// All lists of the configuration.
#[derive(Debug, Default)]
pub struct Lists {
    /// smtpd_client_restrictions
    pub client: List,
    /// smtpd_helo_restrictions
    pub helo: List,
    /// smtpd_sender_restrictions
    pub sender: List,
    /// smtpd_relay_restrictions
    pub relay: List,
    /// smtpd_recipient_restrictions
    pub recipient: List,
    /// smtpd_data_restrictions
    pub data: List,
    /// smtpd_end_of_data_restrictions
    pub end_of_data: List,
    /// smtpd_etrn_restrictions
    pub etrn: List,
    /// local_header_rewrite_clients
    pub local_rewrite: List,
    /// smtpd_restriction_classes
    pub classes: HashMap<String, Rc<List>>,
}

impl Lists {
    /// The list that smtpd_restriction_classes gives a name.
    pub fn class(&self, name: &str) -> Option<&Rc<List>> {
        self.classes.get(name)
    }

    /// Adds a class.
    pub fn add_class(&mut self, name: &str, list: List) {
        self.classes.insert(name.to_owned(), Rc::new(list));
    }
}

/// What the words of a list may name.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    /// Tables of access checks.
    pub tables: &'a Tables,
    /// Policy services.
    pub services: &'a Services,
    /// smtpd_restriction_classes
    pub classes: &'a [String],
}

impl List {
    /// Parses the items of a list.
    ///
    /// # Errors
    /// A policy service that makes no sense; the sentence with which the server ends.
    pub fn parse(items: &[impl AsRef<str>], named: Named<'_>) -> Result<List, String> {
        let mut found: Vec<Restriction> = Vec::with_capacity(items.len());
        let mut rest = items.iter().map(AsRef::as_ref);
        while let Some(name) = rest.next() {
            let only_warns = found.len() >= 2 && matches!(found[found.len() - 2], Restriction::WarnIfReject);
            if let Some(end) = found.last().and_then(final_name)
                && !(only_warns && end != "permit")
            {
                // Told whenever the end is reached.
                let why = format!("restriction `{name}' after `{end}' is ignored");
                found.insert(found.len() - 1, Restriction::Ignored(why));
                break;
            }
            found.push(item(name, &mut rest, named)?);
        }
        Ok(List(found))
    }

    /// The items.
    pub fn items(&self) -> &[Restriction] {
        &self.0
    }

    /// There is nothing to evaluate.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The name of a restriction that nothing can follow.
fn final_name(item: &Restriction) -> Option<&'static str> {
    match item {
        Restriction::Permit => Some("permit"),
        Restriction::Reject => Some("reject"),
        Restriction::Defer => Some("defer"),
        _ => None,
    }
}

fn item<'a>(name: &str, rest: &mut impl Iterator<Item = &'a str>, named: Named<'_>) -> Result<Restriction, String> {
    let Named { tables, services, classes } = named;
    if classes.iter().any(|class| class == name) {
        return Ok(Restriction::Class(name.to_owned()));
    }
    let lower = name.to_ascii_lowercase();
    if let Some(restriction) = simple(&lower).or_else(|| removed(&lower)) {
        return Ok(restriction);
    }
    if lower == "check_policy_service" {
        return Ok(match rest.next() {
            Some(spec) => Restriction::PolicyService(services.open(spec)?),
            None => Restriction::Misused(format!("restriction {name} must be followed by transport:server")),
        });
    }
    Ok(with_time_or_domain(&lower, rest)
        .or_else(|| access(&lower, rest, tables))
        // `type:name` alone is a check of what the list is about.
        .or_else(|| name.contains(':').then(|| tables.bare(name)))
        .unwrap_or_else(|| Restriction::Unknown(name.to_owned())))
}

/// Names that Postfix no longer has.
fn removed(name: &str) -> Option<Restriction> {
    let (_, instead) = REMOVED.iter().find(|(old, _)| *old == name)?;
    let removed = "has been removed in Postfix 3.9";
    let why = format!("support for restriction \"{name}\" {removed}; instead, specify {instead}");
    let is_about_recipients = name == "check_relay_domains";
    Some(if is_about_recipients { Restriction::MisusedForRecipient(why) } else { Restriction::Misused(why) })
}

/// Restrictions whose argument is a time or a list in the name service.
fn with_time_or_domain<'a>(name: &str, rest: &mut impl Iterator<Item = &'a str>) -> Option<Restriction> {
    if name == "sleep" {
        let seconds = rest.next().and_then(|time| time.parse().ok());
        return Some(match seconds {
            Some(seconds) => Restriction::Sleep(Duration::from_secs(seconds)),
            None => Restriction::Misused("restriction sleep must be followed by number".to_owned()),
        });
    }
    let (listed, permits) = Listed::of_restriction(name)?;
    Some(match rest.next() {
        Some(spec) => listed.restriction(permits, spec),
        None => Restriction::Ignored(format!("restriction {name} requires domain name argument")),
    })
}

/// Restrictions whose argument is a table.
fn access<'a>(name: &str, rest: &mut impl Iterator<Item = &'a str>, tables: &Tables) -> Option<Restriction> {
    let open: &dyn Fn(&str) -> Restriction = if name == "check_sasl_access" {
        &|table| tables.login_access(table)
    } else if name == "check_ccert_access" {
        &|argument| certificate::restriction(argument, tables)
    } else if let Some(subject) = Subject::of_restriction(name) {
        &move |table| tables.access(subject, table)
    } else {
        let (subject, hosts) = Hosts::of_restriction(name)?;
        &move |table| tables.host_access(subject, hosts, table)
    };
    let argument = rest.next().unwrap_or(name);
    Some(if argument.contains(':') { open(argument) } else { Restriction::Misused(bad_argument(name, argument)) })
}

/// The warning about what should be a table and is none.
pub(super) fn bad_argument(name: &str, argument: &str) -> String {
    format!("restriction {name}: bad argument \"{argument}\": need maptype:mapname")
}

/// Restrictions without an argument.
pub(super) fn simple(name: &str) -> Option<Restriction> {
    Some(match name {
        "permit" => Restriction::Permit,
        "reject" => Restriction::Reject,
        "defer" => Restriction::Defer,
        "defer_if_permit" => Restriction::DeferIfPermit,
        "defer_if_reject" => Restriction::DeferIfReject,
        "warn_if_reject" => Restriction::WarnIfReject,
        "permit_mynetworks" => Restriction::PermitMynetworks,
        "permit_inet_interfaces" => Restriction::PermitInetInterfaces,
        "permit_sasl_authenticated" => Restriction::PermitSaslAuthenticated,
        "permit_tls_clientcerts" => Restriction::PermitCertificate(false),
        "permit_tls_all_clientcerts" => Restriction::PermitCertificate(true),
        "permit_auth_destination" => Restriction::PermitAuthDestination,
        "reject_unauth_destination" => Restriction::RejectUnauthDestination,
        "defer_unauth_destination" => Restriction::DeferUnauthDestination,
        "reject_plaintext_session" => Restriction::RejectPlaintextSession,
        "reject_unauth_pipelining" => Restriction::RejectUnauthPipelining,
        "reject_multi_recipient_bounce" => Restriction::RejectMultiRecipientBounce,
        "reject_unknown_client_hostname" | "reject_unknown_client" => Restriction::RejectUnknownClientHostname,
        "reject_unknown_reverse_client_hostname" => Restriction::RejectUnknownReverseClientHostname,
        "reject_invalid_helo_hostname" | "reject_invalid_hostname" => Restriction::RejectInvalidHelo,
        "reject_non_fqdn_helo_hostname" | "reject_non_fqdn_hostname" => Restriction::RejectNonFqdnHelo,
        "reject_unknown_helo_hostname" | "reject_unknown_hostname" => Restriction::RejectUnknownHelo,
        "reject_non_fqdn_sender" => Restriction::RejectNonFqdnSender,
        "reject_non_fqdn_recipient" => Restriction::RejectNonFqdnRecipient,
        "reject_unknown_sender_domain" | "reject_unknown_address" => Restriction::RejectUnknownSenderDomain,
        "reject_unknown_recipient_domain" => Restriction::RejectUnknownRecipientDomain,
        "permit_mx_backup" => Restriction::PermitMxBackup,
        "reject_unverified_sender" => Restriction::RejectUnverified(Class::Sender),
        "reject_unverified_recipient" => Restriction::RejectUnverified(Class::Recipient),
        "reject_unlisted_sender" => Restriction::RejectUnlistedSender,
        "reject_unlisted_recipient" | "check_recipient_maps" => Restriction::RejectUnlistedRecipient,
        _ => return Mismatch::of_restriction(name).map(Restriction::SenderLogin),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `postfix check` knows the restrictions by the table of `config`, and this server by its own code.
    #[test]
    fn the_restrictions_that_are_known_are_those_that_check_knows() {
        use config::restrictions::{Argument, NAMES, REMOVED, find};
        let parents = lookup::ParentStyle::Bare;
        let tables = Tables::new(lookup::Settings::default(), parents, address::Delimiters::new("", false));
        let config = config::Config::parse(b"", std::path::Path::new("/c"), &[]).unwrap();
        let services = Services::new(policy::Options::read(&config).unwrap());
        let named = Named { tables: &tables, services: &services, classes: &[] };
        for known in NAMES {
            let argument = match known.argument {
                Argument::Nothing => None,
                Argument::Table => Some("inline:{a=b}"),
                Argument::Domain => Some("example.test"),
                Argument::Seconds => Some("5"),
                Argument::Server => Some("inet:127.0.0.1:9"),
            };
            let items: Vec<&str> = std::iter::once(known.name).chain(argument).collect();
            let list = List::parse(&items, named).unwrap();
            assert_eq!(list.items().len(), 1, "{}", known.name);
            let is_wrong =
                matches!(list.items()[0], Restriction::Unknown(_) | Restriction::Misused(_) | Restriction::Ignored(_));
            assert!(!is_wrong, "{}", known.name);
        }
        let misused = |name: &str| {
            let list = List::parse(&[name], named).unwrap();
            matches!(list.items()[0], Restriction::Misused(_) | Restriction::MisusedForRecipient(_))
        };
        assert!(REMOVED.iter().all(|(name, _)| misused(name)));
        for base in ["client", "reverse_client_hostname", "helo", "sender", "recipient", "etrn", "sasl", "ccert"] {
            for kind in ["a", "mx", "ns"] {
                let name = format!("check_{base}_{kind}_access");
                let list = List::parse(&[name.as_str(), "inline:{a=b}"], named).unwrap();
                let is_known = !matches!(list.items()[0], Restriction::Unknown(_));
                assert_eq!(is_known, find(&name).is_some(), "{name}");
            }
        }
    }
}
