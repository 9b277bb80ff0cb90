//! The report compared with one that Debian's Postfix 3.7 made (headers and status fields verbatim), and laws.

use proptest::prelude::*;

use super::*;
use crate::template::Templates;

const HOST: &str = "mx.example.test";
const DATE: &str = "Wed, 25 Nov 2026 02:01:18 +0000 (UTC)";

fn with_report<T>(check: impl Fn(&Report) -> T) -> T {
    let templates = Templates::default();
    let template = templates.of(Kind::Failure);
    let text = ["It failed.".to_owned()];
    check(&Report {
        kind: Kind::Failure,
        audience: Audience::Sender,
        template,
        text: &text,
        hostname: HOST,
        mail_name: "Postfix",
        eight_bit: true,
        origin: HOST,
        queue_id: "51FDD98C3A9",
        now: 1_795_572_078,
        date: DATE,
        to: b"orca@mx.example.test",
        answers: None,
        envelope_id: Some(b"envid123"),
        sender: b"orca@mx.example.test",
        arrival_date: DATE,
        retry_until: None,
        returned: Returned::Message,
        utf8: false,
    })
}

fn unknown_user() -> Recipient {
    Recipient {
        address: b"nosuchuser@mx.example.test".to_vec(),
        original: Some(b"nosuchuser".to_vec()),
        dsn: OriginalRecipient::of(b"nosuchuser@mx.example.test"),
        status: Status::new(5, 1, 1),
        action: Action::Failed,
        reason: b"unknown user: \"nosuchuser\"".to_vec(),
        diagnostic: None,
        remote_mta: None,
    }
}

/// Everything before the returned message.
fn before_message(report: &Report, recipients: &[Recipient]) -> Vec<Vec<u8>> {
    let mut lines = report.opening();
    lines.extend(recipients.iter().flat_map(|recipient| report.explanation(recipient)));
    lines.extend(report.status());
    lines.extend(recipients.iter().flat_map(|recipient| report.recipient_status(recipient)));
    lines.extend(report.returned());
    lines
}

fn joined(lines: &[Vec<u8>]) -> String {
    String::from_utf8(lines.join(&b'\n')).unwrap()
}

#[test]
fn a_failure_report_is_postfix_s_field_for_field() {
    let text = with_report(|report| joined(&before_message(report, &[unknown_user()])));
    let expected = r#"Date: Wed, 25 Nov 2026 02:01:18 +0000 (UTC)
From: Mail Delivery System <MAILER-DAEMON@mx.example.test>
Subject: Undelivered Mail Returned to Sender
To: orca@mx.example.test
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="51FDD98C3A9.1795572078/mx.example.test"
Content-Transfer-Encoding: 8bit

This is a MIME-encapsulated message.

--51FDD98C3A9.1795572078/mx.example.test
Content-Description: Notification
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

It failed.

<nosuchuser@mx.example.test> (expanded from <nosuchuser>): unknown user:
    "nosuchuser"

--51FDD98C3A9.1795572078/mx.example.test
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.test
Original-Envelope-Id: envid123
X-Postfix-Queue-ID: 51FDD98C3A9
X-Postfix-Sender: rfc822; orca@mx.example.test
Arrival-Date: Wed, 25 Nov 2026 02:01:18 +0000 (UTC)

Final-Recipient: rfc822; nosuchuser@mx.example.test
Original-Recipient: rfc822;nosuchuser@mx.example.test
Action: failed
Status: 5.1.1
Diagnostic-Code: X-Postfix; unknown user: "nosuchuser"

--51FDD98C3A9.1795572078/mx.example.test
Content-Description: Undelivered Message
Content-Type: message/rfc822
Content-Transfer-Encoding: 8bit
"#;
    assert_eq!(text, expected);
}

#[test]
fn a_remote_reply_names_its_server() {
    let recipient = Recipient {
        reason: b"host sink.test[192.0.2.1] said: 550 5.1.1 no such user (in reply to RCPT TO command)".to_vec(),
        diagnostic: Some((b"smtp".to_vec(), b"550 5.1.1 no such user".to_vec())),
        remote_mta: Some((b"dns".to_vec(), b"sink.test".to_vec())),
        ..unknown_user()
    };
    let text = with_report(|report| joined(&before_message(report, std::slice::from_ref(&recipient))));
    assert!(text.contains("\nRemote-MTA: dns; sink.test\nDiagnostic-Code: smtp; 550 5.1.1 no such user\n"), "{text}");
}

#[test]
fn postmaster_gets_no_explanation() {
    let text = with_report(|report| {
        let report = Report { audience: Audience::Postmaster, ..report.clone() };
        joined(&before_message(&report, &[unknown_user()]))
    });
    assert!(text.contains("Subject: Postmaster Copy: Undelivered Mail\n"));
    assert!(text.contains("Auto-Submitted: auto-generated\n"));
    assert!(!text.contains("It failed."));
}

proptest! {
    #[test]
    fn nothing_a_server_said_starts_a_line_or_a_part(
        reason in prop::collection::vec(any::<u8>(), 0..300),
        address in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let hostile = Recipient { reason: reason.clone(), address: address.clone(), ..unknown_user() };
        let lines = with_report(|report| before_message(report, std::slice::from_ref(&hostile)));
        let boundary = b"--51FDD98C3A9.1795572078/mx.example.test".to_vec();
        prop_assert_eq!(lines.iter().filter(|line| line.starts_with(&boundary)).count(), 3);
        prop_assert!(lines.iter().all(|line| !line.contains(&b'\n') && !line.contains(&b'\r') && !line.contains(&0)));
    }

    #[test]
    fn folding_loses_nothing_but_blanks(words in prop::collection::vec("[!-~]{1,30}", 1..40)) {
        let text = words.join(" ");
        let mut lines = Lines::default();
        lines.folded(text.as_bytes());
        prop_assert!(lines.0.iter().all(|line| line.len() <= TEXT_WIDTH));
        let back: Vec<String> = lines.0.iter().map(|l| String::from_utf8_lossy(l).trim().to_owned()).collect();
        prop_assert_eq!(back.join(" "), text);
    }
}
