//! A deployment moves from a real etcd to this server and back, with its revisions, history,
//! leases and compactions. At each stop everything is as it was at the one before.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use portunus_proto::etcdserverpb as pb;
use portunus_tests::snapshots::{hash_kv, restored, revision, save};
use portunus_tests::{Rpc, Seen, events, eventually, key_values};
use tokio_stream::wrappers::ReceiverStream;

use crate::etcd::Etcd;

/// How many keys are moved; more than the default is for the benchmark of a release.
const KEYS: &str = "MOVE_KEYS";
const KEYS_DEFAULT: usize = 3_000;
/// Puts in one transaction.
const BATCH: usize = 100;
const LEASES: i64 = 20;

fn keys() -> usize {
    std::env::var(KEYS).ok().and_then(|keys| keys.parse().ok()).unwrap_or(KEYS_DEFAULT)
}

/// Everything that may be asked of a server about its past and present.
#[derive(Debug, PartialEq)]
struct Picture {
    hash: pb::HashKvResponse,
    /// All key-values, now and at older revisions.
    ranges: Vec<(i64, Vec<portunus_proto::mvccpb::KeyValue>)>,
    /// Each lease with its granted time and its keys.
    leases: Vec<(i64, i64, Vec<Vec<u8>>)>,
    /// Everything since the compaction.
    events: Vec<Seen>,
    alarms: Vec<pb::AlarmMember>,
}

async fn put_all(rpc: &mut Rpc, round: usize) -> Result<()> {
    let numbers: Vec<usize> = (0..keys()).collect();
    for batch in numbers.chunks(BATCH) {
        let puts = batch.iter().map(|n| {
            let lease = if n % 7 == 0 { 1 + (*n as i64 % LEASES) } else { 0 };
            let put = pb::PutRequest {
                key: format!("key/{n:08}").into(),
                value: format!("{round}-{n}").into(),
                lease,
                ..Default::default()
            };
            pb::RequestOp { request: Some(pb::request_op::Request::RequestPut(put)) }
        });
        let txn = pb::TxnRequest { success: puts.collect(), ..Default::default() };
        rpc.kv.txn(txn).await?;
    }
    Ok(())
}

async fn delete(rpc: &mut Rpc, from: &str, to: &str) -> Result<i64> {
    let request = pb::DeleteRangeRequest {
        key: from.to_owned().into(),
        range_end: to.to_owned().into(),
        prev_kv: false,
    };
    let deleted = rpc.kv.delete_range(request).await?.into_inner();
    ensure!(deleted.deleted > 0, "nothing from {from} to {to}");
    Ok(deleted.header.context("header")?.revision)
}

/// A history with leases, overwritten and deleted keys, a compaction, and more after it.
async fn live(url: &str, round: usize) -> Result<()> {
    let mut rpc = Rpc::connect(url).await?;
    for id in 1..=LEASES {
        let grant = pb::LeaseGrantRequest { ttl: 100_000 + id, id };
        if round == 0 {
            rpc.lease.lease_grant(grant).await?;
        }
    }
    // One more for each round, which ends with it and takes its key along.
    let short = LEASES + 1 + round as i64;
    rpc.lease.lease_grant(pb::LeaseGrantRequest { ttl: 100_000, id: short }).await?;
    let leased = pb::PutRequest { key: "leased".into(), lease: short, ..pb::PutRequest::default() };
    rpc.kv.put(leased).await?;
    put_all(&mut rpc, round).await?;
    let (gone, back) = ("key/00000500", "key/00000600");
    delete(&mut rpc, gone, back).await?;
    put_all(&mut rpc, round + 1).await?;
    let mark = delete(&mut rpc, "key/00000700", "key/00000710").await?;
    let compaction = pb::CompactionRequest { revision: mark, physical: true };
    rpc.kv.compact(compaction).await?;
    delete(&mut rpc, gone, back).await?;
    let revoke = pb::LeaseRevokeRequest { id: short };
    rpc.lease.lease_revoke(revoke).await?;
    let put = pb::PutRequest { key: gone.into(), value: "again".into(), ..Default::default() };
    rpc.kv.put(put).await?;
    Ok(())
}

async fn picture(url: &str, full: bool) -> Result<Picture> {
    let mut rpc = Rpc::connect(url).await?;
    let hash = hash_kv(url, 0).await?;
    let now = range(&mut rpc, 0).await?;
    let mut ranges = vec![(0, now.1)];
    let (head, compacted) = (now.0, hash.compact_revision);
    for revision in (compacted.max(1)..=head).step_by(((head - compacted) as usize / 7).max(1)) {
        ranges.push((revision, range(&mut rpc, revision).await?.1));
    }
    let mut leases = Vec::new();
    let all = rpc.lease.lease_leases(pb::LeaseLeasesRequest {}).await?.into_inner().leases;
    for lease in all {
        let request = pb::LeaseTimeToLiveRequest { id: lease.id, keys: true };
        let left = rpc.lease.lease_time_to_live(request).await?.into_inner();
        let mut keys: Vec<Vec<u8>> = left.keys.iter().map(|key| key.to_vec()).collect();
        keys.sort();
        leases.push((lease.id, left.granted_ttl, keys));
    }
    leases.sort();
    let list = pb::AlarmRequest::default();
    let alarms = rpc.maintenance.alarm(list).await?.into_inner().alarms;
    let events = if full { events_since(&mut rpc, compacted + 1, head).await? } else { vec![] };
    Ok(Picture { hash, ranges, leases, events, alarms })
}

