//! Is a server this machine? Mail for a domain that lists this machine must only go to better servers (RFC 5321 5.1).
//!
//! The test is only as good as what is known. A look-up that has not ended may still bring an address of this machine;
//! where it can, the servers that it would rule out wait for it.

use std::net::IpAddr;
use std::rc::Rc;

use config::{Reader, param};
use daemon::{Context, Service, StartError};
use delivery::{Job, passing};
use dsn::Status;
use net::Family;
use smtp_client::{Endpoint, Protocol, Server};

use crate::failure::{Failure, Subject};
use crate::settings::Settings;

/// best_mx_transport: the agent that gets mail for which this machine is the best that there is.
#[derive(Clone)]
pub struct BestMx {
    service: &'static Service,
    /// The name of this service in master.cf.
    own: String,
    /// `transport:nexthop`
    way: String,
}

impl BestMx {
    /// What main.cf says; `None` for LMTP, which never looks for this machine.
    ///
    /// # Errors
    /// It cannot be expanded.
    pub fn read(from: &Reader<'_>, context: &Context) -> Result<Option<Self>, StartError> {
        let way: String = from.get(param::BEST_MX_TRANSPORT)?;
        let is_used = from.agent() == config::Agent::Smtp && !way.is_empty();
        Ok(is_used.then(|| Self { service: context.service(), own: context.service_name.clone(), way }))
    }

    /// Whether it leads anywhere: this service would have the same mail for the same place again, and so on for ever.
    pub fn leads_on(&self, job: &Job) -> bool {
        let (transport, nexthop) = passing::split(&self.way);
        transport != self.own || nexthop.is_some_and(|nexthop| nexthop.as_bytes() != job.request().nexthop)
    }

    /// Has that agent deliver to all who have no result yet.
    pub async fn pass_rest(&self, job: &mut Job) {
        for index in job.open_recipients() {
            let Some(target) = job.request().recipients.get(index) else { continue };
            match passing::pass(self.service, job, target, &target.address, &self.way).await {
                Ok(outcome) => job.settle(index, outcome),
                Err(finding) => job.finish(index, &finding),
            }
        }
    }
}

/// The test for one destination.
#[derive(Clone)]
pub struct Home {
    /// `None`: the destination is on a port where this machine does not listen.
    settings: Option<Rc<Settings>>,
    destination: String,
    /// The best preference that the destination has, whether its servers were found or not.
    best: u16,
}

impl Home {
    /// For the servers of a destination on this port.
    pub fn of(settings: &Rc<Settings>, destination: &str, port: u16, best: u16) -> Self {
        let listens = settings.protocol == Protocol::Smtp && port == settings.services.default_port(Protocol::Smtp);
        Self { settings: listens.then(|| Rc::clone(settings)), destination: destination.to_owned(), best }
    }

    /// For servers that cannot be this machine.
    pub fn elsewhere() -> Self {
        Self { settings: None, destination: String::new(), best: 0 }
    }

    /// Whether a server is this machine.
    pub fn is(&self, server: &Server) -> bool {
        match (&self.settings, &server.endpoint) {
            (Some(settings), Endpoint::Internet(address)) => settings.is_own(address.ip()),
            _ => false,
        }
    }

    /// Whether a look-up in this family could find this machine.
    pub fn may_be_found_in(&self, family: Family) -> bool {
        let Some(settings) = &self.settings else { return false };
        let own = settings.own.iter().map(|interface| interface.address).chain(settings.proxies.iter().copied());
        let reaches = |address: IpAddr| Family::of(address) == family && !address.is_loopback();
        own.into_iter().any(reaches)
    }

    /// Whether the destination has nobody better than a server of this preference.
    pub fn is_best(&self, preference: u16) -> bool {
        preference <= self.best
    }

    /// What it means that no server is better than this machine, which has this preference.
    pub fn failure(&self, own: u16) -> Failure {
        if self.is_best(own) {
            return Failure::of_loop(&self.destination, true);
        }
        let reason = format!("unable to find primary relay for {}", self.destination);
        Failure { subject: Subject::Loop, ..Failure::of_way(Status::new(4, 4, 4), reason) }
    }
}
