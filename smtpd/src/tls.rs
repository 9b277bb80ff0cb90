//! TLS of the server: the handshake of one client, and what the rest of it wants to know of that.

use config::{Config, param};
use daemon::{Sibling, StartError};
use smtp_server::{Certificate, Secured, TlsLevel, TlsRefusal};
use tls::{Accepted, Credential, Digest, Facts, Server};

use crate::SERVICE;
use crate::settings::Settings;

/// What smtpd does with TLS.
pub struct Tls {
    /// Takes clients through the handshake.
    pub server: Server,
    /// Sessions are described in the Received: field. smtpd_tls_received_header
    shows: bool,
}

impl Tls {
    /// TLS as main.cf wants it; nothing at level none. `queue_directory` has the sockets.
    ///
    /// # Errors
    /// A value that makes no sense.
    pub fn read(
        config: &Config,
        level: TlsLevel,
        queue_directory: &std::path::Path,
        timeout: std::time::Duration,
    ) -> Result<Option<Tls>, StartError> {
        if level == TlsLevel::None {
            return Ok(None);
        }
        let value = config.get(param::SMTPD_TLS_SECURITY_LEVEL)?;
        if !value.is_empty() && !config.get(param::SMTPD_TLS_WRAPPERMODE)? {
            tls::check_server_level(&value).map_err(StartError::new)?;
        }
        let socket = queue_directory.join(SERVICE.socket(Sibling::Tlsmgr, config)?);
        let server = Server::read(config, level == TlsLevel::Encrypt, socket, timeout)?;
        Ok(Some(Tls { server, shows: config.get(param::SMTPD_TLS_RECEIVED_HEADER)? }))
    }

    /// What the dialogue has to know of a session. `too_many`: smtpd_client_new_tls_session_rate_limit
    pub fn secured(&self, accepted: &Accepted, too_many: bool, settings: &Settings) -> Secured {
        let Accepted { facts, credential, trusted, .. } = accepted;
        let certificate = credential.as_ref().map(|it| described(it, *trusted, self.server.digest()));
        let refusal = match &certificate {
            _ if too_many => Some(TlsRefusal::TooMany),
            None if self.server.requires_certificates() => Some(TlsRefusal::NoCertificate),
            Some(certificate) if self.server.requires_certificates() && certificate.is_raw_key() => {
                Some(TlsRefusal::NoCertificate)
            }
            Some(certificate) if self.server.requires_certificates() && !certificate.trusted => {
                Some(TlsRefusal::NotTrusted)
            }
            _ => None,
        };
        // smtpd_hide_client_session
        let shows = self.shows && !settings.hide_client_session;
        Secured {
            protocol: facts.protocol.clone(),
            cipher: facts.cipher.clone(),
            bits: facts.bits,
            comments: if shows { self.comments(facts, certificate.as_ref()) } else { Vec::new() },
            certificate,
            refusal,
        }
    }

    /// What the Received: field says, each text without its parentheses; lines are ended within.
    fn comments(&self, facts: &Facts, certificate: Option<&Certificate>) -> Vec<String> {
        let lines = [Some(format!("using {}", facts.cipher_text())), facts.exchange_text(), facts.client_text()];
        let session = lines.into_iter().flatten().collect::<Vec<_>>().join("\n\t ");
        let client = match certificate {
            None if self.server.asks_for_certificates() => "Client did not present a certificate".to_owned(),
            None => "No client certificate requested".to_owned(),
            Some(raw) if raw.is_raw_key() => {
                format!("Client RPK {} digest {}", self.server.digest().name(), raw.key_fingerprint)
            }
            Some(certificate) => {
                let shown = |name: &str| message::received::comment(name.as_bytes());
                let (name, issuer) = (shown(&certificate.common_name), shown(&certificate.issuer));
                let verdict = if certificate.trusted { "verified OK" } else { "not verified" };
                format!("Client CN \"{name}\", Issuer \"{issuer}\" ({verdict})")
            }
        };
        vec![session, client]
    }
}

/// What the rest knows of a certificate, or of a key in its place, which has no names.
fn described(credential: &Credential, trusted: bool, digest: Digest) -> Certificate {
    let key_fingerprint = credential.key_fingerprint(digest);
    match credential.certificate() {
        Some(certificate) => Certificate {
            common_name: certificate.common_name.clone(),
            issuer: certificate.issuer_name.clone(),
            fingerprint: certificate.fingerprint(digest),
            key_fingerprint,
            trusted,
        },
        None => Certificate { key_fingerprint, ..Certificate::default() },
    }
}