async fn range(
    rpc: &mut Rpc,
    revision: i64,
) -> Result<(i64, Vec<portunus_proto::mvccpb::KeyValue>)> {
    let all = pb::RangeRequest {
        key: b"\0"[..].into(),
        range_end: b"\0"[..].into(),
        revision,
        ..Default::default()
    };
    let answer = rpc.kv.range(all).await?.into_inner();
    Ok((answer.header.context("header")?.revision, key_values(&answer.kvs)))
}

async fn events_since(rpc: &mut Rpc, from: i64, to: i64) -> Result<Vec<Seen>> {
    let create = pb::WatchCreateRequest {
        key: b"\0"[..].into(),
        range_end: b"\0"[..].into(),
        start_revision: from,
        prev_kv: true,
        ..Default::default()
    };
    let create = pb::watch_request::RequestUnion::CreateRequest(create);
    let (requests, receiver) = tokio::sync::mpsc::channel(1);
    requests.send(pb::WatchRequest { request_union: Some(create) }).await?;
    let mut answers = rpc.watch.watch(ReceiverStream::new(receiver)).await?.into_inner();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last: &Seen| last.kv.mod_revision < to) {
        let answer = answers.message().await?.context("the watch goes on")?;
        ensure!(!answer.canceled, "{}", answer.cancel_reason);
        seen.extend(events(&answer.events));
    }
    Ok(seen)
}

/// Of what revision a hash is, only newer etcds say.
fn is_same(one: &pb::HashKvResponse, other: &pb::HashKvResponse) -> bool {
    let at = [one.hash_revision, other.hash_revision];
    let is_told = !at.contains(&0);
    (one.hash, one.compact_revision) == (other.hash, other.compact_revision)
        && (!is_told || at[0] == at[1])
}

/// Compares without printing thousands of keys.
fn assert_same(stop: &str, expected: &Picture, found: &Picture) {
    assert!(is_same(&expected.hash, &found.hash), "{stop}: {:?}, {:?}", expected.hash, found.hash);
    assert_eq!(expected.leases, found.leases, "{stop}: the leases");
    assert_eq!(expected.alarms, found.alarms, "{stop}: the alarms");
    let mut ranges = expected.ranges.iter().zip(&found.ranges);
    assert_eq!(expected.ranges.len(), found.ranges.len(), "{stop}");
    let differs = ranges.find(|(expected, found)| expected != found).map(|(e, _)| e.0);
    assert_eq!(differs, None, "{stop}: the keys at this revision");
    let mut events = expected.events.iter().zip(&found.events);
    let differs = events.find(|(expected, found)| expected != found);
    assert_eq!(differs, None, "{stop}: this event");
    assert_eq!(expected.events.len(), found.events.len(), "{stop}: the events");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_moves_here_and_back_with_its_history() -> Result<()> {
    let Some(etcd) = Etcd::start().await else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    live(&etcd.client_url, 0).await?;
    let file = save(&etcd.client_url, dir.path())?;
    let at_etcd = picture(&etcd.client_url, true).await?;
    println!("{:?}: {} bytes", etcd.version, std::fs::metadata(&file)?.len());
    drop(etcd);

    let mut members = restored(&file, dir.path(), 1, &[])?;
    let mut member = members.remove(0);
    member.start()?;
    assert_same("from etcd to us", &at_etcd, &picture(&member.client_url, true).await?);
    // What is written here afterwards goes back too.
    live(&member.client_url, 2).await?;
    let file = save(&member.client_url, dir.path())?;
    let ours = picture(&member.client_url, true).await?;
    assert!(ours.hash.compact_revision > at_etcd.hash.compact_revision);
    member.kill()?;

    let etcd = Etcd::restored(&file).await.context("it was there before")?;
    assert_same("from us to etcd", &ours, &picture(&etcd.client_url, true).await?);
    live(&etcd.client_url, 4).await?;
    let once_more = Path::new("once more");
    std::fs::create_dir(dir.path().join(once_more))?;
    let file = save(&etcd.client_url, &dir.path().join(once_more))?;
    let at_etcd = picture(&etcd.client_url, true).await?;
    drop(etcd);
    let mut member = restored(&file, &dir.path().join(once_more), 1, &[])?.remove(0);
    member.start()?;
    assert_same("and here again", &at_etcd, &picture(&member.client_url, true).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_etcd_moves_too() -> Result<()> {
    let Some(etcd) = Etcd::start().await else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let file = save(&etcd.client_url, dir.path())?;
    assert_eq!(revision(&file)?, 0, "etcd writes none before the first put");
    let mut member = restored(&file, dir.path(), 1, &[])?.remove(0);
    member.start()?;
    let expected = picture(&etcd.client_url, false).await?;
    eventually("the same hash", || async {
        let found = hash_kv(&member.client_url, 0).await?;
        ensure!(is_same(&found, &expected.hash), "{found:?}");
        anyhow::Ok(())
    })
    .await;
    Ok(())
}
