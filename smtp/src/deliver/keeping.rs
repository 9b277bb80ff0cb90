//! What becomes of a session when its delivery is over: kept for the next one, or ended.

use delivery::Job;
use net::HostPort;

use super::Attempt;
use crate::session::Session;

impl Attempt<'_> {
    /// A session that has served a delivery.
    pub(super) async fn put_away(&self, session: Session, job: &Job, usable: bool) {
        let reuse = &self.agent.settings.reuse;
        // smtp_connection_cache_on_demand, smtp_connection_cache_destinations
        let demanded = self.is_busy || job.request().more_follows;
        let wanted = (reuse.on_demand && demanded) || self.is_listed();
        let may_be_kept = session.may_be_kept();
        if !usable {
            drop(session);
        } else if session.transcript.is_due() {
            // Told of with this delivery: nobody waits for another one.
            session.quit(&self.agent.settings).await;
        } else if wanted && may_be_kept {
            self.agent.cache.put(&self.nexthop.name, session);
        } else {
            self.agent.cache.end(session);
        }
    }

    /// Whether sessions are kept at all.
    pub(super) fn may_reuse(&self) -> bool {
        self.agent.settings.reuse.on_demand || self.is_listed()
    }

    /// smtp_connection_cache_destinations: domains and hosts, without brackets and port.
    fn is_listed(&self) -> bool {
        let listed = &self.agent.settings.reuse.destinations;
        if listed.is_empty() {
            return false;
        }
        let parsed = HostPort::parse_server(&self.nexthop.name).ok().and_then(|server| server.host);
        let name = parsed.unwrap_or_else(|| self.nexthop.name.trim_start_matches("unix:").to_owned());
        listed.matches(name.as_bytes()).unwrap_or(false)
    }
}
