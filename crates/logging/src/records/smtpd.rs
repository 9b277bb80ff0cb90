//! What the SMTP server says of its clients and of what it decides about them.

use std::fmt;

use super::{NOQUEUE, address_of, name_of};
use crate::record::{ALWAYS, records};

records! {
    program "smtpd";

    /// A client has connected.
    Connect<'a>: Info "connect" {
        /// `name[address]`
        client: &'a str,
    }
    members(line) {
        client_name: Text, ALWAYS, "The name of the client if it is verified, else `unknown`." = name_of(line.client);
        client_address: Text, ALWAYS, "The address of the client." = address_of(line.client);
    }
    example { client: "mail.example.org[192.0.2.7]", }

    /// A session has ended, with what the client asked for in it.
    Disconnect<'a>: Info "disconnect" {
        /// `name[address]`
        client: &'a str,
        /// `ehlo=1 mail=1 rcpt=0/1 commands=2/3`
        statistics: String,
    }
    members(line) {
        client_name: Text, ALWAYS, "The name of the client if it is verified, else `unknown`." = name_of(line.client);
        client_address: Text, ALWAYS, "The address of the client." = address_of(line.client);
        commands: Texts, ALWAYS, "A count for each command that was used, `NAME=ACCEPTED` or `NAME=ACCEPTED/ALL`, and for all \
            of them (`commands=`)." = line.statistics.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>();
    }
    example {
        client: "mail.example.org[192.0.2.7]",
        statistics: "ehlo=1 mail=1 rcpt=1/2 data=1 quit=1 commands=5/6".to_owned(),
    }

    /// A session has ended before its client said QUIT.
    Broken<'a>: Info "broken" {
        /// `lost connection`, `timeout`, `too many errors`
        label: &'static str,
        /// The last command.
        command: &'static str,
        /// Bytes of content that had come.
        content_bytes: Option<u64>,
        /// `name[address]`
        client: &'a str,
        /// The queue file.
        queue_id: Option<&'a str>,
        /// The form of Postfix 3.11, with the queue id in front.
        modern: bool,
    }
    members(line) {
        queue_id: Text, "if a recipient had been accepted", "The message." = line.queue_id;
        cause: Text, ALWAYS, "`lost connection`, `timeout` or `too many errors`." = line.label;
        command: Text, ALWAYS, "The last command, or `CONNECT`, `END-OF-MESSAGE`, `UNKNOWN`." = line.command;
        content_bytes: Integer, "within the content", "The bytes of content that had come." = line.content_bytes;
        client_name: Text, ALWAYS, "The name of the client if it is verified, else `unknown`." = name_of(line.client);
        client_address: Text, ALWAYS, "The address of the client." = address_of(line.client);
    }
    example {
        label: "timeout",
        command: "DATA",
        content_bytes: Some(5),
        client: "mail.example.org[192.0.2.7]",
        queue_id: Some("DAA89552173"),
        modern: true,
    }

    /// A client has begun a message: its first recipient is accepted.
    Accepted<'a>: Info "client" {
        /// The new queue file.
        queue_id: &'a str,
        /// `name[address]`
        client: &'a str,
        /// How the client has logged in, and as whom.
        login: Option<(&'a str, &'a str)>,
        /// AUTH= of MAIL FROM.
        sasl_sender: Option<&'a str>,
        /// The queue file at an earlier server.
        original_id: Option<&'a str>,
        /// The client of an earlier server.
        original_client: Option<String>,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message." = line.queue_id;
        client_name: Text, ALWAYS, "The name of the client if it is verified, else `unknown`." = name_of(line.client);
        client_address: Text, ALWAYS, "The address of the client." = address_of(line.client);
        sasl_method: Text, "if the client is logged in", "How." = line.login.map(|(method, _)| method);
        sasl_username: Text, "if the client is logged in", "Who." = line.login.map(|(_, user)| user);
        sasl_sender: Text, "if MAIL FROM has AUTH=", "Who has sent the message to the client, as it says." = line.sasl_sender;
        orig_queue_id: Text, "if XFORWARD told it", "The message at an earlier server." = line.original_id;
        orig_client_name: Text, "if XFORWARD told it", "The client of an earlier server."
            = line.original_client.as_deref().map(name_of);
        orig_client_address: Text, "if XFORWARD told it", "Its address." = line.original_client.as_deref().and_then(address_of);
    }
    example {
        queue_id: "3F1E9552170",
        client: "mail.example.org[192.0.2.7]",
        login: Some(("PLAIN", "alice")),
        sasl_sender: Some("bob@example.org"),
        original_id: Some("9B2D5552119"),
        original_client: Some("laptop.example.net[198.51.100.9]".to_owned()),
    }

    /// A client, a command or a message was judged: refused, put on hold, let pass with a remark.
    Decided<'a>: Info "decision" {
        /// The queue file.
        queue_id: Option<&'a str>,
        /// `reject`, `hold`, `warn` ...
        action: &'a str,
        /// The command.
        command: &'static str,
        /// `name[address]`
        client: &'a str,
        /// What was decided.
        text: &'a str,
        /// The sender as it is shown.
        from: Option<String>,
        /// The recipient as it is shown.
        to: Option<String>,
        /// `SMTP` or `ESMTP`
        protocol: &'static str,
        /// The name in HELO or EHLO.
        helo: Option<&'a str>,
        /// How the client has logged in, and as whom.
        login: Option<(&'a str, &'a str)>,
        /// AUTH= of MAIL FROM.
        sasl_sender: Option<String>,
    }
    members(line) {
        queue_id: Text, "if a recipient was accepted before", "The message." = line.queue_id;
        action: Text, ALWAYS, "`reject`, `reject_warning`, `hold`, `discard`, `filter`, `redirect`, `warn`, `info` and so on."
            = line.action;
        command: Text, ALWAYS, "The command that was judged, or `CONNECT`, `END-OF-MESSAGE`." = line.command;
        client_name: Text, ALWAYS, "The name of the client if it is verified, else `unknown`." = name_of(line.client);
        client_address: Text, ALWAYS, "The address of the client." = address_of(line.client);
        reason: Text, ALWAYS, "The reply of a refusal with its codes, or the text of the rule." = line.text;
        from: Text, "after MAIL", "The sender; empty for notifications." = &line.from;
        to: Text, "in RCPT, and after it if there is one recipient", "The recipient." = &line.to;
        proto: Text, ALWAYS, "`SMTP` or `ESMTP`." = line.protocol;
        helo: Text, "after HELO or EHLO", "The name that the client gives itself." = line.helo;
        sasl_method: Text, "if the client is logged in", "How." = line.login.map(|(method, _)| method);
        sasl_username: Text, "if the client is logged in", "Who." = line.login.map(|(_, user)| user);
        sasl_sender: Text, "if MAIL FROM has AUTH=", "Who has sent the message to the client, as it says." = &line.sasl_sender;
    }
    example {
        queue_id: Some("DAD8C552116"),
        action: "reject",
        command: "RCPT",
        client: "mail.example.org[192.0.2.7]",
        text: "550 5.1.1 <bob@example.com>: Recipient address rejected: User unknown in local recipient table",
        from: Some("alice@example.org".to_owned()),
        to: Some("bob@example.com".to_owned()),
        protocol: "ESMTP",
        helo: Some("mail.example.org"),
        login: Some(("PLAIN", "alice")),
        sasl_sender: Some("bob@example.org".to_owned()),
    }

    /// A filter before the queue has said what becomes of a message. smtpd_proxy_filter
    Filtered<'a>: Info "filtered" {
        /// It takes the message.
        accepted: bool,
        /// `name[address]`
        client: &'a str,
        /// What the client is told.
        text: &'a str,
        /// The sender as it is shown.
        from: String,
        /// The first recipient as it is shown.
        to: String,
        /// `SMTP` or `ESMTP`
        protocol: &'static str,
        /// The name in HELO or EHLO.
        helo: Option<&'a str>,
    }
    members(line) {
        action: Text, ALWAYS, "`proxy-accept` or `proxy-reject`." = line.action();
        client_name: Text, ALWAYS, "The name of the client if it is verified, else `unknown`." = name_of(line.client);
        client_address: Text, ALWAYS, "The address of the client." = address_of(line.client);
        reason: Text, ALWAYS, "The reply that the client gets." = line.text;
        from: Text, ALWAYS, "The sender; empty for notifications." = &line.from;
        to: Text, ALWAYS, "The first recipient." = &line.to;
        proto: Text, ALWAYS, "`SMTP` or `ESMTP`." = line.protocol;
        helo: Text, "after HELO or EHLO", "The name that the client gives itself." = line.helo;
    }
    example {
        accepted: false,
        client: "mail.example.org[192.0.2.7]",
        text: "550 5.7.1 this is advertising",
        from: "alice@example.org".to_owned(),
        to: "bob@example.com".to_owned(),
        protocol: "ESMTP",
        helo: Some("mail.example.org"),
    }

    /// A client could not log in.
    LoginFailed<'a>: Warning "login_failed" {
        /// `name[address]`
        client: &'a str,
        /// The mechanism, as the client names it.
        method: &'a str,
        /// Why.
        reason: &'a str,
        /// Who it would have been, as far as the authentication server has said.
        user: Option<&'a str>,
    }
    members(line) {
        client_name: Text, ALWAYS, "The name of the client if it is verified, else `unknown`." = name_of(line.client);
        client_address: Text, ALWAYS, "The address of the client." = address_of(line.client);
        sasl_method: Text, ALWAYS, "How it tried to." = line.method;
        sasl_username: Text, "if the authentication server has said", "Who it would have been." = line.user;
        reason: Text, ALWAYS, "Why not, in the words of the authentication server or of Postfix." = line.reason;
    }
    example {
        client: "mail.example.org[192.0.2.7]",
        method: "LOGIN",
        reason: "(reason unavailable)",
        user: Some("alice"),
    }
}

