//! The whole daemon as a process: records go in, notifications come out at a cleanup that this test plays.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use dsn::{Action, Notify, Status};
use ipc::bounce::{Bounce, Log, Message, Record, Reply, Request};
use ipc::{Client, Server, cleanup};
use queue::record::{Reader, encode, encode_attribute};
use queue::{QueueId, Recipient, SizeRecord, Type};

#[test]
fn a_failure_is_recorded_then_returned_with_the_message_then_forgotten() {
    let stage = Stage::new("failure", "");
    let (replies, log) =
        stage.ask(&[append(Log::Bounce, Action::Failed, Notify::UNSET), notify(Log::Bounce, false, "a@x.test")]);
    assert_eq!(replies, [Reply::Done, Reply::Done], "{log}");
    let mail = &stage.queued()[0];
    for line in [
        "S ",
        "R a@x.test",
        "N To: a@x.test",
        "N From: Mail Delivery System <MAILER-DAEMON@m.test>",
        "N Reporting-MTA: dns; h.m.test",
        "N Final-Recipient: rfc822; gone@m.test",
        "N Action: failed",
        "N Status: 5.1.1",
        "N Return-Path: <a@x.test>",
        "N Subject: original",
        "N the body",
    ] {
        assert!(mail.lines().any(|l| l == line), "{line}: {mail}");
    }
    assert!(log.contains("OLD: sender non-delivery notification: NEW"), "{log}");
    assert!(!stage.path("queue/bounce/OLD").exists());
}

#[test]
fn a_delay_warning_returns_the_header_and_keeps_the_log() {
    let stage = Stage::new("delay", "");
    let (replies, log) =
        stage.ask(&[append(Log::Defer, Action::Delayed, Notify::UNSET), notify(Log::Defer, true, "a@x.test")]);
    assert_eq!(replies, [Reply::Done, Reply::Done], "{log}");
    let mail = &stage.queued()[0];
    assert!(mail.contains("N Subject: original\n") && !mail.contains("the body"), "{mail}");
    assert!(mail.contains("N Will-Retry-Until: "), "{mail}");
    assert!(stage.path("queue/defer/O/OLD").exists());
}

#[test]
fn an_expired_message_is_returned_from_its_defer_log() {
    let stage = Stage::new("expired", "");
    let (replies, _) =
        stage.ask(&[append(Log::Defer, Action::Delayed, Notify::UNSET), notify(Log::Defer, false, "a@x.test")]);
    assert_eq!(replies, [Reply::Done, Reply::Done]);
    assert!(stage.queued()[0].contains("N Action: failed\n"));
    assert!(!stage.path("queue/defer/O/OLD").exists());
}

#[test]
fn a_failed_notification_makes_no_other() {
    let stage = Stage::new("null", "");
    let (replies, _) = stage.ask(&[append(Log::Bounce, Action::Failed, Notify::UNSET), notify(Log::Bounce, false, "")]);
    assert_eq!(replies, [Reply::Done, Reply::Done]);
    assert!(stage.queued().is_empty());
}

#[test]
fn a_sender_who_wants_no_report_gets_none() {
    let stage = Stage::new("never", "");
    let (replies, _) =
        stage.ask(&[append(Log::Bounce, Action::Failed, Notify::NEVER), notify(Log::Bounce, false, "a@x.test")]);
    assert_eq!(replies, [Reply::Done, Reply::Done]);
    assert!(stage.queued().is_empty());
}

#[test]
fn what_cannot_be_queued_is_not_forgotten() {
    let stage = Stage::new("no-cleanup", "cleanup_service_name = absent\n");
    let (replies, _) =
        stage.ask(&[append(Log::Bounce, Action::Failed, Notify::UNSET), notify(Log::Bounce, false, "a@x.test")]);
    assert!(matches!(replies[1], Reply::Failed(_)));
    assert!(stage.path("queue/bounce/OLD").exists());
}

#[test]
fn a_message_that_is_gone_is_still_reported() {
    let stage = Stage::new("gone", "");
    std::fs::remove_file(stage.path("queue/active/OLD")).unwrap();
    let (replies, _) =
        stage.ask(&[append(Log::Bounce, Action::Failed, Notify::UNSET), notify(Log::Bounce, false, "a@x.test")]);
    assert_eq!(replies, [Reply::Done, Reply::Done]);
    assert!(stage.queued()[0].contains("N Status: 5.1.1\n"));
}

#[test]
fn a_new_message_is_not_reported_with_the_recipients_of_another_one() {
    let stage = Stage::new("begin", "");
    let Request::Append { log, queue_id, records, .. } = append(Log::Bounce, Action::Failed, Notify::UNSET) else {
        unreachable!()
    };
    let begun = Request::Append { log, queue_id, begin: true, records };
    stage.ask(&[append(Log::Bounce, Action::Failed, Notify::UNSET), begun, notify(Log::Bounce, false, "a@x.test")]);
    assert_eq!(stage.queued()[0].matches("N Status: 5.1.1\n").count(), 1);
}

fn append(log: Log, action: Action, notify: Notify) -> Request {
    let recipient = Recipient { address: b"gone@m.test".to_vec(), notify, ..Recipient::default() };
    let record = Record {
        recipient,
        status: if action == Action::Failed { Status::new(5, 1, 1) } else { Status::new(4, 4, 1) },
        action,
        diagnostic: None,
        remote_mta: String::new(),
        reason: "unknown user: \"gone\"".into(),
    };
    let records = ipc::chunks([record]).next().unwrap();
    Request::Append { log, queue_id: id("OLD"), begin: false, records }
}

