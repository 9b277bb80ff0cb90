//! Laws of a message's way out of the queue, on real files, with services that do as the test says.
//!
//! The queue manager names its peers by paths relative to the working directory, which is one for all threads: the laws
//! are tried one after the other.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::Config;
use dsn::{Action, Status};
use ipc::bounce::{Bounce, Log, Reply as BounceReply, Request as BounceRequest};
use ipc::channel::Service;
use ipc::delivery::{self, Delivery, Outcome, Problem, Report, Request, Verdict};
use ipc::rewrite::{Class, Reply as RewriteReply, Request as RewriteRequest, Resolved, Rewrite};
use ipc::{Channel, Server};
use queue::{Hashing, NewFile, QueueName, SizeRecord, Spool, Type};
use tokio::net::UnixListener;

use crate::active::open_locked;
use crate::service::Qmgr;

mod suspended_tests;

static TURN: Mutex<()> = Mutex::new(());

/// What the services were asked.
#[derive(Default)]
struct Seen {
    deliveries: Vec<Vec<String>>,
    logs: Vec<String>,
}

type Shared = Rc<RefCell<Seen>>;

/// A queue directory that is the working directory, removed at the end.
struct Directory {
    root: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Directory {
    fn new(name: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let root = std::env::temp_dir().join(format!("qmgr-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for folder in ["incoming", "active", "deferred", "corrupt", "bounce", "defer", "trace", "private", "public"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::env::set_current_dir(&root).unwrap();
        Directory { root, _turn: turn }
    }

    /// A complete message in the incoming queue.
    fn message(&self, recipients: &[&str]) -> String {
        let mut file = NewFile::create(&spool(), QueueName::Incoming, 0o600, false).unwrap();
        file.push_encoded(&SizeRecord::default().encode()).unwrap();
        file.push(Type::TIME, b"1795345978 0").unwrap();
        file.push(Type::SENDER, b"alice@example.test").unwrap();
        for recipient in recipients {
            file.push(Type::ORIGINAL, recipient.as_bytes()).unwrap();
            file.push(Type::RECIPIENT, recipient.as_bytes()).unwrap();
        }
        file.push(Type::MESSAGE, b"").unwrap();
        let data_offset = file.offset();
        file.push(Type::LINE, b"hello").unwrap();
        let data_size = file.offset() - data_offset;
        file.push(Type::EXTRACTED, b"").unwrap();
        file.push(Type::END, b"").unwrap();
        let recipients = recipients.len() as u64;
        let size = SizeRecord { data_size, data_offset, recipients, content_length: data_size, ..Default::default() };
        file.complete(&size).unwrap().sync().unwrap().as_str().to_owned()
    }

    fn queue_of(&self, id: &str) -> Option<&'static str> {
        let places = [("incoming", ""), ("active", ""), ("corrupt", ""), ("deferred", &id[..1])];
        let has = |queue: &str, sub: &str| self.root.join(queue).join(sub).join(id).is_file();
        places.into_iter().find_map(|(queue, sub)| has(queue, sub).then_some(queue))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::env::set_current_dir("/");
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn spool() -> Spool {
    Spool::new(".", Hashing::default())
}

fn qmgr(settings: &str) -> Rc<Qmgr> {
    let text = format!("myhostname = mail.test\n{settings}").into_bytes();
    let config = Config::parse(&text, Path::new("/proc/self/none"), &[]).unwrap();
    Rc::new(Qmgr::new(config, Duration::from_secs(1), None).unwrap())
}

/// A service: one reply a request.
fn serve<P: Service + 'static>(name: &str, answer: impl Fn(&mut Server<P>, P::Request) -> Option<P::Reply> + 'static)
where
    P::Request: 'static,
    P::Reply: 'static,
{
    let listener = UnixListener::bind(format!("private/{name}")).unwrap();
    let answer = Rc::new(answer);
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Rc::clone(&answer);
            tokio::task::spawn_local(async move {
                let mut channel: Server<P> = Channel::new(stream);
                let _ = channel.flush().await;
                while let Ok(Some(request)) = channel.receive().await {
                    let Some(reply) = answer(&mut channel, request) else { return };
                    channel.send(&reply).await.unwrap();
                }
            });
        }
    });
}

/// A delivery agent, which hangs up where `answer` says so.
fn serve_agent(name: &str, answer: impl Fn(&mut Server<Delivery>, Request) -> Option<Report> + 'static) {
    let listener = UnixListener::bind(format!("private/{name}")).unwrap();
    let answer = Rc::new(answer);
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Rc::clone(&answer);
            tokio::task::spawn_local(async move {
                let mut channel: Server<Delivery> = Channel::new(stream);
                let _ = channel.flush().await;
                while let Ok(Some(part)) = channel.receive().await {
                    let request = delivery::receive(part, &mut channel).await.unwrap();
                    let Some(report) = answer(&mut channel, request) else { return };
                    delivery::report(&mut channel, report).await.unwrap();
                }
            });
        }
    });
}

