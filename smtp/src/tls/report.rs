//! TLSRPT (RFC 8460): what became of TLS with the servers of a domain that wants to hear of it, as one datagram a
//! session for a collector on this machine.
//!
//! Reporting never changes what becomes of mail.

use std::net::IpAddr;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::rc::Rc;

use dns::{Association, Resolver};
use net::Shown;
use tls::{Fault, Verdict, hex};

use super::policy::External;

/// smtp_tlsrpt_enable.
#[derive(Clone, Debug)]
pub struct Reporting {
    /// smtp_tlsrpt_socket_name
    pub socket: PathBuf,
    /// smtp_tlsrpt_skip_reused_handshakes
    pub skip_resumed: bool,
    /// The lines go to the log.
    pub shown: bool,
}

/// A domain that wants to hear.
#[derive(Debug)]
pub struct Audience {
    reporting: Reporting,
    domain: String,
    /// Its record.
    record: String,
}

/// What became of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// TLS, as it was to be.
    Success,
    /// No STARTTLS where it was needed.
    NotOffered,
    /// The handshake failed.
    Handshake,
    /// The server was not what it was to be.
    Fault(&'a Fault),
}

/// With whom.
pub struct Meeting<'a> {
    /// The server's name.
    pub host: &'a str,
    /// `NAME[ADDRESS]`
    pub shown: &'a str,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Ours.
    pub own: Option<IpAddr>,
    /// What it has answered to EHLO, lines with CR LF between them.
    pub hello: &'a [u8],
    /// The policy that a plug-in has found.
    pub external: Option<&'a External>,
    /// The TLSA records that the server has to meet, and whose they are.
    pub records: Option<(&'a str, &'a [Association])>,
}

impl Reporting {
    /// Whether a domain wants to hear, by its TXT record.
    pub async fn audience(&self, resolver: &Resolver, domain: &str) -> Option<Rc<Audience>> {
        // Without an answer there is nobody to report to.
        let found = resolver.txt(&format!("_smtp._tls.{domain}")).await.ok()?;
        let shown = text::printable(domain.as_bytes());
        let mut ours = found.iter().filter(|text| text.starts_with(b"v=TLSRPTv1"));
        let (first, second) = (ours.next()?, ours.next());
        if second.is_some() {
            logging::warning!("TLSRPT support: Too many TLSRPT policies for {shown}");
            return None;
        }
        if !is_record(first) {
            let record = text::printable(first);
            logging::warning!("TLSRPT support: ignoring malformed policy for {shown}:, \"{record}\"");
            return None;
        }
        let record = String::from_utf8_lossy(first).into_owned();
        Some(Rc::new(Audience { reporting: self.clone(), domain: domain.to_owned(), record }))
    }
}

/// `v=TLSRPTv1; ...`
fn is_record(text: &[u8]) -> bool {
    let rest = text.strip_prefix(b"v=TLSRPTv1").unwrap_or_default();
    rest.trim_ascii_start().starts_with(b";")
}

impl Audience {
    /// Whether a session that goes on with old secrets is passed over.
    pub fn skips_resumed(&self) -> bool {
        self.reporting.skip_resumed
    }

    /// Tells.
    pub fn tell(&self, event: Event<'_>, meeting: &Meeting<'_>) {
        if self.reporting.shown {
            logging::info!("{}", self.line(event, meeting));
        }
        let datagram = self.datagram(event, meeting);
        if let Err(error) = send(&self.reporting.socket, datagram.as_bytes()) {
            let (reason, number) = (net::reason(&error), error.raw_os_error().unwrap_or(0));
            logging::warning!("Could not report TLS handshake result to tlsrpt library: {reason} (errno {number})");
        }
    }

    fn line(&self, event: Event<'_>, meeting: &Meeting<'_>) -> String {
        let (domain, host) = (text::printable(self.domain.as_bytes()), text::printable(meeting.shown.as_bytes()));
        let about = format!("domain={domain}, receiving_mx={host}");
        match Failure::of(event) {
            None => format!("TLSRPT: status=success, {about}"),
            Some(Failure { name, reason: None, .. }) => {
                format!("TLSRPT: status=failure, {about}, failure_type={name}")
            }
            Some(Failure { name, reason: Some(reason), .. }) => {
                format!("TLSRPT: status=failure, {about}, failure_type={name}, failure_reason={reason}")
            }
        }
    }