fn id(name: &str) -> QueueId {
    QueueId::parse(name.as_bytes()).unwrap()
}

fn notify(log: Log, keep: bool, sender: &str) -> Request {
    let message = Message { sender: sender.into(), ..Message::new(id("OLD")) };
    Request::Notify { log, keep, message }
}

struct Stage {
    folder: PathBuf,
    queued: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    fn new(name: &str, settings: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("bounce-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        for path in ["", "queue", "queue/public", "queue/active", "queue/bounce", "queue/defer", "queue/trace"] {
            std::fs::create_dir(folder.join(path)).unwrap();
            std::fs::set_permissions(folder.join(path), PermissionsExt::from_mode(0o777)).unwrap();
        }
        let owner = if nix::unistd::geteuid().is_root() { "daemon".to_owned() } else { own_name() };
        let text = format!(
            "compatibility_level = 3.11\nqueue_directory = {f}/queue\ndata_directory = {f}/queue\nmyhostname = h.m.test\n\
             myorigin = m.test\nmail_owner = {owner}\n{settings}",
            f = folder.display()
        );
        std::fs::write(folder.join("main.cf"), text).unwrap();
        std::fs::write(folder.join("queue/active/OLD"), message()).unwrap();
        std::fs::set_permissions(folder.join("queue/active/OLD"), PermissionsExt::from_mode(0o744)).unwrap();
        let stage = Stage { folder, queued: Arc::default() };
        let socket = stage.path("queue/public/cleanup");
        let listener = UnixListener::bind(&socket).unwrap();
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o777)).unwrap();
        let queued = Arc::clone(&stage.queued);
        std::thread::spawn(move || play_cleanup(listener, &queued));
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn queued(&self) -> Vec<String> {
        self.queued.lock().unwrap().clone()
    }

    /// Starts a daemon, asks it one thing after the other, and ends it.
    fn ask(&self, requests: &[Request]) -> (Vec<Reply>, String) {
        let (near, far) = UnixStream::pair().unwrap();
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_bounce"))
            .args(["-S", "-V", "-n", "bounce", "-t", "unix", "-z"])
            .env("MAIL_CONFIG", &self.folder)
            .stdin(Stdio::from(OwnedFd::from(far)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        near.set_nonblocking(true).unwrap();
        let replies = in_runtime(async {
            let mut channel: Client<Bounce> = Client::new(tokio::net::UnixStream::from_std(near).unwrap());
            let mut replies = Vec::new();
            for request in requests {
                replies.push(channel.exchange(request).await.unwrap());
            }
            replies
        });
        let mut log = String::new();
        daemon.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        daemon.wait().unwrap();
        (replies, log)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn own_name() -> String {
    nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name
}

/// A complete queue file.
fn message() -> Vec<u8> {
    let mut envelope = Vec::new();
    encode(&mut envelope, Type::TIME, b"1795345978 892203");
    encode_attribute(&mut envelope, "rewrite_context", b"local");
    encode(&mut envelope, Type::SENDER, b"a@x.test");
    encode(&mut envelope, Type::RECIPIENT, b"gone@m.test");
    encode(&mut envelope, Type::MESSAGE, b"");
    let mut content = Vec::new();
    for line in ["Subject: original", "", "the body"] {
        encode(&mut content, Type::LINE, line.as_bytes());
    }
    let mut size = SizeRecord { recipients: 1, data_size: content.len() as u64, ..SizeRecord::default() };
    size.content_length = size.data_size;
    size.data_offset = (size.encode().len() + envelope.len()) as u64;
    let mut out = [size.encode(), envelope, content].concat();
    encode(&mut out, Type::EXTRACTED, b"");
    encode(&mut out, Type::END, b"");
    out
}

fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn play_cleanup(listener: UnixListener, queued: &Mutex<Vec<String>>) {
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nonblocking(true).unwrap();
        in_runtime(async {
            let mut channel: Server<cleanup::Cleanup> = Server::new(tokio::net::UnixStream::from_std(stream).unwrap());
            let mut records = Vec::new();
            while let Ok(Some(request)) = channel.receive().await {
                match request {
                    cleanup::Request::Open { .. } => {
                        channel.send(&cleanup::Reply::Opened { queue_id: id("NEW") }).await.unwrap();
                    }
                    cleanup::Request::Records(bytes) => records.extend(bytes),
                    cleanup::Request::Filter(_) => {}
                    cleanup::Request::Finish { .. } => {
                        queued.lock().unwrap().push(shown(std::mem::take(&mut records)));
                        let outcome = cleanup::Outcome::Accepted(id("NEW"));
                        channel.send(&cleanup::Reply::Done { outcome, next: None }).await.unwrap();
                    }
                    cleanup::Request::Abort => records.clear(),
                    cleanup::Request::Whole { .. } => panic!("no place was given"),
                }
            }
        });
    }
}

fn shown(records: Vec<u8>) -> String {
    let mut reader = Reader::new(records);
    let mut out = String::new();
    while let Ok(Some(record)) = reader.next_record() {
        out.push_str(&format!("{} {}\n", char::from(record.kind.0), String::from_utf8_lossy(record.data)));
    }
    out
}
