//! The plugins for locks and queues that come with the server, each deployed by its name into a
//! real member. What they do in detail is tested beside their code.

use anyhow::{Result, ensure};
use etcd_client::Client;
use portunus_proto::portunus::v1::lock_client::LockClient;
use portunus_proto::portunus::v1::queue_client::QueueClient;
use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockDescribeRequest, LockMode, LockReleaseRequest, QueueAckRequest,
    QueueDelivery, QueueDequeueRequest, QueueEnqueueRequest, QueueNewItem,
};
use portunus_tests::{Member, Rpc, eventually, refusal};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::commands::Shell;

const LOCK: &str = "l/a";
const QUEUE: &str = "q/a";

struct Admitted {
    _member: Member,
    client: Client,
    lock: LockClient<Channel>,
    queue: QueueClient<Channel>,
    _dir: TempDir,
}

/// A request for the lock that was made.
struct Asked {
    lease: i64,
    answer: JoinHandle<Result<i64, Status>>,
}

impl Asked {
    async fn token(self) -> Result<i64> {
        Ok(self.answer.await??)
    }
}

fn request() -> LockAcquireRequest {
    LockAcquireRequest { names: vec![LOCK.into()], ..Default::default() }
}

fn weighing(weight: u32) -> LockAcquireRequest {
    LockAcquireRequest { weight, ..request() }
}

fn saying(metadata: &str) -> LockAcquireRequest {
    LockAcquireRequest { metadata: metadata.to_owned().into(), ..request() }
}

fn sharing() -> LockAcquireRequest {
    LockAcquireRequest { mode: LockMode::Shared.into(), ..request() }
}

impl Admitted {
    /// A member with one plugin of its own.
    async fn by(builtin: &str, options: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let member = Member::single(dir.path(), &[])?;
        let source = format!("builtin:{builtin}");
        Shell::of(&member).ok(&[&["plugin", "deploy", &source], options].concat())?;
        let channel = Rpc::connect(&member.client_url).await?.channel;
        let mut client = member.client().await?;
        client.put(format!("{QUEUE}/condition"), format!("plugin {builtin}"), None).await?;
        let (lock, queue) = (LockClient::new(channel.clone()), QueueClient::new(channel));
        Ok(Self { client, lock, queue, _member: member, _dir: dir })
    }

    /// Asks for the lock, and comes back when it is held, or refused, or stands in line.
    async fn ask(&mut self, request: LockAcquireRequest) -> Result<Asked> {
        let lease = self.client.lease_grant(600, None).await?.id();
        let mut lock = self.lock.clone();
        let request = LockAcquireRequest { lease, ..request };
        let answer =
            tokio::spawn(
                async move { Ok(lock.acquire(request).await?.into_inner().held[0].token) },
            );
        eventually("the request stands in line", || async {
            ensure!(answer.is_finished() || self.standing(lease).await?.is_some(), "not yet");
            anyhow::Ok(())
        })
        .await;
        Ok(Asked { lease, answer })
    }

    /// Whether a lease's place is held; none when it has no place.
    async fn standing(&self, lease: i64) -> Result<Option<bool>> {
        let request = LockDescribeRequest { name: LOCK.into() };
        let line = self.lock.clone().describe(request).await?.into_inner().line;
        Ok(line.iter().find(|standing| standing.lease == lease).map(|standing| standing.holds_it))
    }

    async fn waits(&self, asked: &Asked) -> Result<bool> {
        Ok(self.standing(asked.lease).await? == Some(false))
    }

    async fn release(&mut self, lease: i64) -> Result<()> {
        let request = LockReleaseRequest { names: vec![LOCK.into()], lease, entirely: false };
        self.lock.release(request).await?;
        Ok(())
    }

    async fn enqueue(&mut self, headers: &[(&str, &str)]) -> Result<u64> {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let item = QueueNewItem { headers: headers.collect(), ..Default::default() };
        let request = QueueEnqueueRequest { queue: QUEUE.into(), items: vec![item], wait: false };
        Ok(self.queue.enqueue(request).await?.into_inner().ids[0])
    }

    async fn take(&mut self) -> Result<Vec<QueueDelivery>> {
        let request = QueueDequeueRequest { queue: QUEUE.into(), max: 10, ..Default::default() };
        Ok(self.queue.dequeue(request).await?.into_inner().deliveries)
    }

    async fn ack(&mut self, delivery: &QueueDelivery) -> Result<bool> {
        let claims = delivery.claim.into_iter().collect();
        let request = QueueAckRequest { queue: QUEUE.into(), claims, txn: None };
        Ok(self.queue.ack(request).await?.into_inner().acked)
    }
}

