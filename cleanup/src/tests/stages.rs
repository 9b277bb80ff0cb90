//! Laws of each stage by itself: what it writes, and what it refuses.

use dsn::Notify;

use super::*;
use crate::content::Content as Stage;
use crate::envelope::Envelope as Sender;
use crate::failure::Failure;
use crate::message::Message;
use crate::recipients::Recipients;
use crate::writer::Writer;

/// A message without records.
fn begun(cleanup: &Cleanup) -> (Message<'_>, Writer, Sender) {
    let writer = Writer::create(&cleanup.site, Flags::EXTERNAL, None).unwrap();
    (Message { site: &cleanup.site, id: writer.id().clone(), flags: Flags::EXTERNAL }, writer, Sender::new(0))
}

/// The records behind the size record.
fn written(writer: &mut Writer, directory: &Directory) -> Vec<(Type, String)> {
    writer.readable().unwrap();
    let bytes = fs::read(&directory.files(QueueName::Incoming)[0]).unwrap();
    let (mut rest, mut list) = (&bytes[queue::size::RECORD..], Vec::new());
    while let Some((kind, payload, after)) = queue::record::split_first(rest) {
        list.push((kind, String::from_utf8_lossy(payload).into_owned()));
        rest = after;
    }
    list
}

fn owned(list: &[(Type, &str)]) -> Vec<(Type, String)> {
    list.iter().map(|(kind, payload)| (*kind, payload.to_string())).collect()
}

#[tokio::test]
async fn a_line_is_written_in_pieces_of_line_length_limit() {
    let directory = Directory::new("pieces");
    let cleanup = cleanup("line_length_limit = 512");
    let (_, mut writer, _) = begun(&cleanup);
    let (piece, line) = ("x".repeat(512), "x".repeat(1025));
    writer.lines(format!("{line}\ny").as_bytes());
    let expected = [(Type::PARTIAL, &piece[..]), (Type::PARTIAL, &piece), (Type::LINE, "x"), (Type::LINE, "y")];
    assert_eq!(written(&mut writer, &directory), owned(&expected));
}

#[tokio::test]
async fn a_file_over_message_size_limit_is_refused_and_written_on() {
    let directory = Directory::new("size");
    let cleanup = cleanup("message_size_limit = 100");
    let (_, mut writer, _) = begun(&cleanup);
    writer.line(b"");
    assert_eq!(writer.verdict.failure(), None);
    writer.line(b"x");
    writer.line(b"y");
    assert!(writer.verdict.is_refused_for(Cause::Size));
    assert_eq!(written(&mut writer, &directory), owned(&[(Type::LINE, ""), (Type::LINE, "x"), (Type::LINE, "y")]));
}

#[tokio::test]
async fn a_message_has_one_sender_and_no_content_without_it() {
    let _directory = Directory::new("sender");
    let cleanup = cleanup("");
    let (message, mut writer, mut envelope) = begun(&cleanup);
    assert_eq!(envelope.end(&message, &mut writer), Err(Failure::protocol("no sender")));
    assert_eq!(envelope.take_sender(&message, &mut writer, b"a@b.test").await, Ok(()));
    let second = envelope.take_sender(&message, &mut writer, b"c@b.test").await;
    assert_eq!((second, envelope.sender()), (Err(Failure::protocol("more than one sender")), &b"a@b.test"[..]));
    assert_eq!(envelope.end(&message, &mut writer), Ok(()));
}

