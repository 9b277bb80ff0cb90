//! Delivery status notifications: what senders ask for, what servers answer, what becomes of it in a report.

use dsn::report::{Audience, Recipient, Report, Returned};
use dsn::template::{Kind, Templates};
use dsn::{Action, Notify, Return, Status};

use crate::pieces::{assert_harmless, assert_one_line, choices, fields};

/// Words that are read are written as they were meant.
pub fn dsn_words(data: &[u8]) {
    if let Some(notify) = Notify::parse(data) {
        assert_eq!(Notify::from_bits(notify.bits()), Some(notify));
        assert_eq!(notify.parameter().and_then(|value| Notify::parse(value.as_bytes())), Some(notify));
    }
    if let Some(ret) = Return::parse(data) {
        assert_eq!(Return::from_bits(ret.bits()), Some(ret));
    }
    if let Some(action) = Action::parse(data) {
        assert_eq!(Action::parse(action.name().as_bytes()), Some(action));
    }
    let (status, rest) = Status::split_bytes(data, Status::new(4, 0, 0));
    assert_eq!(Status::parse(status.to_string().as_bytes()), Some(status));
    assert!(data.ends_with(rest) && matches!(status.class(), 2 | 4 | 5));
}

/// A template file gives templates whose lines are those of the file, or of ours.
pub fn bounce_templates(data: &[u8]) {
    let text = text::lossless::decode(data);
    match Templates::from_file(&text) {
        Err(remark) => assert!(remark.of("file").starts_with("file")),
        Ok((templates, remarks)) => {
            assert!(remarks.len() <= 2 * text.lines().count());
            for kind in Kind::ALL {
                let template = templates.of(kind);
                for field in [&template.charset, &template.from, &template.subject] {
                    assert!(!field.is_empty() && field.is_ascii() && !field.contains('\n'));
                }
                assert!(template.body.iter().all(|line| !line.contains('\n')));
            }
        }
    }
}

/// Whatever addresses, servers and reasons hold, a report has the lines that it should have and no others.
pub fn bounce_report(data: &[u8]) {
    let (choice, data) = choices(data);
    let [address, original, dsn_original, reason, diagnostic, server, envelope_id, sender] = fields(data);
    let some = |bytes: &[u8]| (!bytes.is_empty()).then(|| bytes.to_vec());
    let recipient = Recipient {
        address: address.to_vec(),
        original: some(original),
        dsn: dsn::OriginalRecipient::from_stored(dsn_original.to_vec()),
        status: Status::new(5, 1, 1),
        action: Action::Failed,
        reason: reason.to_vec(),
        diagnostic: some(diagnostic).map(|text| (b"smtp".to_vec(), text)),
        remote_mta: some(server).map(|name| (b"dns".to_vec(), name)),
    };
    let kind = Kind::ALL[usize::from(choice & 3)];
    let templates = Templates::default();
    let report = Report {
        kind,
        audience: if choice & 4 == 0 { Audience::Sender } else { Audience::Postmaster },
        template: templates.of(kind),
        text: &["It is so.".to_owned()],
        hostname: "mx.test",
        mail_name: "Postfix",
        eight_bit: choice & 32 == 0,
        origin: "test",
        queue_id: "ABC",
        now: 0,
        date: "now",
        to: sender,
        answers: (!sender.is_empty()).then_some(sender),
        envelope_id: (!envelope_id.is_empty()).then_some(envelope_id),
        sender,
        arrival_date: "then",
        retry_until: None,
        returned: Returned::Header,
        utf8: choice & 8 != 0,
    };
    let parts =
        [report.opening(), report.explanation(&recipient), report.status(), report.recipient_status(&recipient)];
    let lines = [parts.concat(), report.returned()].concat();
    // A continuation line begins with a tab.
    lines.iter().for_each(|line| assert_one_line(line.strip_prefix(b"\t").unwrap_or(line)));
    // Each part begins with a boundary and an empty line; only broken lines add to what an empty report has.
    assert!(lines.iter().map(Vec::len).sum::<usize>() <= 4096 + 16 * data.len());
    assert!(lines.len() <= 64 + data.len());
    assert_harmless(&report.boundary());
}
