//! Session tickets under keys that all servers have: a ticket of one worker is good for another. RFC 5077
//!
//! `name of the key, nonce, AES-256-GCM of the session`. The keys come from tlsmgr, and go after twice the lifetime of
//! a session.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ipc::tlsmgr::{TicketKey, TicketKeys};
use rustls::server::ProducesTickets;

/// Tickets of one worker.
#[derive(Debug)]
pub(crate) struct Tickets {
    /// Seconds for which a client may keep one.
    lifetime: u32,
    keys: RwLock<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    keys: TicketKeys,
    until: Instant,
}

impl Tickets {
    /// `lifetime`: smtpd_tls_session_cache_timeout.
    pub(crate) fn new(lifetime: Duration) -> Tickets {
        let seconds = u32::try_from(lifetime.as_secs().saturating_mul(2)).unwrap_or(u32::MAX);
        Tickets { lifetime: seconds, keys: RwLock::new(None) }
    }

    /// The keys are to be asked for.
    pub(crate) fn are_due(&self) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.as_ref().is_none_or(|held| held.until <= Instant::now())
    }

    /// Takes the keys of the time that comes.
    pub(crate) fn renew(&self, keys: TicketKeys) {
        let until = Instant::now() + Duration::from_secs(u64::from(keys.seconds).max(1));
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Held { keys, until });
    }

    /// The same for the tickets of one client, whom the log names. smtpd_tls_loglevel
    pub(crate) fn told(self: &Arc<Self>, client: &str) -> Arc<dyn ProducesTickets> {
        Arc::new(Told { tickets: Arc::clone(self), client: client.to_owned() })
    }

    /// A ticket, and when its key expires.
    fn seal(&self, plain: &[u8]) -> Option<(Vec<u8>, u64)> {
        let held = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = &held.as_ref()?.keys.current;
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let name = Aad::from(key.name);
        sealing(key)?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), name, &mut sealed).ok()?;
        Some(([&key.name[..], &nonce, &sealed].concat(), key.expires))
    }

    /// What is in a ticket, and when its key expires.
    fn open(&self, ticket: &[u8]) -> Option<(Vec<u8>, u64)> {
        let (name, rest) = ticket.split_at_checked(16)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let held = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let keys = &held.as_ref()?.keys;
        let key = [Some(&keys.current), keys.previous.as_ref()].into_iter().flatten().find(|key| key.name == name)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        if now >= key.expires {
            return None;
        }
        let mut opened = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = sealing(key)?.open_in_place(nonce, Aad::from(key.name), &mut opened).ok()?.len();
        // told: nobody; it is the tag that goes.
        opened.truncate(plain);
        Some((opened, key.expires))
    }
}

/// The same tickets, each told in the log.
#[derive(Debug)]
struct Told {
    tickets: Arc<Tickets>,
    client: String,
}

impl Told {
    fn tell(&self, what: &str, expires: u64) {
        logging::info!("{}: {what} session ticket, key expiration: {expires}", self.client);
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
        let (ticket, expires) = self.tickets.seal(plain)?;
        self.tell("Issuing", expires);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (plain, expires) = self.tickets.open(ticket)?;
        self.tell("Decrypting", expires);
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
        self.seal(plain).map(|(ticket, _)| ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.open(ticket).map(|(plain, _)| plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8, expires: u64) -> TicketKey {
        TicketKey { name: [number; 16], secret: [number; 32], expires }
    }

    fn tickets(current: u8, previous: Option<u8>) -> Tickets {
        let tickets = Tickets::new(Duration::from_secs(3600));
        let previous = previous.map(|number| key(number, u64::MAX));
        tickets.renew(TicketKeys { current: key(current, u64::MAX), previous, seconds: 60 });
        tickets
    }

    #[test]
    fn a_ticket_of_one_worker_is_good_for_another_until_its_key_is_gone() {
        let ticket = tickets(1, None).encrypt(b"session").unwrap();
        assert_eq!(tickets(1, None).decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(tickets(2, Some(1)).decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(tickets(3, Some(2)).decrypt(&ticket), None);
        let expired = Tickets::new(Duration::from_secs(1));
        expired.renew(TicketKeys { current: key(1, 1), previous: None, seconds: 60 });
        assert_eq!(expired.decrypt(&ticket), None);
    }

    proptest::proptest! {
        #[test]
        fn nothing_but_a_ticket_is_one(bytes: Vec<u8>, at: proptest::sample::Index) {
            let tickets = tickets(1, None);
            proptest::prop_assert_eq!(tickets.decrypt(&bytes), None);
            let mut ticket = tickets.encrypt(b"session").unwrap();
            let at = at.index(ticket.len());
            ticket[at] ^= 1;
            proptest::prop_assert_eq!(tickets.decrypt(&ticket), None);
        }
    }
}
