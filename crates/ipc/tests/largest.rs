//! Every message of every service at its largest goes through a channel; a larger one is refused where it is made, and
//! what is made is never refused where it is read.
//!
//! A message that is added to a service does not compile here until it is listed.
// long: a line for each message of each service

use std::fmt::Debug;
use std::os::fd::AsFd;
use std::time::Duration;

use dsn::{Action, Notify, OriginalRecipient, Return, Status};
use ipc::bounds::{FULL, MAX_BLOCK, MAX_BYTES, MAX_ITEMS, MAX_TEXT, Weigh};
use ipc::recipient::Traveling;
use ipc::word::Named;
use ipc::{Channel, Chunk, Client, IpcError, Server, Service, chunks};
use ipc::{anvil, bounce, carrier, cleanup, delivery, qmgr, rewrite, tlsmgr, verify};
use queue::{Encoding, QueueId, QueueName, Recipient, SendOptions, Stamp};

fn text() -> String {
    "t".repeat(MAX_TEXT)
}

fn bytes() -> Vec<u8> {
    vec![b'b'; MAX_BYTES]
}

/// Of the longest name that a file may have.
fn queue_id() -> QueueId {
    QueueId::parse(&[b'Q'; 255]).unwrap()
}

fn place() -> cleanup::Place {
    cleanup::Place { queue_id: queue_id(), spare: queue_id() }
}

fn block() -> Vec<u8> {
    vec![b'B'; MAX_BLOCK]
}

/// The chunk with the most bytes: one that is all but full, and one largest element more.
fn heaviest<T: Weigh + Clone>(small: T, large: T) -> Chunk<T> {
    let count = ((FULL - 1) / small.weight()).min(MAX_ITEMS - 1);
    chunks(std::iter::repeat_n(small, count).chain([large])).next().unwrap()
}

fn recipient(length: usize) -> Recipient {
    let bytes = vec![b'r'; length];
    let (original, address) = (bytes.clone(), bytes.clone());
    let dsn = OriginalRecipient::from_stored(bytes);
    Recipient { original, address, offset: u64::MAX, dsn, notify: Notify::DELAY }
}

fn status() -> Status {
    Status::new(5, 999, 999)
}

fn diagnostic(text: &str) -> bounce::Diagnostic {
    bounce::Diagnostic { kind: text.to_owned(), text: text.to_owned() }
}

fn record(length: usize) -> bounce::Record {
    let text = "t".repeat(length.min(MAX_TEXT));
    bounce::Record {
        recipient: recipient(length),
        status: status(),
        action: Action::Undeliverable,
        diagnostic: Some(diagnostic(&text)),
        remote_mta: text.clone(),
        reason: text,
    }
}

fn outcome(length: usize) -> delivery::Outcome {
    let text = "t".repeat(length);
    delivery::Outcome {
        verdict: delivery::Verdict::Bounced,
        status: status(),
        action: Some(Action::Undeliverable),
        reason: text.clone(),
        diagnostic: Some(diagnostic(&text)),
        remote_mta: text,
        expanded: Vec::new(),
        following: u64::MAX,
    }
}

fn message() -> bounce::Message {
    bounce::Message {
        queue_name: QueueName::Incoming,
        queue_id: queue_id(),
        encoding: Encoding::EightBit,
        send_options: SendOptions::of_bits(u32::MAX),
        sender: bytes(),
        envelope_id: text(),
        returned: Return::Headers,
    }
}

fn request() -> delivery::Request {
    let sasl = delivery::Sasl { method: text(), username: text(), sender: text() };
    let (name, address, port, protocol, helo) = (text(), text(), text(), text(), text());
    delivery::Request {
        message: message(),
        nexthop: bytes(),
        client: delivery::Origin { name, address, port, protocol, helo, sasl },
        log_ident: text(),
        ..delivery::Request::new(queue_id())
    }
}

fn paths() -> Vec<carrier::Path> {
    vec![carrier::Path(vec![b'p'; FULL / MAX_ITEMS]); MAX_ITEMS]
}

fn deposit(target: carrier::Target) -> carrier::Request {
    carrier::Request::Deliver(Box::new(carrier::Deposit { target, heading: block() }))
}

fn in_runtime<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn pair<P: Service>() -> (Client<P>, Server<P>) {
    let (left, right) = tokio::net::UnixStream::pair().unwrap();
    let (mut client, mut server): (Client<P>, Server<P>) = (Channel::new(left), Channel::new(right));
    client.set_timeout(Duration::from_secs(60));
    server.set_timeout(Duration::from_secs(60));
    (client, server)
}

