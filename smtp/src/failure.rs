//! Why mail was not delivered: the status code and the text that the sender and the log see.

use delivery::Job;
use dsn::Status;
use logging::records::smtp::AttemptFailed;
use smtp_client::Server;
use smtp_protocol::Reply;

use crate::tls::Features;

/// One failure, of a recipient, a server or the whole nexthop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Enhanced status code; its class decides between trying again and giving up.
    pub status: Status,
    /// The text.
    pub reason: String,
    /// The reply of the server, if there is one.
    pub reply: Option<String>,
    /// The server's name, if one was talked to.
    pub server: String,
    /// `relay=`: the server that was talked to, or `none`.
    pub relay: String,
    /// What it is about.
    pub subject: Subject,
    /// What had become of TLS, if that was looked at.
    pub tls: Option<Box<Features>>,
}

/// What a failure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One recipient.
    Recipient,
    /// The message.
    Message,
    /// The configuration of this agent.
    Agent,
    /// The server, or the nexthop as a whole: qmgr may stop trying it for a while.
    Host,
    /// TLS with the server, or a session under TLS: without it there may be another result.
    Tls,
    /// The server was asked for its public key, and has shown none: a new connection asks for a certificate.
    RawKey,
    /// The login at the server.
    Login,
    /// What this server cannot do, and another one perhaps can.
    Ability,
    /// The way to the nexthop, before any server was asked: it cannot be found, or takes no mail. Whether this is final
    /// depends on who named the nexthop.
    Way,
    /// The server is this machine.
    Loop,
}

impl Failure {
    /// A failure of the message, not of a server.
    pub fn of_message(status: Status, reason: impl Into<String>) -> Self {
        let (server, relay) = (String::new(), "none".to_owned());
        Self { status, reason: reason.into(), reply: None, server, relay, subject: Subject::Message, tls: None }
    }

    /// A failure of a server or the way to it.
    pub fn of_host(status: Status, reason: impl Into<String>) -> Self {
        Self { subject: Subject::Host, ..Self::of_message(status, reason) }
    }

    /// A failure of this agent, which says nothing about the message: nothing is to be said about its recipients.
    pub fn of_agent(reason: impl Into<String>) -> Self {
        Self { subject: Subject::Agent, ..Self::of_message(Status::new(4, 3, 5), reason) }
    }

    /// A failure of the way to a nexthop.
    pub fn of_way(status: Status, reason: impl Into<String>) -> Self {
        Self { subject: Subject::Way, ..Self::of_message(status, reason) }
    }

    /// Mail for `nexthop` would come back here. It is final where this machine is the best that the nexthop has; else
    /// the better ones may be back later.
    pub fn of_loop(nexthop: &str, is_best: bool) -> Self {
        let status = Status::new(if is_best { 5 } else { 4 }, 4, 6);
        let reason = format!("mail for {nexthop} loops back to myself");
        Self { subject: Subject::Loop, ..Self::of_message(status, reason) }
    }

    /// A command was refused: `host H said: REPLY (in reply to COMMAND)`. The status is that of the reply, or its class
    /// alone.
    pub fn refused(server: &Server, reply: &Reply, command: &str) -> Self {
        let said = text_of(reply);
        let reason = format!("host {} said: {said} (in reply to {command})", server.host());
        Self { reply: Some(said), ..Self::of_message(status_of_refusal(reply), reason) }.by(server)
    }

    /// DATA was answered with success instead of the request for the content: nobody knows whether the server waits for
    /// it.
    pub fn confused(server: &Server, reply: &Reply, command: &str) -> Self {
        let failure = Self::refused(server, reply, command);
        Self { reason: format!("Protocol error: {}", failure.reason), ..failure }
    }

    /// The greeting or the hello was refused: `host H refused to talk to me: REPLY`.
    pub fn unwelcome(server: &Server, reply: &Reply) -> Self {
        let said = text_of(reply);
        let reason = format!("host {} refused to talk to me: {said}", server.host());
        Self { reply: Some(said), ..Self::of_host(status_of_refusal(reply), reason) }.by(server)
    }

