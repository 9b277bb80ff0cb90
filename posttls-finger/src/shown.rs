//! The certificates of a server as PEM, with what they are.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tls::{Certificate, Digest};

/// Letters of base64 on a line. RFC 7468 2
const WIDTH: usize = 64;

/// Writes them all down.
pub(crate) fn chain(certificates: &[Certificate], digest: Digest) -> String {
    let mut out = "\n---\nCertificate chain\n".to_owned();
    for (depth, certificate) in certificates.iter().enumerate() {
        // Writing to a text does not fail.
        let _ = write_one(&mut out, depth, certificate, digest);
    }
    out
}

fn write_one(out: &mut String, depth: usize, certificate: &Certificate, digest: Digest) -> std::fmt::Result {
    let name = |name: &str| text::printable(name.as_bytes());
    writeln!(out, "{depth:2} subject: {}", name(&certificate.subject))?;
    writeln!(out, "    issuer: {}", name(&certificate.issuer))?;
    writeln!(out, "   cert digest={}", certificate.fingerprint(digest))?;
    writeln!(out, "   pkey digest={}", certificate.key_fingerprint(digest))?;
    writeln!(out, "-----BEGIN CERTIFICATE-----")?;
    for line in BASE64_STANDARD.encode(&certificate.der).as_bytes().chunks(WIDTH) {
        writeln!(out, "{}", String::from_utf8_lossy(line))?;
    }
    writeln!(out, "-----END CERTIFICATE-----")
}
