//! One transaction: a comparison that holds, and a put.

use crate::dial::Channel;
use portunus_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use portunus_proto::etcdserverpb::kv_client::KvClient;
use portunus_proto::etcdserverpb::request_op::Request;
use portunus_proto::etcdserverpb::{Compare, PutRequest, RequestOp, TxnRequest};

use crate::bench::client::Payload;
use crate::bench::workload::{ClientId, Failure, Keys, Operate, Workload};

/// Txns that compare a key and put it.
#[derive(Clone, Debug)]
pub struct Txn {
    pub payload: Payload,
}

pub struct Client {
    kv: KvClient<Channel>,
    keys: Keys,
}

impl Workload for Txn {
    type Client = Client;

    async fn client(&self, channel: Channel, id: ClientId) -> anyhow::Result<Client> {
        Ok(Client { kv: KvClient::new(channel), keys: Keys::new(&self.payload, id) })
    }
}

impl Operate for Client {
    async fn operate(&mut self) -> Result<(), Failure> {
        let key = self.keys.next_key();
        // Holds for every key, whether it is there or not, but only after a look at it.
        let compare = Compare {
            key: key.clone(),
            target: CompareTarget::Version.into(),
            result: CompareResult::Greater.into(),
            target_union: Some(TargetUnion::Version(-1)),
            ..Compare::default()
        };
        let put = PutRequest { key, value: self.keys.next_value(), ..PutRequest::default() };
        let success = vec![RequestOp { request: Some(Request::RequestPut(put)) }];
        let txn = TxnRequest { compare: vec![compare], success, ..TxnRequest::default() };
        match self.kv.txn(txn).await?.get_ref().succeeded {
            true => Ok(()),
            false => Err(Failure::wrong("the comparison did not hold")),
        }
    }
}
