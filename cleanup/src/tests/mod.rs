//! Laws of a message's way into the queue, on real files.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use config::Config;
use daemon::UnixSockets;
use ipc::cleanup::{Cause, Flags, Outcome};
use proptest::prelude::*;
use queue::{Content, Envelope, Hashing, Limits, QueueName, SendOptions, Spool, Type};

use crate::incoming::Incoming;
use crate::kept::Kept;
use crate::service::Cleanup;

mod recipients;
mod stages;

thread_local! {
    /// The queue directory of this thread's test.
    static ROOT: RefCell<PathBuf> = RefCell::default();
}

/// A queue directory of its own, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("cleanup-{name}-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for queue in ["incoming", "hold"] {
            fs::create_dir_all(root.join(queue)).unwrap();
        }
        ROOT.set(root.clone());
        Directory(root)
    }

    fn files(&self, queue: QueueName) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.join(queue.as_str())).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn is_empty(&self) -> bool {
        self.files(QueueName::Incoming).is_empty() && self.files(QueueName::Hold).is_empty()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn cleanup(settings: &str) -> Cleanup {
    let text = format!("myhostname = mail.test\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n{settings}");
    let config = Config::parse(text.as_bytes(), Path::new("/proc/self/none"), &[]).unwrap();
    let mut cleanup = Cleanup::new(&config, Duration::from_secs(1), None, || Ok(UnixSockets::default())).unwrap();
    cleanup.site.settings.spool = Spool::new(ROOT.with_borrow(PathBuf::clone), Hashing::default());
    cleanup
}

fn records(list: &[(Type, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, payload) in list {
        queue::record::encode(&mut out, *kind, payload.as_bytes());
    }
    out
}

/// Why a message was refused, if it was.
fn cause(outcome: Outcome) -> Option<Cause> {
    match outcome {
        Outcome::Accepted(_) => None,
        Outcome::Refused { cause, .. } => Some(cause),
    }
}

/// A message to these recipients with this content.
fn message(recipients: &[&str], lines: &[&str]) -> Vec<u8> {
    let mut list = vec![(Type::TIME, "1795345978 892203"), (Type::SENDER, "alice@example.test")];
    list.extend(recipients.iter().map(|address| (Type::RECIPIENT, *address)));
    list.push((Type::MESSAGE, ""));
    list.extend(lines.iter().map(|line| (Type::LINE, *line)));
    list.extend([(Type::EXTRACTED, ""), (Type::END, "")]);
    records(&list)
}

async fn deliver(cleanup: &Cleanup, bytes: &[u8]) -> Outcome {
    deliver_with(cleanup, Flags::EXTERNAL, bytes).await
}

async fn deliver_with(cleanup: &Cleanup, flags: Flags, bytes: &[u8]) -> Outcome {
    let token = cleanup.handover.token().await;
    let mut incoming = Incoming::open(&cleanup.site, token, flags, None).unwrap();
    incoming.take(bytes).await;
    incoming.finish().await.0
}

fn envelope(path: &Path) -> Envelope {
    Envelope::read(fs::File::open(path).unwrap(), &Limits::default()).unwrap()
}

fn content(path: &Path) -> Vec<String> {
    let mut content = Content::new(fs::File::open(path).unwrap(), envelope(path).data_offset);
    let mut lines = Vec::new();
    while let Some(text) = content.next_text().unwrap() {
        lines.push(String::from_utf8_lossy(text.data).into_owned());
    }
    lines
}

#[tokio::test]
async fn an_accepted_message_is_complete_and_has_the_headers_that_it_lacked() {
    let directory = Directory::new("complete");
    let cleanup = cleanup("");
    let outcome = deliver(&cleanup, &message(&["bob@example.test"], &["Subject: x", "", "hello"])).await;
    assert_eq!(cause(outcome), None);
    let files = directory.files(QueueName::Incoming);
    assert_eq!(files.len(), 1);
    assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o700);
    let lines = content(&files[0]);
    let names: Vec<&str> = lines.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(names, ["Subject", "Message-Id", "Date", "From", "", "hello"]);
    let envelope = envelope(&files[0]);
    assert_eq!(envelope.recipients.len(), 1);
    let stored: usize = lines.iter().map(|line| line.len() + 2).sum();
    assert_eq!(envelope.size.unwrap().content_length, stored as u64);
}

#[tokio::test]
async fn what_a_sender_says_of_tls_is_in_the_queue_file_and_survives_a_content_filter() {
    const HEADER: &str = "Require-TLS-ESMTP: yes";
    let asked = Flags::EXTERNAL.with(Flags::REQUIRETLS);
    for (settings, flags, lines, required, waived, headers) in [
        ("", asked, &["Subject: x", "", "hello"][..], true, false, 1),
        ("requiretls_esmtp_header = no", asked, &["Subject: x", "", "hello"], true, false, 0),
        ("", asked, &[HEADER, "", "hello"], true, false, 1),
        ("", Flags::EXTERNAL, &["require-tls-esmtp:  YES", "", "hello"], true, false, 0),
        ("", Flags::EXTERNAL, &["Require-TLS-ESMTP: no", "", HEADER], false, false, 1),
        ("", Flags::EXTERNAL, &["TLS-Required: No", "", "hello"], false, true, 0),
        ("", Flags::EXTERNAL, &["TLS-Required: yes", "", "hello"], false, false, 0),
    ] {
        let directory = Directory::new("tls");
        let outcome = deliver_with(&cleanup(settings), flags, &message(&["bob@example.test"], lines)).await;
        assert_eq!(cause(outcome), None);
        let file = &directory.files(QueueName::Incoming)[0];
        let options = envelope(file).size.unwrap().send_options;
        assert_eq!(options.has(SendOptions::REQUIRETLS), required, "{lines:?}");
        assert_eq!(options.has(SendOptions::TLS_REQUIRED_NO), waived, "{lines:?}");
        assert_eq!(content(file).iter().filter(|line| *line == HEADER).count(), headers, "{settings} {lines:?}");
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_message_that_was_not_finished() {
    let directory = Directory::new("unfinished");
    let cleanup = cleanup("");
    let bytes = message(&["bob@example.test"], &["Subject: x", "", "hello"]);
    let token = cleanup.handover.token().await;
    let mut incoming = Incoming::open(&cleanup.site, token, Flags::EXTERNAL, None).unwrap();
    incoming.take(&bytes).await;
    assert_eq!(directory.files(QueueName::Incoming).len(), 1);
    drop(incoming);
    assert!(directory.is_empty());
    let cut = &bytes[..bytes.len() - 2];
    assert_eq!(cause(deliver(&cleanup, cut).await), Some(Cause::Protocol));
    assert!(directory.is_empty());
}

#[tokio::test]
async fn a_table_that_cannot_be_read_refuses_the_message_for_now() {
    let directory = Directory::new("table");
    let settings = "virtual_alias_maps = texthash:/proc/self/none";
    assert_eq!(cause(deliver(&cleanup(settings), &message(&["a@b.test"], &["x"])).await), Some(Cause::Write));
    assert!(directory.is_empty());
}

#[tokio::test]
async fn checks_refuse_hold_and_change_messages() {
    let directory = Directory::new("checks");
    let checks = "header_checks = inline:{ {Subject: bad = REJECT 5.7.9 no}, {Subject: odd = HOLD}, \
                  {Subject: old = REPLACE Subject: new} }";
    let cleanup = cleanup(checks);
    let outcome = deliver(&cleanup, &message(&["a@b.test"], &["Subject: bad"])).await;
    assert_eq!(outcome, Outcome::refused(Cause::Content, "5.7.9 no"));
    assert!(directory.is_empty());
    assert_eq!(cause(deliver(&cleanup, &message(&["a@b.test"], &["Subject: odd"])).await), None);
    assert_eq!(directory.files(QueueName::Hold).len(), 1);
    assert_eq!(cause(deliver(&cleanup, &message(&["a@b.test"], &["Subject: old"])).await), None);
    assert_eq!(content(&directory.files(QueueName::Incoming)[0])[0], "Subject: new");
}

#[tokio::test]
async fn limits_refuse_messages() {
    let directory = Directory::new("limits");
    let cleanup = cleanup("message_size_limit = 1000\nhopcount_limit = 2");
    let hops = message(&["a@b.test"], &["Received: a", "Received: b", "Received: c"]);
    assert_eq!(cause(deliver(&cleanup, &hops).await), Some(Cause::Hops));
    let long = "x".repeat(1001);
    assert_eq!(cause(deliver(&cleanup, &message(&["a@b.test"], &["Subject: x", "", &long])).await), Some(Cause::Size));
    assert_eq!(cause(deliver(&cleanup, &message(&[], &["Subject: x"])).await), Some(Cause::NoRecipients));
    assert!(directory.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_client_sends_is_accepted_as_a_readable_file_or_leaves_none(
        list in prop::collection::vec((prop::sample::select(b"TSROAMNLXEFWVpw>fDK/".to_vec()), "[ -~]{0,20}"), 0..30),
    ) {
        let directory = Directory::new("any");
        let cleanup = cleanup("");
        let mut bytes = records(&[(Type::SENDER, "alice@example.test"), (Type::RECIPIENT, "bob@example.test")]);
        for (kind, payload) in &list {
            queue::record::encode(&mut bytes, Type(*kind), payload.as_bytes());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(deliver(&cleanup, &bytes));
        let files = directory.files(QueueName::Incoming);
        prop_assert_eq!(files.len(), usize::from(cause(outcome).is_none()));
        for file in &files {
            envelope(file);
            content(file);
        }
    }
}

#[tokio::test]
async fn a_message_goes_into_the_file_that_was_kept_for_it_by_whichever_worker() {
    let directory = Directory::new("kept");
    fs::create_dir_all(directory.0.join("spare")).unwrap();
    let cleanup = cleanup("");
    let path = directory.0.join("spare/OLD");
    for other_worker in [false, true] {
        fs::write(&path, b"").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        // None was there a moment ago.
        cleanup.site.spares.take();
        let kept = Kept::new(&cleanup.site).unwrap();
        let place = kept.place().clone();
        let kept = Some(kept).filter(|_| !other_worker);
        let kept = Kept::find(&cleanup.site, kept, place.clone()).unwrap();
        let token = cleanup.handover.token().await;
        let mut incoming = Incoming::open(&cleanup.site, token, Flags::EXTERNAL, Some(kept)).unwrap();
        incoming.take(&message(&["bob@example.test"], &["Subject: x", "", "hello"])).await;
        assert_eq!(incoming.finish().await.0, Outcome::Accepted(place.queue_id.clone()));
        assert!(!path.exists());
        assert!(Kept::find(&cleanup.site, None, place).is_err());
    }
    assert_eq!(directory.files(QueueName::Incoming).len(), 2);
}
