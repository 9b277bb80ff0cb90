//! smtpd_proxy_filter: a filter that speaks SMTP, and hears a message before this server answers for it.
//!
//! The filter has the last word: its reply behind the content is what the client hears, and this server keeps no copy.
//! What it says otherwise than in replies, or no more, is an error of this server that the client may try again after.
//!
//! With speed_adjust the message is stored first, and the filter hears all of it at the speed of this machine; its
//! first refusal is the reply to the content.

mod conversation;
mod incoming;
mod origin;
mod store;

use std::rc::Rc;
use std::time::Duration;

use config::{Config, param};
use daemon::StartError;
use net::Server;
use queue::record::{Reader, Type};
use smtp_protocol::Reply;
use smtp_protocol::stuffing::Stuffer;
use smtp_server::Facts;

use crate::reach::Reach;
use conversation::{Conversation, Expected, Trouble};
use origin::Origin;
use store::Store;

/// The filter, and how it is talked to.
pub struct Filter {
    /// As main.cf names it.
    name: String,
    server: Server,
    reach: Reach,
    /// smtpd_proxy_timeout
    timeout: Duration,
    /// smtpd_proxy_ehlo
    hostname: String,
    /// smtpd_proxy_options: speed_adjust
    stores: bool,
}

impl Filter {
    /// What main.cf asks for, if anything. `reach`: how a server is reached.
    ///
    /// # Errors
    /// A setting that makes no sense.
    pub fn read(
        config: &Config,
        reach: impl FnOnce(&Server) -> Result<Reach, StartError>,
    ) -> Result<Option<Filter>, StartError> {
        let name = config.get(param::SMTPD_PROXY_FILTER)?;
        if name.is_empty() {
            return Ok(None);
        }
        let mut stores = false;
        for option in config.get(param::SMTPD_PROXY_OPTIONS)? {
            if !option.eq_ignore_ascii_case("speed_adjust") {
                let text = format!("unknown smtpd_proxy_options value \"{option}\"");
                return Err(StartError::new(text));
            }
            stores = true;
        }
        let server = parse(&name).map_err(StartError::new)?;
        Ok(Some(Filter {
            reach: reach(&server)?,
            server,
            name,
            timeout: config.get(param::SMTPD_PROXY_TIMEOUT)?,
            hostname: config.get(param::SMTPD_PROXY_EHLO)?,
            stores,
        }))
    }

    /// A line of the log about what the filter has said.
    fn rejected(&self, what: &[u8], reply: &Reply) {
        let (what, reply) = (text::printable(what), text::printable(&reply.verbatim()));
        logging::warning!("proxy {} rejected \"{what}\": \"{reply}\"", self.name);
    }
}

/// `unix:PATH`, or a host and port as for inet, with or without that word.
fn parse(name: &str) -> Result<Server, String> {
    match name.strip_prefix("unix:") {
        Some(_) => Server::parse(name),
        None => {
            let endpoint = name.strip_prefix("inet:").unwrap_or(name);
            Server::parse(&format!("inet:{}", endpoint.strip_prefix(':').unwrap_or(endpoint)))
        }
    }
}

/// Why the filter takes something not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It says so, in words for the client.
    Said(Reply),
    /// It cannot be talked to; logged.
    Broken,
}

/// One message on its way to the filter.
pub struct Proxied {
    filter: Rc<Filter>,
    way: Way,
    /// The content that has arrived, as records of a queue file.
    records: Vec<u8>,
    /// What of the content is ready to go.
    ready: Vec<u8>,
    stuffer: Stuffer,
    is_broken: bool,
    /// The first one that was taken, in internal form.
    first_recipient: Vec<u8>,
}

/// Where the message is.
enum Way {
    /// On its way.
    Talking(Conversation),
    /// Stored.
    Stored(Store),
}

/// Bytes of content that are gathered before they are passed on.
const GATHERED: usize = 64 << 10;

