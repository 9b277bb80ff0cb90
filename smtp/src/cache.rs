//! Sessions that wait for the next message to the same place.
//!
//! They belong to one worker; nothing else has to be asked for them. A session waits for a short time only
//! (smtp_connection_cache_time_limit), and one that the server has ended is noticed before it is used.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use smtp_client::Server;

use crate::sasl::{Purpose, Sasl};
use crate::session::Session;
use crate::settings::Settings;
use crate::tls::Way;

/// Sessions that may wait; more are ended at once.
/// told: nobody; other connections are closed.
const MOST_IDLE: usize = 200;

/// A nexthop that had mail less than this ago is likely to have more.
const BUSY: Duration = Duration::from_secs(1);
/// Nexthops whose last mail is remembered.
/// told: nobody; others are not remembered.
const MOST_NEXTHOPS: usize = 1000;

/// The sessions of one worker that wait.
pub struct Cache {
    recent: RefCell<HashMap<String, Instant>>,
    idle: RefCell<Vec<Idle>>,
    settings: Rc<Settings>,
    sweeping: Cell<bool>,
}

struct Idle {
    nexthop: String,
    session: Session,
    expires: Instant,
}

impl Cache {
    /// An empty cache.
    pub fn new(settings: Rc<Settings>) -> Self {
        Self { recent: RefCell::default(), idle: RefCell::default(), settings, sweeping: Cell::new(false) }
    }

    /// Notes that there is mail for a nexthop, and says whether there was some just before. qmgr sees what waits in its
    /// queue; when agents are as fast as mail comes in, nothing waits there, and sessions are still worth keeping.
    pub fn is_busy(&self, nexthop: &str) -> bool {
        let now = Instant::now();
        let mut recent = self.recent.borrow_mut();
        if let Some(last) = recent.get_mut(nexthop) {
            return now.duration_since(std::mem::replace(last, now)) < BUSY;
        }
        if recent.len() >= MOST_NEXTHOPS {
            recent.retain(|_, last| now.duration_since(*last) < BUSY);
        }
        if recent.len() < MOST_NEXTHOPS {
            recent.insert(nexthop.to_owned(), now);
        }
        false
    }

    /// A session that carried mail for the nexthop, with the login that this mail needs.
    pub fn take(&self, purpose: &Purpose<'_>) -> Option<Session> {
        self.take_where(|idle| idle.nexthop == purpose.nexthop && self.is_right(idle, purpose, &idle.session.server))
    }

    /// A session with this server, whatever nexthop it was opened for, and by whatever name of the server: tables and
    /// certificates are asked for the name that it has here.
    pub fn take_from(&self, server: &Server, purpose: &Purpose<'_>) -> Option<Session> {
        let is_there = |idle: &Idle| idle.session.server.endpoint == server.endpoint;
        let mut found = self.take_where(|idle| is_there(idle) && self.is_right(idle, purpose, server))?;
        (found.host, found.server) = (server.host(), server.clone());
        Some(found)
    }

    /// Nobody's mail goes over a session with the login of somebody else.
    fn is_right(&self, idle: &Idle, purpose: &Purpose<'_>, server: &Server) -> bool {
        let Idle { session, nexthop, .. } = idle;
        let is_owned = |sasl: &Rc<Sasl>| sasl.owns(&session.owner, purpose, server);
        self.settings.sasl.as_ref().is_none_or(is_owned)
            && (!session.policy.is_of_dane() || nexthop == purpose.nexthop)
            && self.is_protected(session, purpose, server)
    }

    /// A session that is protected as this mail has to be, and no other way.
    fn is_protected(&self, session: &Session, purpose: &Purpose<'_>, server: &Server) -> bool {
        let way = Way::of(purpose, server, &self.settings.hostname);
        self.settings.tls.policy(&way).is_ok_and(|policy| session.policy.is_like(&policy))
    }

    /// Keeps a session, or ends it when it has done enough.
    pub fn put(self: &Rc<Self>, nexthop: &str, session: Session) {
        let reuse = &self.settings.reuse;
        if is_worn((reuse.age, reuse.uses), session.opened.elapsed(), session.uses)
            || self.idle.borrow().len() >= MOST_IDLE
        {
            self.end(session);
            return;
        }
        let expires = Instant::now() + reuse.idle;
        self.idle.borrow_mut().push(Idle { nexthop: nexthop.to_owned(), session, expires });
        if !self.sweeping.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).sweep());
        }
    }

    /// Ends a session that nobody needs.
    pub fn end(&self, session: Session) {
        let settings = Rc::clone(&self.settings);
        tokio::task::spawn_local(async move { session.quit(&settings).await });
    }

    /// Ends all sessions at once: the worker ends.
    pub fn close(&self) {
        self.idle.take().iter_mut().for_each(|idle| idle.session.farewell());
    }

    /// The newest session that fits and lives: the older ones shall expire.
    fn take_where(&self, fits: impl Fn(&Idle) -> bool) -> Option<Session> {
        let mut idle = self.idle.borrow_mut();
        while let Some(at) = idle.iter().rposition(&fits) {
            let mut found = idle.remove(at).session;
            if found.is_quiet() {
                return Some(found);
            }
        }
        None
    }

    /// Ends sessions whose time is over, until none waits.
    async fn sweep(self: Rc<Self>) {
        loop {
            let Some(next) = self.idle.borrow().iter().map(|idle| idle.expires).min() else {
                self.sweeping.set(false);
                return;
            };
            tokio::time::sleep_until(next.into()).await;
            let now = Instant::now();
            let expired: Vec<_> = self.idle.borrow_mut().extract_if(.., |idle| idle.expires <= now).collect();
            expired.into_iter().for_each(|idle| self.end(idle.session));
        }
    }
}

/// Whether a session that is so old and has carried so many messages carries no more, by
/// smtp_connection_reuse_time_limit and smtp_connection_reuse_count_limit: its first message reuses nothing yet.
fn is_worn((oldest, reuses): (Duration, u32), age: Duration, messages: u32) -> bool {
    age >= oldest || (reuses > 0 && messages > reuses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_used_again_as_often_as_the_limit_says_beside_its_first_message() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let carried = |reuses| (1..).find(|messages| is_worn((minute, reuses), second, *messages));
        assert_eq!((carried(1), carried(2), carried(50)), (Some(2), Some(3), Some(51)));
        assert!(!is_worn((minute, 0), second, u32::MAX), "0 is no limit");
        assert!(is_worn((second, 0), second, 1));
    }
}
