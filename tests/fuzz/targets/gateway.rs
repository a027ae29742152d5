//! The gateway's JSON: the first byte says for which message. What was read once, written and read
//! again is the same.

use portunus::api::{DESCRIPTORS, gateway_json};
use serde_json::Value;

const KINDS: [&str; 8] = [
    "etcdserverpb.TxnRequest",
    "etcdserverpb.RangeRequest",
    "etcdserverpb.PutRequest",
    "etcdserverpb.WatchRequest",
    "etcdserverpb.LeaseGrantRequest",
    "portunus.v1.QueueEnqueueRequest",
    "portunus.v1.LockAcquireRequest",
    "portunus.v1.DeployRequest",
];

pub fn run(data: &[u8]) {
    let Some((which, text)) = data.split_first() else { return };
    let name = KINDS[usize::from(*which) % KINDS.len()];
    let kind = DESCRIPTORS.get_message_by_name(name).expect("it is described");
    let Ok(wire) = gateway_json::to_wire(&kind, text) else { return };
    // Floats and enums of other versions aside, which these messages do not have, the text that
    // we write says as much as the one that we were given.
    let Ok(written) = gateway_json::from_wire(&kind, wire.clone()) else { return };
    let again = gateway_json::to_wire(&kind, &written).expect("what we write can be read");
    let again = gateway_json::from_wire(&kind, again).expect("as before");
    // A map's entries have no order.
    assert_eq!(value(&again), value(&written));
}

fn value(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("what we write is JSON")
}