impl fmt::Display for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connect from {}", self.client)
    }
}

impl fmt::Display for Disconnect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disconnect from {} {}", self.client, self.statistics)
    }
}

impl fmt::Display for Broken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.modern {
            write!(f, "{}: ", self.queue_id.unwrap_or(NOQUEUE))?;
        }
        write!(f, "{} after {}", self.label, self.command)?;
        if let Some(bytes) = self.content_bytes {
            write!(f, " ({bytes} bytes)")?;
        }
        write!(f, " from {}", self.client)
    }
}

impl fmt::Display for Accepted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: client={}", self.queue_id, self.client)?;
        if let Some((method, user)) = self.login {
            write!(f, ", sasl_method={method}, sasl_username={user}")?;
        }
        if let Some(sender) = self.sasl_sender {
            write!(f, ", sasl_sender={sender}")?;
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

impl fmt::Display for Decided<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue_id = self.queue_id.unwrap_or(NOQUEUE);
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
        match self.login {
            // What filters say has Postfix's other form.
            Some((_, user)) if self.action == "milter-reject" => write!(f, " sasl_username=<{user}>")?,
            Some((method, user)) => write!(f, " sasl_method={method} sasl_username={user}")?,
            None => {}
        }
        match &self.sasl_sender {
            Some(sender) => write!(f, " sasl_sender={sender}"),
            None => Ok(()),
        }
    }
}

