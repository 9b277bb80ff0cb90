//! What our own processes say to each other: a process that has fallen into a stranger's hands says anything.

use std::cell::LazyCell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream as Socket;
use std::sync::LazyLock;

use delivery::steward::packet::{Order, Reply};
use ipc::bounce::Bounce;
use ipc::{Client, Server, Service, read_and_written};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use crate::pieces::{arrivals, choices};

/// Every type of message, by the choice of the first byte.
const TYPES: [fn(&[u8]); 16] = [
    message::<<ipc::anvil::Anvil as Service>::Request>,
    message::<<ipc::anvil::Anvil as Service>::Reply>,
    message::<<ipc::bounce::Bounce as Service>::Request>,
    message::<<ipc::bounce::Bounce as Service>::Reply>,
    message::<<ipc::carrier::Carrier as Service>::Request>,
    message::<<ipc::carrier::Carrier as Service>::Reply>,
    message::<<ipc::cleanup::Cleanup as Service>::Request>,
    message::<<ipc::cleanup::Cleanup as Service>::Reply>,
    message::<<ipc::delivery::Delivery as Service>::Request>,
    message::<<ipc::delivery::Delivery as Service>::Reply>,
    message::<<ipc::qmgr::Qmgr as Service>::Request>,
    message::<<ipc::rewrite::Rewrite as Service>::Request>,
    message::<<ipc::rewrite::Rewrite as Service>::Reply>,
    message::<<ipc::tlsmgr::Tlsmgr as Service>::Request>,
    message::<<ipc::tlsmgr::Tlsmgr as Service>::Reply>,
    message::<<ipc::qmgr::Qmgr as Service>::Reply>,
];

/// A frame is a message or an error; written again it is the same message, and no longer.
pub fn frames(data: &[u8]) {
    let (choice, body) = choices(data);
    let length = u32::try_from(body.len()).expect("a short input").to_le_bytes();
    TYPES[usize::from(choice) % TYPES.len()](&[&length, body].concat());
}

fn message<T: Serialize + DeserializeOwned>(frame: &[u8]) {
    match read_and_written::<T>(frame) {
        Ok(written) => {
            assert!(written.len() <= frame.len());
            assert_eq!(read_and_written::<T>(&written).as_deref(), Ok(written.as_slice()));
        }
        Err(error) => assert!(!error.is_empty()),
    }
}

/// Messages are the same wherever the stream of frames was cut; what is no frame ends the channel, and nothing else.
pub fn frame_streams(data: &[u8]) {
    let (choice, frames) = choices(data);
    let stream = if choice & 8 == 0 { &[GREETING.as_slice(), frames].concat() } else { frames };
    let at_once = received(stream, 7);
    assert_eq!(received(stream, choice), at_once, "pieces make no difference");
    assert!(at_once.len() <= stream.len() + 1);
}

/// What a client says first.
static GREETING: LazyLock<Vec<u8>> = LazyLock::new(|| {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let (ours, mut theirs) = Socket::pair().expect("a pair of sockets");
            ours.set_nonblocking(true).expect("a socket that does not block");
            let mut client = Client::<Bounce>::new(UnixStream::from_std(ours).expect("a socket"));
            client.flush().await.expect("room for a greeting");
            drop(client);
            let mut greeting = Vec::new();
            theirs.read_to_end(&mut greeting).expect("a greeting");
            greeting
        })
    })
});

thread_local! {
    static RUNTIME: LazyCell<Runtime> = LazyCell::new(|| {
        // Every turn looks at the sockets, so that pieces arrive one by one.
        Builder::new_current_thread().enable_all().event_interval(1).build().expect("an event loop")
    });
}

/// The messages of a stream, and how it ended.
fn received(stream: &[u8], choice: u8) -> Vec<String> {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let (ours, mut theirs) = Socket::pair().expect("a pair of sockets");
            ours.set_nonblocking(true).expect("a socket that does not block");
            let mut server = Server::<Bounce>::new(UnixStream::from_std(ours).expect("a socket"));
            let mut found: Vec<String> = Vec::new();
            let has_ended = |found: &[String]| found.last().is_some_and(|last| last.starts_with("end"));
            for piece in arrivals(stream, choice) {
                theirs.write_all(piece).expect("a socket that is read");
                while !has_ended(&found) {
                    tokio::select! {
                        biased;
                        message = server.receive_unlimited() => found.push(told(message)),
                        () = tokio::task::yield_now() => break,
                    }
                }
                if has_ended(&found) {
                    break;
                }
            }
            drop(theirs);
            while !has_ended(&found) {
                found.push(told(server.receive_unlimited().await));
            }
            found
        })
    })
}

fn told(message: Result<Option<ipc::bounce::Request>, ipc::IpcError>) -> String {
    match message {
        Ok(Some(message)) => format!("{message:?}"),
        Ok(None) => "end".to_owned(),
        Err(error) => format!("end: {error}"),
    }
}

/// Packets of helper processes are fields, one by one; root reads some of them.
pub fn helper_packets(data: &[u8]) {
    if let Some(fields) = wire::fields::split::<4>(data) {
        assert_eq!(wire::fields::join(&fields), data);
    }
    if let Some(order) = Order::decode(data)
        && let Some(packet) = order.encode()
    {
        assert_eq!(Order::decode(&packet), Some(order));
    }
    if let Some((number, reply)) = Reply::decode(data) {
        assert_eq!(Reply::decode(&reply.encode(number)), Some((number, reply)));
    }
}
