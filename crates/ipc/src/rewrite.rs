//! trivial-rewrite: puts addresses into standard form, and finds the transport and nexthop of a recipient.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::channel::{IpcError, Service};
use crate::pool::Pool;

/// The service `private/rewrite`.
pub struct Rewrite;

impl Service for Rewrite {
    const NAME: &'static str = "rewrite";
    const VERSION: u16 = 1;
    type Request = Request;
    type Reply = Reply;
}

/// A question. Addresses are in internal form (unquoted).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Request {
    /// The standard form of an address.
    Rewrite {
        /// Whose domain completes an address that has none.
        context: Context,
        /// The address.
        #[serde(with = "crate::bounds::bytes")]
        address: Vec<u8>,
    },
    /// Where mail for an address goes.
    Resolve {
        /// Envelope sender, for sender-dependent settings.
        #[serde(with = "crate::bounds::bytes")]
        sender: Vec<u8>,
        /// The address.
        #[serde(with = "crate::bounds::bytes")]
        address: Vec<u8>,
        /// Use the address_verify_* settings.
        verify: bool,
    },
}

/// Whose domain completes an incomplete address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Context {
    /// This system's: myorigin and mydomain.
    Local,
    /// remote_header_rewrite_domain, when set.
    Remote,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Answer to [`Request::Rewrite`].
    Rewritten(#[serde(with = "crate::bounds::bytes")] Vec<u8>),
    /// Answer to [`Request::Resolve`].
    Resolved(Resolved),
}

/// Where mail for an address goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Transport: the name of a master.cf service.
    #[serde(with = "crate::bounds::text")]
    pub transport: String,
    /// Nexthop: what the transport makes of it (domain, `[host]:port`, text).
    #[serde(with = "crate::bounds::bytes")]
    pub nexthop: Vec<u8>,
    /// The recipient in internal form, after local domains were taken off and source routes resolved.
    #[serde(with = "crate::bounds::bytes")]
    pub recipient: Vec<u8>,
    /// The address class of the domain.
    pub class: Class,
    /// The local part holds further routing (`user%domain`, `domain!user`, `user@domain`).
    pub routed: bool,
    /// The address is not well-formed.
    pub bad_syntax: bool,
    /// A table that the answer depends on cannot be read now.
    pub failed: bool,
}

/// Address classes (ADDRESS_CLASS_README).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Class {
    /// mydestination, inet_interfaces, proxy_interfaces.
    Local,
    /// virtual_alias_domains.
    VirtualAlias,
    /// virtual_mailbox_domains.
    VirtualMailbox,
    /// relay_domains.
    Relay,
    /// Everything else.
    Default,
}

impl Class {
    /// Mail ends here: it is neither relayed nor sent to where DNS says.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Class::Local | Class::VirtualAlias | Class::VirtualMailbox)
    }
}

/// How long an answer may be used again: tables change behind the server's back.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Answers that are remembered.
/// told: nobody; what is not remembered is asked again.
const MAX_REMEMBERED: usize = 1024;

/// Bytes of questions that are asked at once; the buffer of a socket takes them.
const AT_ONCE: usize = 32 << 10;

impl Request {
    /// Bytes of the question in a frame, at most.
    fn weight(&self) -> usize {
        match self {
            Self::Rewrite { address, .. } => address.len() + 32,
            Self::Resolve { sender, address, .. } => sender.len() + address.len() + 32,
        }
    }
}

fn resolve_question(sender: &[u8], address: &[u8]) -> Request {
    Request::Resolve { sender: sender.to_vec(), address: address.to_vec(), verify: false }
}

/// A client that remembers answers for a moment, because mail comes in bursts of the same addresses.
pub struct Rewriter {
    pool: Pool<Rewrite>,
    remembered: RefCell<HashMap<Request, (Reply, Instant)>>,
}

impl Rewriter {
    /// A client of the service at `path`, normally `private/rewrite` ($rewrite_service_name).
    pub fn new(path: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self { pool: Pool::new(path, timeout), remembered: RefCell::new(HashMap::new()) }
    }

    /// The standard form of an address (internal form both ways).
    ///
    /// # Errors
    /// The service cannot be reached or does not answer.
    pub async fn rewrite(&self, context: Context, address: &[u8]) -> Result<Vec<u8>, IpcError> {
        match self.ask(Request::Rewrite { context, address: address.to_vec() }).await? {
            Reply::Rewritten(address) => Ok(address),
            Reply::Resolved(_) => Err(IpcError::Malformed("an answer to another question".to_owned())),
        }
    }

    /// Where mail for an address goes.
    ///
    /// # Errors
    /// The service cannot be reached or does not answer.
    pub async fn resolve(&self, sender: &[u8], address: &[u8]) -> Result<Resolved, IpcError> {
        self.resolved(resolve_question(sender, address)).await
    }

