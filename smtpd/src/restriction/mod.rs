//! Restrictions: what the smtpd_*_restrictions lists are made of, and how a list is gone through.
//!
//! One file a restriction or a small family; this one has the table of all of them. A restriction looks at what is
//! known of the client, its greeting, the sender and the recipient, and says yes, no, or nothing. No restriction ever
//! sends a reply: the command that asked does.

mod access;
mod action;
mod backup;
mod block_list;
mod block_reply;
mod certificate;
mod client;
mod destination;
mod domain;
mod evaluation;
mod helo;
mod hosts;
mod list;
mod login;
mod old_defaults;
mod policy;
mod rewrite;
mod rules;
mod session;
mod stages;
mod tables;
mod unlisted;
mod unverified;

use std::rc::Rc;
use std::time::Duration;

pub use access::Subject;
pub use action::Effects;
pub use block_list::{Answers, BlockList, Listed};
pub use block_reply::BlockReplies;
pub use certificate::Fingerprint;
pub use evaluation::{Class, Court, Evaluation, Memory};
pub use hosts::Hosts;
pub use list::{List, Lists, Named};
pub use login::Mismatch;
pub use policy::Services;
pub use rules::Rules;
pub use tables::{AccessTable, Tables};
pub use unlisted::AddressTables;
pub use unverified::Unverified;

use ::policy::Service;
use smtp_server::Rejection;

use crate::look_ups::LookUps;

/// What a restriction says.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes: the rest of the list is not looked at.
    Permit,
    /// Nothing: on to the next.
    Dunno,
    /// No.
    Reject(Rejection),
    /// No, and without a word.
    HangUp,
}

/// One item of a list.
#[derive(Clone, Debug)]
pub enum Restriction {
    /// permit
    Permit,
    /// reject
    Reject,
    /// defer
    Defer,
    /// defer_if_permit
    DeferIfPermit,
    /// defer_if_reject
    DeferIfReject,
    /// warn_if_reject: the next item only warns.
    WarnIfReject,
    /// sleep SECONDS
    Sleep(Duration),
    /// permit_mynetworks
    PermitMynetworks,
    /// permit_inet_interfaces
    PermitInetInterfaces,
    /// permit_sasl_authenticated
    PermitSaslAuthenticated,
    /// reject_*_sender_login_mismatch
    SenderLogin(&'static [Mismatch]),
    /// permit_tls_clientcerts; permit_tls_all_clientcerts, if true.
    PermitCertificate(bool),
    /// permit_auth_destination
    PermitAuthDestination,
    /// reject_unauth_destination
    RejectUnauthDestination,
    /// defer_unauth_destination
    DeferUnauthDestination,
    /// reject_plaintext_session
    RejectPlaintextSession,
    /// reject_unauth_pipelining
    RejectUnauthPipelining,
    /// reject_multi_recipient_bounce
    RejectMultiRecipientBounce,
    /// reject_unknown_client_hostname
    RejectUnknownClientHostname,
    /// reject_unknown_reverse_client_hostname
    RejectUnknownReverseClientHostname,
    /// reject_invalid_helo_hostname
    RejectInvalidHelo,
    /// reject_non_fqdn_helo_hostname
    RejectNonFqdnHelo,
    /// reject_unknown_helo_hostname
    RejectUnknownHelo,
    /// reject_non_fqdn_sender
    RejectNonFqdnSender,
    /// reject_non_fqdn_recipient
    RejectNonFqdnRecipient,
    /// reject_unknown_sender_domain
    RejectUnknownSenderDomain,
    /// reject_unknown_recipient_domain
    RejectUnknownRecipientDomain,
    /// reject_unlisted_sender
    RejectUnlistedSender,
    /// reject_unlisted_recipient
    RejectUnlistedRecipient,
    /// reject_rbl_client, reject_rhsbl_*
    RejectListed(Listed, Rc<BlockList>),
    /// permit_dnswl_client, permit_rhswl_client
    PermitListed(Listed, Rc<BlockList>),
    /// permit_mx_backup
    PermitMxBackup,
    /// check_*_a_access, check_*_mx_access, check_*_ns_access TABLE
    HostAccess(Subject, Hosts, Rc<AccessTable>),
    /// check_*_access TABLE
    Access(Subject, Rc<AccessTable>),
    /// check_address_map TABLE
    AddressMap(Rc<AccessTable>),
    /// check_sasl_access TABLE
    LoginAccess(Rc<AccessTable>),
    /// check_ccert_access TABLE
    CertificateAccess(Rc<AccessTable>, Vec<Fingerprint>),
    /// A name of smtpd_restriction_classes.
    Class(String),
    /// reject_unverified_sender, reject_unverified_recipient
    RejectUnverified(Class),
    /// check_policy_service SERVER
    PolicyService(Rc<Service>),
    /// A table alone.
    Bare(Rc<AccessTable>),
    /// A name that means nothing.
    Unknown(String),
    /// A known name that is used wrongly and says nothing then; the text of the warning.
    Ignored(String),
    /// A known name that is used wrongly; the text of the warning.
    Misused(String),
    /// The same of one that says nothing before there is a recipient.
    MisusedForRecipient(String),
}

impl Restriction {
    /// The name of a restriction that may say yes by itself, and not because a table or a list does.
    fn name_of_permission(&self) -> Option<&'static str> {
        Some(match self {
            Restriction::Permit => "permit",
            Restriction::PermitMynetworks => "permit_mynetworks",
            Restriction::PermitInetInterfaces => "permit_inet_interfaces",
            Restriction::PermitSaslAuthenticated => "permit_sasl_authenticated",
            Restriction::PermitCertificate(false) => "permit_tls_clientcerts",
            Restriction::PermitCertificate(true) => "permit_tls_all_clientcerts",
            Restriction::PermitAuthDestination => "permit_auth_destination",
            Restriction::PermitListed(Listed::Address, _) => "permit_dnswl_client",
            Restriction::PermitListed(..) => "permit_rhswl_client",
            Restriction::PermitMxBackup => "permit_mx_backup",
            _ => return None,
        })
    }
}