/// Sends all of them, and compares what arrives.
fn go_through<P: Service>(requests: Vec<P::Request>, replies: Vec<P::Reply>)
where
    P::Request: Debug,
    P::Reply: Debug,
{
    in_runtime(async {
        let (mut client, mut server) = pair::<P>();
        for request in &requests {
            let (sent, received) = tokio::join!(client.send(request), server.must_receive());
            sent.unwrap();
            assert!(format!("{request:?}") == format!("{:?}", received.unwrap()), "another request");
        }
        for reply in &replies {
            let (sent, received) = tokio::join!(server.send(reply), client.must_receive());
            sent.unwrap();
            assert!(format!("{reply:?}") == format!("{:?}", received.unwrap()), "another reply");
        }
    });
}

#[test]
fn every_message_of_anvil_arrives_at_its_largest() {
    let (event, identity) = (anvil::Event::Auth, text);
    let requests = vec![
        anvil::Request::Count { event, identity: identity() },
        anvil::Request::Look { event, identity: identity() },
        anvil::Request::Release { identity: identity() },
        anvil::Request::Hold { identity: identity(), count: u32::MAX },
    ];
    requests.iter().for_each(|request| match request {
        anvil::Request::Count { .. } | anvil::Request::Look { .. } => {}
        anvil::Request::Release { .. } | anvil::Request::Hold { .. } => {}
    });
    go_through::<anvil::Anvil>(requests, vec![anvil::Counts { connections: u32::MAX, rate: u32::MAX }]);
}

#[test]
fn every_message_of_bounce_arrives_at_its_largest() {
    let (log, records) = (bounce::Log::Trace, heaviest(record(20), record(MAX_BYTES)));
    let requests = vec![
        bounce::Request::Append { log, queue_id: queue_id(), begin: true, records },
        bounce::Request::Notify { log, keep: true, message: message() },
    ];
    requests.iter().for_each(|request| match request {
        bounce::Request::Append { .. } | bounce::Request::Notify { .. } => {}
    });
    let replies = vec![bounce::Reply::Done, bounce::Reply::Failed(text())];
    replies.iter().for_each(|reply| match reply {
        bounce::Reply::Done | bounce::Reply::Failed(_) => {}
    });
    go_through::<bounce::Bounce>(requests, replies);
}

fn carrier_requests() -> Vec<carrier::Request> {
    let path = || carrier::Path(bytes());
    let mailbox = carrier::Mailbox {
        path: path(),
        personal: true,
        owned: true,
        locks: vec![carrier::Lock::Fcntl; MAX_ITEMS],
        attempts: u32::MAX,
        delay: u64::MAX,
        stale: u64::MAX,
    };
    let line = carrier::Words::Line { line: bytes(), shell: vec!["s".repeat(FULL / MAX_ITEMS); MAX_ITEMS] };
    let command = carrier::Command { words: line, directory: bytes(), environment: paths() };
    let serving = carrier::Command { words: carrier::Words::Arguments, ..command.clone() };
    vec![
        carrier::Request::Read { paths: paths(), role: carrier::Role::Forward(u32::MAX) },
        carrier::Request::Look(path()),
        carrier::Request::Stop,
        carrier::Request::Arguments(heaviest(carrier::Path(vec![b'a'; 20]), path())),
        carrier::Request::Serve(Box::new(serving)),
        deposit(carrier::Target::Mailbox(mailbox)),
        deposit(carrier::Target::Maildir { path: path(), hostname: text() }),
        deposit(carrier::Target::Command(command)),
        carrier::Request::Content(block()),
        carrier::Request::End,
    ]
}

fn carrier_replies() -> Vec<carrier::Reply> {
    let path = || carrier::Path(bytes());
    let system = carrier::WriteProblem::System { what: text(), code: i32::MAX };
    let why = carrier::ListProblem::System(i32::MAX);
    vec![
        carrier::Reply::List(carrier::FoundList::None),
        carrier::Reply::List(carrier::FoundList::Found { path: path(), owner: u32::MAX }),
        carrier::Reply::List(carrier::FoundList::Unusable { path: path(), why }),
        carrier::Reply::Text(block()),
        carrier::Reply::TextEnd(Err(i32::MAX)),
        carrier::Reply::Running(u32::MAX),
        carrier::Reply::Warning(text(), i32::MAX),
        carrier::Reply::Done(carrier::Done::Delivered { output: bytes(), at: Some(u64::MAX) }),
        carrier::Reply::Done(carrier::Done::NotWritten(system)),
        carrier::Reply::Done(carrier::Done::Command { ending: carrier::Ending::TimedOut, output: bytes() }),
    ]
}

