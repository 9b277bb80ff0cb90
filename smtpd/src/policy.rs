//! Policy services: who asks them, over which connection, and what is done when one does not answer.
//!
//! A question takes a connection that is idle, or a new one, and gives it back with the answer: a service that is slow
//! with one client keeps no other client waiting, and one that can take a single request at a time sees no second one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use policy::{Answer, Reader, ReplyError, Service};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::reach::{Reach, Stream, Unreached};

/// Bytes read at once.
const READ_SIZE: usize = 4 << 10;

/// The policy services as the process has them.
pub struct Policies {
    reach: Reach,
    /// By the name of the service.
    pools: RefCell<HashMap<String, Rc<Pool>>>,
}

/// The connections to one service that nobody uses.
#[derive(Default)]
struct Pool {
    kept: RefCell<Vec<Kept>>,
    /// Somebody closes those that have waited too long.
    swept: Cell<bool>,
}

/// A connection.
struct Link {
    stream: Box<dyn Stream>,
    /// smtpd_policy_service_max_ttl
    dies: Instant,
    requests: u32,
}

struct Kept {
    link: Link,
    until: Instant,
}

/// Why there is no answer.
enum Failure {
    /// No connection; logged.
    Unreached(String),
    /// The time is up, and nothing has come.
    Silent,
    /// The connection was closed, or the answer is none.
    Reply(ReplyError),
}

impl Failure {
    fn reason(&self) -> String {
        match self {
            Failure::Unreached(reason) => reason.clone(),
            Failure::Silent => "Connection timed out".to_owned(),
            Failure::Reply(error) => error.to_string(),
        }
    }

    /// A service that has just gone, or is being started: not worth a line before the last attempt.
    fn is_passing(&self) -> bool {
        match self {
            Failure::Unreached(reason) => reason == "No such file or directory",
            Failure::Silent | Failure::Reply(ReplyError::Unfinished { timed_out: true, .. }) => false,
            Failure::Reply(_) => true,
        }
    }
}

impl Policies {
    /// None is connected yet.
    pub fn new(reach: Reach) -> Policies {
        Policies { reach, pools: RefCell::default() }
    }

    /// The action that a service wants, or `None` where it does not answer as often as it may be asked; logged.
    pub async fn ask(&self, service: &Service, request: &[u8]) -> Option<Vec<u8>> {
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(service, request).await {
                Ok(action) => return Some(action),
                Err(failure) => failure,
            };
            let is_last = attempt >= service.options.try_limit;
            if is_last || !failure.is_passing() {
                logging::warning!("problem talking to server {}: {}", shown(service), failure.reason());
            }
            if is_last {
                return None;
            }
            attempt += 1;
            sleep(service.options.retry_delay).await;
        }
    }

    async fn attempt(&self, service: &Service, request: &[u8]) -> Result<Vec<u8>, Failure> {
        let pool = Rc::clone(self.pools.borrow_mut().entry(service.name.clone()).or_default());
        // One that was kept may be closed at this moment: that is no failure of the service.
        while let Some(link) = pool.take().await {
            match exchange(service, link, request, &pool).await {
                Err(Failure::Reply(ReplyError::Nothing)) => {}
                other => return other,
            }
        }
        exchange(service, self.connect(service).await?, request, &pool).await
    }

    async fn connect(&self, service: &Service) -> Result<Link, Failure> {
        let place = shown(service);
        let reason = match timeout(service.options.timeout, self.reach.connect(&service.server)).await {
            Ok(Ok(stream)) => {
                return Ok(Link { stream, dies: Instant::now() + service.options.max_ttl, requests: 0 });
            }
            Ok(Err(Unreached::NoAddress(reason))) => {
                logging::warning!("host or service {place} not found: {reason}");
                "Cannot assign requested address".to_owned()
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "Connection timed out".to_owned(),
        };
        logging::warning!("connect to {place}: {reason}");
        Err(Failure::Unreached(reason))
    }
}

/// Asks over a connection, and keeps it if it can be used again.
async fn exchange(service: &Service, mut link: Link, request: &[u8], pool: &Rc<Pool>) -> Result<Vec<u8>, Failure> {
    link.requests = link.requests.saturating_add(1);
    let limit = service.options.timeout;
    match timeout(limit, link.stream.write_all(request)).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return Err(Failure::Reply(ReplyError::Nothing)),
        Err(_) => return Err(Failure::Silent),
    }
    let mut reader = Reader::default();
    let received = timeout(limit, receive(&mut link, &mut reader)).await;
    let error = match received {
        Ok(Ok(answer)) => {
            if !answer.excess {
                pool.keep(service, link);
            }
            return Ok(answer.action);
        }
        Ok(Err(error)) => error,
        Err(_) => match reader.end(true) {
            ReplyError::Nothing => return Err(Failure::Silent),
            within => within,
        },
    };
    if let Some(warning) = error.about(&shown(service)) {
        logging::warning!("{warning}");
    }
    Err(Failure::Reply(error))
}

async fn receive(link: &mut Link, reader: &mut Reader) -> Result<Answer, ReplyError> {
    let mut buffer = [0; READ_SIZE];
    loop {
        match link.stream.read(&mut buffer).await {
            Ok(count @ 1..) => {
                if let Some(answer) = reader.push(&buffer[..count])? {
                    return Ok(answer);
                }
            }
            Ok(0) | Err(_) => return Err(reader.end(false)),
        }
    }
}

fn shown(service: &Service) -> String {
    text::printable(service.place.as_bytes())
}

impl Pool {
    /// A connection that can still be used.
    async fn take(&self) -> Option<Link> {
        loop {
            let Kept { mut link, until } = self.kept.borrow_mut().pop()?;
            if until > Instant::now() && is_quiet(&mut link).await {
                return Some(link);
            }
        }
    }

    fn keep(self: &Rc<Self>, service: &Service, link: Link) {
        let options = &service.options;
        let until = link.dies.min(Instant::now() + options.max_idle);
        // smtpd_policy_service_request_limit
        if options.request_limit > 0 && link.requests >= options.request_limit || until <= Instant::now() {
            return;
        }
        self.kept.borrow_mut().push(Kept { link, until });
        if !self.swept.replace(true) {
            tokio::task::spawn_local(sweep(Rc::clone(self)));
        }
    }
}

/// Closes connections that have waited too long, as long as there are any.
async fn sweep(pool: Rc<Pool>) {
    loop {
        let first = pool.kept.borrow().iter().map(|kept| kept.until).min();
        let Some(first) = first else { break };
        sleep_until(first).await;
        let now = Instant::now();
        pool.kept.borrow_mut().retain(|kept| kept.until > now);
    }
    pool.swept.set(false);
}

/// Nothing has come that nobody asked for, nor the end.
async fn is_quiet(link: &mut Link) -> bool {
    let mut byte = [0; 1];
    poll_fn(|context| {
        let read = Pin::new(&mut link.stream).poll_read(context, &mut ReadBuf::new(&mut byte));
        Poll::Ready(read.is_pending())
    })
    .await
}