/// Everything to transport `smtp`, nexthop the domain; agents decide by the local part.
fn services(seen: &Shared) {
    serve::<Rewrite>("rewrite", |_, request| {
        let RewriteRequest::Resolve { address, .. } = request else { return None };
        let nexthop = address::domain(&address).unwrap_or_default().to_vec();
        let transport = if nexthop == b"missing.test" { "missing" } else { "smtp" }.to_owned();
        let (class, recipient) = (Class::Default, address);
        Some(RewriteReply::Resolved(Resolved {
            transport,
            nexthop,
            recipient,
            class,
            routed: false,
            bad_syntax: false,
            failed: false,
        }))
    });
    for name in ["smtp", "retry"] {
        let seen = Rc::clone(seen);
        serve_agent(name, move |it, request| agent(&seen, name, it.take_descriptor().map(Into::into), request));
    }
    for name in ["bounce", "defer", "trace"] {
        let seen = Rc::clone(seen);
        serve::<Bounce>(name, move |_, request| {
            seen.borrow_mut().logs.push(logged(&request));
            Some(BounceReply::Done)
        });
    }
}

fn logged(request: &BounceRequest) -> String {
    let name = |log: &Log| match log {
        Log::Bounce => "bounce",
        Log::Defer => "defer",
        Log::Trace => "trace",
    };
    match request {
        BounceRequest::Append { log, records, .. } => {
            format!("{} {}: {}", name(log), records.items().len(), records.items()[0].reason)
        }
        BounceRequest::Notify { log, keep, .. } => format!("notify {} {keep}", name(log)),
    }
}

fn agent(seen: &Shared, name: &str, file: Option<fs::File>, request: Request) -> Option<Report> {
    let addresses = request.recipients.iter().map(|r| String::from_utf8(r.address.clone()).unwrap());
    seen.borrow_mut().deliveries.push(addresses.collect());
    let mut report = Report::default();
    for recipient in &request.recipients {
        let verdict = match (name, &recipient.address[..]) {
            ("retry", _) => Verdict::Deferred,
            (_, address) if address.starts_with(b"die") => return None,
            (_, address) if address.starts_with(b"odd") => return Some(Report::default()),
            (_, address) if address.starts_with(b"bounce") => Verdict::Bounced,
            (_, address) if address.starts_with(b"wait") => Verdict::Deferred,
            (_, address) if address.starts_with(b"down") => {
                let (status, reason) = (Status::new(4, 4, 1), "connection refused".to_owned());
                report.host_problem = Some(Problem { status, reason });
                Verdict::Deferred
            }
            _ => Verdict::Sent,
        };
        if verdict == Verdict::Sent {
            queue::mark::done(file.as_ref().expect("the queue file"), recipient.offset).unwrap();
        }
        let reason =
            if name == "retry" { String::from_utf8(request.nexthop.clone()).unwrap() } else { "said so".into() };
        report.outcomes.push(Outcome {
            verdict,
            status: Status::new(4, 0, 0),
            action: None,
            reason,
            diagnostic: None,
            remote_mta: String::new(),
            expanded: expansion(&recipient.address),
            following: 0,
        });
    }
    Some(report)
}

/// `bounce-many` has 2500 addresses.
fn expansion(address: &[u8]) -> Vec<ipc::bounce::Record> {
    let record = ipc::bounce::Record {
        recipient: queue::Recipient { address: b"x@one.test".to_vec(), ..Default::default() },
        status: Status::new(5, 1, 1),
        action: Action::Failed,
        diagnostic: None,
        remote_mta: String::new(),
        reason: "one of many".to_owned(),
    };
    if address.starts_with(b"bounce-many") { vec![record; 2500] } else { Vec::new() }
}

/// Runs a law with a queue manager and its services until `done`.
fn run(settings: &str, seen: &Shared, begin: impl FnOnce(&Rc<Qmgr>), done: impl Fn() -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        services(seen);
        let qmgr = qmgr(settings);
        tokio::task::spawn_local(Rc::clone(&qmgr).main_loop());
        begin(&qmgr);
        qmgr.turn();
        for _ in 0..500 {
            if done() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not done: {:?} {:?}", seen.borrow().deliveries, seen.borrow().logs);
    });
}

/// Looks for new mail all the time.
fn rescan(qmgr: &Rc<Qmgr>) {
    let qmgr = Rc::clone(qmgr);
    tokio::task::spawn_local(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            daemon::Worker::trigger(Rc::clone(&qmgr), b"I".to_vec()).await;
        }
    });
}

