//! What a session is, in the words of Postfix's summary line and Received header.

use std::fmt;

use rustls::{CipherSuite, CommonState, HandshakeKind, NamedGroup, ProtocolVersion, SignatureScheme};

use crate::certificate::Key;
use crate::suites::Suite;

/// A session that has begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `TLSv1.2`, `TLSv1.3`.
    pub protocol: String,
    /// The cipher suite, in OpenSSL's words.
    pub cipher: String,
    /// Bits of its key.
    pub bits: u16,
    /// How keys were exchanged, in OpenSSL's words; TLS 1.3 alone tells.
    pub key_exchange: Option<String>,
    /// With what the server has signed; not in a session that was resumed, nor before TLS 1.3.
    pub server_signature: Option<Signature>,
    /// With what the client has signed.
    pub client_signature: Option<Signature>,
    /// The session goes on with the secrets of an earlier one.
    pub resumed: bool,
}

/// How a handshake was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// `RSA-PSS (2048 bits)`, `ECDSA (prime256v1)`, `ED25519`.
    pub algorithm: String,
    /// `SHA256`; none with EdDSA.
    pub digest: Option<String>,
}

impl Signature {
    /// What a scheme and the key of the certificate are called.
    pub(crate) fn of(scheme: SignatureScheme, key: &Key) -> Signature {
        let algorithm = match (scheme, key) {
            (SignatureScheme::ED25519, _) => "ED25519".to_owned(),
            (SignatureScheme::ED448, _) => "ED448".to_owned(),
            (_, Key::Rsa(bits)) => format!("{} ({bits} bits)", rsa(scheme)),
            (_, Key::Ec(curve)) => format!("ECDSA ({curve})"),
            _ => "unknown".to_owned(),
        };
        Signature { algorithm, digest: digest(scheme) }
    }

    /// The same of a key without a certificate.
    pub(crate) fn of_raw(scheme: SignatureScheme, key: &Key) -> Signature {
        let algorithm = match (scheme, key) {
            (_, Key::Rsa(bits)) => format!("{} ({bits} bit raw public key)", rsa(scheme)),
            (_, Key::Ec(curve)) => format!("ECDSA ({curve} raw public key)"),
            _ => format!("{} (raw public key)", Signature::of(scheme, key).algorithm),
        };
        Signature { algorithm, digest: digest(scheme) }
    }
}

fn rsa(scheme: SignatureScheme) -> &'static str {
    if is_pss(scheme) { "RSA-PSS" } else { "RSA" }
}

/// SHA256
fn digest(scheme: SignatureScheme) -> Option<String> {
    let digest = match scheme {
        SignatureScheme::RSA_PSS_SHA256
        | SignatureScheme::RSA_PKCS1_SHA256
        | SignatureScheme::ECDSA_NISTP256_SHA256 => Some("SHA256"),
        SignatureScheme::RSA_PSS_SHA384
        | SignatureScheme::RSA_PKCS1_SHA384
        | SignatureScheme::ECDSA_NISTP384_SHA384 => Some("SHA384"),
        SignatureScheme::RSA_PSS_SHA512
        | SignatureScheme::RSA_PKCS1_SHA512
        | SignatureScheme::ECDSA_NISTP521_SHA512 => Some("SHA512"),
        _ => None,
    };
    digest.map(str::to_owned)
}

/// Whether two keys are of one kind: a server has one certificate for each.
pub(crate) fn same_kind(one: &Key, other: &Key) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

fn is_pss(scheme: SignatureScheme) -> bool {
    matches!(
        scheme,
        SignatureScheme::RSA_PSS_SHA256 | SignatureScheme::RSA_PSS_SHA384 | SignatureScheme::RSA_PSS_SHA512
    )
}

impl Facts {
    /// The facts of a connection whose handshake is complete.
    pub(crate) fn of(connection: &CommonState, server: Option<Signature>, client: Option<Signature>) -> Facts {
        let suite =
            connection.negotiated_cipher_suite().map_or(CipherSuite::TLS_NULL_WITH_NULL_NULL, |one| one.suite());
        let known = Suite::of(suite);
        let is_tls13 = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let group = connection.negotiated_key_exchange_group().map(|group| group.name());
        let signed = |signature: Option<Signature>| signature.filter(|_| is_tls13 && !resumed);
        Facts {
            protocol: if is_tls13 { "TLSv1.3" } else { "TLSv1.2" }.to_owned(),
            cipher: known.map_or_else(|| format!("{suite:?}"), |suite| suite.name.to_owned()),
            bits: known.map_or(0, |suite| suite.bits),
            key_exchange: group.filter(|_| is_tls13).map(group_name),
            server_signature: signed(server),
            client_signature: signed(client),
            resumed,
        }
    }

    /// `TLSv1.3 with cipher NAME (256/256 bits)`: the line of TLS 1.2, and the first one of the header.
    pub fn cipher_text(&self) -> String {
        let Facts { protocol, cipher, bits, .. } = self;
        format!("{protocol} with cipher {cipher} ({bits}/{bits} bits)")
    }

    /// `key-exchange x25519 server-signature ...`, for the second line of the header; nothing before TLS 1.3.
    pub fn exchange_text(&self) -> Option<String> {
        let server = self.server_signature.as_ref().map(|signature| described("server", signature));
        self.key_exchange.as_ref().map(|group| {
            let exchange = format!("key-exchange {group}");
            server.map_or(exchange.clone(), |server| format!("{exchange} {server}"))
        })
    }

    /// `client-signature ...`, for the third line.
    pub fn client_text(&self) -> Option<String> {
        self.client_signature.as_ref().map(|signature| described("client", signature))
    }
}

/// The end of a summary line.
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cipher_text())?;
        for text in [self.exchange_text(), self.client_text()].into_iter().flatten() {
            write!(f, " {text}")?;
        }
        Ok(())
    }
}

fn described(who: &str, signature: &Signature) -> String {
    let digest = signature.digest.as_ref().map_or_else(String::new, |digest| format!(" {who}-digest {digest}"));
    format!("{who}-signature {}{digest}", signature.algorithm)
}

/// A group in OpenSSL's words.
pub(crate) fn group_name(group: NamedGroup) -> String {
    match group {
        NamedGroup::X25519 => "x25519",
        NamedGroup::X448 => "x448",
        NamedGroup::secp256r1 => "secp256r1",
        NamedGroup::secp384r1 => "secp384r1",
        NamedGroup::secp521r1 => "secp521r1",
        NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        NamedGroup::secp256r1MLKEM768 => "SecP256r1MLKEM768",
        other => return format!("{other:?}"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_every_part_that_there_is() {
        let mut facts = Facts {
            protocol: "TLSv1.3".to_owned(),
            cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
            bits: 256,
            key_exchange: Some("x25519".to_owned()),
            server_signature: Some(Signature::of(SignatureScheme::RSA_PSS_SHA256, &Key::Rsa(2048))),
            client_signature: Some(Signature::of(SignatureScheme::ED25519, &Key::Ed25519)),
            resumed: false,
        };
        assert_eq!(
            facts.to_string(),
            "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange x25519 \
             server-signature RSA-PSS (2048 bits) server-digest SHA256 client-signature ED25519"
        );
        (facts.server_signature, facts.client_signature) = (None, None);
        assert!(facts.to_string().ends_with(" key-exchange x25519"));
        facts.key_exchange = None;
        assert!(facts.to_string().ends_with(" bits)"));
    }
}
