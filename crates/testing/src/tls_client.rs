//! TLS for [`Client`](crate::Client): what it offers and shows, and any certificate of a server is good enough.

use std::io::{self, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    SupportedProtocolVersion, version,
};

use crate::certificates::Identity;

/// A session.
pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

/// How a client does TLS; its copies resume each other's sessions.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    name: String,
}

impl TlsClient {
    /// A client with every version, and no certificate.
    pub fn new() -> TlsClient {
        TlsClient::with(&[&version::TLS13, &version::TLS12], None)
    }

    /// One that has nothing newer than TLS 1.2.
    pub fn only_12() -> TlsClient {
        TlsClient::with(&[&version::TLS12], None)
    }

    /// One that shows a certificate when it is asked for one.
    pub fn showing(identity: &Identity) -> TlsClient {
        TlsClient::with(&[&version::TLS13, &version::TLS12], Some(identity))
    }

    /// The same, which asks for another server name.
    pub fn asking_for(self, name: &str) -> TlsClient {
        TlsClient { name: name.to_owned(), ..self }
    }

    fn with(versions: &[&'static SupportedProtocolVersion], identity: Option<&Identity>) -> TlsClient {
        let provider = Arc::new(default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions);
        let builder = builder.unwrap_or_else(|e| panic!("TLS: {e}")).dangerous();
        let builder = builder.with_custom_certificate_verifier(Arc::new(Anybody(provider)));
        let config = match identity.map(Identity::for_rustls) {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap_or_else(|e| panic!("TLS: {e}")),
            None => builder.with_no_client_auth(),
        };
        TlsClient { config: Arc::new(config), name: "mx.mail.test".to_owned() }
    }

    /// Ends a handshake, says goodbye and something more, all in one piece: what is to be sent then. `stream` has TLS
    /// before any other word. TLS 1.3 alone has a last word of the client's.
    ///
    /// # Errors
    /// There is no handshake.
    pub fn leave(&self, stream: &mut TcpStream, more: usize) -> io::Result<()> {
        let name = ServerName::try_from(self.name.clone()).map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            while connection.wants_write() {
                connection.write_tls(stream)?;
            }
            if connection.read_tls(stream)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            connection.process_new_packets().map_err(io::Error::other)?;
        }
        connection.send_close_notify();
        let mut last = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut last)?;
        }
        last.resize(last.len() + more, 23);
        stream.write_all(&last)
    }

    pub(crate) fn handshake(&self, mut stream: TcpStream) -> io::Result<Tls> {
        let name = ServerName::try_from(self.name.clone()).map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(StreamOwned::new(connection, stream))
    }
}

impl Default for TlsClient {
    fn default() -> Self {
        TlsClient::new()
    }
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