#[test]
fn every_message_of_carrier_arrives_at_its_largest() {
    let (requests, replies) = (carrier_requests(), carrier_replies());
    requests.iter().for_each(|request| match request {
        carrier::Request::Read { .. } | carrier::Request::Look(_) | carrier::Request::Content(_) => {}
        carrier::Request::End | carrier::Request::Stop => {}
        carrier::Request::Arguments(_) | carrier::Request::Serve(_) => {}
        carrier::Request::Deliver(deposit) => match deposit.target {
            carrier::Target::Mailbox(_) | carrier::Target::Maildir { .. } | carrier::Target::Command(_) => {}
        },
    });
    replies.iter().for_each(|reply| match reply {
        carrier::Reply::Text(_) | carrier::Reply::TextEnd(_) | carrier::Reply::Warning(..) => {}
        carrier::Reply::Running(_) => {}
        carrier::Reply::List(found) => match found {
            carrier::FoundList::None | carrier::FoundList::Found { .. } | carrier::FoundList::Unusable { .. } => {}
        },
        carrier::Reply::Done(done) => match done {
            carrier::Done::Delivered { .. } | carrier::Done::NotWritten(_) | carrier::Done::Command { .. } => {}
        },
    });
    go_through::<carrier::Carrier>(requests, replies);
}

#[test]
fn every_message_of_cleanup_arrives_at_its_largest() {
    let requests = vec![
        cleanup::Request::Open { flags: cleanup::Flags::NOTICE, place: Some(place()) },
        cleanup::Request::Whole { flags: cleanup::Flags::NOTICE, place: place(), records: block() },
        cleanup::Request::Records(block()),
        cleanup::Request::Filter(Box::new(cleanup::Filter {
            service: text(),
            timeout: u64::MAX,
            default_action: text(),
            steps: u32::MAX,
            header_macros: bytes(),
            body_macros: bytes(),
        })),
        cleanup::Request::Finish { more: true },
        cleanup::Request::Abort,
    ];
    requests.iter().for_each(|request| match request {
        cleanup::Request::Open { .. } | cleanup::Request::Whole { .. } | cleanup::Request::Records(_) => {}
        cleanup::Request::Filter(_) | cleanup::Request::Finish { .. } | cleanup::Request::Abort => {}
    });
    let refused = cleanup::Outcome::Refused { cause: cleanup::Cause::Protocol, text: text() };
    let replies = vec![
        cleanup::Reply::Opened { queue_id: queue_id() },
        cleanup::Reply::Done { outcome: cleanup::Outcome::Accepted(queue_id()), next: Some(place()) },
        cleanup::Reply::Done { outcome: refused, next: None },
        cleanup::Reply::FilterFailed { number: u32::MAX },
    ];
    replies.iter().for_each(|reply| match reply {
        cleanup::Reply::Opened { .. } | cleanup::Reply::FilterFailed { .. } => {}
        cleanup::Reply::Done { outcome: cleanup::Outcome::Accepted(_) | cleanup::Outcome::Refused { .. }, .. } => {}
    });
    go_through::<cleanup::Cleanup>(requests, replies);
}

#[test]
fn every_message_of_delivery_arrives_at_its_largest() {
    let requests = vec![
        delivery::Part::Recipients(heaviest(Traveling(recipient(100)), Traveling(recipient(MAX_BYTES)))),
        delivery::Part::Deliver(Box::new(request())),
    ];
    requests.iter().for_each(|part| match part {
        delivery::Part::Recipients(_) | delivery::Part::Deliver(_) => {}
    });
    let replies = vec![
        delivery::Piece::Outcomes(heaviest(outcome(50), outcome(MAX_TEXT))),
        delivery::Piece::Expanded(heaviest(record(20), record(MAX_BYTES))),
        delivery::Piece::End(Some(delivery::Problem { status: status(), reason: text() })),
    ];
    replies.iter().for_each(|piece| match piece {
        delivery::Piece::Outcomes(_) | delivery::Piece::Expanded(_) | delivery::Piece::End(_) => {}
    });
    go_through::<delivery::Delivery>(requests, replies);
}