#[tokio::test]
async fn the_delay_warning_stands_before_the_first_recipient_and_only_there() {
    let directory = Directory::new("warning");
    let cleanup = cleanup("delay_warning_time = 1h");
    let (message, mut writer, mut envelope) = begun(&cleanup);
    envelope.take_sender(&message, &mut writer, b"a@b.test").await.unwrap();
    let mut recipients = Recipients::default();
    for address in [&b"c@b.test"[..], b"d@b.test"] {
        recipients.take(&message, &mut envelope, &mut writer, address).await.unwrap();
    }
    envelope.end(&message, &mut writer).unwrap();
    let kinds: Vec<Type> = written(&mut writer, &directory).into_iter().map(|(kind, _)| kind).collect();
    let (attribute, original, recipient) = (Type::ATTRIBUTE, Type::ORIGINAL, Type::RECIPIENT);
    let one = [attribute, original, recipient];
    assert_eq!(kinds, [&[Type::SENDER, Type::WARNING][..], &one, &one, &[Type::MESSAGE]].concat());
}

#[tokio::test]
async fn what_is_said_of_a_recipient_is_for_the_next_one_alone() {
    let directory = Directory::new("next");
    let cleanup = cleanup("");
    let (message, mut writer, mut envelope) = begun(&cleanup);
    let mut recipients = Recipients::default();
    let early = recipients.take(&message, &mut envelope, &mut writer, b"c@b.test").await;
    assert_eq!(early, Err(Failure::protocol("a recipient before the sender")));
    envelope.take_sender(&message, &mut writer, b"").await.unwrap();
    assert!(recipients.attribute(b"notify_flags", Notify::NEVER.bits().to_string().as_bytes()));
    recipients.property(Type::ORIGINAL, b"before@b.test");
    recipients.take(&message, &mut envelope, &mut writer, b"c@b.test").await.unwrap();
    recipients.take(&message, &mut envelope, &mut writer, b"d@b.test").await.unwrap();
    let mut list = written(&mut writer, &directory);
    list.retain(|(kind, text)| *kind != Type::ATTRIBUTE || text.starts_with("notify_flags"));
    let never = format!("notify_flags={}", Notify::NEVER.bits());
    let first = [(Type::ATTRIBUTE, &never[..]), (Type::ORIGINAL, "before@b.test"), (Type::RECIPIENT, "c@b.test")];
    let second = [(Type::ORIGINAL, "d@b.test"), (Type::RECIPIENT, "d@b.test")];
    assert_eq!(list, owned(&[&[(Type::SENDER, "")][..], &first, &second].concat()));
}

/// What the content stage makes of some lines.
async fn inspected(cleanup: &Cleanup, directory: &Directory, lines: &[&str]) -> (Stage, Vec<(Type, String)>) {
    let (message, mut writer, mut envelope) = begun(cleanup);
    envelope.client.remote = true; // nothing is added
    let mut content = Stage::new(&cleanup.site.settings, true);
    for line in lines {
        content.take(&message, &envelope, &mut writer, Type::LINE, line.as_bytes()).await;
    }
    assert!(content.end(&message, &mut envelope, &mut writer).await);
    content.write_found(&message, &mut envelope, &mut writer);
    let written = written(&mut writer, directory);
    (content, written)
}

#[tokio::test]
async fn a_body_that_follows_a_field_at_once_gets_the_line_that_separates_them() {
    let directory = Directory::new("separator");
    let (_, written) = inspected(&cleanup(""), &directory, &["Subject: x", "body"]).await;
    let expected = [(Type::LINE, "Subject: x"), (Type::LINE, ""), (Type::LINE, "body"), (Type::EXTRACTED, "")];
    assert_eq!(written, owned(&expected));
}

#[tokio::test]
async fn a_message_that_is_redirected_is_checked_no_more() {
    let directory = Directory::new("redirect");
    let checks = "header_checks = inline:{ {X: bcc = BCC c@b.test}, {X: away = REDIRECT r@b.test}, {X: no = REJECT} }";
    let (mut content, written) = inspected(&cleanup(checks), &directory, &["X: bcc", "X: away", "X: no"]).await;
    assert!(!content.is_checked());
    assert_eq!(content.take_copies(), [b"c@b.test"]);
    assert_eq!(written.last(), Some(&(Type::REDIRECT, "r@b.test".to_owned())));
}
