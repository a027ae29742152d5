//! One increment of one key that all clients share, as it is done without server-side code: read,
//! compare and put, and again until nobody came between.

use crate::dial::Channel;
use bytes::Bytes;
use portunus_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use portunus_proto::etcdserverpb::kv_client::KvClient;
use portunus_proto::etcdserverpb::request_op::Request;
use portunus_proto::etcdserverpb::{Compare, PutRequest, RangeRequest, RequestOp, TxnRequest};
use portunus_proto::mvccpb::KeyValue;
use prost::Message;

use crate::bench::workload::{ClientId, Failure, Operate, Workload};

const KEY: &[u8] = b"bench/counter";

/// Increments by compare-and-swap.
#[derive(Clone, Copy, Debug)]
pub struct Increment;

pub struct Client {
    kv: KvClient<Channel>,
}

impl Workload for Increment {
    type Client = Client;

    async fn client(&self, channel: Channel, _: ClientId) -> anyhow::Result<Client> {
        Ok(Client { kv: KvClient::new(channel) })
    }
}

impl Operate for Client {
    async fn operate(&mut self) -> Result<(), Failure> {
        while !self.attempt().await? {}
        Ok(())
    }
}

impl Client {
    /// True when the increment was made.
    async fn attempt(&mut self) -> Result<bool, Failure> {
        let range = RangeRequest { key: Bytes::from_static(KEY), ..RangeRequest::default() };
        let found = self.kv.range(range).await?.into_inner().kvs.into_iter().next();
        let found = found.map(KeyValue::decode).transpose();
        let found = found.map_err(|_| Failure::wrong("no key-value"))?.unwrap_or_default();
        let count = std::str::from_utf8(&found.value).ok().and_then(|text| text.parse().ok());
        let value = count.unwrap_or(0u64) + 1;
        let compare = Compare {
            key: Bytes::from_static(KEY),
            target: CompareTarget::Mod.into(),
            result: CompareResult::Equal.into(),
            target_union: Some(TargetUnion::ModRevision(found.mod_revision)),
            ..Compare::default()
        };
        let put = PutRequest {
            key: Bytes::from_static(KEY),
            value: value.to_string().into(),
            ..PutRequest::default()
        };
        let success = vec![RequestOp { request: Some(Request::RequestPut(put)) }];
        let txn = TxnRequest { compare: vec![compare], success, ..TxnRequest::default() };
        Ok(self.kv.txn(txn).await?.get_ref().succeeded)
    }
}
