//! What is known of a client, its greeting and its message at one command: what a decision is made of.

use net::peer::Peer;
use smtp_protocol::parameters::MailParameters;

use crate::forward::Forward;
use crate::state::{Protocol, State};
use crate::tls::Secured;

/// A client that has said who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// How: the mechanism of AUTH as the client wrote it, or `XCLIENT`.
    pub method: String,
    /// Who, in the words of the authentication server.
    pub user: String,
}

/// What is known.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The client.
    pub peer: &'a Peer,
    /// The name in HELO or EHLO.
    pub helo: Option<&'a str>,
    /// What the client speaks.
    pub protocol: Protocol,
    /// The user.
    pub login: Option<&'a Login>,
    /// What is known of TLS, if nobody can listen to the session.
    pub tls: Option<&'a Secured>,
    /// Where the client says that its message comes from.
    pub forward: Option<&'a Forward>,
    /// What the session is at.
    pub state: State,
    /// The client did not wait for a reply that it has to wait for.
    pub pipelined: bool,
    /// The sender in internal form.
    pub sender: Option<&'a [u8]>,
    /// What the client has said behind MAIL.
    pub mail: Option<&'a [u8]>,
    /// The parameters of MAIL. AUTH is not among them where nobody can log in, nor when it names nobody.
    pub parameters: Option<&'a MailParameters>,
    /// The recipient at hand in internal form; behind the recipients, the only one, if there is one and only one.
    pub recipient: Option<&'a [u8]>,
    /// Recipients accepted so far.
    pub recipients: u32,
    /// The queue file, once there is one.
    pub queue_id: Option<&'a str>,
    /// Bytes of the message: what MAIL says, and behind the content what it is; 0 where nobody has said.
    pub size: u64,
    /// The argument of ETRN.
    pub etrn_domain: Option<&'a [u8]>,
}