fn ids(deliveries: &[QueueDelivery]) -> Vec<u64> {
    deliveries.iter().filter_map(|delivery| Some(delivery.item.as_ref()?.id)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_semaphore_has_as_many_holders_as_permits() -> Result<()> {
    let options = ["--lock-admission", "l/", "--config", "permits=2"];
    let mut it = Admitted::by("semaphore", &options).await?;
    let first = it.ask(request()).await?;
    let lease = first.lease;
    let first = first.token().await?;
    let second = it.ask(request()).await?.token().await?;
    let third = it.ask(request()).await?;
    assert!(second > first && it.waits(&third).await?);
    let tried = LockAcquireRequest { try_only: true, ..request() };
    assert_eq!(refusal(it.lock.acquire(tried).await).0, Code::Aborted);
    it.release(lease).await?;
    assert!(third.token().await? > second, "tokens grow");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_is_alone_and_not_starved() -> Result<()> {
    let mut it = Admitted::by("read-write", &["--lock-admission", "l/"]).await?;
    let readers = [it.ask(sharing()).await?, it.ask(sharing()).await?];
    let writer = it.ask(request()).await?;
    let late = it.ask(sharing()).await?;
    let (leases, held) = (readers.each_ref().map(|reader| reader.lease), writer.lease);
    for reader in readers {
        reader.token().await?;
    }
    assert!(it.waits(&writer).await? && it.waits(&late).await?);
    for lease in leases {
        it.release(lease).await?;
    }
    let token = writer.token().await?;
    assert!(it.waits(&late).await?);
    it.release(held).await?;
    assert!(late.token().await? > token);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_highest_priority_is_next() -> Result<()> {
    let mut it = Admitted::by("priority-lock", &["--lock-admission", "l/"]).await?;
    let holder = it.ask(request()).await?;
    let low = it.ask(saying(r#"{"priority": 1}"#)).await?;
    let high = it.ask(saying(r#"{"priority": 9}"#)).await?;
    it.release(holder.lease).await?;
    let lease = high.lease;
    let token = high.token().await?;
    assert!(it.waits(&low).await?);
    it.client.lease_revoke(lease).await?;
    assert!(low.token().await? > token, "a lost lease frees it as well");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_refuses_locks_and_holds_queues() -> Result<()> {
    let bound = ["--lock-admission", "l/", "--queue-condition", "q/"];
    let options = [&bound[..], &["--config", "key=ops/m", "--grant-read", "ops/"]].concat();
    let mut it = Admitted::by("maintenance-window", &options).await?;
    it.enqueue(&[]).await?;
    it.client.put("ops/m", "moving house", None).await?;
    let (code, why) = refusal(it.lock.acquire(request()).await);
    assert_eq!(code, Code::FailedPrecondition);
    assert!(why.contains("maintenance: moving house"), "{why}");
    assert!(it.take().await?.is_empty());
    it.client.delete("ops/m", None).await?;
    it.ask(request()).await?.token().await?;
    assert_eq!(it.take().await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_at_its_bound_is_passed() -> Result<()> {
    let mut it = Admitted::by("tenant-quota", &["--lock-admission", "l/"]).await?;
    let red = it.ask(saying(r#"{"tenant": "red"}"#)).await?;
    let more = it.ask(saying(r#"{"tenant": "red"}"#)).await?;
    let blue = it.ask(saying(r#"{"tenant": "blue"}"#)).await?.token().await?;
    assert!(it.waits(&more).await?);
    it.release(red.lease).await?;
    assert!(more.token().await? > blue);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_one_passes_a_big_one() -> Result<()> {
    let options = ["--lock-admission", "l/", "--config", "capacity=10"];
    let mut it = Admitted::by("capacity", &options).await?;
    let six = it.ask(weighing(6)).await?;
    let big = it.ask(weighing(8)).await?;
    let small = it.ask(weighing(4)).await?;
    let (six, four) = (six.lease, small.lease);
    let token = small.token().await?;
    assert!(it.waits(&big).await?);
    it.release(six).await?;
    it.release(four).await?;
    assert!(big.token().await? > token);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn items_leave_in_topological_order() -> Result<()> {
    let mut it = Admitted::by("dag", &["--queue-condition", "q/"]).await?;
    let last = it.enqueue(&[("after", "2")]).await?;
    let first = it.enqueue(&[]).await?;
    let taken = it.take().await?;
    assert_eq!(ids(&taken), [first]);
    assert!(it.take().await?.is_empty(), "what is in flight is not done");
    assert!(it.ack(&taken[0]).await?);
    assert_eq!(ids(&it.take().await?), [last]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_at_its_limit_is_passed() -> Result<()> {
    let mut it = Admitted::by("concurrency-limit", &["--queue-condition", "q/"]).await?;
    let mut put = Vec::new();
    for group in ["a", "a", "b"] {
        put.push(it.enqueue(&[("group", group)]).await?);
    }
    let taken = it.take().await?;
    assert_eq!(ids(&taken), [put[0], put[2]]);
    assert!(it.take().await?.is_empty());
    assert!(it.ack(&taken[0]).await?);
    assert_eq!(ids(&it.take().await?), [put[1]]);
    Ok(())
}
