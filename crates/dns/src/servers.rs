//! The servers of resolv.conf, one after the other: which is asked, for how long, and whose word is the last.
//!
//! The second server is there for when the first does not answer. It is not asked beside it, nor because it is faster:
//! it may not know names that the first knows, and they are none of its business. A server that says that a name does
//! not exist, or has no such records, has answered. One that fails, refuses, cannot do what was asked, or only says who
//! else might know, has not: the next one is asked.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tracing::debug;

use crate::exchange;
use crate::message::{Answer, Code, Question};
use crate::name::Name;
use crate::{LookupFault, RecordType, ResolvConf};

/// Asks servers as a resolv.conf says.
#[derive(Debug)]
pub(crate) struct Servers {
    conf: ResolvConf,
    /// Whose turn it is with `rotate`.
    turn: AtomicUsize,
}

impl Servers {
    /// Servers of a file.
    pub(crate) fn new(conf: ResolvConf) -> Self {
        let turn = AtomicUsize::new(usize::from(random()));
        Self { conf, turn }
    }

    /// What the file says.
    pub(crate) fn conf(&self) -> &ResolvConf {
        &self.conf
    }

    /// Asks until one server has answered; with `dnssec` for an answer that was validated.
    ///
    /// # Errors
    /// The name does not exist, no server has answered, or one has answered that the question makes no sense.
    pub(crate) async fn ask(&self, name: &Name, record_type: RecordType, dnssec: bool) -> Result<Answer, LookupFault> {
        self.hear(name, record_type, dnssec).await.ok_or(LookupFault::TryAgain).and_then(judge)
    }

    /// The same, whatever the answer is; `None`: there is none.
    pub(crate) async fn hear(&self, name: &Name, record_type: RecordType, dnssec: bool) -> Option<Answer> {
        let conf = &self.conf;
        let count = conf.servers.len();
        // rotate
        let first = if conf.rotate { self.turn.fetch_add(1, Ordering::Relaxed) % count.max(1) } else { 0 };
        for attempt in 0..conf.attempts {
            // told: nobody; each server once.
            for (at, server) in conf.servers.iter().cycle().skip(first).take(count).enumerate() {
                let question = Question {
                    id: random(),
                    name: name.clone(),
                    record_type,
                    // Who drops what he does not know may answer the plain question, but cannot have validated it.
                    edns: dnssec || (conf.edns0 && attempt == 0),
                    trust_ad: conf.trust_ad,
                    dnssec,
                };
                if let Some(answer) = self.ask_one(*server, question, patience(conf.timeout, at, count)).await {
                    return Some(answer);
                }
            }
        }
        None
    }

    /// The answer of one server, if it has one.
    async fn ask_one(&self, server: SocketAddr, question: Question, limit: Duration) -> Option<Answer> {
        let mut answer = exchange::ask(server, &question, limit, self.conf.use_vc).await?;
        let unknown = matches!(answer.code(), Code::FORMAT_ERROR | Code::NOT_IMPLEMENTED);
        if question.edns && unknown {
            // RFC 6891 7: a server that does not know EDNS.
            debug!("{question}: asking {server} again without EDNS");
            let plain = Question { edns: false, ..question.clone() };
            answer = exchange::ask(server, &plain, limit, self.conf.use_vc).await?;
        }
        let passes = matches!(answer.code(), Code::SERVER_FAILURE | Code::NOT_IMPLEMENTED | Code::REFUSED);
        if passes || answer.is_referral() {
            debug!("{question}: what {server} says is no answer");
            return None;
        }
        Some(answer)
    }
}

/// How long a server has for its answer, as the system's resolver has it: the later ones share twice, four times the
/// time.
fn patience(timeout: Duration, at: usize, count: usize) -> Duration {
    let doubled = timeout.saturating_mul(1 << at.min(8));
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    if at == 0 { doubled } else { (doubled / count).max(timeout.min(Duration::from_secs(1))) }
}

fn judge(answer: Answer) -> Result<Answer, LookupFault> {
    match answer.code() {
        Code::NO_ERROR => Ok(answer),
        Code::NO_SUCH_NAME => Err(LookupFault::NotFound),
        _ => Err(LookupFault::NonRecoverable),
    }
}

/// A number that nobody can guess: the standard library's hash keys come from the system, and no two are alike.
fn random() -> u16 {
    RandomState::new().build_hasher().finish() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_server_has_its_time_and_the_later_ones_share_more() {
        let second = Duration::from_secs;
        let of = |timeout, count| -> Vec<_> { (0..count).map(|at| patience(timeout, at, count)).collect() };
        assert_eq!(of(second(5), 1), [second(5)]);
        assert_eq!(of(second(2), 2), [second(2), second(2)]);
        assert_eq!(of(second(3), 3), [second(3), second(2), second(4)]);
        assert_eq!(of(second(1), 3)[1], second(1));
    }
}
