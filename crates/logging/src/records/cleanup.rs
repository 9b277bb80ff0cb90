//! What cleanup says of a message that comes in.

use std::fmt;

use super::{address_of, name_of};
use crate::record::{ALWAYS, records};

records! {
    program "cleanup";

    /// A message has this Message-Id, by its header or because it got one.
    MessageId<'a>: Info "message_id" {
        /// The message.
        queue_id: &'a str,
        /// The value of the header; `<>` where there is none.
        value: &'a str,
        /// It is that of Resent-Message-Id.
        resent: bool,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message." = line.queue_id;
        message_id: Text, ALWAYS, "The value of the header, with its angle brackets; `<>` if there is none." = line.value;
        resent: Boolean, ALWAYS, "Whether it is that of Resent-Message-Id." = line.resent;
    }
    example {
        queue_id: "3F1E9552170",
        value: "<20261122104125.3F1E9552170@mail.example.org>",
        resent: false,
    }

    /// A check of headers or of the body has something to say about a line of a message, or its structure is refused.
    Content<'a>: Info "content" {
        /// The message.
        queue_id: &'a str,
        /// `reject`, `hold`, `warning` ...
        action: &'static str,
        /// `header`, `body`, `content`, `mime-error`.
        class: &'static str,
        /// What is wrong with the structure.
        error: Option<&'a str>,
        /// The start of the line.
        content: &'a str,
        /// `name[address]`, or `local`.
        origin: String,
        /// The sender as it is shown.
        from: String,
        /// The last recipient as it is shown.
        to: Option<String>,
        /// `SMTP` or `ESMTP`.
        protocol: Option<String>,
        /// The name in HELO or EHLO.
        helo: Option<String>,
        /// The text of the rule.
        text: Option<String>,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message." = line.queue_id;
        action: Text, ALWAYS, "`reject`, `warning`, `info`, `filter`, `pass`, `discard`, `hold`, `prepend`, `replace`, \
            `redirect`, `bcc` or `strip`." = line.action;
        class: Text, ALWAYS, "`header`, `body`, `content` for a forbidden character, or `mime-error`." = line.class;
        content: Text, ALWAYS, "The start of the line." = line.content;
        client_name: Text, "if it came over the network", "The name of the client if it is verified, else `unknown`."
            = address_of(&line.origin).map(|_| name_of(&line.origin));
        client_address: Text, "if it came over the network", "The address of the client." = address_of(&line.origin);
        from: Text, ALWAYS, "The sender; empty for notifications." = &line.from;
        to: Text, "if one is known by then", "The last recipient." = &line.to;
        proto: Text, "if it came over the network", "`SMTP` or `ESMTP`." = &line.protocol;
        helo: Text, "if it came over the network", "The name that the client gave itself." = &line.helo;
        reason: Text, "if there is one", "The text of the rule, or what is wrong with the structure."
            = line.error.or(line.text.as_deref());
    }
    example {
        queue_id: "7B02B55216C",
        action: "reject",
        class: "header",
        error: None,
        content: "Subject: Buy now",
        origin: "mail.example.org[192.0.2.7]".to_owned(),
        from: "alice@example.org".to_owned(),
        to: Some("bob@example.com".to_owned()),
        protocol: Some("ESMTP".to_owned()),
        helo: Some("mail.example.org".to_owned()),
        text: Some("5.7.1 no advertising".to_owned()),
    }

    /// A mail filter (milter) has a word against a message.
    Milter<'a>: Info "milter" {
        /// The message.
        queue_id: &'a str,
        /// `milter-reject`, `milter-hold`, `milter-discard`.
        action: &'static str,
        /// `END-OF-MESSAGE`; of mail that came by no server also `CONNECT`, `EHLO`, `MAIL`, `RCPT`, `DATA`.
        command: &'static str,
        /// `name[address]`
        client: String,
        /// What it says.
        text: &'a str,
        /// The sender as it is shown.
        from: String,
        /// The last recipient as it is shown.
        to: Option<String>,
        /// `SMTP` or `ESMTP`.
        protocol: Option<String>,
        /// The name in HELO or EHLO.
        helo: Option<String>,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message." = line.queue_id;
        action: Text, ALWAYS, "`milter-reject`, `milter-hold` or `milter-discard`." = line.action;
        command: Text, ALWAYS, "`END-OF-MESSAGE`; of mail that came by no server also `CONNECT`, `EHLO`, `MAIL`, `RCPT` or \
            `DATA`, as its filters were told." = line.command;
        client_name: Text, ALWAYS, "The name of the client if it is verified, else `unknown`; `localhost` if there was none."
            = name_of(&line.client);
        client_address: Text, "if it is known", "The address of the client." = address_of(&line.client);
        from: Text, ALWAYS, "The sender; empty for notifications." = &line.from;
        to: Text, "if one is known by then", "The last recipient." = &line.to;
        proto: Text, "if it came over the network", "`SMTP` or `ESMTP`." = &line.protocol;
        helo: Text, "if it came over the network", "The name that the client gave itself." = &line.helo;
        reason: Text, ALWAYS, "What the filter says." = line.text;
    }
    example {
        queue_id: "7B02B55216C",
        action: "milter-reject",
        command: "END-OF-MESSAGE",
        client: "mail.example.org[192.0.2.7]".to_owned(),
        text: "5.7.1 Command rejected",
        from: "alice@example.org".to_owned(),
        to: Some("bob@example.com".to_owned()),
        protocol: Some("ESMTP".to_owned()),
        helo: Some("mail.example.org".to_owned()),
    }
}

