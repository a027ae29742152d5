//! The gateway's JSON: the first byte says for which message. What was read once, written and read
//! again is the same.

use portunus::api::{DESCRIPTORS, gateway_json};

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
    assert_eq!(gateway_json::from_wire(&kind, again).expect("as before"), written);
}