fn announce(id: &str) -> impl FnOnce(&Rc<Qmgr>) {
    let id = queue::QueueId::parse(id.as_bytes()).unwrap();
    move |qmgr| qmgr.intake.announced(id, None)
}

#[test]
fn a_delivered_message_is_removed() {
    let (directory, seen) = (Directory::new("removed"), Shared::default());
    let id = directory.message(&["a@one.test", "b@one.test", "c@two.test"]);
    run("", &seen, announce(&id), || directory.queue_of(&id).is_none());
    let mut deliveries = seen.borrow().deliveries.clone();
    deliveries.sort();
    assert_eq!(deliveries, [vec!["a@one.test", "b@one.test"], vec!["c@two.test"]]);
    assert!(seen.borrow().logs.is_empty());
}

#[test]
fn a_message_that_was_not_announced_is_found() {
    let (directory, seen) = (Directory::new("found"), Shared::default());
    let id = directory.message(&["a@one.test"]);
    run("", &seen, |_| {}, || directory.queue_of(&id).is_none());
}

#[test]
fn a_new_message_that_cleanup_has_locked_is_left_where_it_is_until_its_file_is_handed_over() {
    let (directory, seen) = (Directory::new("handed"), Shared::default());
    let id = directory.message(&["a@one.test"]);
    let name = queue::QueueId::parse(id.as_bytes()).unwrap();
    let file = open_locked(&spool(), QueueName::Incoming, &name).unwrap();
    let begin = |qmgr: &Rc<Qmgr>| {
        let qmgr = Rc::clone(qmgr);
        tokio::task::spawn_local(async move {
            daemon::Worker::trigger(Rc::clone(&qmgr), b"I".to_vec()).await;
            assert!(Path::new("incoming").join(name.as_str()).exists());
            qmgr.intake.announced(name, file);
            qmgr.turn();
        });
    };
    run("", &seen, begin, || directory.queue_of(&id).is_none());
}

#[test]
fn what_a_former_queue_manager_left_active_is_delivered() {
    let (directory, seen) = (Directory::new("former"), Shared::default());
    let id = directory.message(&["a@one.test"]);
    fs::rename(format!("incoming/{id}"), format!("active/{id}")).unwrap();
    run("", &seen, |_| {}, || directory.queue_of(&id).is_none());
    assert_eq!(seen.borrow().deliveries.len(), 1);
}

#[test]
fn failed_recipients_are_recorded_and_reported_before_the_message_goes() {
    let (directory, seen) = (Directory::new("bounced"), Shared::default());
    let id = directory.message(&["bounce@one.test", "a@one.test"]);
    run("", &seen, announce(&id), || directory.queue_of(&id).is_none());
    assert_eq!(seen.borrow().logs, ["bounce 1: said so", "notify bounce false"]);
}

#[test]
fn a_message_with_deferred_recipients_waits() {
    let (directory, seen) = (Directory::new("deferred"), Shared::default());
    let id = directory.message(&["wait@one.test", "a@one.test"]);
    let settings = "maximal_queue_lifetime = 3000w";
    run(settings, &seen, announce(&id), || directory.queue_of(&id) == Some("deferred"));
    assert_eq!(seen.borrow().logs, ["defer 1: said so"]);
}

#[test]
fn an_expired_message_is_returned() {
    let (directory, seen) = (Directory::new("expired"), Shared::default());
    let id = directory.message(&["wait@one.test"]);
    run("maximal_queue_lifetime = 0", &seen, announce(&id), || directory.queue_of(&id).is_none());
    assert_eq!(seen.borrow().logs, ["defer 1: said so", "notify defer false"]);
}

#[test]
fn a_missing_transport_defers_its_mail_and_no_other() {
    let (directory, seen) = (Directory::new("missing"), Shared::default());
    let (lost, other) = (directory.message(&["a@missing.test"]), directory.message(&["a@one.test"]));
    let done = || directory.queue_of(&lost) == Some("deferred") && directory.queue_of(&other).is_none();
    run("maximal_queue_lifetime = 3000w", &seen, |_| {}, done);
    assert_eq!(seen.borrow().logs, ["defer 1: 4.3.0 mail transport unavailable"]);
}

#[test]
fn an_agent_that_dies_defers_what_it_had() {
    let (directory, seen) = (Directory::new("died"), Shared::default());
    let id = directory.message(&["die@one.test"]);
    let settings = "maximal_queue_lifetime = 3000w";
    run(settings, &seen, announce(&id), || directory.queue_of(&id) == Some("deferred"));
    assert_eq!(seen.borrow().logs, ["defer 1: unknown mail transport error"]);
}

