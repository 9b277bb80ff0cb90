//! Mail filters (milters): which ones a client gets, and what they are told and have said in its session.
//!
//! smtpd talks with them up to DATA. The content is shown to them by cleanup, which has it as it will travel: the
//! connections are handed over for that time, and come back with the outcome.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;

use config::{Config, param};
use daemon::{StartError, UnixSockets};
use ipc::IpcError;
use ipc::cleanup::{Filter as Handed, Message};
use ipc::rewrite::Resolved;
use lookup::{Maps, OpenFlags};
use milter::{Client, Defaults, Dial, Endpoint, Event, Filters, Macros, Settings, Stage, Verdict};
use smtp_server::{Facts, FilterReply, Told, UNKNOWN};

use crate::look_ups::LookUps;
use crate::macros::{OfContent, OfSession};

/// The filters of the site.
pub struct Milters {
    /// smtpd_milters
    all: Vec<Rc<Settings>>,
    /// smtpd_milter_maps: other filters for some clients.
    by_client: Option<Maps>,
    defaults: Defaults,
    macros: Rc<Macros>,
    way: Way,
    /// milter_macro_daemon_name
    pub daemon_name: String,
    /// milter_macro_v
    pub version: String,
    /// myhostname
    pub hostname: String,
}

impl Milters {
    /// What main.cf says; `None` where there are none. `sockets` is asked for where there are some.
    ///
    /// # Errors
    /// A list that makes no sense.
    pub fn read(
        config: &Config,
        queue_directory: &Path,
        sockets: impl FnOnce() -> Result<UnixSockets, StartError>,
    ) -> Result<Option<Milters>, StartError> {
        let name = param::SMTPD_MILTER_MAPS.name();
        let maps = config.lookup(name)?.unwrap_or_default();
        let by_client = Some(Maps::open(config, name, &maps, OpenFlags::default())?).filter(|maps| !maps.is_empty());
        let defaults = Defaults::read(config)?;
        let list = config.lookup(param::SMTPD_MILTERS.name())?.unwrap_or_default();
        let all = defaults.list(&list).map_err(StartError::new)?;
        if all.is_empty() && by_client.is_none() {
            return Ok(None);
        }
        Ok(Some(Milters {
            all: all.into_iter().map(Rc::new).collect(),
            by_client,
            defaults,
            macros: Rc::new(Macros::read(config).map_err(|error| StartError::new(error.to_string()))?),
            way: Way { sockets: sockets()?, queue_directory: queue_directory.to_owned() },
            daemon_name: config.get(param::MILTER_MACRO_DAEMON_NAME)?,
            version: config.get(param::MILTER_MACRO_V)?,
            hostname: config.get(param::MYHOSTNAME)?,
        }))
    }

    /// The name of a table that has changed.
    pub fn changed(&self) -> Option<String> {
        self.by_client.as_ref().and_then(Maps::changed).map(str::to_owned)
    }

    /// The filters of a client with this address.
    fn of_client(&self, address: &str) -> Filters {
        let found = self.by_client.as_ref().map(|maps| maps.lookup(address.as_bytes()));
        let own = match found {
            // A table that fails leaves what is for all.
            None | Some(Err(_) | Ok(None)) => return Filters::new(&self.all, &self.macros),
            Some(Ok(Some(value))) => String::from_utf8_lossy(&value).into_owned(),
        };
        if own.trim().eq_ignore_ascii_case("DISABLE") {
            return Filters::default();
        }
        match self.defaults.list(&own) {
            Ok(list) => Filters::new(&list.into_iter().map(Rc::new).collect::<Vec<_>>(), &self.macros),
            Err(why) => {
                let title = param::SMTPD_MILTER_MAPS.name();
                logging::warning!("{title}: {why}; the filters for all clients are used");
                Filters::new(&self.all, &self.macros)
            }
        }
    }
}

/// How filters are reached.
struct Way {
    sockets: UnixSockets,
    queue_directory: PathBuf,
}

impl Dial for Way {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> Pin<Box<dyn Future<Output = io::Result<OwnedFd>> + 'a>> {
        Box::pin(async {
            match endpoint {
                Endpoint::Internet(host, port) => self.sockets.dial(host, *port).await,
                Endpoint::Unix(path) => {
                    Ok(self.sockets.connect(&self.queue_directory.join(path)).await?.into_std()?.into())
                }
            }
        })
    }
}

/// What a filter's word does to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A reply to the command.
    Reply(FilterReply),
    /// The message is held, for this reason.
    Hold(String),
    /// The message goes nowhere.
    Discard,
}

/// The filters of one session.
#[derive(Default)]
pub struct Filtering {
    filters: Filters,
    /// They were told of a message.
    has_message: bool,
    /// The message, or the session before it, is held by one of them: that is logged once.
    held: bool,
    /// Where the sender leads.
    sender: Option<Box<Resolved>>,
    /// Where the recipient at hand leads; at DATA, the first one.
    recipient: Option<Box<Resolved>>,
    /// Those that cleanup goes on with, by their numbers.
    handed: Vec<(usize, Handed)>,
}