    /// Where a probe of address verification for an address goes.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub async fn resolve_probe(&self, sender: &[u8], address: &[u8]) -> Result<Resolved, IpcError> {
        self.resolved(Request::Resolve { sender: sender.to_vec(), address: address.to_vec(), verify: true }).await
    }

    async fn resolved(&self, question: Request) -> Result<Resolved, IpcError> {
        match self.ask(question).await? {
            Reply::Resolved(resolved) => Ok(resolved),
            Reply::Rewritten(_) => Err(IpcError::Malformed("an answer to another question".to_owned())),
        }
    }

    /// Asks where mail for many addresses goes in one go, as far as it is not known; the answers are there for who asks
    /// about each of them next. What goes wrong here is found then.
    pub async fn resolve_ahead(&self, sender: &[u8], addresses: impl Iterator<Item = &[u8]>) {
        let questions = addresses.map(|address| resolve_question(sender, address));
        let unknown = questions.filter(|request| self.recall(request).is_none());
        let mut bytes = 0;
        let requests: Vec<Request> = unknown
            // told: nobody; the others are asked about one by one.
            .take(MAX_REMEMBERED / 2)
            .take_while(|request| {
                bytes += request.weight();
                bytes <= AT_ONCE
            })
            .collect();
        if requests.len() > 1
            && let Ok(replies) = self.pool.call_all(&requests).await
        {
            requests.into_iter().zip(replies).for_each(|(request, reply)| self.remember(request, &reply));
        }
    }

    /// Whether there is an answer at hand of where mail for an address goes.
    pub fn knows(&self, sender: &[u8], address: &[u8]) -> bool {
        self.recall(&resolve_question(sender, address)).is_some()
    }

    async fn ask(&self, request: Request) -> Result<Reply, IpcError> {
        if let Some(reply) = self.recall(&request) {
            return Ok(reply);
        }
        let reply = self.pool.call(&request).await?;
        self.remember(request, &reply);
        Ok(reply)
    }

    fn recall(&self, request: &Request) -> Option<Reply> {
        let remembered = self.remembered.borrow();
        let (reply, since) = remembered.get(request)?;
        (since.elapsed() < MAX_AGE).then(|| reply.clone())
    }

    fn remember(&self, request: Request, reply: &Reply) {
        if matches!(reply, Reply::Resolved(resolved) if resolved.failed) {
            return;
        }
        let mut remembered = self.remembered.borrow_mut();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, (_, since)| since.elapsed() < MAX_AGE);
            if remembered.len() >= MAX_REMEMBERED {
                remembered.clear();
            }
        }
        remembered.insert(request, (reply.clone(), Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Server;

    use std::cell::Cell;
    use std::rc::Rc;

    /// A server that knows every address but those that begin with `?`, and how often it was asked and heard.
    #[derive(Default)]
    struct Asked {
        questions: Cell<usize>,
        turns: Cell<usize>,
    }

    async fn serve(listener: tokio::net::UnixListener, asked: Rc<Asked>) {
        loop {
            let mut channel = Server::<Rewrite>::new(listener.accept().await.unwrap().0);
            let asked = Rc::clone(&asked);
            tokio::task::spawn_local(async move {
                while let Ok(Some(request)) = channel.receive_unlimited().await {
                    let Request::Resolve { address, .. } = request else { return };
                    asked.questions.set(asked.questions.get() + 1);
                    channel.queue(&Reply::Resolved(resolved(&address))).unwrap();
                    if !channel.has_next() {
                        asked.turns.set(asked.turns.get() + 1);
                        channel.flush().await.unwrap();
                    }
                }
            });
        }
    }

    fn resolved(address: &[u8]) -> Resolved {
        Resolved {
            transport: "smtp".to_owned(),
            nexthop: b"next.test".to_vec(),
            recipient: address.to_vec(),
            class: Class::Default,
            routed: false,
            bad_syntax: false,
            failed: address.starts_with(b"?"),
        }
    }

    fn with_server<F: Future<Output = ()>>(test: impl FnOnce(Rewriter, Rc<Asked>) -> F) {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rewrite-test-{}-{number}", std::process::id()));
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build_local(tokio::runtime::LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let asked = Rc::new(Asked::default());
            let listener = tokio::net::UnixListener::bind(&path).unwrap();
            tokio::task::spawn_local(serve(listener, Rc::clone(&asked)));
            let test = test(Rewriter::new(&path, Duration::from_secs(20)), asked);
            tokio::time::timeout(Duration::from_secs(20), test).await.expect("the test takes too long");
        });
        std::fs::remove_file(path).unwrap();
    }

    fn addresses(count: usize, length: usize) -> Vec<Vec<u8>> {
        (0..count).map(|number| format!("{number:0>length$}@a.test").into_bytes()).collect()
    }

    #[test]
    fn what_was_asked_ahead_is_not_asked_again() {
        with_server(|rewriter, asked| async move {
            let addresses = addresses(200, 10);
            rewriter.resolve_ahead(b"s@a.test", addresses.iter().map(Vec::as_slice)).await;
            let turns = asked.turns.get();
            assert!(asked.questions.get() == 200 && turns < 50, "{turns} turns");
            for address in &addresses {
                assert_eq!(rewriter.resolve(b"s@a.test", address).await.unwrap(), resolved(address));
            }
            assert_eq!(asked.questions.get(), 200);
            // Of another sender nothing is known.
            rewriter.resolve(b"t@a.test", &addresses[0]).await.unwrap();
            assert_eq!(asked.questions.get(), 201);
        });
    }

    #[test]
    fn questions_of_any_number_and_size_are_answered_and_no_buffer_runs_full() {
        with_server(|rewriter, asked| async move {
            let addresses = addresses(700, 3000);
            rewriter.resolve_ahead(b"", addresses.iter().map(Vec::as_slice)).await;
            let ahead = asked.questions.get();
            assert!((2..=AT_ONCE / 3000).contains(&ahead), "{ahead} ahead");
            for address in &addresses {
                assert_eq!(rewriter.resolve(b"", address).await.unwrap().recipient, *address);
            }
            assert_eq!(asked.questions.get(), 700);
        });
    }

    #[test]
    fn an_answer_that_failed_is_asked_for_again() {
        with_server(|rewriter, asked| async move {
            rewriter.resolve_ahead(b"", [&b"?a"[..], b"?b"].into_iter()).await;
            assert!(rewriter.resolve(b"", b"?a").await.unwrap().failed);
            assert_eq!(asked.questions.get(), 3);
        });
    }
}
