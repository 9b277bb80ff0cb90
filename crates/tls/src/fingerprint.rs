//! Digests of certificates and public keys, as logs, policies and tables have them.

use md5::{Digest as _, Md5};

/// A digest algorithm: smtpd_tls_fingerprint_digest and its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Digest {
    /// RFC 1321; the default before compatibility_level 3.6.
    Md5,
    /// FIPS 180-4.
    Sha1,
    /// The default.
    Sha256,
    /// FIPS 180-4.
    Sha384,
    /// FIPS 180-4.
    Sha512,
}

impl Digest {
    /// The algorithm of a name as OpenSSL has it; `None` for one that is not known.
    pub fn named(name: &str) -> Option<Digest> {
        let lower = name.to_ascii_lowercase();
        Some(match lower.as_str() {
            "md5" => Self::Md5,
            "sha1" | "sha-1" => Self::Sha1,
            "sha256" | "sha2-256" | "sha-256" => Self::Sha256,
            "sha384" | "sha2-384" | "sha-384" => Self::Sha384,
            "sha512" | "sha2-512" | "sha-512" => Self::Sha512,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The digest.
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
        let algorithm = match self {
            Self::Md5 => return Md5::digest(bytes).to_vec(),
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        };
        digest(algorithm, bytes).as_ref().to_vec()
    }

    /// The digest in upper case with a colon between bytes: `AA:BB:...`.
    pub fn fingerprint(self, bytes: &[u8]) -> String {
        let pairs: Vec<String> = self.of(bytes).iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_their_standards() {
        assert_eq!(Digest::Md5.fingerprint(b""), "D4:1D:8C:D9:8F:00:B2:04:E9:80:09:98:EC:F8:42:7E");
        assert_eq!(Digest::Sha1.fingerprint(b"abc"), "A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D");
        assert!(Digest::Sha256.fingerprint(b"abc").starts_with("BA:78:16:BF:"));
        assert!(Digest::Sha512.fingerprint(b"abc").starts_with("DD:AF:35:A1:"));
        assert_eq!(Digest::named("SHA256"), Some(Digest::Sha256));
        assert_eq!(Digest::named("sha999"), None);
    }
}
