//! The server's log lines as types: Postfix's text, and the same facts by name.

use std::fmt;

use delivery::AddressFormat;
use logging::{Field, Record};
use smtp_server::Facts;

/// `connect from NAME[ADDRESS]`
pub struct Connect<'a> {
    /// `name[address]`
    pub client: &'a str,
}

/// `disconnect from NAME[ADDRESS] ehlo=1 ... commands=5`
pub struct Disconnect<'a> {
    /// `name[address]`
    pub client: &'a str,
    /// The counts.
    pub statistics: String,
}

/// `lost connection after RCPT from NAME[ADDRESS]`, with the queue id in front in the form of Postfix 3.11.
pub struct Broken<'a> {
    /// `lost connection`, `timeout`, `too many errors`
    pub label: &'static str,
    /// The last command.
    pub command: &'static str,
    /// Bytes of content that had come.
    pub content_bytes: Option<u64>,
    /// `name[address]`
    pub client: &'a str,
    /// The queue file.
    pub queue_id: Option<&'a str>,
    /// The form of Postfix 3.11.
    pub modern: bool,
}

/// `QUEUEID: client=NAME[ADDRESS]`, with what XCLIENT and XFORWARD have told.
pub struct Accepted<'a> {
    /// The new queue file.
    pub queue_id: &'a str,
    /// `name[address]`
    pub client: &'a str,
    /// The user.
    pub login: Option<&'a str>,
    /// The queue file at an earlier server.
    pub original_id: Option<&'a str>,
    /// The client of an earlier server.
    pub original_client: Option<String>,
}

/// `QUEUEID: reject: RCPT from NAME[ADDRESS]: 550 5.1.1 ...; from=<S> to=<R> proto=ESMTP helo=<H>`
pub struct Decided<'a> {
    /// The queue file.
    pub queue_id: Option<&'a str>,
    /// `reject`, `hold`, `warn` ...
    pub action: &'a str,
    /// The command.
    pub command: &'static str,
    /// `name[address]`
    pub client: &'a str,
    /// What was decided.
    pub text: &'a str,
    /// The sender as it is shown.
    pub from: Option<String>,
    /// The recipient as it is shown.
    pub to: Option<String>,
    /// `SMTP` or `ESMTP`
    pub protocol: &'static str,
    /// The name in HELO or EHLO.
    pub helo: Option<&'a str>,
}

impl<'a> Decided<'a> {
    /// A decision about what these facts are of.
    pub fn of(facts: &Facts<'a>, addresses: AddressFormat, action: &'a str, text: &'a str) -> Self {
        Decided {
            queue_id: facts.queue_id,
            action,
            command: facts.state.name(),
            client: &facts.peer.label,
            text,
            from: facts.sender.map(|address| addresses.shown(address)),
            to: facts.recipient.map(|address| addresses.shown(address)),
            protocol: facts.protocol.name(),
            helo: facts.helo,
        }
    }
}

impl fmt::Display for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connect from {}", self.client)
    }
}

impl Record for Connect<'_> {
    fn fields(&self) -> Vec<Field> {
        vec![("client", self.client.to_owned())]
    }
}

impl fmt::Display for Disconnect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disconnect from {} {}", self.client, self.statistics)
    }
}

impl Record for Disconnect<'_> {
    fn fields(&self) -> Vec<Field> {
        vec![("client", self.client.to_owned()), ("statistics", self.statistics.clone())]
    }
}

impl fmt::Display for Broken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.modern {
            write!(f, "{}: ", self.queue_id.unwrap_or("NOQUEUE"))?;
        }
        write!(f, "{} after {}", self.label, self.command)?;
        if let Some(bytes) = self.content_bytes {
            write!(f, " ({bytes} bytes)")?;
        }
        write!(f, " from {}", self.client)
    }
}

impl Record for Broken<'_> {
    fn queue_id(&self) -> Option<&str> {
        self.queue_id
    }

    fn fields(&self) -> Vec<Field> {
        vec![("event", self.label.to_owned()), ("command", self.command.to_owned()), ("client", self.client.to_owned())]
    }
}

impl fmt::Display for Accepted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: client={}", self.queue_id, self.client)?;
        if let Some(login) = self.login {
            write!(f, ", sasl_method=XCLIENT, sasl_username={login}")?;
        }
        if let Some(id) = self.original_id {
            write!(f, ", orig_queue_id={id}")?;
        }
        match &self.original_client {
            Some(client) => write!(f, ", orig_client={client}"),
            None => Ok(()),
        }
    }
}

impl Record for Accepted<'_> {
    fn queue_id(&self) -> Option<&str> {
        Some(self.queue_id)
    }

    fn fields(&self) -> Vec<Field> {
        let optional = [
            ("sasl_username", self.login.map(str::to_owned)),
            ("orig_queue_id", self.original_id.map(str::to_owned)),
            ("orig_client", self.original_client.clone()),
        ];
        let mut fields = vec![("client", self.client.to_owned())];
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        fields
    }
}

impl fmt::Display for Decided<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue_id = self.queue_id.unwrap_or("NOQUEUE");
        write!(f, "{queue_id}: {}: {} from {}: {};", self.action, self.command, self.client, self.text)?;
        if let Some(from) = &self.from {
            write!(f, " from=<{from}>")?;
        }
        if let Some(to) = &self.to {
            write!(f, " to=<{to}>")?;
        }
        write!(f, " proto={}", self.protocol)?;
        if let Some(helo) = self.helo {
            write!(f, " helo=<{helo}>")?;
        }
        Ok(())
    }
}

impl Record for Decided<'_> {
    fn queue_id(&self) -> Option<&str> {
        self.queue_id
    }

    fn fields(&self) -> Vec<Field> {
        let mut fields = vec![
            ("action", self.action.to_owned()),
            ("command", self.command.to_owned()),
            ("client", self.client.to_owned()),
            ("text", self.text.to_owned()),
            ("proto", self.protocol.to_owned()),
        ];
        let optional = [("from", self.from.clone()), ("to", self.to.clone()), ("helo", self.helo.map(str::to_owned))];
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_id_stands_before_a_broken_session_since_3_11() {
        let mut line = Broken {
            label: "timeout",
            command: "DATA",
            content_bytes: Some(5),
            client: "c[::1]",
            queue_id: Some("DAA89552173"),
            modern: true,
        };
        assert_eq!(line.to_string(), "DAA89552173: timeout after DATA (5 bytes) from c[::1]");
        line.modern = false;
        assert_eq!(line.to_string(), "timeout after DATA (5 bytes) from c[::1]");
    }

    #[test]
    fn a_decision_names_what_is_known() {
        let mut line = Decided {
            queue_id: None,
            action: "reject",
            command: "CONNECT",
            client: "c[::1]",
            text: "554 5.7.1 no",
            from: None,
            to: None,
            protocol: "SMTP",
            helo: None,
        };
        assert_eq!(line.to_string(), "NOQUEUE: reject: CONNECT from c[::1]: 554 5.7.1 no; proto=SMTP");
        line.from = Some(String::new());
        line.to = Some("a@b".to_owned());
        line.helo = Some("h");
        assert!(line.to_string().ends_with("; from=<> to=<a@b> proto=SMTP helo=<h>"));
    }
}