impl Proxied {
    /// Begins a message; with a filter that hears it at once, up to its sender.
    ///
    /// # Errors
    /// The filter does not take it.
    pub async fn begin(filter: &Rc<Filter>, facts: &Facts<'_>, is_local: bool) -> Result<Proxied, Refused> {
        let origin = Origin::of(facts, is_local);
        let mail = [b"MAIL ", facts.mail.unwrap_or_default()].concat();
        let way = if filter.stores {
            Way::Stored(Store::begin(origin, mail).map_err(|error| broken(&error))?)
        } else {
            Way::Talking(open(filter, &origin, &mail).await?)
        };
        Ok(Proxied {
            filter: Rc::clone(filter),
            way,
            records: Vec::new(),
            ready: Vec::new(),
            stuffer: Stuffer::new(None),
            is_broken: false,
            first_recipient: Vec::new(),
        })
    }

    /// One more recipient, as the client has named it.
    ///
    /// # Errors
    /// The filter does not take it.
    pub async fn recipient(&mut self, argument: &[u8]) -> Result<(), Refused> {
        let command = [b"RCPT ", argument].concat();
        match &mut self.way {
            Way::Talking(conversation) => {
                let said = command_of(&self.filter, conversation, &command, Expected::Success).await;
                self.is_broken |= said == Err(Refused::Broken);
                said.map(drop)
            }
            Way::Stored(store) => {
                store.recipient(command);
                Ok(())
            }
        }
    }

    /// The content begins, with these lines of this server's in front of it.
    ///
    /// # Errors
    /// The filter does not take it.
    pub async fn begin_content(&mut self, heading: &[Vec<u8>]) -> Result<(), Refused> {
        if let Way::Talking(conversation) = &mut self.way {
            command_of(&self.filter, conversation, b"DATA", Expected::Content).await?;
        }
        for line in heading {
            self.stuffer.text(line, true, &mut self.ready);
        }
        Ok(())
    }

    /// Where records of the content go.
    pub fn records(&mut self) -> &mut Vec<u8> {
        &mut self.records
    }

    /// Whether the message is nowhere any more.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Passes on what has gathered; with `dropped` nothing of it.
    pub async fn flow(&mut self, dropped: bool) {
        if !dropped && !self.is_broken {
            self.unpack();
            if self.ready.len() >= GATHERED {
                self.pass_on().await;
            }
        }
        self.records.clear();
    }

    /// The records as lines on the wire. A CR that ends no line is a blank.
    fn unpack(&mut self) {
        let mut reader = Reader::new(&self.records[..]);
        while let Ok(Some(record)) = reader.next_record() {
            let text: Vec<u8> = record.data.iter().map(|&b| if b == b'\r' { b' ' } else { b }).collect();
            self.stuffer.text(&text, record.kind == Type::LINE, &mut self.ready);
        }
    }

    async fn pass_on(&mut self) {
        let passed = match &mut self.way {
            Way::Talking(conversation) => conversation.write(&self.ready, self.filter.timeout).await,
            Way::Stored(store) => store.write(&self.ready).map_err(Trouble::from),
        };
        self.ready.clear();
        if let Err(trouble) = passed {
            trouble.log(&self.filter.name);
            self.is_broken = true;
        }
    }

    /// The message is complete: what the filter says of it.
    ///
    /// # Errors
    /// It does not take the message.
    pub async fn finish(mut self) -> Result<Reply, Refused> {
        if !self.is_broken {
            self.unpack();
            self.records.clear();
            self.stuffer.end(&mut self.ready);
            self.pass_on().await;
        }
        if self.is_broken {
            return Err(Refused::Broken);
        }
        let filter = &self.filter;
        let mut conversation = match self.way {
            Way::Talking(conversation) => conversation,
            Way::Stored(store) => replay(filter, store).await?,
        };
        let said = conversation.reply(filter.timeout).await.map_err(|trouble| {
            trouble.log(&filter.name);
            Refused::Broken
        })?;
        conversation.leave(filter.timeout).await;
        match said.class() {
            2 => Ok(said),
            4 | 5 => Err(Refused::Said(said)),
            _ => {
                filter.rejected(b".", &said);
                Err(Refused::Broken)
            }
        }
    }
}

