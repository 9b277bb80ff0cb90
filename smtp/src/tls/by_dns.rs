//! What a connection has to be where that is for DNS to say.

use std::rc::Rc;

use dns::Resolver;
use dsn::Status;
use smtp_client::Endpoint;
use smtp_client::dane::{Refusal, Ruling};
use tls::Matching;
use tls::dane::Worth;

use super::level::{Features, Level};
use super::rules::Rules;
use super::terms::Policy;
use super::way::Way;
use crate::failure::Failure;

impl Rules {
    /// What the connection has to be. Where DANE is asked for, that is for DNS to say.
    ///
    /// # Errors
    /// That cannot be found out, or the message must not go this way.
    pub async fn policy_by_dns(&self, way: &Way<'_>, resolver: &Resolver) -> Result<Policy, Failure> {
        let mut entry = self.asked(way)?;
        let before = self.complete(entry.clone(), way)?;
        let (Level::Dane | Level::DaneOnly, Endpoint::Internet(address)) = (entry.level, &way.server.endpoint) else {
            return Ok(before);
        };
        let (names, only) = ((way.key(), way.domain()), entry.level == Level::DaneOnly);
        let ruling = self.dane.judge(resolver, names, (way.server, address.port()), only).await;
        let ruling = ruling.map_err(|refusal| match refusal {
            Refusal::Misconfigured => way.misconfigured(),
            Refusal::Because(reason) => way.refused(Status::new(4, 7, 5), reason, Features::unknown()),
        })?;
        let worth = match &ruling {
            Ruling::Records(secured) if secured.half => Worth::Half,
            _ if only => Worth::Only,
            _ => Worth::Full,
        };
        entry.level = match &ruling {
            Ruling::May => Level::May,
            Ruling::Encrypt => Level::Encrypt,
            Ruling::Records(_) if worth == Worth::Half => Level::HalfDane,
            Ruling::Records(_) => entry.level,
        };
        let policy = Policy { before: Some(Rc::new(before)), ..self.complete(entry, way)? };
        let Ruling::Records(secured) = ruling else { return Ok(policy) };
        let sni = Some(secured.base.clone());
        let proof = secured.proof(Rc::clone(&self.dane.digests), worth);
        Ok(Policy { matching: Matching::Dane(Rc::new(proof)), sni, ..policy })
    }
}