#[test]
fn every_message_of_qmgr_arrives_at_its_largest() {
    let requests =
        vec![qmgr::Request::Arrived(heaviest(Named(QueueId::parse(b"4jXRJr3hS0zp2vF").unwrap()), Named(queue_id())))];
    let moment = qmgr::Moment { life: u64::MAX, deferrals: u64::MAX };
    let style = qmgr::Style { modern: true, null_address: bytes() };
    let requests: Vec<_> = requests.into_iter().chain([qmgr::Request::Deferred(moment, style)]).collect();
    requests.iter().for_each(|request| match request {
        qmgr::Request::Arrived(_) | qmgr::Request::Deferred(..) => {}
    });
    let replies = vec![qmgr::Reply::Deferred(heaviest(deferred(300), deferred(MAX_BYTES))), qmgr::Reply::End(moment)];
    replies.iter().for_each(|reply| match reply {
        qmgr::Reply::Deferred(_) | qmgr::Reply::End(_) => {}
    });
    go_through::<qmgr::Qmgr>(requests, replies);
}

/// A deferred message of which a list has so many bytes.
fn deferred(length: usize) -> qmgr::Deferred {
    let file = Stamp { inode: u64::MAX, size: u64::MAX, mode: u32::MAX, modified: i64::MIN, changed: i64::MIN };
    qmgr::Deferred { queue_id: queue_id(), file, log: file, text: vec![b't'; length] }
}

#[test]
fn every_message_of_rewrite_arrives_at_its_largest() {
    let context = rewrite::Context::Remote;
    let requests = vec![
        rewrite::Request::Rewrite { context, address: bytes() },
        rewrite::Request::Resolve { sender: bytes(), address: bytes(), verify: true },
    ];
    requests.iter().for_each(|request| match request {
        rewrite::Request::Rewrite { .. } | rewrite::Request::Resolve { .. } => {}
    });
    let resolved = rewrite::Resolved {
        transport: text(),
        nexthop: bytes(),
        recipient: bytes(),
        class: rewrite::Class::VirtualMailbox,
        routed: true,
        bad_syntax: true,
        failed: true,
    };
    let replies = vec![rewrite::Reply::Rewritten(bytes()), rewrite::Reply::Resolved(resolved)];
    replies.iter().for_each(|reply| match reply {
        rewrite::Reply::Rewritten(_) | rewrite::Reply::Resolved(_) => {}
    });
    go_through::<rewrite::Rewrite>(requests, replies);
}

fn certificates() -> tlsmgr::Certificates {
    let pair = tlsmgr::Pair { key: tlsmgr::KeyId([255; 32]), chain: vec![tlsmgr::Der(bytes()), tlsmgr::Der(vec![1])] };
    tlsmgr::Certificates { serial: u64::MAX, pairs: vec![pair], warnings: vec![text(); FULL / MAX_TEXT] }
}

fn ticket_keys() -> tlsmgr::TicketKeys {
    let (until, makes, opens) = (u64::MAX, u32::MAX, u32::MAX);
    let key = tlsmgr::TicketKey { name: [255; 16], secret: [255; 32], until, makes, opens };
    tlsmgr::TicketKeys { current: key.clone(), previous: Some(key) }
}

#[test]
fn every_message_of_tlsmgr_arrives_at_its_largest() {
    use tlsmgr::{Reply, Request};
    let legacy = tlsmgr::Legacy { kind: text(), certificate: text(), key: text() };
    let requests = vec![
        Request::Certificates { files: tlsmgr::Files::Chains(vec![text(); FULL / MAX_TEXT]), known: u64::MAX },
        Request::Certificates { files: tlsmgr::Files::Legacy(vec![legacy; FULL / MAX_TEXT / 3]), known: 0 },
        Request::ServerName { maps: text(), name: text() },
        Request::Sign { key: tlsmgr::KeyId([255; 32]), scheme: u16::MAX, message: block() },
        Request::TicketKeys,
    ];
    requests.iter().for_each(|request| match request {
        Request::Certificates { .. } | Request::ServerName { .. } | Request::Sign { .. } | Request::TicketKeys => {}
    });
    let replies = vec![
        Reply::Certificates(certificates()),
        Reply::Unchanged,
        Reply::NoSuchName,
        Reply::Unusable(vec![text(); FULL / MAX_TEXT]),
        Reply::Signature(bytes()),
        Reply::Unsigned(text()),
        Reply::TicketKeys(ticket_keys()),
    ];
    replies.iter().for_each(|reply| match reply {
        Reply::Certificates(_) | Reply::Unchanged | Reply::NoSuchName | Reply::Unusable(_) => {}
        Reply::Signature(_) | Reply::Unsigned(_) | Reply::TicketKeys(_) => {}
    });
    go_through::<tlsmgr::Tlsmgr>(requests, replies);
}

