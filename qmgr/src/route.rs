//! Where one recipient goes: special cases first, then what trivial-rewrite says.

use std::time::Duration;

use ipc::rewrite::{Class, Resolved};
use queue::Recipient;

use crate::active::Active;
use crate::scheduler::MessageKey;
use crate::service::Qmgr;

/// Where a recipient goes.
pub enum Route {
    /// To a transport.
    To {
        /// Name of the transport.
        transport: Vec<u8>,
        /// What it shall make of the address.
        nexthop: Vec<u8>,
        /// The recipient, with its address as trivial-rewrite has it.
        recipient: Recipient,
    },
    /// Nowhere: it is done, and marked so.
    Done,
}

/// Times that trivial-rewrite is asked before the recipient is deferred.
const ATTEMPTS: u32 = 10;
/// The transport that defers.
pub const RETRY: &str = "retry";
/// The transport that bounces.
const ERROR: &str = "error";
/// The transport that throws away.
const DISCARD: &str = "discard";

/// What the envelope says about all recipients.
struct Common {
    sender: Vec<u8>,
    filter: Option<Vec<u8>>,
    flushed: bool,
    expired: bool,
    /// A probe of address verification: address_verify_* may send it another way.
    is_probe: bool,
}

impl Qmgr {
    /// The way of one recipient. The order is that of what is known for certain: an address that makes no sense is
    /// refused before its message is called expired, and what is deferred for now is decided last.
    pub async fn route(&self, key: MessageKey, mut recipient: Recipient) -> Route {
        let Some(common) = self.ledger.look(key, Common::of) else {
            return to(RETRY, "4.3.0 address resolver failure", recipient);
        };
        let (transport, nexthop, class) = match &common.filter {
            // The filter gets all mail, and gives it back with addresses of its own: they are resolved then.
            // content_filter
            Some(filter) => {
                let (transport, nexthop) = self.filtered(filter, &recipient);
                (transport, nexthop, Class::Default)
            }
            None => {
                let resolved = match self.resolve(&common, &recipient.address).await {
                    Some(resolved) if !resolved.failed => resolved,
                    _ => return to(RETRY, "4.3.0 address resolver failure", recipient),
                };
                if resolved.bad_syntax {
                    return to(ERROR, "5.1.3 bad address syntax", recipient);
                }
                if !resolved.recipient.eq_ignore_ascii_case(&recipient.address) {
                    self.ledger.is_not_listed(key);
                }
                recipient.address = resolved.recipient;
                (resolved.transport.into_bytes(), resolved.nexthop, resolved.class)
            }
        };
        if recipient.address.is_empty() {
            return to(ERROR, "5.1.3 null recipient address", recipient);
        }
        if common.expired {
            return to(RETRY, "4.7.0 message is administratively expired", recipient);
        }
        if class == Class::Local && self.is_undeliverable_notice(&recipient.address) {
            // Whoever has asked about the address waits for an answer.
            if common.is_probe {
                return to(DISCARD, "undeliverable postmaster notification discarded", recipient);
            }
            self.ledger.discard(key, &recipient);
            return Route::Done;
        }
        // An operator who flushes the queue wants to see it tried. defer_transports
        if !common.flushed && self.settings.defer_transports.iter().any(|name| name.as_bytes() == transport) {
            return to(RETRY, "4.3.2 deferred transport", recipient);
        }
        // address_verify_pending_request_limit
        if common.is_probe && self.ledger.probes() > self.settings.probe_limit {
            return to(RETRY, "4.3.2 Too many address verification requests", recipient);
        }
        Route::To { transport, nexthop, recipient }
    }

    /// Asks trivial-rewrite about addresses that [`Qmgr::route`] will ask about.
    pub async fn resolve_ahead(&self, key: MessageKey, addresses: impl Iterator<Item = &[u8]>) {
        if let Some(Common { filter: None, is_probe: false, sender, .. }) = self.ledger.look(key, Common::of) {
            self.rewriter.resolve_ahead(&sender, addresses).await;
        }
    }

    /// Asks trivial-rewrite, more than once: while it restarts, mail should wait for seconds and not for the next queue
    /// run.
    async fn resolve(&self, common: &Common, address: &[u8]) -> Option<Resolved> {
        for attempt in 1..=ATTEMPTS {
            let answer = match common.is_probe {
                true => self.rewriter.resolve_probe(&common.sender, address).await,
                false => self.rewriter.resolve(&common.sender, address).await,
            };
            match answer {
                Ok(resolved) => return Some(resolved),
                Err(error) => logging::warning!("problem talking to service rewrite: {error}"),
            }
            if attempt < ATTEMPTS {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        None
    }

    /// `transport:nexthop` of a content filter; without a nexthop default_filter_nexthop, else the recipient's domain.
    fn filtered(&self, filter: &[u8], recipient: &Recipient) -> (Vec<u8>, Vec<u8>) {
        let at = filter.iter().position(|b| *b == b':').unwrap_or(filter.len());
        let (transport, nexthop) = (&filter[..at], filter.get(at + 1..).unwrap_or_default());
        let nexthop = match (nexthop, self.settings.filter_nexthop.as_bytes(), address::domain(&recipient.address)) {
            (b"", b"", Some(domain)) => domain.to_vec(),
            (b"", b"", None) => self.settings.hostname.clone().into_bytes(),
            (b"", default, _) => default.to_vec(),
            (nexthop, _, _) => nexthop.to_vec(),
        };
        (transport.to_vec(), nexthop)
    }

    /// A notification about a notification, to ourselves: what came back from the postmaster has nowhere left to go.
    fn is_undeliverable_notice(&self, recipient: &[u8]) -> bool {
        let local = address::split(recipient).0;
        local.eq_ignore_ascii_case(self.settings.double_bounce_sender.as_bytes())
    }
}

impl Common {
    fn of(message: &Active) -> Self {
        Common {
            sender: message.envelope.sender.clone(),
            // A probe finds out where the recipient goes, not where the filter is.
            filter: message.envelope.content_filter.clone().filter(|_| !message.is_probe()),
            flushed: message.flushed,
            expired: message.force_expire,
            is_probe: message.is_of_verify(),
        }
    }
}

/// A way that delivers nothing: the agent behind it says the text in place of a result, so that log and notification
/// have it.
fn to(transport: &str, nexthop: &str, recipient: Recipient) -> Route {
    debug_assert!([RETRY, ERROR, DISCARD].contains(&transport));
    Route::To { transport: transport.into(), nexthop: nexthop.into(), recipient }
}
