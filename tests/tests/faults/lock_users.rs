//! Clients that take one lock, through etcd's service and through ours, write what it guards, and
//! release it, or vanish, or sleep until it is somebody else's and write all the same.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::etcdserverpb::kv_client::KvClient;
use portunus_proto::etcdserverpb::request_op::Request as Op;
use portunus_proto::portunus::v1::lock_client::LockClient;
use portunus_proto::portunus::v1::{LockAcquireRequest, LockReleaseRequest};
use portunus_proto::v3lockpb::lock_client::LockClient as EtcdLockClient;
use portunus_proto::v3lockpb::{LockRequest, UnlockRequest};
use portunus_tests::key_values;
use rand::Rng;
use tonic::transport::Channel;

use crate::lock_check::{GUARDED, Grant, Guarded, LOCK, Outcome, Record, Rules, TOKEN};
use crate::session::{Clock, Lease, Stop, connect, soon, within};

const LEASE_SECONDS: i64 = 3;
const WAIT: Duration = Duration::from_secs(20);
/// After a failure, before the next turn.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a client is stopped that oversleeps: the fault itself, so nothing is looked at
/// meanwhile. The test goes on until one of them was late and was told so.
const STOPPED: Duration = Duration::from_secs(LEASE_SECONDS as u64 * 2);

pub struct User {
    id: u32,
    clock: Clock,
    channel: Channel,
    record: Arc<Mutex<Record>>,
    rules: Rules,
    writes: u32,
}

/// What a client does when it is done with the lock.
enum Ending {
    Release,
    /// It is killed.
    Vanish,
    /// It is stopped for longer than its lease lasts, and goes on as if nothing had happened.
    Oversleep,
}

impl User {
    pub fn new(
        id: u32,
        url: &str,
        clock: Clock,
        record: Arc<Mutex<Record>>,
        rules: Rules,
    ) -> Result<Self> {
        Ok(Self { id, clock, channel: connect(url)?, record, rules, writes: 0 })
    }

    pub async fn work(mut self, stop: Stop) {
        while !stop.is_set() {
            // A failure is what the test is about; what counts is what is recorded.
            if self.turn().await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn turn(&mut self) -> Result<()> {
        let lease = Lease::grant(&self.channel, self.clock, LEASE_SECONDS).await?;
        let (key, token, revision) = match self.id % 2 {
            0 => self.lock_as_etcd(&lease).await?,
            _ => self.lock(&lease).await?,
        };
        let told = self.clock.now();
        if told >= lease.until() {
            return Ok(());
        }
        self.write(token).await;
        let ending = match rand::rng().random_range(0..10) {
            0 => Ending::Vanish,
            1 => Ending::Oversleep,
            _ => Ending::Release,
        };
        let released = self.clock.now();
        let until = match ending {
            Ending::Release => lease.until().min(released),
            _ => {
                lease.neglect();
                lease.until()
            }
        };
        self.record.lock().grants.push(Grant { client: self.id, token, revision, told, until });
        match ending {
            Ending::Vanish => {}
            Ending::Release => self.release(key, &lease).await?,
            Ending::Oversleep => {
                tokio::time::sleep(STOPPED).await;
                self.write(token).await;
            }
        }
        Ok(())
    }

    /// The key, the token, and the answer's revision.
    async fn lock_as_etcd(&self, lease: &Lease) -> Result<(bytes::Bytes, i64, i64)> {
        let mut locks = EtcdLockClient::new(self.channel.clone());
        let request = LockRequest { name: LOCK.into(), lease: lease.id };
        let locked = within(WAIT, locks.lock(request)).await?.into_inner();
        let revision = locked.header.context("a header")?.revision;
        let key = locked.key;
        let holds = self.rules.token_key(lease.id).into();
        let range = pb::RangeRequest { key: holds, ..Default::default() };
        let found = soon(KvClient::new(self.channel.clone()).range(range)).await?.into_inner();
        let own = key_values(&found.kvs).into_iter().next().context("it has ended")?;
        Ok((key, own.create_revision, revision))
    }

    async fn lock(&self, lease: &Lease) -> Result<(bytes::Bytes, i64, i64)> {
        let mut locks = LockClient::new(self.channel.clone());
        let names = vec![LOCK.into()];
        let request = LockAcquireRequest { names, lease: lease.id, ..Default::default() };
        let held = within(WAIT, locks.acquire(request)).await?.into_inner();
        let revision = held.header.context("a header")?.revision;
        let place = held.held.into_iter().next().context("one place")?;
        Ok((place.key, place.token, revision))
    }

    async fn release(&self, key: bytes::Bytes, lease: &Lease) -> Result<()> {
        if self.id.is_multiple_of(2) {
            let mut locks = EtcdLockClient::new(self.channel.clone());
            soon(locks.unlock(UnlockRequest { key })).await?;
        } else {
            let mut locks = LockClient::new(self.channel.clone());
            let names = vec![LOCK.into()];
            let request = LockReleaseRequest { names, lease: lease.id, entirely: true };
            soon(locks.release(request)).await?;
        }
        Ok(())
    }

    /// Writes what is guarded, under the token.
    async fn write(&mut self, token: i64) {
        self.writes += 1;
        let value = format!("{}-{}", self.id, self.writes);
        let put = |key: &'static str, value: String| pb::RequestOp {
            request: Some(Op::RequestPut(pb::PutRequest {
                key: key.into(),
                value: value.into(),
                ..Default::default()
            })),
        };
        let success = vec![put(GUARDED, value.clone()), put(TOKEN, token.to_string())];
        let txn = pb::TxnRequest { success, ..Default::default() };
        let mut kv = KvClient::new(self.channel.clone());
        let outcome = match soon(kv.txn(txn)).await {
            Ok(done) => Outcome::Written(done.into_inner().header.map_or(0, |it| it.revision)),
            Err(error) if error.to_string().contains("refused by fencing") => Outcome::Refused,
            Err(_) => Outcome::Unknown,
        };
        self.record.lock().writes.push(Guarded { token, value, outcome });
    }
}