    /// Whether it is that this machine is the best that the recipients' domain has.
    pub fn is_best_home(&self) -> bool {
        self.subject == Subject::Loop && self.is_permanent()
    }

    /// The same, at a server that was talked to.
    pub fn by(self, server: &Server) -> Self {
        Self { server: server.name.clone(), relay: server.relay(), ..self }
    }

    /// The same, with what had become of TLS.
    pub fn with_tls(self, features: Features) -> Self {
        Self { tls: Some(Box::new(features)), ..self }
    }

    /// The same, about one recipient.
    pub fn of_recipient(self) -> Self {
        Self { subject: Subject::Recipient, ..self }
    }

    /// Whether it is a problem of the nexthop that may pass.
    pub fn blames_host(&self) -> bool {
        let blames =
            matches!(self.subject, Subject::Host | Subject::Tls | Subject::Login | Subject::Way | Subject::Loop);
        blames && !self.is_permanent()
    }

    /// The same, to be tried again.
    pub fn softened(self) -> Self {
        Self { status: self.status.with_class(4), ..self }
    }

    /// Logs it as that of one attempt, which the status line may not tell of: another may follow.
    pub fn log(&self, job: &Job) {
        logging::emit(&AttemptFailed {
            queue_id: job.request().message.queue_id.as_str(),
            relay: &self.relay,
            dsn: self.status.to_string(),
            reason: &self.reason,
        });
    }

    /// Whether trying again is pointless.
    pub fn is_permanent(&self) -> bool {
        self.status.is_permanent()
    }
}

/// The enhanced status code of a reply, or `X.0.0` with its class.
pub fn status_of(reply: &Reply) -> Status {
    let class = match reply.class() {
        2 | 3 => 2,
        5 => 5,
        _ => 4,
    };
    let known = reply.enhanced().and_then(Status::parse);
    known.unwrap_or(Status::new(class, 0, 0))
}

/// The status of a reply that does not fit its command; one that promises success is an error in the protocol.
pub fn status_of_refusal(reply: &Reply) -> Status {
    if matches!(reply.class(), 4 | 5) { status_of(reply) } else { Status::new(5, 5, 0) }
}

/// A reply as one line of text.
pub fn text_of(reply: &Reply) -> String {
    text::printable(&reply.verbatim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use smtp_client::Endpoint;

    #[test]
    fn a_refusal_quotes_the_reply_and_names_the_command() {
        let reply = Reply::plain(550, "5.1.1 <rej@sink.test> no such user");
        let endpoint = Endpoint::Internet("127.0.0.1:2600".parse().unwrap());
        let server = Server::new("127.0.0.1", endpoint, 0);
        let failure = Failure::refused(&server, &reply, "RCPT TO command");
        assert_eq!(
            failure.reason,
            "host 127.0.0.1[127.0.0.1] said: 550 5.1.1 <rej@sink.test> no such user (in reply to RCPT TO command)"
        );
        assert_eq!(failure.status, Status::new(5, 1, 1));
        assert_eq!(failure.relay, "127.0.0.1[127.0.0.1]:2600");
        assert_eq!(failure.reply.as_deref(), Some("550 5.1.1 <rej@sink.test> no such user"));
    }

    #[test]
    fn a_reply_without_enhanced_status_has_that_of_its_class() {
        assert_eq!(status_of(&Reply::plain(451, "later")), Status::new(4, 0, 0));
        assert_eq!(status_of(&Reply::plain(550, "4.1.1 odd")), Status::new(5, 0, 0));
        assert_eq!(status_of(&Reply::plain(250, "2.0.0 Ok")), Status::new(2, 0, 0));
        assert_eq!(status_of_refusal(&Reply::plain(354, "go")), Status::new(5, 5, 0));
    }
}
