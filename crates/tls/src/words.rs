//! What went wrong, in words for a log: those of OpenSSL where operators know them.

use rustls::InvalidMessage::{
    HandshakePayloadTooLarge, InvalidContentType, InvalidEmptyPayload, UnknownProtocolVersion,
};
use rustls::{Error, PeerIncompatible};

/// What the library says where [`ResolvesServerCert`](rustls::server::ResolvesServerCert) has found nothing.
pub(crate) const NO_CERTIFICATE: &str = "no server certificate chain resolved";

/// The reason in one line.
pub(crate) fn describe(error: &Error) -> String {
    match error {
        Error::PeerIncompatible(why) => incompatible(why),
        Error::NoCertificatesPresented => "peer did not return a certificate".to_owned(),
        Error::General(text) if text == NO_CERTIFICATE => {
            "no shared cipher: the peer has no suite and no signature algorithm that fits our certificates".to_owned()
        }
        Error::General(text) => text::printable(text.as_bytes()),
        Error::InvalidMessage(InvalidContentType | UnknownProtocolVersion | InvalidEmptyPayload) => {
            format!("wrong version number or garbage instead of TLS: {error}")
        }
        Error::InvalidMessage(HandshakePayloadTooLarge) => format!("excessive message size: {error}"),
        Error::InvalidCertificate(why) => format!("certificate cannot be used: {why}"),
        other => text::printable(other.to_string().as_bytes()),
    }
}

fn incompatible(why: &PeerIncompatible) -> String {
    use PeerIncompatible::*;
    match why {
        NoCipherSuitesInCommon => {
            "no shared cipher: the peer offers none with forward secrecy and authenticated encryption".to_owned()
        }
        Tls12NotOffered
        | Tls12NotOfferedOrEnabled
        | ServerDoesNotSupportTls12Or13
        | SignatureAlgorithmsExtensionRequired
        | SupportedVersionsExtensionRequired => {
            "unsupported protocol: the peer has no version of TLS that is enabled here (TLS 1.2 and 1.3 at most)"
                .to_owned()
        }
        ServerTlsVersionIsDisabledByOurConfig => {
            "unsupported protocol: the server chose a version that is disabled here".to_owned()
        }
        NoKxGroupsInCommon | NoEcPointFormatsInCommon | NamedGroupsExtensionRequired => {
            "no suitable key share: the peer has no group for the key exchange in common with us".to_owned()
        }
        NoSignatureSchemesInCommon | NoCertificateRequestSignatureSchemesInCommon => {
            "no suitable signature algorithm: the peer and our certificate have none in common".to_owned()
        }
        other => format!("peer is incompatible: {other:?}"),
    }
}
