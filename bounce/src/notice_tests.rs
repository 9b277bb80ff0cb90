//! Who is told, for every kind of sender.

use std::path::Path;

use dsn::Notify;
use queue::QueueId;

use super::*;

fn settings(text: &str) -> Settings {
    let config = Config::parse(format!("myhostname = h.test\n{text}").as_bytes(), Path::new("/proc/self/none"), &[]);
    Settings::read(&config.unwrap()).unwrap()
}

fn from(sender: &str) -> Message {
    Message { sender: sender.into(), ..Message::new(QueueId::parse(b"NOSUCH").unwrap()) }
}

fn told(settings: &Settings, kind: Kind, sender: &str, returned: Return) -> Vec<(String, Returned)> {
    let message = from(sender);
    let message = Message { returned, ..message };
    let mut subject = Subject::open(&queue::Spool::new("/proc/self/none", Default::default()), &message, 0);
    subject.size = 100;
    let notices = notices(settings, kind, &message, &subject);
    notices.into_iter().map(|n| (String::from_utf8(n.to).unwrap(), n.returned)).collect()
}

#[test]
fn the_sender_of_failed_mail_gets_it_back_unless_it_is_large_or_he_wants_the_header_only() {
    let plain = settings("");
    assert_eq!(told(&plain, Kind::Failure, "a@b.test", Return::Unset), [("a@b.test".into(), Returned::Message)]);
    assert_eq!(told(&plain, Kind::Failure, "a@b.test", Return::Headers), [("a@b.test".into(), Returned::Header)]);
    let small = settings("bounce_size_limit = 99");
    assert_eq!(told(&small, Kind::Failure, "a@b.test", Return::Full), [("a@b.test".into(), Returned::Header)]);
}

#[test]
fn what_was_sent_by_tls_all_the_way_comes_back_as_its_header_or_the_same_way() {
    let protected = Message { send_options: SendOptions::REQUIRETLS, ..from("a@b.test") };
    let mut subject = Subject::open(&queue::Spool::new("/proc/self/none", Default::default()), &protected, 0);
    subject.size = 100;
    let (redacting, open) = (settings(""), settings("requiretls_redact_dsn = no"));
    assert_eq!(returned_on_failure(&redacting, &protected, &subject), Returned::Header);
    assert_eq!(returned_on_failure(&open, &protected, &subject), Returned::Message);
    assert!(!notice_flags(&redacting, &protected).has(Flags::REQUIRETLS));
    assert!(notice_flags(&open, &protected).has(Flags::REQUIRETLS));
    assert!(!notice_flags(&open, &from("a@b.test")).has(Flags::REQUIRETLS));
}

#[test]
fn a_failed_notification_is_never_answered() {
    let all = settings("notify_classes = bounce, 2bounce, delay");
    assert_eq!(told(&all, Kind::Failure, "", Return::Unset), [("postmaster".into(), Returned::Message)]);
    assert_eq!(told(&all, Kind::Failure, "double-bounce@h.test", Return::Unset), []);
    assert_eq!(told(&settings(""), Kind::Failure, "", Return::Unset), []);
    for kind in [Kind::Delay, Kind::Success, Kind::Verify] {
        assert_eq!(told(&all, kind, "", Return::Unset), []);
        assert_eq!(told(&all, kind, "double-bounce@h.test", Return::Unset), []);
    }
}

#[test]
fn postmaster_gets_copies_of_the_classes_that_he_named() {
    let all = settings("notify_classes = bounce, delay\ndelay_notice_recipient = ops@h.test");
    let failure = told(&all, Kind::Failure, "a@b.test", Return::Unset);
    assert_eq!(failure[1], ("postmaster".into(), Returned::Header));
    let delay = told(&all, Kind::Delay, "a@b.test", Return::Unset);
    assert_eq!(delay, [("a@b.test".into(), Returned::Header), ("ops@h.test".into(), Returned::Header)]);
    assert_eq!(told(&all, Kind::Success, "a@b.test", Return::Unset).len(), 1);
}

#[test]
fn a_sender_hears_of_the_recipients_that_he_asked_for() {
    let message = from("a@b.test");
    let notice = to_sender(Kind::Failure, &message, Returned::Message);
    let entry = |notify| Entry { notify, ..Entry::default() };
    assert!(concerns(&notice, &entry(Notify::UNSET)) && concerns(&notice, &entry(Notify::FAILURE)));
    assert!(!concerns(&notice, &entry(Notify::NEVER)) && !concerns(&notice, &entry(Notify::SUCCESS)));
    let copy = Notice { audience: Audience::Postmaster, ..notice };
    assert!(concerns(&copy, &entry(Notify::NEVER)));
}

#[test]
fn a_recipient_that_was_delayed_until_it_expired_has_failed() {
    let entry = Entry { status: b"4.4.1".to_vec(), action: b"delayed".to_vec(), ..Entry::default() };
    let recipient = reported(Kind::Failure, &entry);
    assert_eq!((recipient.status, recipient.action), (Status::new(4, 4, 1), Action::Failed));
    assert_eq!(reported(Kind::Delay, &entry).action, Action::Delayed);
}
