//! What went wrong, in words for a log: those of OpenSSL where operators know them.

use rustls::InvalidMessage::{
    HandshakePayloadTooLarge, InvalidContentType, InvalidEmptyPayload, UnknownProtocolVersion,
};
use rustls::{AlertDescription, Error, PeerIncompatible};

/// What the library says where [`ResolvesServerCert`](rustls::server::ResolvesServerCert) has found nothing.
pub(crate) const NO_CERTIFICATE: &str = "no server certificate chain resolved";

const VERSIONS: &str = "TLS 1.2 and 1.3";
const NO_VERSION: &str = "no version of TLS that is enabled here (TLS 1.2 and 1.3 at most)";
const NO_SUITE: &str = "no cipher with forward secrecy and authenticated encryption";

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
        Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            format!("unsupported protocol: the peer has {NO_VERSION} ({error})")
        }
        Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity) => {
            format!("nothing in common with the peer, which may have {NO_SUITE}, or none of {VERSIONS} ({error})")
        }
        Error::InvalidCertificate(why) => format!("certificate cannot be used: {why}"),
        other => text::printable(other.to_string().as_bytes()),
    }
}

fn incompatible(why: &PeerIncompatible) -> String {
    use PeerIncompatible::*;
    match why {
        NoCipherSuitesInCommon => {
            format!("no shared cipher: the peer has {NO_SUITE}")
        }
        Tls12NotOffered
        | Tls12NotOfferedOrEnabled
        | ServerDoesNotSupportTls12Or13
        | SignatureAlgorithmsExtensionRequired
        | SupportedVersionsExtensionRequired => {
            format!("unsupported protocol: the peer has {NO_VERSION}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_old_peer_lacks_is_named() {
        let told = |error: Error| describe(&error);
        let version = told(Error::AlertReceived(AlertDescription::ProtocolVersion));
        assert!(version.starts_with("unsupported protocol: the peer has no version of TLS"), "{version}");
        let suite = told(Error::AlertReceived(AlertDescription::HandshakeFailure));
        assert!(suite.contains("no cipher with forward secrecy") && suite.contains("HandshakeFailure"), "{suite}");
        let offered = told(Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon));
        assert!(offered.starts_with("no shared cipher: "), "{offered}");
        let text = told(Error::General("a\r\nb".to_owned()));
        assert!(!text.contains(['\r', '\n']), "{text:?}");
    }
}
