//! Peers that say goodbye where they should not.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;
use crate::session::Session;

fn ends(version: &'static SupportedProtocolVersion) -> (ClientConnection, ServerConnection) {
    let pair = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["mx.test".to_owned()]).unwrap().self_signed(&pair).unwrap();
    let certificate = certificate.der().clone();
    let key = PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(&[version]).unwrap().with_no_client_auth();
    let server = builder.with_single_cert(vec![certificate.clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let client = builder.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("mx.test").unwrap();
    (ClientConnection::new(Arc::new(client), name).unwrap(), ServerConnection::new(Arc::new(server)).unwrap())
}

fn wire(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// A client that sends its last word of the handshake, its farewell and a lot of other bytes at once.
async fn leave(mut client: ClientConnection, mut stream: tokio::io::DuplexStream, more: usize) {
    let first = wire(&mut client);
    stream.write_all(&first).await.unwrap();
    loop {
        let mut buffer = Vec::with_capacity(32 << 10);
        stream.read_buf(&mut buffer).await.unwrap();
        client.read_tls(&mut buffer.as_slice()).unwrap();
        client.process_new_packets().unwrap();
        let mut last = wire(&mut client);
        // TLS 1.3 ends with the client's word; TLS 1.2 with the server's, but the client may write before it.
        if !client.is_handshaking()
            || client.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_2) && !last.is_empty()
        {
            client.send_close_notify();
            last.extend(wire(&mut client));
            last.resize(last.len() + more, 23);
            stream.write_all(&last).await.unwrap();
            // The server's answer, up to its end.
            let _ = stream.read_to_end(&mut Vec::new()).await;
            return;
        }
        stream.write_all(&last).await.unwrap();
    }
}

#[tokio::test]
async fn whatever_stands_behind_a_farewell_is_not_waited_for_nor_taken() {
    for version in [&TLS13, &TLS12] {
        for (more, heavy) in [(0, false), (10_000, false), (10_000, true)] {
            let (client, server) = ends(version);
            let (theirs, mut ours) = duplex(64 << 10);
            let left = tokio::spawn(leave(client, theirs, more));
            let connection = complete(&mut ours, Connection::Server(server), heavy).await.unwrap();
            let (mut session, mut plain) = (Session::new(connection), Vec::new());
            assert_eq!(session.receive(&[], &mut plain), Ok(false), "{version:?} {more}");
            assert!(plain.is_empty());
            drop(ours);
            left.await.unwrap();
        }
    }
}
