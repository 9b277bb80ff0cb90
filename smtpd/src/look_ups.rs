//! What restrictions ask of others: the name service, trivial-rewrite, policy services, the user database.

use std::net::{IpAddr, Ipv4Addr};

use dns::{LookupError, MailExchanger};
use ipc::rewrite::Resolved;
use ipc::verify::Knowledge;
use net::Family;
use policy::Service;

/// Who is asked.
#[allow(async_fn_in_trait, reason = "a session never leaves its thread")]
pub trait LookUps {
    /// Where mail for an address goes: in standard form first. The recipient of the answer has no case.
    ///
    /// # Errors
    /// Nobody can say; logged.
    async fn resolve(&self, sender: Option<&[u8]>, address: &[u8]) -> Result<Resolved, Unresolved>;

    /// What is known of an address, by probes; `None` where nobody can be asked. Logged.
    async fn verify(&self, address: &[u8]) -> Option<Knowledge>;

    /// The mail exchangers of a domain.
    ///
    /// # Errors
    /// There are none, or nobody can say.
    async fn mail_exchangers(&self, domain: &str) -> Result<Vec<MailExchanger>, LookupError>;

    /// The name servers of a zone.
    ///
    /// # Errors
    /// There are none, or nobody can say.
    async fn name_servers(&self, zone: &str) -> Result<Vec<String>, LookupError>;

    /// The addresses that the name service has for a name.
    ///
    /// # Errors
    /// There are none, or nobody can say.
    async fn addresses(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, LookupError>;

    /// The addresses of a host as the system knows it, in all families that mail uses.
    ///
    /// # Errors
    /// There are none, or nobody can say.
    async fn hosts(&self, name: &str) -> Result<Vec<IpAddr>, LookupError>;

    /// What a list in the name service says of a name: addresses.
    ///
    /// # Errors
    /// It says nothing, or nobody can say.
    async fn listed(&self, query: &str) -> Result<Vec<Ipv4Addr>, LookupError>;

    /// The texts of a name.
    ///
    /// # Errors
    /// There are none, or nobody can say.
    async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, LookupError>;

    /// The action that a policy service wants; `None` where it does not answer. Logged.
    async fn policy(&self, service: &Service, request: &[u8]) -> Option<Vec<u8>>;

    /// The system has a user of this name.
    ///
    /// # Errors
    /// The user database cannot say; the sentence.
    async fn has_user(&self, name: &[u8]) -> Result<bool, String>;
}

/// The service cannot be asked, or a table that it needs cannot.
#[derive(Debug)]
pub struct Unresolved;
