//! non_smtpd_milters: mail that came by no server is shown to filters as if a client of this machine had sent it.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;

use config::{Config, param};
use daemon::{StartError, UnixSockets};
use ipc::cleanup::Cause;
use milter::{Client, Defaults, Dial, Endpoint, Event, Filters, Macros, Settings, Stage, Values, Verdict};

use super::{Filtered, Viewer};
use crate::failure::Failure;

/// The filters.
pub struct Local {
    list: Vec<Rc<Settings>>,
    macros: Rc<Macros>,
    way: Way,
    /// milter_macro_daemon_name
    daemon_name: String,
    /// milter_macro_v
    version: String,
    hostname: String,
    /// The client that never was: inet_protocols.
    address: IpAddr,
}

/// How filters are reached.
struct Way(UnixSockets);

impl Dial for Way {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> Pin<Box<dyn Future<Output = io::Result<OwnedFd>> + 'a>> {
        Box::pin(async {
            match endpoint {
                Endpoint::Internet(host, port) => self.0.dial(host, *port).await,
                Endpoint::Unix(path) => Ok(self.0.connect(path.as_ref()).await?.into_std()?.into()),
            }
        })
    }
}

impl Local {
    /// What main.cf says. `sockets` is asked for where there are filters.
    ///
    /// # Errors
    /// A list that makes no sense.
    pub fn read(
        config: &Config,
        sockets: impl FnOnce() -> Result<UnixSockets, StartError>,
    ) -> Result<Local, StartError> {
        let list = config.lookup(param::NON_SMTPD_MILTERS.name())?.unwrap_or_default();
        let list = Defaults::read(config)?.list(&list).map_err(StartError::new)?;
        let protocols = config.lookup(param::INET_PROTOCOLS.name())?.unwrap_or_default();
        let is_v6 = text::split_list(&protocols).first().is_some_and(|first| first.eq_ignore_ascii_case("ipv6"));
        Ok(Local {
            way: Way(if list.is_empty() { UnixSockets::default() } else { sockets()? }),
            list: list.into_iter().map(Rc::new).collect(),
            macros: Rc::new(Macros::read(config).map_err(|error| StartError::new(error.to_string()))?),
            daemon_name: config.get(param::MILTER_MACRO_DAEMON_NAME)?,
            version: config.get(param::MILTER_MACRO_V)?,
            hostname: config.get(param::MYHOSTNAME)?,
            address: if is_v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() },
        })
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// What the macros stand for.
struct Emulated<'a> {
    local: &'a Local,
    queue_id: &'a str,
    sender: Option<&'a [u8]>,
    recipient: Option<&'a [u8]>,
}

/// The name of the client.
const NAME: &str = "localhost";

impl Values for Emulated<'_> {
    fn value(&self, name: &str) -> Option<Vec<u8>> {
        let Local { hostname, daemon_name, version, address, .. } = self.local;
        let text = match name {
            "j" => hostname.clone(),
            "daemon_name" => daemon_name.clone(),
            "v" => version.clone(),
            "i" if self.sender.is_some() => self.queue_id.to_owned(),
            "daemon_addr" | "client_addr" => address.to_string(),
            "daemon_port" | "client_port" => "0".to_owned(),
            "client_name" | "client_ptr" => NAME.to_owned(),
            "_" => format!("{NAME} [{address}]"),
            "mail_addr" => return Some(self.sender?.to_vec()),
            "rcpt_addr" => return Some(self.recipient?.to_vec()),
            _ => return None,
        };
        Some(text.into_bytes())
    }
}

impl Filtered<'_, '_> {
    /// Tells the filters of a client, its greeting, the sender and the recipients; those that are to see the content.
    pub async fn emulate(&mut self) -> Vec<Viewer> {
        let local = &self.message.site.milters;
        let mut filters = Filters::new(&local.list, &local.macros);
        filters.open(&local.way).await;
        let sender = address::quote(self.envelope.sender());
        let queue_id = self.message.id.clone();
        let before = Emulated { local, queue_id: queue_id.as_str(), sender: None, recipient: None };
        let values = Emulated { sender: Some(&sender), ..before };
        let client = Client { name: NAME, address: Some(local.address), port: 0 };
        let start: [(&Event<'_>, &Emulated<'_>, &'static str); 3] = [
            (&Event::Connect(client), &before, "CONNECT"),
            (&Event::Helo(NAME.as_bytes()), &before, "EHLO"),
            (&Event::Mail(&[&sender]), &values, "MAIL"),
        ];
        for (event, values, at) in start {
            let verdict = filters.event(event, values).await;
            self.obey(verdict, at, false);
            if !self.is_wanted() {
                filters.close().await;
                return Vec::new();
            }
        }
        if !self.emulate_recipients(&mut filters, &values).await {
            filters.close().await;
            return Vec::new();
        }
        let verdict = filters.event(&Event::Data, &values).await;
        self.obey(verdict, "DATA", true);
        if !self.is_wanted() {
            filters.close().await;
            return Vec::new();
        }
        let viewer = |filter: milter::Filter| Viewer {
            header_macros: filter.payload(Stage::EndOfHeader, &values),
            body_macros: filter.payload(Stage::EndOfData, &values),
            filter,
            is_shared: false,
        };
        filters.into_list().into_iter().map(viewer).collect()
    }

    /// Whether the message is still on its way.
    fn is_wanted(&self) -> bool {
        self.writer.verdict.failure().is_none() && !self.writer.verdict.discard
    }

    /// False: the message goes no further. A filter that turns a recipient down turns the message down, for there is
    /// nobody who could be told of one.
    async fn emulate_recipients(&mut self, filters: &mut Filters, values: &Emulated<'_>) -> bool {
        for recipient in self.recipients.take_given() {
            let recipient = address::quote(&recipient);
            let values = Emulated { recipient: Some(&recipient), ..*values };
            let verdict = filters.event(&Event::Recipient(&[&recipient]), &values).await;
            let is_refusal = matches!(verdict, Verdict::Say(_) | Verdict::Shutdown);
            if is_refusal {
                self.log_refused_recipient(verdict);
                return false;
            }
            self.obey(verdict, "RCPT", true);
            if !self.is_wanted() {
                return false;
            }
        }
        true
    }

    fn log_refused_recipient(&mut self, verdict: Verdict) {
        let text = match &verdict {
            Verdict::Say(said) => text::printable(said.text().get(4..).unwrap_or_default()),
            _ => "4.7.0 Service unavailable".to_owned(),
        };
        self.log("milter-reject", "RCPT", &text, true);
        let id = &self.message.id;
        logging::warning!(id: id, "milter configuration error: can't reject recipient in non-smtpd(8) submission");
        let warning = "message not accepted, try again later".to_owned();
        self.writer.refuse(Failure::new(Cause::Defer).warning(warning));
    }
}