/// Lists within lists (classes, lists in access tables) that are gone into.
/// told: the client and the log.
const DEPTH_LIMIT: usize = 100;

impl<L: LookUps> Evaluation<'_, L> {
    /// Goes through a list until an item says yes or no.
    pub async fn list(&mut self, list: &List) -> Verdict {
        self.items(list.items(), 0).await
    }

    async fn items(&mut self, items: &[Restriction], depth: usize) -> Verdict {
        if depth > DEPTH_LIMIT {
            logging::warning!("restriction classes name each other more than {DEPTH_LIMIT} deep");
            return self.server_error(Rejection::server_configuration());
        }
        let outer = self.warn_only;
        let mut warn = outer;
        for item in items {
            if matches!(item, Restriction::WarnIfReject) {
                warn = true;
                continue;
            }
            self.warn_only = warn;
            let verdict = self.item(item, depth).await;
            if verdict == Verdict::Permit
                && let Some(name) = item.name_of_permission()
            {
                self.log_permission(self.class, name, "");
            }
            warn = outer;
            self.warn_only = outer;
            if verdict != Verdict::Dunno {
                return verdict;
            }
            if self.is_decided() {
                break;
            }
        }
        Verdict::Dunno
    }

    /// What can lead into a further list is apart from all others: it is on the stack once for each list.
    async fn item(&mut self, item: &Restriction, depth: usize) -> Verdict {
        match item {
            Restriction::HostAccess(subject, hosts, table) => {
                Box::pin(self.host_access(*subject, *hosts, table, depth)).await
            }
            Restriction::Access(subject, table) => Box::pin(self.access(*subject, table, depth)).await,
            Restriction::LoginAccess(table) => Box::pin(self.login_access(table, depth)).await,
            Restriction::CertificateAccess(table, order) => {
                Box::pin(self.certificate_access(table, order, depth)).await
            }
            Restriction::Class(name) => Box::pin(self.class(name, depth)).await,
            Restriction::PolicyService(service) => Box::pin(self.policy_service(service, depth)).await,
            Restriction::Bare(table) => Box::pin(self.bare_access(table, depth)).await,
            _ => Box::pin(self.plain_item(item)).await,
        }
    }

    // long: a line for each restriction
    async fn plain_item(&mut self, item: &Restriction) -> Verdict {
        match item {
            Restriction::Permit => Verdict::Permit,
            Restriction::Reject => self.reject_here(),
            Restriction::Defer => self.defer_here(),
            Restriction::DeferIfPermit => self.remember_defer_if_permit(),
            Restriction::DeferIfReject => self.remember_defer_if_reject(),
            Restriction::WarnIfReject => Verdict::Dunno,
            Restriction::Sleep(time) => {
                tokio::time::sleep(*time).await;
                Verdict::Dunno
            }
            Restriction::PermitSaslAuthenticated => self.permit_sasl_authenticated(),
            Restriction::SenderLogin(mismatches) => self.sender_login_mismatch(mismatches).await,
            Restriction::PermitCertificate(all) => self.permit_certificate(*all),
            Restriction::PermitMynetworks => self.permit_mynetworks(),
            Restriction::PermitInetInterfaces => self.permit_inet_interfaces(),
            Restriction::PermitAuthDestination => self.permit_auth_destination().await,
            Restriction::RejectUnauthDestination => self.reject_unauth_destination().await,
            Restriction::DeferUnauthDestination => self.defer_unauth_destination().await,
            Restriction::RejectPlaintextSession => self.reject_plaintext_session(),
            Restriction::RejectUnauthPipelining => self.reject_unauth_pipelining(),
            Restriction::RejectMultiRecipientBounce => self.reject_multi_recipient_bounce(),
            Restriction::RejectUnknownClientHostname => self.reject_unknown_client_hostname(),
            Restriction::RejectUnknownReverseClientHostname => self.reject_unknown_reverse_client_hostname(),
            Restriction::RejectInvalidHelo => self.reject_invalid_helo(),
            Restriction::RejectNonFqdnHelo => self.reject_non_fqdn_helo(),
            Restriction::RejectUnknownHelo => self.reject_unknown_helo().await,
            Restriction::RejectNonFqdnSender => self.reject_non_fqdn(Class::Sender),
            Restriction::RejectNonFqdnRecipient => self.reject_non_fqdn(Class::Recipient),
            Restriction::RejectUnknownSenderDomain => self.reject_unknown_domain(Class::Sender).await,
            Restriction::RejectUnknownRecipientDomain => self.reject_unknown_domain(Class::Recipient).await,
            Restriction::RejectUnlistedSender => self.reject_unlisted_sender().await,
            Restriction::RejectUnlistedRecipient => self.reject_unlisted_recipient().await,
            Restriction::RejectListed(listed, list) => self.reject_listed(*listed, list).await,
            Restriction::PermitListed(listed, list) => self.permit_listed(*listed, list).await,
            Restriction::PermitMxBackup => self.permit_mx_backup().await,
            Restriction::AddressMap(table) => self.address_map(table),
            Restriction::RejectUnverified(class) => self.reject_unverified(*class).await,
            Restriction::Unknown(name) => {
                logging::warning!("unknown smtpd restriction: \"{name}\"");
                self.server_error(Rejection::server_configuration())
            }
            Restriction::Ignored(why) => {
                logging::warning!("{why}");
                Verdict::Dunno
            }
            Restriction::MisusedForRecipient(_) if self.facts.recipient.is_none() => Verdict::Dunno,
            Restriction::Misused(why) | Restriction::MisusedForRecipient(why) => {
                logging::warning!("{why}");
                self.server_error(Rejection::server_configuration())
            }
            // Those of `item`.
            Restriction::HostAccess(..)
            | Restriction::Access(..)
            | Restriction::LoginAccess(_)
            | Restriction::CertificateAccess(..)
            | Restriction::Class(_)
            | Restriction::PolicyService(_)
            | Restriction::Bare(_) => Verdict::Dunno,
        }
    }

    async fn class(&mut self, name: &str, depth: usize) -> Verdict {
        match self.rules.lists.class(name) {
            Some(list) => {
                let list = Rc::clone(list);
                self.items(list.items(), depth + 1).await
            }
            None => self.server_error(Rejection::server_configuration()),
        }
    }
}
