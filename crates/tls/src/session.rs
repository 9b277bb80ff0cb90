//! A TLS session without a socket: bytes from the network go in and plain text comes out, and the other way round.

use std::fmt;
use std::io::{Read as _, Write as _};

use rustls::Connection;

use crate::certificate::Certificate;
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

    /// The certificates that the other end has sent, its own first; what cannot be read is left out.
    pub fn peer_chain(&self) -> Vec<Certificate> {
        let sent = self.0.peer_certificates().unwrap_or_default();
        sent.iter().filter_map(|der| Certificate::read(der)).collect()
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

    use super::*;

    /// Two ends whose handshake is complete.
    fn pair() -> (Session, Session) {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["mx.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let secret = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let server = server.unwrap().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], secret);
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
        let mut server = Connection::Server(ServerConnection::new(Arc::new(server.unwrap())).unwrap());
        let name = ServerName::try_from("mx.test").unwrap();
        let mut client = Connection::Client(ClientConnection::new(Arc::new(client), name).unwrap());
        while client.is_handshaking() || server.is_handshaking() {
            hand_over(&mut client, &mut server);
            hand_over(&mut server, &mut client);
        }
        (Session::new(client), Session::new(server))
    }

    fn hand_over(from: &mut Connection, to: &mut Connection) {
        let mut wire = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            to.read_tls(&mut rest).unwrap();
            to.process_new_packets().unwrap();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        /// What is sent is received, however the network cuts it; and nothing of it if a byte is another.
        #[test]
        fn text_comes_through_whole_or_not_at_all(text in prop::collection::vec(any::<u8>(), 1..70_000), size in 1usize..40_000, bad: bool) {
            let (mut client, mut server) = pair();
            let (mut wire, mut plain) = (Vec::new(), Vec::new());
            client.send(&text, &mut wire);
            client.close(&mut wire);
            if bad {
                // Within the first record.
                wire[20] ^= 1;
            }
            let mut goes_on = Ok(true);
            for piece in wire.chunks(size) {
                goes_on = server.receive(piece, &mut plain);
                if goes_on != Ok(true) {
                    break;
                }
            }
            if bad {
                prop_assert!(goes_on.is_err() && plain.is_empty());
                let mut alert = Vec::new();
                server.pending(&mut alert);
                prop_assert!(!alert.is_empty());
            } else {
                prop_assert_eq!(goes_on, Ok(false));
                prop_assert_eq!(plain, text);
            }
        }

        /// Who has not the secrets says nothing.
        #[test]
        fn strangers_say_nothing(wire: Vec<u8>) {
            let (_, mut server) = pair();
            let mut plain = Vec::new();
            let _ = server.receive(&wire, &mut plain);
            prop_assert!(plain.is_empty());
        }
    }
}
