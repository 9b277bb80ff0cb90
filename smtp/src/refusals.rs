//! Logins that a server has refused for good (smtp_sasl_auth_cache_name): as long as the password is the same, the
//! server is not asked again, which might lock the account.
//!
//! They are kept in the memory of one worker, and go with it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use dsn::Status;
use sasl::client::Credentials;

/// Logins that are remembered.
/// told: nobody; the oldest makes room, and its login is tried once more.
const MOST_REFUSALS: usize = 1000;

/// What is remembered.
#[derive(Debug)]
pub struct Refusals {
    /// smtp_sasl_auth_cache_time.
    kept: Duration,
    /// By the name of the host and the user.
    known: RefCell<HashMap<(String, Vec<u8>), Refusal>>,
}

/// A refused login.
#[derive(Debug)]
struct Refusal {
    /// Of the password.
    digest: [u8; 32],
    when: Instant,
    status: Status,
    said: String,
}

impl Refusals {
    /// Nothing yet.
    pub fn new(kept: Duration) -> Self {
        Self { kept, known: RefCell::default() }
    }

    /// What the host said when these very credentials were tried last.
    pub fn find(&self, host: &str, credentials: &Credentials) -> Option<(Status, String)> {
        let known = self.known.borrow();
        let refusal = known.get(&key(host, credentials))?;
        let counts = refusal.when.elapsed() < self.kept && refusal.digest == credentials.password.digest();
        counts.then(|| (refusal.status, refusal.said.clone()))
    }

    /// Takes note of one.
    pub fn add(&self, host: &str, credentials: &Credentials, status: Status, said: &str) {
        let mut known = self.known.borrow_mut();
        if known.len() >= MOST_REFUSALS {
            known.retain(|_, refusal| refusal.when.elapsed() < self.kept);
        }
        if known.len() >= MOST_REFUSALS {
            let oldest = known.iter().min_by_key(|(_, refusal)| refusal.when).map(|(key, _)| key.clone());
            oldest.and_then(|key| known.remove(&key));
        }
        let digest = credentials.password.digest();
        let refusal = Refusal { digest, when: Instant::now(), status, said: said.to_owned() };
        known.insert(key(host, credentials), refusal);
    }
}

fn key(host: &str, credentials: &Credentials) -> (String, Vec<u8>) {
    (host.to_ascii_lowercase(), credentials.user.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sasl::client::Secret;

    fn login(user: &str, password: &str) -> Credentials {
        Credentials { user: Secret::new(user.into()), password: Secret::new(password.into()) }
    }

    #[test]
    fn a_refusal_counts_for_its_host_user_and_password_alone() {
        let refusals = Refusals::new(Duration::from_secs(60));
        let status = Status::new(5, 7, 8);
        refusals.add("Mx1.dest.test", &login("us", "pw"), status, "535 5.7.8 no");
        let found = |host: &str, user: &str, password: &str| refusals.find(host, &login(user, password)).is_some();
        assert_eq!(refusals.find("mx1.dest.test", &login("us", "pw")), Some((status, "535 5.7.8 no".to_owned())));
        assert!(!found("mx2.dest.test", "us", "pw"));
        assert!(!found("mx1.dest.test", "other", "pw"));
        assert!(!found("mx1.dest.test", "us", "new"));
        assert!(Refusals::new(Duration::ZERO).find("mx1.dest.test", &login("us", "pw")).is_none());
    }

    #[test]
    fn however_many_are_refused_the_memory_has_an_end() {
        let refusals = Refusals::new(Duration::from_secs(60));
        for number in 0..MOST_REFUSALS + 10 {
            refusals.add("h", &login(&number.to_string(), "pw"), Status::new(5, 7, 8), "535 no");
        }
        assert_eq!(refusals.known.borrow().len(), MOST_REFUSALS);
        assert!(refusals.find("h", &login("0", "pw")).is_none());
        assert!(refusals.find("h", &login(&(MOST_REFUSALS + 9).to_string(), "pw")).is_some());
    }
}
