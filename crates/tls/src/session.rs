//! A TLS session without a socket: bytes from the network go in and plain text comes out, and the other way round.

use std::fmt;
use std::io::{Read as _, Write as _};

use rustls::Connection;

use crate::words::describe;

/// A session whose handshake is complete.
pub struct Session(Connection);

/// What a peer has sent breaks the protocol, or is an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    pub(crate) fn new(connection: Connection) -> Session {
        Session(connection)
    }

    /// Takes bytes from the network; what they say is appended to `plain`. What came together with the end of the
    /// handshake comes out by itself: call it with nothing first. False: the peer has said that it will say no more.
    ///
    /// # Errors
    /// The session cannot go on; [`pending`](Self::pending) has an alert for the peer.
    pub fn receive(&mut self, mut wire: &[u8], plain: &mut Vec<u8>) -> Result<bool, Broken> {
        loop {
            if !wire.is_empty() {
                // Takes a part, where one of its buffers is full.
                self.0.read_tls(&mut wire).map_err(|error| Broken(text::system_error(&error)))?;
            }
            let state = self.0.process_new_packets().map_err(|error| Broken(describe(&error)))?;
            let (start, count) = (plain.len(), state.plaintext_bytes_to_read());
            plain.resize(start + count, 0);
            if let Some(room) = plain.get_mut(start..) {
                self.0.reader().read_exact(room).map_err(|error| Broken(text::system_error(&error)))?;
            }
            if state.peer_has_closed() {
                return Ok(false);
            }
            if wire.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Appends to `wire` what says `plain` to the peer, behind what waits to be sent.
    pub fn send(&mut self, mut plain: &[u8], wire: &mut Vec<u8>) {
        while !plain.is_empty() {
            // Takes as much as its buffer has room for, which is emptied below.
            let Ok(taken) = self.0.writer().write(plain) else { return };
            plain = plain.get(taken..).unwrap_or_default();
            self.pending(wire);
            if taken == 0 {
                return;
            }
        }
    }

    /// Appends what waits to be sent: answers to the peer's own messages, alerts.
    pub fn pending(&mut self, wire: &mut Vec<u8>) {
        while self.0.wants_write() {
            // A vector takes everything.
            if self.0.write_tls(wire).is_err() {
                return;
            }
        }
    }

    /// Appends the alert that nothing follows.
    pub fn close(&mut self, wire: &mut Vec<u8>) {
        self.0.send_close_notify();
        self.pending(wire);
    }

    /// Bytes that only the two ends of this session know: channel binding `tls-exporter` (RFC 9266). None before
    /// TLS 1.3, where they would not be bound to the handshake as a whole.
    pub fn exporter_binding(&self) -> Option<[u8; 32]> {
        if self.0.protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3) {
            return None;
        }
        let material = self.0.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""));
        material.ok()
    }
}
