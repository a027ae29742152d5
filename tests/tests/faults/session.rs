//! What every client has: a connection that it makes again when it breaks, requests that it gives
//! up soon, one clock for all, and leases whose end it knows.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::etcdserverpb::lease_client::LeaseClient;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

/// How long a client waits for what does not wait by itself.
const PATIENCE: Duration = Duration::from_secs(3);
/// Several times within the shortest lease.
const KEEP_ALIVE_EVERY: Duration = Duration::from_millis(400);

/// The clock of all clients of one test.
#[derive(Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn now(self) -> Duration {
        self.0.elapsed()
    }
}

/// Told to all clients when a test has seen enough.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection that is made with the first request, and again when it broke.
pub fn connect(url: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned())?;
    Ok(endpoint.connect_timeout(PATIENCE).connect_lazy())
}

/// Gives a request up when it takes too long.
pub async fn soon<T>(request: impl Future<Output = Result<T, tonic::Status>>) -> Result<T> {
    within(PATIENCE, request).await
}

pub async fn within<T>(
    patience: Duration,
    request: impl Future<Output = Result<T, tonic::Status>>,
) -> Result<T> {
    Ok(tokio::time::timeout(patience, request).await.context("no answer")??)
}

/// A lease that is kept alive, and until when its client may count on it: an answer's time counts
/// from when its question was sent.
pub struct Lease {
    pub id: i64,
    until: Arc<Mutex<Duration>>,
    keeper: JoinHandle<()>,
}

impl Lease {
    pub async fn grant(channel: &Channel, clock: Clock, seconds: i64) -> Result<Self> {
        let mut leases = LeaseClient::new(channel.clone());
        let sent = clock.now();
        let request = pb::LeaseGrantRequest { id: 0, ttl: seconds };
        let granted = soon(leases.lease_grant(request)).await?.into_inner();
        let until = Arc::new(Mutex::new(sent + Duration::from_secs(granted.ttl as u64)));
        let (id, shared) = (granted.id, Arc::clone(&until));
        let keeper = tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEEP_ALIVE_EVERY).await;
                let sent = clock.now();
                if let Ok(seconds) = keep_alive(&mut leases, id).await {
                    *shared.lock() = sent + Duration::from_secs(seconds);
                }
            }
        });
        Ok(Self { id, until, keeper })
    }

    pub fn until(&self) -> Duration {
        *self.until.lock()
    }

    /// Keeps it alive no more, as a client that is stopped.
    pub fn neglect(&self) {
        self.keeper.abort();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn keep_alive(leases: &mut LeaseClient<Channel>, id: i64) -> Result<u64> {
    let once = tokio_stream::once(pb::LeaseKeepAliveRequest { id });
    let mut answers = soon(leases.lease_keep_alive(once)).await?.into_inner();
    let answer = soon(answers.message()).await?.context("an answer")?;
    ensure!(answer.ttl > 0, "it has ended");
    Ok(answer.ttl as u64)
}
