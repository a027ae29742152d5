//! One acquisition of one lock that all clients share, and its release, through etcd's Lock
//! service. Beside it: how long after a release was sent the next client heard that it holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::dial::Channel;
use anyhow::Context;
use portunus_proto::etcdserverpb::lease_client::LeaseClient;
use portunus_proto::etcdserverpb::{LeaseGrantRequest, LeaseRevokeRequest};
use portunus_proto::v3lockpb::lock_client::LockClient;
use portunus_proto::v3lockpb::{LockRequest, UnlockRequest};

use crate::bench::recorder::Recorder;
use crate::bench::time::{Duration, Instant, now};
use crate::bench::workload::{ClientId, Failure, Operate, Workload};

const NAME: &[u8] = b"bench/lock";
/// Longer than a run.
const TTL_SECONDS: i64 = 3600;

/// Acquisitions and releases.
#[derive(Clone, Debug)]
pub struct Lock {
    handover: Arc<Handover>,
}

/// From a release to the next grant. Only the holder releases, so there is one at a time.
#[derive(Debug)]
struct Handover {
    since: Instant,
    /// When the last release was sent, in nanoseconds; 0 when its lock was granted since.
    released: AtomicU64,
    recorder: Arc<Recorder>,
}

pub struct Client {
    locks: LockClient<Channel>,
    leases: LeaseClient<Channel>,
    lease: i64,
    handover: Arc<Handover>,
}

impl Lock {
    pub fn new() -> Self {
        let (since, recorder) = (now(), Arc::default());
        Self { handover: Arc::new(Handover { since, released: AtomicU64::new(0), recorder }) }
    }

    /// Where the times from release to grant are.
    pub fn handovers(&self) -> Arc<Recorder> {
        Arc::clone(&self.handover.recorder)
    }
}

impl Handover {
    fn release(&self) {
        let nanos = self.since.elapsed().as_nanos() as u64;
        self.released.store(nanos.max(1), Ordering::Release);
    }

    fn granted(&self) {
        let at = now();
        match self.released.swap(0, Ordering::AcqRel) {
            0 => {}
            released => {
                let released = self.since + Duration::from_nanos(released);
                self.recorder.answered(at.saturating_duration_since(released), at);
            }
        }
    }
}

impl Workload for Lock {
    type Client = Client;

    async fn client(&self, channel: Channel, _: ClientId) -> anyhow::Result<Client> {
        let mut leases = LeaseClient::new(channel.clone());
        let grant = LeaseGrantRequest { ttl: TTL_SECONDS, ..LeaseGrantRequest::default() };
        let lease = leases.lease_grant(grant).await.context("grant a lease")?.get_ref().id;
        let handover = Arc::clone(&self.handover);
        Ok(Client { locks: LockClient::new(channel), leases, lease, handover })
    }
}

impl Operate for Client {
    async fn operate(&mut self) -> Result<(), Failure> {
        let request = LockRequest { name: NAME.into(), lease: self.lease };
        let key = self.locks.lock(request).await?.into_inner().key;
        self.handover.granted();
        self.handover.release();
        self.locks.unlock(UnlockRequest { key }).await?;
        Ok(())
    }

    async fn close(mut self) {
        // The lease would end by itself; this only leaves less behind.
        let _ = self.leases.lease_revoke(LeaseRevokeRequest { id: self.lease }).await;
    }
}