#[test]
fn a_report_that_makes_no_sense_concerns_its_message_alone() {
    let (directory, seen) = (Directory::new("odd"), Shared::default());
    let (odd, other) = (directory.message(&["odd@one.test"]), directory.message(&["a@two.test"]));
    let later = RefCell::new(None);
    let done = || {
        if directory.queue_of(&odd) == Some("deferred") && later.borrow().is_none() {
            *later.borrow_mut() = Some(directory.message(&["a@one.test"]));
        }
        later.borrow().as_ref().is_some_and(|id| directory.queue_of(id).is_none())
            && directory.queue_of(&other).is_none()
    };
    run("maximal_queue_lifetime = 3000w", &seen, rescan, done);
    assert_eq!(seen.borrow().logs, ["defer 1: unknown mail transport error"]);
}

#[test]
fn what_an_alias_made_of_a_recipient_is_recorded_whole_before_the_recipient_is_marked() {
    let (directory, seen) = (Directory::new("expanded"), Shared::default());
    let id = directory.message(&["a@one.test", "bounce-many@one.test", "bounce@one.test"]);
    run("", &seen, announce(&id), || directory.queue_of(&id).is_none());
    let logs = seen.borrow().logs.clone();
    let counts = logs.iter().filter_map(|log| log.strip_prefix("bounce ")?.split(':').next()?.parse::<usize>().ok());
    assert_eq!(counts.sum::<usize>(), 2501, "{logs:?}");
    assert_eq!(logs.last().map(String::as_str), Some("notify bounce false"));
}

#[test]
fn mail_for_a_destination_that_is_down_is_deferred_unseen() {
    let (directory, seen) = (Directory::new("down"), Shared::default());
    let first = directory.message(&["down@one.test"]);
    let settings = "maximal_queue_lifetime = 3000w\ninitial_destination_concurrency = 1";
    let second = RefCell::new(None);
    let done = || {
        if directory.queue_of(&first) == Some("deferred") && second.borrow().is_none() {
            *second.borrow_mut() = Some(directory.message(&["a@one.test"]));
        }
        second.borrow().as_ref().is_some_and(|id| directory.queue_of(id) == Some("deferred"))
    };
    run(settings, &seen, rescan, done);
    let expected = "defer 1: 4.4.1 delivery temporarily suspended: connection refused";
    assert_eq!(seen.borrow().logs.last().map(String::as_str), Some(expected));
}

#[test]
fn a_corrupt_file_is_put_aside_and_the_rest_goes_on() {
    let (directory, seen) = (Directory::new("corrupt"), Shared::default());
    fs::write("incoming/AAAAA12345", b"junk").unwrap();
    fs::set_permissions("incoming/AAAAA12345", fs::Permissions::from_mode(0o700)).unwrap();
    let id = directory.message(&["a@one.test"]);
    let done = || directory.queue_of("AAAAA12345") == Some("corrupt") && directory.queue_of(&id).is_none();
    run("", &seen, |_| {}, done);
}

#[test]
fn what_cannot_be_put_aside_waits_and_does_not_stay_in_the_active_queue() {
    let (directory, seen) = (Directory::new("aside"), Shared::default());
    fs::remove_dir("corrupt").unwrap();
    fs::write("corrupt", b"no directory").unwrap();
    fs::write("incoming/AAAAA12345", b"junk").unwrap();
    fs::set_permissions("incoming/AAAAA12345", fs::Permissions::from_mode(0o700)).unwrap();
    run("", &seen, |_| {}, || directory.queue_of("AAAAA12345") == Some("deferred"));
}

#[test]
fn an_incomplete_file_is_left_alone() {
    let (directory, seen) = (Directory::new("incomplete"), Shared::default());
    let (partial, id) = (directory.message(&["a@one.test"]), directory.message(&["b@one.test"]));
    fs::set_permissions(format!("incoming/{partial}"), fs::Permissions::from_mode(0o600)).unwrap();
    run("", &seen, |_| {}, || directory.queue_of(&id).is_none());
    assert_eq!(directory.queue_of(&partial), Some("incoming"));
}

#[test]
fn a_message_with_many_recipients_is_read_in_pieces_and_delivered_once() {
    let (directory, seen) = (Directory::new("pieces"), Shared::default());
    let all: Vec<String> = (0..500).map(|n| format!("user{n}@d{}.test", n % 7)).collect();
    let id = directory.message(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let settings = "qmgr_message_active_limit = 20\nqmgr_message_recipient_limit = 20\ndefault_recipient_limit = 30\n\
                    default_recipient_refill_limit = 5";
    run(settings, &seen, announce(&id), || directory.queue_of(&id).is_none());
    let mut delivered: Vec<String> = seen.borrow().deliveries.concat();
    delivered.sort();
    let mut wanted = all.clone();
    wanted.sort();
    assert_eq!(delivered, wanted);
}
