//! Writes all keys once, so that reads find something.

use crate::dial::Channel;
use anyhow::Context;
use portunus_proto::etcdserverpb::kv_client::KvClient;
use portunus_proto::etcdserverpb::request_op::Request;
use portunus_proto::etcdserverpb::{PutRequest, RequestOp, TxnRequest};

use crate::bench::client::{Payload, Random};

/// Keys of one txn: below the servers' default limit of 128 operations.
const KEYS_PER_TXN: u64 = 100;
/// Bytes of values of one txn: below the servers' default limit of 1.5 MiB a request.
const BYTES_PER_TXN: usize = 512 * 1024;

/// Puts every key of the key space.
pub async fn fill(payload: &Payload, channel: Channel) -> anyhow::Result<()> {
    let mut client = KvClient::new(channel);
    let mut random = Random::new(1);
    let value_bytes = payload.value(&mut random).len();
    let keys = KEYS_PER_TXN.min((BYTES_PER_TXN / value_bytes) as u64).max(1);
    let mut index = 0;
    while index < payload.key_space() {
        let end = (index + keys).min(payload.key_space());
        let puts = (index..end).map(|index| RequestOp {
            request: Some(Request::RequestPut(PutRequest {
                key: payload.key(index),
                value: payload.value(&mut random),
                ..PutRequest::default()
            })),
        });
        let txn = TxnRequest { success: puts.collect(), ..TxnRequest::default() };
        client.txn(txn).await.context("write the keys to read")?;
        index = end;
    }
    Ok(())
}