impl fmt::Display for Milter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Milter { queue_id, action, command, client, text, from, .. } = self;
        write!(f, "{queue_id}: {action}: {command} from {client}: {text}; from=<{from}>")?;
        if let Some(to) = &self.to {
            write!(f, " to=<{to}>")?;
        }
        if let Some(protocol) = &self.protocol {
            write!(f, " proto={protocol}")?;
        }
        match &self.helo {
            Some(helo) => write!(f, " helo=<{helo}>"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for MessageId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.resent { "resent-" } else { "" };
        write!(f, "{}: {prefix}message-id={}", self.queue_id, self.value)
    }
}

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {} ", self.queue_id, self.action, self.class)?;
        if let Some(error) = self.error {
            write!(f, "{error}: ")?;
        }
        write!(f, "{} from {}; from=<{}>", self.content, self.origin, self.from)?;
        if let Some(to) = &self.to {
            write!(f, " to=<{to}>")?;
        }
        if let Some(protocol) = &self.protocol {
            write!(f, " proto={protocol}")?;
        }
        if let Some(helo) = &self.helo {
            write!(f, " helo=<{helo}>")?;
        }
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Record, Value};

    #[test]
    fn what_is_said_about_content_names_what_is_known() {
        let mut line = Content {
            queue_id: "ABC",
            action: "hold",
            class: "header",
            error: None,
            content: "Subject: x",
            origin: "local".to_owned(),
            from: "alice".to_owned(),
            to: None,
            protocol: None,
            helo: None,
            text: None,
        };
        assert_eq!(line.to_string(), "ABC: hold: header Subject: x from local; from=<alice>");
        assert!(line.fields().iter().all(|(name, _)| !name.starts_with("client")), "{line:?}");
        (line.class, line.error) = ("mime-error", Some("nesting limit exceeded"));
        let text = "ABC: hold: mime-error nesting limit exceeded: Subject: x from local; from=<alice>";
        assert_eq!(line.to_string(), text);
        assert!(line.fields().contains(&("reason", Value::Text("nesting limit exceeded".to_owned()))));
    }

    #[test]
    fn the_message_id_of_who_sends_again_is_marked() {
        let line = MessageId { queue_id: "ABC", value: "<1@x>", resent: true };
        assert_eq!(line.to_string(), "ABC: resent-message-id=<1@x>");
        assert_eq!(MessageId { resent: false, ..line }.to_string(), "ABC: message-id=<1@x>");
    }
}
