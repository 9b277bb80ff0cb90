//! Private keys: made, and read from PEM files. They are wiped from memory, and shown nowhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256,
    PublicKeyData, RsaKeySize, SignatureAlgorithm,
};
use tls::Digest;
use zeroize::{Zeroize, Zeroizing};

/// The kinds that main.cf has a pair of files for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// smtpd_tls_cert_file
    Rsa,
    /// smtpd_tls_eccert_file
    Ecdsa,
}

impl Kind {
    /// By the word of an option.
    pub(super) fn named(word: &str) -> Option<Self> {
        match word {
            "rsa" => Some(Self::Rsa),
            "ecdsa" => Some(Self::Ecdsa),
            _ => None,
        }
    }

    /// The word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ecdsa => "ecdsa",
        }
    }

    /// What names of files begin with, before `key` and `cert`.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Rsa => "",
            Self::Ecdsa => "ec",
        }
    }
}

/// A private key.
pub(super) struct Key {
    pair: KeyPair,
    /// What a PEM file calls this form of it.
    label: &'static str,
}

impl Drop for Key {
    fn drop(&mut self) {
        self.pair.zeroize();
    }
}

impl Key {
    /// Makes a key. `bits`: of RSA their number, else the name of a curve; empty for the usual ones.
    ///
    /// # Errors
    /// Keys of this size cannot be made here.
    pub(super) fn generate(kind: Kind, bits: Option<&str>) -> Result<Self, String> {
        let made = match kind {
            Kind::Rsa => match bits.unwrap_or("2048") {
                "2048" => Ok(RsaKeySize::_2048),
                "3072" => Ok(RsaKeySize::_3072),
                "4096" => Ok(RsaKeySize::_4096),
                _ => Err("RSA keys can be made with 2048, 3072 and 4096 bits"),
            }
            .map(|size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size)),
            Kind::Ecdsa => curve(bits.unwrap_or("prime256v1"))
                .ok_or("ECDSA keys can be made on the curves prime256v1, secp384r1 and secp521r1")
                .map(KeyPair::generate_for),
        };
        let made = made.map_err(str::to_owned).and_then(|made| made.map_err(|error| error.to_string()));
        let pair = made.map_err(|why| {
            logging::warning!("{why}");
            let bits = bits.map(|bits| format!("{bits} ")).unwrap_or_default();
            format!("error generating new {} {bits}private key", kind.name())
        })?;
        Ok(Self { pair, label: "PRIVATE KEY" })
    }

    /// The first key of a PEM text.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let object = tls::pem::objects(text).into_iter().find(|object| label(&object.kind).is_some())?;
        let pair = KeyPair::try_from(object.der.ok()?.as_slice()).ok()?;
        Some(Self { pair, label: label(&object.kind)? })
    }

    /// What kind it is; none of those that have files of their own: Ed25519.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self.pair.algorithm() {
            algorithm if algorithm == &PKCS_ED25519 => None,
            algorithm if algorithm == &PKCS_RSA_SHA256 => Some(Kind::Rsa),
            _ => Some(Kind::Ecdsa),
        }
    }

    /// As a PEM text.
    pub(super) fn to_pem(&self) -> Zeroizing<String> {
        let encoded = Zeroizing::new(STANDARD.encode(self.pair.serialized_der()));
        let mut text = Zeroizing::new(String::with_capacity(encoded.len() + encoded.len() / 64 + 80));
        text.push_str(&format!("-----BEGIN {}-----\n", self.label));
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            // told: nobody; what is cut off is the next line
            let (line, after) = rest.split_at(rest.len().min(64));
            text.push_str(line);
            text.push('\n');
            rest = after;
        }
        text.push_str(&format!("-----END {}-----\n", self.label));
        text
    }

    /// SubjectPublicKeyInfo.
    pub(super) fn public(&self) -> Vec<u8> {
        self.pair.subject_public_key_info()
    }

    /// The identifier that certificates give the public key. RFC 5280 4.2.1.2 (1)
    pub(super) fn identifier(&self) -> Vec<u8> {
        Digest::Sha1.of(self.pair.der_bytes())
    }

    /// For what signs with it.
    pub(super) fn pair(&self) -> &KeyPair {
        &self.pair
    }
}

/// The forms of keys that are read.
fn label(kind: &str) -> Option<&'static str> {
    ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"].into_iter().find(|label| *label == kind)
}

fn curve(name: &str) -> Option<&'static SignatureAlgorithm> {
    match name {
        "prime256v1" | "secp256r1" | "P-256" => Some(&PKCS_ECDSA_P256_SHA256),
        "secp384r1" | "P-384" => Some(&PKCS_ECDSA_P384_SHA384),
        "secp521r1" | "P-521" => Some(&PKCS_ECDSA_P521_SHA512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_written_is_read_as_the_same_one() {
        for (kind, bits) in [(Kind::Rsa, None), (Kind::Ecdsa, None), (Kind::Ecdsa, Some("secp384r1"))] {
            let key = Key::generate(kind, bits).unwrap();
            let text = key.to_pem();
            assert!(text.lines().all(|line| line.len() <= 64));
            let read = Key::read(
                format!("-----BEGIN EC PARAMETERS-----\nAA==\n-----END EC PARAMETERS-----\n{}", *text).as_bytes(),
            );
            let read = read.unwrap();
            assert_eq!((read.public(), read.kind(), &*read.to_pem()), (key.public(), Some(kind), &*text));
        }
    }

    #[test]
    fn sizes_that_are_not_made_are_refused_with_the_words_of_postfix() {
        let refused = |kind, bits| Key::generate(kind, Some(bits)).err();
        assert_eq!(refused(Kind::Rsa, "512").as_deref(), Some("error generating new rsa 512 private key"));
        assert_eq!(refused(Kind::Ecdsa, "foo").as_deref(), Some("error generating new ecdsa foo private key"));
        assert!(Key::read(b"junk").is_none());
    }
}