/// Connects to the filter, and tells it of client and sender.
async fn open(filter: &Filter, origin: &Origin, mail: &[u8]) -> Result<Conversation, Refused> {
    let connected = tokio::time::timeout(filter.timeout, filter.reach.connect(&filter.server)).await;
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            logging::warning!("connect to proxy filter {}: {error}", filter.name);
            return Err(Refused::Broken);
        }
        Err(_) => {
            logging::warning!("connect to proxy filter {}: Connection timed out", filter.name);
            return Err(Refused::Broken);
        }
    };
    let mut conversation = Conversation::new(stream);
    // What the filter says to this server is nothing for the client.
    let own = |refused| match refused {
        Refused::Said(_) => Refused::Broken,
        other => other,
    };
    greeted(filter, &mut conversation).await.map_err(own)?;
    let ehlo = format!("EHLO {}", filter.hostname).into_bytes();
    let said = command_of(filter, &mut conversation, &ehlo, Expected::Success).await.map_err(own)?;
    for command in origin.commands(&said) {
        command_of(filter, &mut conversation, &command, Expected::Success).await.map_err(own)?;
    }
    command_of(filter, &mut conversation, mail, Expected::Success).await?;
    Ok(conversation)
}

async fn greeted(filter: &Filter, conversation: &mut Conversation) -> Result<(), Refused> {
    let said = conversation.reply(filter.timeout).await.map_err(|trouble| {
        trouble.log(&filter.name);
        Refused::Broken
    })?;
    if said.class() == 2 {
        return Ok(());
    }
    filter.rejected(b"connection request", &said);
    Err(Refused::Broken)
}

/// Says a command, and hears the answer.
async fn command_of(
    filter: &Filter,
    conversation: &mut Conversation,
    command: &[u8],
    expected: Expected,
) -> Result<Reply, Refused> {
    let said = conversation.command(command, filter.timeout).await.map_err(|trouble| {
        trouble.log(&filter.name);
        Refused::Broken
    })?;
    if expected.is_met_by(&said) {
        return Ok(said);
    }
    filter.rejected(command, &said);
    // Neither yes nor no: the conversation cannot go on, and is no matter of the client.
    Err(if matches!(said.class(), 4 | 5) { Refused::Said(said) } else { Refused::Broken })
}

/// Tells the filter all of a stored message, up to the end of its content.
async fn replay(filter: &Filter, store: Store) -> Result<Conversation, Refused> {
    let mut conversation = open(filter, store.origin(), store.mail()).await?;
    for recipient in store.recipients() {
        command_of(filter, &mut conversation, recipient, Expected::Success).await?;
    }
    command_of(filter, &mut conversation, b"DATA", Expected::Content).await?;
    let mut content = store.content().map_err(|error| broken(&error))?;
    while let Some(piece) = content.next_piece().map_err(|error| broken(&error))? {
        conversation.write(&piece, filter.timeout).await.map_err(|trouble| {
            trouble.log(&filter.name);
            Refused::Broken
        })?;
    }
    Ok(conversation)
}

fn broken(error: &std::io::Error) -> Refused {
    logging::warning!("before-queue content file: {}", text::system_error(error));
    Refused::Broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_named_with_and_without_the_word_for_its_network() {
        for name in ["inet:127.0.0.1:10025", "127.0.0.1:10025"] {
            assert_eq!(parse(name), Ok(Server::Internet("127.0.0.1".to_owned(), 10025)));
        }
        for name in [":10025", "10025", "inet:10025"] {
            assert_eq!(parse(name), Ok(Server::Internet("localhost".to_owned(), 10025)), "{name}");
        }
        assert_eq!(parse("unix:private/filter"), Ok(Server::Unix("private/filter".into())));
        assert!(parse("127.0.0.1").is_err());
    }
}
