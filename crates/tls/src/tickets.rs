//! Session tickets under keys that all servers have: a ticket of one worker is good for another of the same service.
//! RFC 5077
//!
//! `name of the key, nonce, AES-256-GCM of the session`. The keys come from tlsmgr, and go when it says so, whether it
//! still answers or not. What another service has sealed does not open here: it may ask its clients for less.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ipc::tlsmgr::{TicketKey, TicketKeys};
use rustls::server::ProducesTickets;

/// Seconds for which a client may be told to keep a ticket. RFC 8446 4.6.1
/// told: nobody; how long a ticket is good for is for the keys to say.
const LONGEST: u32 = 604_800;

/// Tickets of one worker.
#[derive(Debug)]
pub(crate) struct Tickets {
    /// Seconds for which a client may keep one.
    lifetime: u32,
    /// The name of the service.
    service: String,
    keys: RwLock<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    keys: TicketKeys,
    since: Instant,
}

impl Held {
    /// Whether this many seconds of what was told with the keys are over.
    fn is_over(&self, seconds: u32, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= Duration::from_secs(u64::from(seconds))
    }

    /// The keys whose tickets are worth something, the one for new tickets first.
    fn living(&self, now: Instant) -> impl Iterator<Item = &TicketKey> {
        let all = [Some(&self.keys.current), self.keys.previous.as_ref()].into_iter().flatten();
        all.filter(move |key| !self.is_over(key.opens, now))
    }
}

impl Tickets {
    /// `lifetime`: smtpd_tls_session_cache_timeout. `service`: whose they are.
    pub(crate) fn new(lifetime: Duration, service: String) -> Tickets {
        let seconds = u32::try_from(lifetime.as_secs().saturating_mul(2)).unwrap_or(LONGEST);
        Tickets { lifetime: seconds.min(LONGEST), service, keys: RwLock::new(None) }
    }

    /// The keys are to be asked for.
    pub(crate) fn are_due(&self) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.as_ref().is_none_or(|held| held.is_over(held.keys.current.makes.max(1), Instant::now()))
    }

    /// Takes the keys of the time that comes.
    pub(crate) fn renew(&self, keys: TicketKeys) {
        self.renew_at(keys, Instant::now());
    }

    fn renew_at(&self, keys: TicketKeys, since: Instant) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Held { keys, since });
    }

    /// The same for the tickets of one client, whom the log names. smtpd_tls_loglevel
    pub(crate) fn told(self: &Arc<Self>, client: &str) -> Arc<dyn ProducesTickets> {
        Arc::new(Told { tickets: Arc::clone(self), client: client.to_owned() })
    }

    /// A ticket, and until when its key makes others.
    fn seal(&self, plain: &[u8], now: Instant) -> Option<(Vec<u8>, u64)> {
        let held = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = held.as_ref()?.living(now).next()?;
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let whose = self.whose(key);
        sealing(key)?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), whose, &mut sealed).ok()?;
        Some(([&key.name[..], &nonce, &sealed].concat(), key.until))
    }

    /// What is in a ticket, and until when its key makes others.
    fn open(&self, ticket: &[u8], now: Instant) -> Option<(Vec<u8>, u64)> {
        let (name, rest) = ticket.split_at_checked(16)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let held = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = held.as_ref()?.living(now).find(|key| key.name == name)?;
        let mut opened = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = sealing(key)?.open_in_place(nonce, self.whose(key), &mut opened).ok()?.len();
        // told: nobody; it is the tag that goes.
        opened.truncate(plain);
        Some((opened, key.until))
    }

    fn whose(&self, key: &TicketKey) -> Aad<Vec<u8>> {
        Aad::from([&key.name[..], self.service.as_bytes()].concat())
    }
}

/// The same tickets, each told in the log.
#[derive(Debug)]
struct Told {
    tickets: Arc<Tickets>,
    client: String,
}

impl Told {
    fn tell(&self, what: &str, until: u64) {
        logging::info!("{}: {what} session ticket, key expiration: {until}", self.client);
    }
}

impl ProducesTickets for Told {
    fn enabled(&self) -> bool {
        self.tickets.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.tickets.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let (ticket, until) = self.tickets.seal(plain, Instant::now())?;
        self.tell("Issuing", until);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (plain, until) = self.tickets.open(ticket, Instant::now())?;
        self.tell("Decrypting", until);
        Some(plain)
    }
}

fn sealing(key: &TicketKey) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, &key.secret).ok().map(LessSafeKey::new)
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn lifetime(&self) -> u32 {
        self.lifetime
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, Instant::now()).map(|(ticket, _)| ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(ticket, Instant::now()).map(|(plain, _)| plain)
    }
}

#[cfg(test)]
mod tests;
