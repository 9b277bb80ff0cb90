//! verify: what is known of addresses, found out by probes.
//!
//! smtpd asks about an address; an address of which nothing is known is probed, and the answer says so. qmgr and
//! cleanup tell what became of a probe.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
pub use wire::verified::Standing;

use crate::channel::{IpcError, Service};
use crate::pool::Pool;

/// The service `private/verify`.
pub struct Verify;

impl Service for Verify {
    const NAME: &'static str = "verify";
    const VERSION: u16 = 1;
    type Request = Request;
    type Reply = Reply;
}

/// What verify is asked or told. Addresses are in internal form (unquoted).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// What is known of an address. Asked about what is not known, or was found out long ago, verify sends a probe.
    Query {
        /// The address, as the client gave it.
        #[serde(with = "crate::bounds::bytes")]
        address: Vec<u8>,
    },
    /// What a probe has found out.
    Update {
        /// The address.
        #[serde(with = "crate::bounds::bytes")]
        address: Vec<u8>,
        /// That.
        found: Knowledge,
    },
}

/// What verify answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::Query`].
    Known(Knowledge),
    /// To [`Request::Update`].
    Noted,
}

/// What is known of an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knowledge {
    /// Whether mail can be delivered.
    #[serde(with = "crate::word")]
    pub standing: Standing,
    /// The words of who has found it out.
    #[serde(with = "crate::bounds::text")]
    pub text: String,
}

impl Knowledge {
    /// Knowledge with these words; they are cut to what a field holds.
    pub fn new(standing: Standing, text: impl Into<String>) -> Self {
        Self { standing, text: crate::cut(text.into()) }
    }
}

/// How long an answer is waited for: verify knows it, or says that it does not.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client of the service. Belongs to one thread.
pub struct Verifier {
    pool: Pool<Verify>,
}

impl Verifier {
    /// Of the service at `path`, normally `private/verify` ($address_verify_service_name).
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { pool: Pool::new(path, PATIENCE) }
    }

    /// What is known of an address.
    ///
    /// # Errors
    /// The service cannot be reached or does not answer.
    pub async fn query(&self, address: &[u8]) -> Result<Knowledge, IpcError> {
        match self.pool.call(&Request::Query { address: address.to_vec() }).await? {
            Reply::Known(knowledge) => Ok(knowledge),
            Reply::Noted => Err(of_another()),
        }
    }

    /// Tells what was found out.
    ///
    /// # Errors
    /// As [`query`](Self::query): it may not have heard.
    pub async fn update(&self, address: &[u8], found: Knowledge) -> Result<(), IpcError> {
        match self.pool.call(&Request::Update { address: address.to_vec(), found }).await? {
            Reply::Noted => Ok(()),
            Reply::Known(_) => Err(of_another()),
        }
    }
}

fn of_another() -> IpcError {
    IpcError::Malformed("an answer to another question".to_owned())
}
