//! What the QMQP server says of its clients.

use std::fmt;

use super::{address_of, name_of};
use crate::record::{ALWAYS, records};

records! {
    program "qmqpd";

    /// A client has connected.
    Connect<'a>: Info "qmqp_connect" {
        /// `name[address]`
        client: &'a str,
    }
    members(line) {
        client_name: Text, ALWAYS, "The name of the client if it is verified, else `unknown`." = name_of(line.client);
        client_address: Text, ALWAYS, "The address of the client." = address_of(line.client);
    }
    example { client: "lists.example.org[192.0.2.7]", }

    /// A session has ended.
    Disconnect<'a>: Info "qmqp_disconnect" {
        /// `name[address]`
        client: &'a str,
    }
    members(line) {
        client_name: Text, ALWAYS, "The name of the client if it is verified, else `unknown`." = name_of(line.client);
        client_address: Text, ALWAYS, "The address of the client." = address_of(line.client);
    }
    example { client: "lists.example.org[192.0.2.7]", }

    /// A client that may use the service begins a message.
    Accepted<'a>: Info "qmqp_client" {
        /// The new queue file.
        queue_id: &'a str,
        /// `name[address]`
        client: &'a str,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message." = line.queue_id;
        client_name: Text, ALWAYS, "The name of the client if it is verified, else `unknown`." = name_of(line.client);
        client_address: Text, ALWAYS, "The address of the client." = address_of(line.client);
    }
    example { queue_id: "3F1E9552170", client: "lists.example.org[192.0.2.7]", }

    /// A message has not come to its end.
    Broken<'a>: Info "qmqp_broken" {
        /// The message that it would have been.
        queue_id: &'a str,
        /// `name[address]`
        client: &'a str,
        /// What has happened.
        cause: &'a str,
        /// What was read.
        part: &'a str,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message that it would have been." = line.queue_id;
        client_name: Text, ALWAYS, "The name of the client if it is verified, else `unknown`." = name_of(line.client);
        client_address: Text, ALWAYS, "The address of the client." = address_of(line.client);
        cause: Text, ALWAYS, "`lost connection`, `read/write timeout`, `netstring format error` or `netstring length \
            exceeds storage limit`." = line.cause;
        part: Text, ALWAYS, "`QMQP packet header`, `message content`, `sender address` or `recipient address`." = line.part;
    }
    example {
        queue_id: "3F1E9552170",
        client: "lists.example.org[192.0.2.7]",
        cause: "lost connection",
        part: "message content",
    }

    /// A message was not taken.
    Refused<'a>: Warning "qmqp_refused" {
        /// The message that it would have been.
        queue_id: &'a str,
        /// `name[address]`
        client: &'a str,
        /// What the client is told.
        reason: &'a str,
    }
    members(line) {
        queue_id: Text, ALWAYS, "The message that it would have been." = line.queue_id;
        client_name: Text, ALWAYS, "The name of the client if it is verified, else `unknown`." = name_of(line.client);
        client_address: Text, ALWAYS, "The address of the client." = address_of(line.client);
        reason: Text, ALWAYS, "What the client is told." = line.reason;
    }
    example {
        queue_id: "3F1E9552170",
        client: "lists.example.org[192.0.2.7]",
        reason: "Error: too many hops",
    }
}

impl fmt::Display for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connect from {}", self.client)
    }
}

impl fmt::Display for Disconnect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disconnect from {}", self.client)
    }
}

impl fmt::Display for Accepted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: client={}", self.queue_id, self.client)
    }
}

impl fmt::Display for Broken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Broken { queue_id, client, cause, part } = self;
        write!(f, "{queue_id}: {client}: {cause} while receiving {part}")
    }
}

impl fmt::Display for Refused<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.queue_id, self.client, self.reason)
    }
}