impl Filtering {
    /// Tells them of something; the first word about it. `connections`: of the client, as anvil counts them.
    pub async fn tell(
        &mut self,
        milters: &Milters,
        look_ups: &impl LookUps,
        told: Told<'_>,
        facts: Facts<'_>,
        connections: u32,
    ) -> Option<Word> {
        if matches!(told, Told::Connect) {
            self.close().await;
            self.filters = milters.of_client(&facts.peer.address_text());
            self.filters.open(&milters.way).await;
        }
        if self.filters.is_empty() {
            return None;
        }
        self.look_up(look_ups, &told, facts).await;
        let refused = match told {
            Told::Refused(_, rejection) => Some(rejection),
            _ => None,
        };
        let (sender, recipient) = (self.sender.as_deref(), self.recipient.as_deref());
        let values = OfSession { milters, facts, connections, sender, recipient, refused };
        let address = facts.peer.address_text();
        let name = if facts.peer.name == UNKNOWN { format!("[{address}]") } else { facts.peer.name.clone() };
        let event = match told {
            Told::Connect => {
                let port = facts.peer.port.parse().unwrap_or(0);
                Event::Connect(Client { name: &name, address: facts.peer.address, port })
            }
            Told::Helo(name) => Event::Helo(name),
            Told::Mail(words) => Event::Mail(words),
            Told::Recipient(words) => Event::Recipient(words),
            Told::Refused(words, _) => {
                self.filters.rejected_recipient(words, &values).await;
                return None;
            }
            Told::Data => Event::Data,
            Told::Unknown(line) => Event::Unknown(line),
        };
        let verdict = self.filters.event(&event, &values).await;
        if matches!(told, Told::Data) && matches!(verdict, Verdict::Continue | Verdict::Hold(_)) {
            self.handed = prepared(&self.filters, &OfContent(&values));
        }
        match (told, verdict) {
            // It stands, and is heard at the next command that counts.
            (Told::Unknown(_), Verdict::Shutdown) => None,
            (_, verdict) => self.word(verdict),
        }
    }

    /// Finds out where addresses lead.
    async fn look_up(&mut self, look_ups: &impl LookUps, told: &Told<'_>, facts: Facts<'_>) {
        match told {
            Told::Mail(_) => {
                (self.has_message, self.held, self.recipient) = (true, false, None);
                self.handed.clear();
                self.sender = look_ups.resolve(None, facts.sender.unwrap_or_default()).await.ok().map(Box::new);
            }
            Told::Recipient(_) | Told::Data => {
                self.recipient =
                    look_ups.resolve(facts.sender, facts.recipient.unwrap_or_default()).await.ok().map(Box::new);
            }
            _ => {}
        }
    }

    fn word(&mut self, verdict: Verdict) -> Option<Word> {
        match verdict {
            Verdict::Continue => None,
            Verdict::Hold(_) if self.held => None,
            Verdict::Hold(reason) => {
                self.held = true;
                Some(Word::Hold(hold_reason(&reason)))
            }
            Verdict::Discard => Some(Word::Discard),
            verdict => reply(&verdict).map(Word::Reply),
        }
    }

    /// Has cleanup go on with them.
    ///
    /// # Errors
    /// cleanup is gone.
    pub async fn hand_over(&mut self, message: &mut Message) -> Result<(), IpcError> {
        for (number, handed) in &self.handed {
            if let Some(descriptor) = self.filters.filter(*number).and_then(|filter| filter.descriptor()) {
                message.hand_over(handed.clone(), descriptor).await?;
            }
        }
        Ok(())
    }

    /// Some of those that were handed over do not work any more.
    pub fn have_failed(&mut self, failed: &[u32]) {
        for number in failed {
            let handed = usize::try_from(*number).ok().and_then(|number| self.handed.get(number));
            if let Some(filter) = handed.and_then(|(number, _)| self.filters.filter(*number)) {
                filter.has_failed();
            }
        }
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// What one of them has said for good.
    pub fn standing(&self) -> Option<FilterReply> {
        self.filters.standing().and_then(reply)
    }

    /// The message is over, if there was one.
    pub async fn end_message(&mut self) {
        self.handed.clear();
        if std::mem::take(&mut self.has_message) {
            self.filters.abort().await;
        }
    }

    /// What they were told before the message is over.
    pub async fn reset(&mut self) {
        self.filters.abort().await;
    }

    /// The session is over.
    pub async fn close(&mut self) {
        let mut last = std::mem::take(self);
        last.filters.close().await;
    }
}

/// What cleanup needs to go on with those that are to see the content.
fn prepared(filters: &Filters, values: &OfContent<'_, '_>) -> Vec<(usize, Handed)> {
    filters
        .iter()
        .enumerate()
        .filter(|(_, filter)| filter.descriptor().is_some())
        .map(|(number, filter)| {
            let settings = filter.settings();
            let handed = Handed {
                service: settings.service.clone(),
                timeout: settings.content_timeout.as_secs(),
                default_action: settings.default_action.name().to_owned(),
                steps: filter.agreement().steps,
                header_macros: filter.payload(Stage::EndOfHeader, values),
                body_macros: filter.payload(Stage::EndOfData, values),
            };
            (number, handed)
        })
        .collect()
}

/// The reply that a verdict is, if it is one.
fn reply(verdict: &Verdict) -> Option<FilterReply> {
    match verdict {
        Verdict::Say(said) => Some(FilterReply::new(said.code(), said.text())),
        Verdict::Shutdown => Some(FilterReply::new(421, "421 4.7.0 Server closing connection")),
        Verdict::Continue | Verdict::Hold(_) | Verdict::Discard => None,
    }
}

/// Bytes of a reason.
/// told: nobody; the log shows the start, as with Postfix.
const MAX_REASON: usize = 100;

/// Why a message is held, as the log says it.
fn hold_reason(reason: &[u8]) -> String {
    match reason {
        b"" => "milter triggers HOLD action".to_owned(),
        // told: see there.
        reason => text::printable(&reason[..reason.len().min(MAX_REASON)]),
    }
}
