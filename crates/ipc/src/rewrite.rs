//! trivial-rewrite: puts addresses into standard form, and finds the transport and nexthop of a recipient.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::channel::{IpcError, Service};
use crate::pool::Pool;

/// The service `private/rewrite`.
pub struct Rewrite;

impl Service for Rewrite {
    const NAME: &'static str = "rewrite";
    const VERSION: u16 = 1;
    type Request = Request;
    type Reply = Reply;
}

/// A question. Addresses are in internal form (unquoted).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Request {
    /// The standard form of an address.
    Rewrite {
        /// Whose domain completes an address that has none.
        context: Context,
        /// The address.
        #[serde(with = "crate::bounds::bytes")]
        address: Vec<u8>,
    },
    /// Where mail for an address goes.
    Resolve {
        /// Envelope sender, for sender-dependent settings.
        #[serde(with = "crate::bounds::bytes")]
        sender: Vec<u8>,
        /// The address.
        #[serde(with = "crate::bounds::bytes")]
        address: Vec<u8>,
        /// Use the address_verify_* settings.
        verify: bool,
    },
}

/// Whose domain completes an incomplete address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Context {
    /// This system's: myorigin and mydomain.
    Local,
    /// remote_header_rewrite_domain, when set.
    Remote,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Answer to [`Request::Rewrite`].
    Rewritten(#[serde(with = "crate::bounds::bytes")] Vec<u8>),
    /// Answer to [`Request::Resolve`].
    Resolved(Resolved),
}

/// Where mail for an address goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Transport: the name of a master.cf service.
    #[serde(with = "crate::bounds::text")]
    pub transport: String,
    /// Nexthop: what the transport makes of it (domain, `[host]:port`, text).
    #[serde(with = "crate::bounds::bytes")]
    pub nexthop: Vec<u8>,
    /// The recipient in internal form, after local domains were taken off and source routes resolved.
    #[serde(with = "crate::bounds::bytes")]
    pub recipient: Vec<u8>,
    /// The address class of the domain.
    pub class: Class,
    /// The local part holds further routing (`user%domain`, `domain!user`, `user@domain`).
    pub routed: bool,
    /// The address is not well-formed.
    pub bad_syntax: bool,
    /// A table that the answer depends on cannot be read now.
    pub failed: bool,
}

/// Address classes (ADDRESS_CLASS_README).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Class {
    /// mydestination, inet_interfaces, proxy_interfaces.
    Local,
    /// virtual_alias_domains.
    VirtualAlias,
    /// virtual_mailbox_domains.
    VirtualMailbox,
    /// relay_domains.
    Relay,
    /// Everything else.
    Default,
}

impl Class {
    /// Mail ends here: it is neither relayed nor sent to where DNS says.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Class::Local | Class::VirtualAlias | Class::VirtualMailbox)
    }
}

/// How long an answer may be used again: tables change behind the server's back.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Answers that are remembered.
/// told: nobody; what is not remembered is asked again.
const MAX_REMEMBERED: usize = 1024;

/// A client that remembers answers for a moment, because mail comes in bursts of the same addresses.
pub struct Rewriter {
    pool: Pool<Rewrite>,
    remembered: RefCell<HashMap<Request, (Reply, Instant)>>,
}

impl Rewriter {
    /// A client of the service at `path`, normally `private/rewrite` ($rewrite_service_name).
    pub fn new(path: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self { pool: Pool::new(path, timeout), remembered: RefCell::new(HashMap::new()) }
    }

    /// The standard form of an address (internal form both ways).
    ///
    /// # Errors
    /// The service cannot be reached or does not answer.
    pub async fn rewrite(&self, context: Context, address: &[u8]) -> Result<Vec<u8>, IpcError> {
        match self.ask(Request::Rewrite { context, address: address.to_vec() }).await? {
            Reply::Rewritten(address) => Ok(address),
            Reply::Resolved(_) => Err(IpcError::Malformed("an answer to another question".to_owned())),
        }
    }

    /// Where mail for an address goes.
    ///
    /// # Errors
    /// The service cannot be reached or does not answer.
    pub async fn resolve(&self, sender: &[u8], address: &[u8]) -> Result<Resolved, IpcError> {
        let request = Request::Resolve { sender: sender.to_vec(), address: address.to_vec(), verify: false };
        match self.ask(request).await? {
            Reply::Resolved(resolved) => Ok(resolved),
            Reply::Rewritten(_) => Err(IpcError::Malformed("an answer to another question".to_owned())),
        }
    }

    async fn ask(&self, request: Request) -> Result<Reply, IpcError> {
        if let Some((reply, since)) = self.remembered.borrow().get(&request)
            && since.elapsed() < MAX_AGE
        {
            return Ok(reply.clone());
        }
        let reply = self.pool.call(&request).await?;
        if matches!(&reply, Reply::Resolved(resolved) if resolved.failed) {
            return Ok(reply);
        }
        let mut remembered = self.remembered.borrow_mut();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, (_, since)| since.elapsed() < MAX_AGE);
            if remembered.len() >= MAX_REMEMBERED {
                remembered.clear();
            }
        }
        remembered.insert(request, (reply.clone(), Instant::now()));
        Ok(reply)
    }
}
