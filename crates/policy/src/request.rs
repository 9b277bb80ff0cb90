//! What a policy service is told: every attribute in every request, in this order, empty where nothing is known.

/// A question about a command of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    /// `CONNECT`, `EHLO`, `HELO`, `MAIL`, `RCPT`, `DATA`, `END-OF-MESSAGE`, `VRFY`, `ETRN`
    pub state: &'a str,
    /// `SMTP` or `ESMTP`
    pub protocol: &'a str,
    /// The client's address, or `unknown`.
    pub client_address: &'a str,
    /// The client's verified name, or `unknown`.
    pub client_name: &'a str,
    /// The client's port, or `unknown`.
    pub client_port: &'a str,
    /// The name that the client's address has, or `unknown`.
    pub reverse_client_name: &'a str,
    /// The address that the client connected to.
    pub server_address: &'a str,
    /// The port that the client connected to.
    pub server_port: &'a str,
    /// The name in HELO or EHLO.
    pub helo: &'a str,
    /// The sender in internal form.
    pub sender: &'a [u8],
    /// The recipient in internal form; behind the recipients, the only one.
    pub recipient: &'a [u8],
    /// Recipients that were accepted; told from DATA on.
    pub recipients: u32,
    /// The queue file, once there is one.
    pub queue_id: &'a str,
    /// One value for all questions about one message.
    pub instance: &'a str,
    /// What MAIL says; behind the content, what it is.
    pub size: u64,
    /// The argument of ETRN.
    pub etrn_domain: &'a [u8],
    /// `yes` where master has put the server under stress.
    pub stress: &'a str,
    /// How the client has logged in.
    pub sasl_method: &'a str,
    /// As whom.
    pub sasl_user: &'a str,
    /// AUTH of MAIL.
    pub sasl_sender: &'a [u8],
    /// CN of the subject of a trusted certificate.
    pub certificate_subject: &'a str,
    /// CN of its issuer.
    pub certificate_issuer: &'a str,
    /// The digest of a certificate, trusted or not.
    pub certificate_fingerprint: &'a str,
    /// That of its public key.
    pub key_fingerprint: &'a str,
    /// `TLSv1.3`
    pub encryption_protocol: &'a str,
    /// The cipher suite in OpenSSL's words.
    pub encryption_cipher: &'a str,
    /// Bits of its key.
    pub encryption_bits: u16,
    /// policy_context
    pub context: &'a str,
    /// compatibility_level
    pub compatibility_level: &'a str,
    /// mail_version
    pub mail_version: &'a str,
}

impl Request<'_> {
    /// As it is sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Lines(Vec::with_capacity(1000));
        out.add("request", b"smtpd_access_policy");
        out.add("protocol_state", self.state.as_bytes());
        out.add("protocol_name", self.protocol.as_bytes());
        out.add("client_address", self.client_address.as_bytes());
        out.add("client_name", self.client_name.as_bytes());
        out.add("client_port", self.client_port.as_bytes());
        out.add("reverse_client_name", self.reverse_client_name.as_bytes());
        out.add("server_address", self.server_address.as_bytes());
        out.add("server_port", self.server_port.as_bytes());
        out.add("helo_name", self.helo.as_bytes());
        out.add("sender", self.sender);
        out.add("recipient", self.recipient);
        out.add("recipient_count", self.recipients.to_string().as_bytes());
        out.add("queue_id", self.queue_id.as_bytes());
        out.add("instance", self.instance.as_bytes());
        out.add("size", self.size.to_string().as_bytes());
        out.add("etrn_domain", self.etrn_domain);
        out.add("stress", self.stress.as_bytes());
        out.add("sasl_method", self.sasl_method.as_bytes());
        out.add("sasl_username", self.sasl_user.as_bytes());
        out.add("sasl_sender", self.sasl_sender);
        out.add("ccert_subject", text::xtext::encode(self.certificate_subject.as_bytes()).as_bytes());
        out.add("ccert_issuer", text::xtext::encode(self.certificate_issuer.as_bytes()).as_bytes());
        out.add("ccert_fingerprint", self.certificate_fingerprint.as_bytes());
        out.add("ccert_pubkey_fingerprint", self.key_fingerprint.as_bytes());
        out.add("encryption_protocol", self.encryption_protocol.as_bytes());
        out.add("encryption_cipher", self.encryption_cipher.as_bytes());
        out.add("encryption_keysize", self.encryption_bits.to_string().as_bytes());
        out.add("policy_context", self.context.as_bytes());
        out.add("compatibility_level", self.compatibility_level.as_bytes());
        out.add("mail_version", self.mail_version.as_bytes());
        out.0.push(b'\n');
        out.0
    }
}

struct Lines(Vec<u8>);

impl Lines {
    /// A line. What would end it, or the value in a program that reads C strings, is no part of any address or name:
    /// `?` stands for it.
    fn add(&mut self, name: &str, value: &[u8]) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'=');
        self.0.extend(value.iter().map(|byte| if matches!(byte, b'\n' | b'\r' | 0) { b'?' } else { *byte }));
        self.0.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_is_there_and_none_can_end_its_line() {
        let request = Request {
            state: "RCPT",
            sender: b"a\n\naction=OK\0@b",
            recipients: 2,
            certificate_subject: "A B",
            ..Request::default()
        };
        let sent = String::from_utf8(request.encode()).unwrap();
        let lines: Vec<&str> = sent.lines().collect();
        assert_eq!(lines.len(), 32);
        assert_eq!(lines[0], "request=smtpd_access_policy");
        assert_eq!(lines[1], "protocol_state=RCPT");
        assert_eq!(lines[10], "sender=a??action=OK?@b");
        assert_eq!(lines[12], "recipient_count=2");
        assert_eq!(lines[21], "ccert_subject=A+20B");
        assert_eq!(lines[30], "mail_version=");
        assert!(sent.ends_with("mail_version=\n\n"));
    }
}
