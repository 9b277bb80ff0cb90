//! What our own processes say to each other: a process that has fallen into a stranger's hands says anything.

use delivery::steward::packet::{Order, Reply};
use ipc::{Service, read_and_written};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::pieces::choices;

/// Every type of message, by the choice of the first byte.
const TYPES: [fn(&[u8]); 13] = [
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
