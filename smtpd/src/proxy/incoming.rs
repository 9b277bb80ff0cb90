//! A message whose way is to a filter, as the session has it.

use std::rc::Rc;

use delivery::AddressFormat;
use logging::records::NOQUEUE;
use logging::records::smtpd::{Accepted, Filtered};
use smtp_protocol::Reply;
use smtp_server::{Facts, Turn, Unqueued};

use super::{Filter, Proxied, Refused};
use crate::decision::sasl_sender;
use crate::incoming::{Incoming, refused, write_error};

impl Incoming {
    /// Takes a recipient for the filter; the first one begins the message. A filter that wants nothing of the sender is
    /// asked again for the next recipient.
    pub async fn proxy(
        &mut self,
        filter: &Rc<Filter>,
        facts: &Facts<'_>,
        argument: &[u8],
        is_local: bool,
    ) -> Result<(), Unqueued> {
        let unqueued = |refused| match refused {
            Refused::Said(reply) => Unqueued::Said(reply),
            Refused::Broken => Unqueued::NotOpened,
        };
        let proxied = match &mut self.proxied {
            Some(proxied) => proxied,
            None => {
                let proxied = Proxied::begin(filter, facts, is_local).await.map_err(unqueued)?;
                log(facts);
                self.proxied.insert(Box::new(proxied))
            }
        };
        match proxied.recipient(argument).await {
            Ok(()) => {}
            // The recipients before this one are lost with the connection.
            Err(Refused::Broken) => {
                self.proxied = None;
                return Err(if facts.recipients > 0 { Unqueued::Lost } else { Unqueued::NotOpened });
            }
            Err(refused) => return Err(unqueued(refused)),
        }
        if proxied.first_recipient.is_empty() {
            proxied.first_recipient = facts.recipient.unwrap_or_default().to_vec();
        }
        Ok(())
    }

    /// Ends the message; what the filter says of it, which is logged.
    pub async fn finish_proxied(&mut self, facts: &Facts<'_>, addresses: AddressFormat) -> Result<Reply, Turn> {
        let Some(proxied) = self.proxied.take() else { return Err(refused(Refused::Broken)) };
        let recipient = proxied.first_recipient.clone();
        let said = proxied.finish().await;
        let text = match &said {
            Ok(reply) | Err(Refused::Said(reply)) => shown(reply),
            Err(Refused::Broken) => shown(&write_error().reply()),
        };
        logging::emit(&Filtered {
            accepted: said.is_ok(),
            client: &facts.peer.label,
            text: &text,
            from: addresses.shown(facts.sender.unwrap_or_default()),
            to: addresses.shown(&recipient),
            protocol: facts.protocol.name(),
            helo: facts.helo,
        });
        said.map_err(refused)
    }
}

/// A reply as it was on the wire; its line ends are `??`, as in Postfix.
fn shown(reply: &Reply) -> String {
    let lines: Vec<String> = reply.joined(b'\n').split(|&b| b == b'\n').map(text::printable).collect();
    lines.join("??")
}

fn log(facts: &Facts<'_>) {
    logging::emit(&Accepted {
        queue_id: NOQUEUE,
        client: &facts.peer.label,
        login: facts.login.map(|login| (login.method.as_str(), login.user.as_str())),
        sasl_sender: sasl_sender(facts).as_deref(),
        original_id: facts.forward.and_then(|forward| forward.ident.as_deref()),
        original_client: facts.forward.and_then(|forward| forward.label(facts.peer.shows_port)),
    });
}
