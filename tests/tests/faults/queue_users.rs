//! Producers that ask until they are told that an item is in, and consumers of each kind, which
//! acknowledge, give back, or vanish.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::queue_client::QueueClient;
use portunus_proto::portunus::v1::{
    QueueAckRequest, QueueConsumeRequest, QueueDelivery, QueueDequeueRequest, QueueEnqueueRequest,
    QueueNackRequest, QueueNewItem,
};
use rand::Rng;
use tonic::transport::Channel;

use crate::lock_check::Outcome;
use crate::queue_check::{Acked, Delivered, Record};
use crate::queue_replay::{DONE, QUEUE};
use crate::session::{Clock, Lease, Stop, connect, soon, within};

const CLAIM_SECONDS: i64 = 3;
/// A consumer that waits asks again after this long, as one that has something else to do.
const WAIT: Duration = Duration::from_secs(4);
/// After a failure, before it asks again.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two items of a producer: the load's own pace, so that consumers keep up.
const PACE: Duration = Duration::from_millis(15);

/// Puts items in until it is told to stop. Each has an id of its own, so that asking again is safe.
pub async fn produce(id: u32, url: String, record: Arc<Mutex<Record>>, stop: Stop) -> Result<()> {
    let mut queue = QueueClient::new(connect(&url)?);
    for n in 0.. {
        if stop.is_set() {
            break;
        }
        let payload = format!("{id}-{n}");
        let item = QueueNewItem {
            payload: payload.clone().into(),
            dedup_id: payload.clone(),
            priority: rand::rng().random_range(0..3),
            ..QueueNewItem::default()
        };
        let request = QueueEnqueueRequest { queue: QUEUE.into(), items: vec![item], wait: false };
        // Until it is known: an item that may be in must not be forgotten.
        let enqueued = loop {
            match soon(queue.enqueue(request.clone())).await {
                Ok(enqueued) => break enqueued.into_inner(),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        let number = enqueued.ids.first().copied().context("one item")?;
        record.lock().enqueued.insert(payload, number);
        tokio::time::sleep(PACE).await;
    }
    Ok(())
}

pub struct Consumer {
    id: u32,
    clock: Clock,
    channel: Channel,
    record: Arc<Mutex<Record>>,
}

impl Consumer {
    pub fn new(id: u32, url: &str, clock: Clock, record: Arc<Mutex<Record>>) -> Result<Self> {
        Ok(Self { id, clock, channel: connect(url)?, record })
    }

    pub async fn work(self, stop: Stop) {
        while !stop.is_set() {
            let session = match self.id % 3 {
                0 => self.take_by_call(None, &stop).await,
                1 => self.take_under_a_lease(&stop).await,
                _ => self.take_from_a_stream(&stop).await,
            };
            if session.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn queue(&self) -> QueueClient<Channel> {
        QueueClient::new(self.channel.clone())
    }

    async fn take_under_a_lease(&self, stop: &Stop) -> Result<()> {
        let lease = Lease::grant(&self.channel, self.clock, CLAIM_SECONDS).await?;
        self.take_by_call(Some(lease), stop).await
    }

    /// One call after the other, until something fails.
    async fn take_by_call(&self, lease: Option<Lease>, stop: &Stop) -> Result<()> {
        while !stop.is_set() {
            let request = QueueDequeueRequest {
                queue: QUEUE.into(),
                max: rand::rng().random_range(1..3),
                lease: lease.as_ref().map_or(0, |lease| lease.id),
                visibility_seconds: CLAIM_SECONDS,
                wait: true,
                ..QueueDequeueRequest::default()
            };
            let taken = within(WAIT, self.queue().dequeue(request)).await?.into_inner();
            if !self.handle(taken.deliveries).await? {
                if let Some(lease) = &lease {
                    lease.neglect();
                }
                return Ok(());
            }
        }
        Ok(())
    }

    async fn take_from_a_stream(&self, stop: &Stop) -> Result<()> {
        let request =
            QueueConsumeRequest { queue: QUEUE.into(), max: 3, ..QueueConsumeRequest::default() };
        let mut stream = soon(self.queue().consume(request)).await?.into_inner();
        while !stop.is_set() {
            let taken = within(WAIT, stream.message()).await?.context("it goes on")?;
            if !self.handle(taken.deliveries).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// False when the consumer is to vanish.
    async fn handle(&self, deliveries: Vec<QueueDelivery>) -> Result<bool> {
        for delivery in &deliveries {
            let (item, claim) = (delivery.item.as_ref(), delivery.claim);
            let (item, claim) = (item.context("an item")?, claim.context("a claim")?);
            let payload = String::from_utf8_lossy(&item.payload).into_owned();
            let (consumer, id, token) = (self.id, claim.id, claim.token);
            self.record.lock().delivered.push(Delivered { consumer, id, token, payload });
        }
        for claim in deliveries.into_iter().filter_map(|delivery| delivery.claim) {
            let draw = rand::rng().random_range(0..20);
            match draw {
                0 => return Ok(false),
                1 => {
                    let delay_ms = rand::rng().random_range(0..300);
                    let claims = vec![claim];
                    let nack = QueueNackRequest {
                        queue: QUEUE.into(),
                        claims,
                        delay_ms,
                        ..QueueNackRequest::default()
                    };
                    // What is not heard of comes back with the end of the claim.
                    let _ = soon(self.queue().nack(nack)).await;
                }
                _ => self.ack(claim).await,
            }
        }
        Ok(true)
    }

    /// The consumer's own write is part of it.
    async fn ack(&self, claim: portunus_proto::portunus::v1::QueueClaim) {
        let put = pb::PutRequest {
            key: format!("{DONE}{}", claim.id).into(),
            value: claim.token.to_string().into(),
            ..Default::default()
        };
        let put = pb::RequestOp { request: Some(pb::request_op::Request::RequestPut(put)) };
        let txn = Some(pb::TxnRequest { success: vec![put], ..Default::default() });
        let request = QueueAckRequest { queue: QUEUE.into(), claims: vec![claim], txn };
        let outcome = match soon(self.queue().ack(request)).await {
            Ok(acked) => Outcome::Written(acked.into_inner().header.map_or(0, |it| it.revision)),
            Err(error) if error.to_string().contains("not claimed so any more") => Outcome::Refused,
            Err(_) => Outcome::Unknown,
        };
        let (id, token) = (claim.id, claim.token);
        self.record.lock().acked.push(Acked { id, token, outcome });
    }
}
