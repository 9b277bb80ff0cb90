//! One client: who it is, whether it may, one message, one answer.

use std::net::SocketAddr;

use logging::records::qmqpd::{Accepted, Broken, Connect, Disconnect, Refused};
use net::Peer;
use receiving::peer;
use tokio::net::TcpStream;
use wire::netstring::NetstringError;
use wire::qmqp::{Decoder, Event, Limits, Part, Verdict, encode_answer};

use crate::connection::Connection;
use crate::message::{Answer, Incoming, lost, unwritable};
use crate::service::Qmqpd;

/// One client, from the first byte to the last.
pub struct Session<'a> {
    worker: &'a Qmqpd,
    peer: &'a Peer,
    connection: Connection,
    /// What is said goes to the log. debug_peer_list
    debug: bool,
}

/// Why a request does not come to its end.
enum End {
    /// What has happened, and the answer, unless the client is gone.
    Broken(String, Option<Answer>),
    /// It cannot be taken now; logged.
    Unable,
}

/// It is no request, or too large a one.
fn malformed(error: NetstringError, part: Part) -> End {
    End::Broken(error.to_string(), Some(Answer::never(format!("{error} while receiving {part}"))))
}

impl Session<'_> {
    /// Serves one client.
    pub async fn run(worker: &Qmqpd, stream: TcpStream, remote: SocketAddr, local: SocketAddr) {
        let settings = &worker.settings;
        let mut peer = peer::look_up(&worker.resolver, remote, local).await;
        peer.shows_port = settings.client_port_logging;
        peer.relabel();
        logging::emit(&Connect { client: &peer.label });
        // debug_peer_level is at least 1, and there is no other.
        let debug = worker.verbose || peer::is_in(&peer, &worker.debug_peers).unwrap_or(false);
        let connection = Connection::new(stream, settings.timeout);
        let mut session = Session { worker, peer: &peer, connection, debug };
        // What a message needs is gone when the client waits for its answer.
        let answer = logging::library::of_peer(debug, Box::pin(session.serve())).await;
        session.finish(answer).await;
        logging::emit(&Disconnect { client: &peer.label });
    }

    /// What the client is told; nothing where it is gone.
    async fn serve(&mut self) -> Option<Answer> {
        let client = &self.peer.label;
        match peer::is_in(self.peer, &self.worker.clients) {
            Ok(true) => {}
            Ok(false) => return Some(Answer::never(format!("Error: {client} is not authorized to use this service"))),
            Err(_) => return Some(Answer::not_now("Error: server configuration error")),
        }
        let message = match self.worker.cleanup.open(self.worker.flags).await {
            Ok(message) => message,
            Err(error) => return Some(lost(&error)),
        };
        let id = message.queue_id().clone();
        logging::emit(&Accepted { queue_id: id.as_str(), client });
        let mut incoming = Incoming::new(self.worker, self.peer, message);
        let mut decoder = Decoder::new(self.limits());
        let answer = match self.receive(&mut incoming, &mut decoder).await {
            Ok(()) => incoming.finish().await,
            Err(End::Unable) => {
                incoming.abort().await;
                Answer::write_error()
            }
            Err(End::Broken(cause, answer)) => {
                self.broken(id.as_str(), &cause, decoder.part());
                incoming.abort().await;
                return answer;
            }
        };
        if answer.verdict != Verdict::Taken {
            logging::emit(&Refused { queue_id: id.as_str(), client: &self.peer.label, reason: &answer.text });
        }
        Some(answer)
    }

    fn limits(&self) -> Limits {
        let settings = &self.worker.settings;
        Limits { content: settings.message_size_limit, address: settings.line_length_limit }
    }

    /// Reads the request to its end.
    async fn receive(&mut self, incoming: &mut Incoming<'_>, decoder: &mut Decoder) -> Result<(), End> {
        loop {
            let step = decoder.step(self.connection.pending());
            let (used, event) = step.map_err(|error| malformed(error, decoder.part()))?;
            let waits = event.is_none();
            match event {
                None => {}
                Some(Event::Content(bytes)) => incoming.content(bytes).map_err(|error| {
                    unwritable(incoming.queue_id(), &error);
                    End::Unable
                })?,
                Some(Event::Sender(address)) => {
                    self.log_dialogue("< ", "sender", address);
                    incoming.sender(address);
                }
                Some(Event::Recipient(address)) => {
                    self.log_dialogue("< ", "recipient", address);
                    incoming.recipient(address);
                }
                Some(Event::End) => return Ok(()),
            }
            self.connection.consume(used);
            incoming.flow().await.map_err(|error| {
                lost(&error);
                End::Unable
            })?;
            if waits {
                self.connection.more().await.map_err(|gone| End::Broken(gone.text().to_owned(), None))?;
            }
        }
    }

    fn broken(&self, queue_id: &str, cause: &str, part: Part) {
        logging::emit(&Broken { queue_id, client: &self.peer.label, cause, part: &part.to_string() });
    }

    /// Answers. A client that is told "no" waits for it: one that runs into errors in a loop is slowed down.
    async fn finish(self, answer: Option<Answer>) {
        let Some(mut answer) = answer else { return };
        // soft_bounce
        if self.worker.settings.soft_bounce && answer.verdict == Verdict::Never {
            answer.verdict = Verdict::NotNow;
        }
        if answer.verdict != Verdict::Taken {
            tokio::time::sleep(self.worker.settings.error_delay).await;
        }
        let mut wire = Vec::new();
        encode_answer(&mut wire, answer.verdict, answer.text.as_bytes());
        self.log_dialogue("> ", "answer", &wire);
        self.connection.finish(&wire).await;
    }

    fn log_dialogue(&self, direction: &str, what: &str, text: &[u8]) {
        if self.debug {
            logging::info!("{direction}{}: {what} {}", self.peer.label, text::printable(text));
        }
    }
}