#[test]
fn a_request_with_any_number_of_recipients_arrives() {
    in_runtime(async {
        let (mut qmgr, mut agent) = pair::<delivery::Delivery>();
        let recipients: Vec<_> = (0..30_000).map(|n| recipient(n % 50)).chain([recipient(MAX_BYTES)]).collect();
        let sent = delivery::Request { recipients: recipients.clone(), ..request() };
        let null = std::fs::File::open("/dev/null").unwrap();
        let hear = async {
            let first = agent.must_receive().await?;
            delivery::receive(first, &mut agent).await
        };
        let (asked, heard) = tokio::join!(delivery::send(&mut qmgr, sent, null.as_fd()), hear);
        asked.unwrap();
        assert_eq!(format!("{:?}", heard.unwrap().recipients), format!("{recipients:?}"));
        assert!(agent.take_descriptor().is_some());
    });
}

#[test]
fn a_report_of_any_size_arrives() {
    in_runtime(async {
        let (mut qmgr, mut agent) = pair::<delivery::Delivery>();
        let expanded = delivery::Outcome { expanded: vec![record(20); 40_000], ..outcome(10) };
        let outcomes = vec![outcome(5), expanded.clone(), outcome(MAX_TEXT), expanded, outcome(7)];
        let report = delivery::Report { outcomes, host_problem: None };
        let hear = async {
            let first = qmgr.must_receive().await?;
            delivery::rest_of_report(first, &mut qmgr).await
        };
        let (told, heard) = tokio::join!(delivery::report(&mut agent, report), hear);
        told.unwrap();
        let counts: Vec<usize> = heard.unwrap().outcomes.iter().map(|outcome| outcome.expanded.len()).collect();
        assert_eq!(counts, [0, 40_000, 0, 40_000, 0]);
    });
}

fn refused<T>(sent: Result<T, IpcError>) -> String {
    match sent {
        Err(IpcError::TooLarge(why)) => why,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("sent"),
    }
}

#[test]
fn what_is_too_large_is_told_where_it_is_made_and_the_channel_goes_on() {
    in_runtime(async {
        let (mut client, mut server) = pair::<rewrite::Rewrite>();
        let address = |length| {
            let (context, address) = (rewrite::Context::Local, vec![b'a'; length]);
            rewrite::Request::Rewrite { context, address }
        };
        assert_eq!(refused(client.send(&address(MAX_BYTES + 1)).await), "a field of 262145 bytes");
        client.send(&address(1)).await.unwrap();
        assert!(server.must_receive().await.is_ok());

        let (_client, mut server) = pair::<cleanup::Cleanup>();
        let outcome = cleanup::Outcome::Refused { cause: cleanup::Cause::Content, text: "q".repeat(MAX_TEXT + 1) };
        assert_eq!(refused(server.send(&cleanup::Reply::Done { outcome, next: None }).await), "a text of 16385 bytes");

        let (mut client, _server) = pair::<carrier::Carrier>();
        let many = carrier::Request::Read {
            paths: vec![carrier::Path(Vec::new()); MAX_ITEMS + 1],
            role: carrier::Role::Include,
        };
        assert_eq!(refused(client.send(&many).await), "a list of 1001 elements");
        let much = carrier::Request::Read { paths: vec![carrier::Path(bytes()); 3], role: carrier::Role::Include };
        assert_eq!(refused(client.send(&much).await), "a list of 786432 bytes");
        let content = carrier::Request::Content(vec![0; MAX_BLOCK + 1]);
        assert_eq!(refused(client.send(&content).await), "a block of 2097153 bytes");
    });
}

#[test]
fn every_message_of_verify_arrives_at_its_largest() {
    use verify::{Knowledge, Reply, Request, Standing};
    let found = || Knowledge { standing: Standing::Unknown, text: text() };
    let requests = vec![Request::Query { address: bytes() }, Request::Update { address: bytes(), found: found() }];
    requests.iter().for_each(|request| match request {
        Request::Query { .. } | Request::Update { .. } => {}
    });
    let replies = vec![Reply::Known(found()), Reply::Noted];
    replies.iter().for_each(|reply| match reply {
        Reply::Known(_) | Reply::Noted => {}
    });
    go_through::<verify::Verify>(requests, replies);
}
