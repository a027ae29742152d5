//! One item taken out of a queue and done: by our Queue service, and as a client of etcd does it,
//! which reads the first key, deletes it if nobody did before, and else tries again.

use crate::dial::Channel;
use anyhow::{Context, ensure};
use bytes::Bytes;
use portunus_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use portunus_proto::etcdserverpb::kv_client::KvClient;
use portunus_proto::etcdserverpb::range_request::{SortOrder, SortTarget};
use portunus_proto::etcdserverpb::request_op::Request;
use portunus_proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use portunus_proto::mvccpb::KeyValue;
use portunus_proto::portunus::v1::queue_client::QueueClient;
use portunus_proto::portunus::v1::{
    QueueAckRequest, QueueDequeueRequest, QueueEnqueueRequest, QueueNewItem,
};
use prost::Message;

use crate::bench::workload::{ClientId, Failure, Operate, Workload};

const QUEUE: &[u8] = b"bench/queue";
const PREFIX: &[u8] = b"bench/queue/";
const PREFIX_END: &[u8] = b"bench/queue0";
const PAYLOAD: &[u8] = &[b'x'; 256];
/// Items of one request: below the servers' limits of operations and bytes.
const FILLED_AT_ONCE: u64 = 100;

/// Takes items out by the Queue service.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    /// Put in before the run.
    pub items: u64,
}

/// Takes items out by reads and transactions.
#[derive(Clone, Copy, Debug)]
pub struct QueueRecipe {
    pub items: u64,
}

async fn clear(channel: &Channel) -> anyhow::Result<()> {
    let all = DeleteRangeRequest {
        key: PREFIX.into(),
        range_end: PREFIX_END.into(),
        ..DeleteRangeRequest::default()
    };
    KvClient::new(channel.clone()).delete_range(all).await.context("clear the queue")?;
    Ok(())
}

impl Workload for Queue {
    type Client = ServiceClient;

    async fn prepare(&self, channel: Channel) -> anyhow::Result<()> {
        clear(&channel).await?;
        let mut queue = QueueClient::new(channel);
        let item = QueueNewItem { payload: PAYLOAD.into(), ..QueueNewItem::default() };
        let mut left = self.items;
        while left > 0 {
            let count = left.min(FILLED_AT_ONCE);
            left -= count;
            let items = vec![item.clone(); count as usize];
            let request = QueueEnqueueRequest { queue: QUEUE.into(), items, wait: false };
            queue.enqueue(request).await.context("fill the queue")?;
        }
        Ok(())
    }

    async fn client(&self, channel: Channel, _: ClientId) -> anyhow::Result<ServiceClient> {
        Ok(ServiceClient { queue: QueueClient::new(channel) })
    }
}

pub struct ServiceClient {
    queue: QueueClient<Channel>,
}

impl Operate for ServiceClient {
    async fn operate(&mut self) -> Result<(), Failure> {
        let request = QueueDequeueRequest { queue: QUEUE.into(), ..QueueDequeueRequest::default() };
        let taken = self.queue.dequeue(request).await?.into_inner().deliveries;
        let claims: Vec<_> = taken.into_iter().filter_map(|delivery| delivery.claim).collect();
        if claims.is_empty() {
            return Err(Failure::wrong("the queue is empty"));
        }
        let request = QueueAckRequest { queue: QUEUE.into(), claims, txn: None };
        match self.queue.ack(request).await?.get_ref().acked {
            true => Ok(()),
            false => Err(Failure::wrong("it was not acknowledged")),
        }
    }
}

impl Workload for QueueRecipe {
    type Client = RecipeClient;

    async fn prepare(&self, channel: Channel) -> anyhow::Result<()> {
        clear(&channel).await?;
        let mut kv = KvClient::new(channel);
        let mut next = 0;
        while next < self.items {
            let end = (next + FILLED_AT_ONCE).min(self.items);
            let put = |n: u64| PutRequest {
                key: [PREFIX, format!("{n:016}").as_bytes()].concat().into(),
                value: PAYLOAD.into(),
                ..PutRequest::default()
            };
            let puts =
                (next..end).map(|n| RequestOp { request: Some(Request::RequestPut(put(n))) });
            let txn = TxnRequest { success: puts.collect(), ..TxnRequest::default() };
            ensure!(kv.txn(txn).await.context("fill the queue")?.get_ref().succeeded);
            next = end;
        }
        Ok(())
    }

    async fn client(&self, channel: Channel, _: ClientId) -> anyhow::Result<RecipeClient> {
        Ok(RecipeClient { kv: KvClient::new(channel) })
    }
}

pub struct RecipeClient {
    kv: KvClient<Channel>,
}

impl Operate for RecipeClient {
    async fn operate(&mut self) -> Result<(), Failure> {
        while !self.attempt().await? {}
        Ok(())
    }
}

impl RecipeClient {
    /// True when an item was taken.
    async fn attempt(&mut self) -> Result<bool, Failure> {
        let first = RangeRequest {
            key: Bytes::from_static(PREFIX),
            range_end: Bytes::from_static(PREFIX_END),
            limit: 1,
            sort_order: SortOrder::Ascend.into(),
            sort_target: SortTarget::Create.into(),
            ..RangeRequest::default()
        };
        let found = self.kv.range(first).await?.into_inner().kvs.into_iter().next();
        let found = found.map(KeyValue::decode).transpose();
        let found = found.map_err(|_| Failure::wrong("no key-value"))?;
        let found = found.ok_or_else(|| Failure::wrong("the queue is empty"))?;
        let compare = Compare {
            key: found.key.clone(),
            target: CompareTarget::Mod.into(),
            result: CompareResult::Equal.into(),
            target_union: Some(TargetUnion::ModRevision(found.mod_revision)),
            ..Compare::default()
        };
        let delete = DeleteRangeRequest { key: found.key, ..DeleteRangeRequest::default() };
        let success = vec![RequestOp { request: Some(Request::RequestDeleteRange(delete)) }];
        let txn = TxnRequest { compare: vec![compare], success, ..TxnRequest::default() };
        Ok(self.kv.txn(txn).await?.get_ref().succeeded)
    }
}