impl Filtered<'_> {
    fn action(&self) -> &'static str {
        if self.accepted { "proxy-accept" } else { "proxy-reject" }
    }
}

impl fmt::Display for Filtered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Filtered { text, from, to, protocol, .. } = self;
        write!(f, "{}: END-OF-MESSAGE: {text}; from=<{from}> to=<{to}> proto={protocol}", self.action())?;
        match self.helo {
            Some(helo) => write!(f, " helo=<{helo}>"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for LoginFailed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.unwrap_or("(unavailable)");
        let LoginFailed { client, method, reason, .. } = self;
        write!(f, "{client}: SASL {method} authentication failed: {reason}, sasl_username={user}")
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
            login: None,
            sasl_sender: None,
        };
        assert_eq!(line.to_string(), "NOQUEUE: reject: CONNECT from c[::1]: 554 5.7.1 no; proto=SMTP");
        line.from = Some(String::new());
        line.to = Some("a@b".to_owned());
        line.helo = Some("h");
        assert!(line.to_string().ends_with("; from=<> to=<a@b> proto=SMTP helo=<h>"));
        line.login = Some(("PLAIN", "alice"));
        line.sasl_sender = Some("<bob@x>".to_owned());
        assert!(line.to_string().ends_with(" helo=<h> sasl_method=PLAIN sasl_username=alice sasl_sender=<bob@x>"));
    }
}