    fn datagram(&self, event: Event<'_>, meeting: &Meeting<'_>) -> String {
        let failure = Failure::of(event);
        let external = meeting.external.filter(|external| external.is_sts);
        let (number, domain, lines, hosts) = match (meeting.records, external) {
            (Some((base, records)), _) => (1, base, records.iter().map(presented).collect(), Vec::new()),
            (None, Some(external)) => {
                let domain = external.domain.as_deref().unwrap_or(&self.domain);
                (2, domain, external.lines.clone(), external.patterns.clone())
            }
            (None, None) => (9, self.domain.as_str(), Vec::new(), Vec::new()),
        };
        let mut policy = format!("\"policy-type\":{number},\"policy-domain\": {}", quoted(domain));
        for (name, list) in [("policy-string", lines), ("mx-host", hosts)] {
            if !list.is_empty() {
                let items: Vec<String> = list.iter().map(|item| quoted(item)).collect();
                policy.push_str(&format!(",\"{name}\":[{}]", items.join(",")));
            }
        }
        if let Some(failure) = &failure {
            policy.push_str(&format!(",\"failure-details\":[{{{}}}]", failure.details(meeting)));
        }
        let failed = u8::from(failure.is_some());
        format!(
            "{{\"dpv\": \"1\",\"d\": {},\"pr\": {},\"policies\":[{{{policy},\"t\":{failed},\"f\":{failed}}}]}}",
            quoted(&self.domain),
            quoted(&self.record)
        )
    }
}

/// A failure as reports have it.
struct Failure {
    code: u16,
    name: &'static str,
    reason: Option<&'static str>,
}

impl Failure {
    fn of(event: Event<'_>) -> Option<Failure> {
        let validation = |reason| (205, "validation_failure", reason);
        let (code, name, reason) = match event {
            Event::Success => return None,
            Event::NotOffered => (201, "starttls_not_supported", None),
            Event::Handshake => validation(Some("tls-handshake-failure")),
            Event::Fault(fault) => match fault {
                Fault::HostMismatch | Fault::AddressMismatch => (202, "certificate_host_mismatch", None),
                Fault::NoMatch(_) => (203, "certificate_not_trusted", None),
                Fault::Expired(_) | Fault::NotYetValid(_) => (204, "certificate_expired", None),
                Fault::SelfSigned => validation(Some("self-signed_certificate")),
                Fault::UntrustedIssuer { sent: true, .. } => {
                    validation(Some("self-signed_certificate_in_certificate_chain"))
                }
                Fault::UntrustedIssuer { sent: false, .. } => {
                    validation(Some("unable_to_get_local_issuer_certificate"))
                }
                Fault::NoIssuer => validation(Some("unable_to_get_issuer_certificate")),
                Fault::TooLong(_) => validation(Some("certificate_chain_too_long")),
                Fault::Purpose(_) => validation(Some("unsuitable_certificate_purpose")),
                Fault::RawKey => validation(Some("raw_public_key_untrusted")),
                Fault::Unspecified => validation(Some("unspecified_certificate_verification_error")),
                Fault::External(why) => match why.as_str() {
                    "sts-policy-fetch-error" => (301, "sts_policy_fetch_error", None),
                    "sts-policy-invalid" => (302, "sts_policy_invalid", None),
                    "sts-webpki-invalid" => (303, "sts_webpki_invalid", None),
                    _ => validation(None),
                },
            },
        };
        Some(Failure { code, name, reason })
    }

    fn details(&self, meeting: &Meeting<'_>) -> String {
        let mut details = format!("\"c\":{}", self.code);
        let address = |address: Option<IpAddr>| address.map(|address| Shown(address).to_string());
        let hello = String::from_utf8_lossy(meeting.hello);
        let parts = [
            ("s", address(meeting.own)),
            ("n", Some(meeting.host.to_owned())),
            ("h", Some(hello.into_owned()).filter(|hello| !hello.is_empty())),
            ("r", address(meeting.address)),
            ("f", self.reason.map(str::to_owned)),
        ];
        for (name, value) in parts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            details.push_str(&format!(",\"{name}\": {}", quoted(&value)));
        }
        details
    }
}

/// A record in its whole length (RFC 6698 2.2).
fn presented(record: &Association) -> String {
    format!("{} {} {} {}", record.usage, record.selector, record.matching_type, hex(&record.data))
}

/// What a verdict is in reports: where nothing has to match, or nothing can, whoever it is will do.
pub fn of_verdict(verdict: &Verdict, must_match: bool) -> Event<'_> {
    verdict.fault.as_ref().filter(|_| must_match && !verdict.excused).map_or(Event::Success, Event::Fault)
}

/// The collector is not waited for: a report that it has no room for is lost, and told.
fn send(socket: &PathBuf, datagram: &[u8]) -> std::io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    sender.send_to(datagram, socket).map(|_| ())
}

