//! Questions about addresses, and what probes have found out.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use cache::scribe::LAST_SWEEP;
use cache::{Cache, Fate};
use config::param;
use daemon::{Client, Context, StartError, Worker};
use ipc::Server;
use ipc::verify::{Knowledge, Reply, Request, Verify as Protocol};
use logging::records::verify::Cleanup;
use wire::verified::{Entry, Standing};

use crate::probe::Prober;
use crate::rules::{Judgement, Rules, updated};

/// What is said where the cache cannot be used.
const UNAVAILABLE: &str = "Address verification status unavailable";

/// The daemon.
pub(crate) struct Verify {
    cache: Rc<Cache>,
    rules: Rules,
    prober: Prober,
    /// How often what has expired goes; zero: never.
    interval: Duration,
}

impl Worker for Verify {
    fn start(context: &Context) -> Result<Self, StartError> {
        let config = &context.config;
        let map = config.get(param::ADDRESS_VERIFY_MAP)?;
        let cache = Cache::open(context.program, config, map.trim(), context.helper_identity()?.as_ref())?;
        Ok(Self {
            cache: Rc::new(cache),
            rules: Rules::read(config)?,
            prober: Prober::read(context)?,
            interval: config.get(param::ADDRESS_VERIFY_CACHE_CLEANUP_INTERVAL)?,
        })
    }

    fn background(self: &Rc<Self>, context: &Rc<Context>) {
        let (cache, context) = (Rc::clone(&self.cache), Rc::clone(context));
        tokio::task::spawn_local(async move {
            cache.serve().await;
            if !context.is_draining() {
                logging::warning!("{}: its scribe has ended -- restarting", cache.name());
                context.drain();
            }
        });
        tokio::task::spawn_local(Rc::clone(self).clean_up());
    }

    async fn session(self: Rc<Self>, client: Client) {
        let context = client.context.clone();
        let Some(stream) = client.into_unix() else { return };
        let mut channel: Server<Protocol> = Server::<Protocol>::new(stream);
        while let Some(request) = context.next_request(&mut channel).await {
            let reply = match request {
                Request::Query { address } => Reply::Known(self.query(address)),
                Request::Update { address, found } => {
                    self.update(&address, found);
                    Reply::Noted
                }
            };
            if channel.send(&reply).await.is_err() {
                return;
            }
        }
    }

    fn finish(&self) {
        self.cache.leave();
    }
}

impl Verify {
    /// What is known of an address; what is not known any more is found out.
    fn query(self: &Rc<Self>, address: Vec<u8>) -> Knowledge {
        let Ok(before) = self.look_up(&address) else { return Knowledge::new(Standing::Deferred, UNAVAILABLE) };
        let now = now();
        let Judgement { entry, is_due, is_new } = self.rules.judge(before, now);
        if is_due {
            let probing = Entry { probed: now, ..entry.clone() };
            // address_verify_negative_cache: who wants no failures remembered has each question cost a probe.
            let is_kept = !is_new || self.rules.negative_cache;
            if is_kept && !self.cache.put(&address, probing.format()) {
                return Knowledge::new(Standing::Deferred, UNAVAILABLE);
            }
            tokio::task::spawn_local(Rc::clone(self).probe(address, probing));
        }
        Knowledge::new(entry.standing, entry.text)
    }

    /// Sends a probe. When that fails the next question makes another attempt.
    async fn probe(self: Rc<Self>, address: Vec<u8>, probing: Entry) {
        let Err(error) = self.prober.send(&address).await else { return };
        logging::repeated!("address verification probe: {error}");
        if self.look_up(&address).is_ok_and(|entry| entry.as_ref() == Some(&probing)) {
            match probing.standing {
                Standing::Unknown => self.cache.remove(&address),
                _ => _ = self.cache.put(&address, Entry { probed: 0, ..probing }.format()),
            }
        }
    }

    fn update(&self, address: &[u8], found: Knowledge) {
        if let Ok(before) = self.look_up(address) {
            self.cache.put(address, updated(before, (found.standing, found.text), now()).format());
        }
    }

    /// The entry of an address. What is none counts as none.
    fn look_up(&self, address: &[u8]) -> Result<Option<Entry>, ()> {
        let value = self.cache.get(address).map_err(|error| {
            let map = self.cache.name();
            logging::repeated!("{error}");
            logging::repeated!("{map}: cache lookup for '{}' failed due to error", &text::printable(address));
        })?;
        let Some(value) = value else { return Ok(None) };
        let entry = Entry::parse(&value);
        if entry.is_none() {
            logging::repeated!("bad address verify table entry: {}", &text::printable(&value));
        }
        Ok(entry)
    }

    /// Takes out what has expired, each time the interval is over. address_verify_cache_cleanup_interval
    async fn clean_up(self: Rc<Self>) {
        if self.interval.is_zero() {
            return;
        }
        let last = self.cache.get(LAST_SWEEP).ok().flatten();
        let last = last.and_then(|value| std::str::from_utf8(&value).ok()?.parse::<i64>().ok()).unwrap_or_default();
        let since = u64::try_from(now().saturating_sub(last)).unwrap_or(u64::MAX);
        let wait = self.interval.saturating_sub(Duration::from_secs(since));
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        loop {
            let (rules, time) = (self.rules, now());
            let swept = self.cache.sweep(move |key, value| match Entry::parse(value) {
                _ if key == LAST_SWEEP => Fate::Ignore,
                Some(entry) if !rules.is_over(&entry, time) => Fate::Retain,
                _ => Fate::Drop,
            });
            let swept = swept.await;
            logging::emit(&Cleanup {
                map: self.cache.name(),
                partial: swept.partial,
                retained: swept.retained,
                dropped: swept.dropped,
            });
            if !swept.partial {
                self.cache.put(LAST_SWEEP, now().to_string().into_bytes());
            }
            tokio::time::sleep(self.interval).await;
        }
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
