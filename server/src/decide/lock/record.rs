//! The value of a key in line.

use portunus_proto::portunus::v1::LockRecord;
use prost::Message;

/// No etcd client begins a value so.
const MARK: &[u8] = b"\0lock\x01";

pub fn encode(record: &LockRecord) -> Vec<u8> {
    let mut value = MARK.to_vec();
    record.encode(&mut value).expect("a vector takes all of it");
    value
}

/// `None` for a key that a client put by itself.
pub fn decode(value: &[u8]) -> Option<LockRecord> {
    LockRecord::decode(value.strip_prefix(MARK)?).ok()
}