/// A text as JSON has it (RFC 8259 7).
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tls::Place;

    fn audience() -> Audience {
        let reporting = Reporting { socket: "run/tlsrpt.sock".into(), skip_resumed: false, shown: true };
        let record = "v=TLSRPTv1; rua=mailto:r@dest.test".to_owned();
        Audience { reporting, domain: "dest.test".to_owned(), record }
    }

    fn meeting(external: Option<&External>) -> Meeting<'_> {
        Meeting {
            host: "mx1.dest.test",
            shown: "mx1.dest.test[127.0.1.20]",
            address: Some([127, 0, 1, 20].into()),
            own: Some([127, 0, 0, 1].into()),
            hello: b"250-mx.dane.test\r\n250 STARTTLS",
            external,
            records: None,
        }
    }

    #[test]
    fn a_report_has_the_form_of_the_library() {
        let pr = "\"pr\": \"v=TLSRPTv1; rua=mailto:r@dest.test\"";
        assert_eq!(
            audience().datagram(Event::Success, &meeting(None)),
            format!(
                "{{\"dpv\": \"1\",\"d\": \"dest.test\",{pr},\"policies\":[{{\"policy-type\":9,\"policy-domain\": \
                 \"dest.test\",\"t\":0,\"f\":0}}]}}"
            )
        );
        let external = External {
            is_sts: true,
            domain: Some("dest.test".to_owned()),
            lines: vec!["version: STSv1".to_owned(), "mode: enforce".to_owned()],
            patterns: vec!["mx1.dest.test".to_owned()],
            failure: None,
        };
        assert_eq!(
            audience().datagram(Event::Fault(&Fault::HostMismatch), &meeting(Some(&external))),
            format!(
                "{{\"dpv\": \"1\",\"d\": \"dest.test\",{pr},\"policies\":[{{\"policy-type\":2,\"policy-domain\": \
                 \"dest.test\",\"policy-string\":[\"version: STSv1\",\"mode: enforce\"],\"mx-host\":[\"mx1.dest.test\"],\
                 \"failure-details\":[{{\"c\":202,\"s\": \"127.0.0.1\",\"n\": \"mx1.dest.test\",\"h\": \
                 \"250-mx.dane.test\\r\\n250 STARTTLS\",\"r\": \"127.0.1.20\"}}],\"t\":1,\"f\":1}}]}}"
            )
        );
    }

    #[test]
    fn a_report_about_dane_names_the_records_and_whose_they_are() {
        let records = [Association::read(b"\x03\x01\x01\xab\xcd")];
        let meeting = Meeting { records: Some(("mx.dane.test", &records)), ..meeting(None) };
        let text = audience().datagram(Event::Success, &meeting);
        let policy = "\"policy-type\":1,\"policy-domain\": \"mx.dane.test\",\"policy-string\":[\"3 1 1 ABCD\"],";
        assert!(text.contains(policy), "{text}");
    }

    #[test]
    fn the_log_has_the_kind_of_failure() {
        let line = |event| audience().line(event, &meeting(None));
        let about = "domain=dest.test, receiving_mx=mx1.dest.test[127.0.1.20]";
        assert_eq!(line(Event::Success), format!("TLSRPT: status=success, {about}"));
        for (event, end) in [
            (Event::NotOffered, "failure_type=starttls_not_supported"),
            (Event::Handshake, "failure_type=validation_failure, failure_reason=tls-handshake-failure"),
            (Event::Fault(&Fault::Expired(Place::Leaf)), "failure_type=certificate_expired"),
            (Event::Fault(&Fault::NoMatch(Place::Leaf)), "failure_type=certificate_not_trusted"),
            (
                Event::Fault(&Fault::External("sts-policy-fetch-error".to_owned())),
                "failure_type=sts_policy_fetch_error",
            ),
        ] {
            assert_eq!(line(event), format!("TLSRPT: status=failure, {about}, {end}"));
        }
    }

    #[test]
    fn a_record_has_its_version_first_and_something_behind() {
        for good in ["v=TLSRPTv1; rua=mailto:r@dest.test", "v=TLSRPTv1;rua=x", "v=TLSRPTv1 ;"] {
            assert!(is_record(good.as_bytes()), "{good}");
        }
        for bad in ["v=TLSRPTv1 rua=mailto:r@dest.test", "v=TLSRPTv1", "v=TLSRPTv12;", "v=spf1;"] {
            assert!(!is_record(bad.as_bytes()), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_is_one_text_in_a_report(said in "\\PC{0,30}|[\\x00-\\x7f]{0,40}") {
            let text = quoted(&said);
            prop_assert!(!text.contains(|letter: char| u32::from(letter) < 0x20));
            let inside = &text[1..text.len() - 1];
            let mut letters = inside.chars();
            while let Some(letter) = letters.next() {
                prop_assert!(letter != '"');
                if letter == '\\' {
                    prop_assert!(letters.next().is_some_and(|next| "\"\\rntu".contains(next)));
                }
            }
        }
    }
}
