//! Everything that may be asked of a server about its past and present, to be held against what
//! another says of the same.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{Rpc, Seen, Token, Users, events, key_values};
use tokio_stream::wrappers::ReceiverStream;

/// Revisions between the compaction and now that are looked at, about.
const LOOKED_AT: i64 = 8;
/// The end of a range of all keys from its first on.
const ALL: Bytes = Bytes::from_static(&[0]);

pub struct Picture {
    pub hash: pb::HashKvResponse,
    /// All key-values, encoded, now and at older revisions.
    past: Vec<(i64, Vec<Bytes>)>,
    /// The hashes at these; old etcds tell none at the compaction itself.
    hashes: Vec<pb::HashKvResponse>,
    /// Each lease with its granted time and its keys.
    leases: Vec<(i64, i64, Vec<Vec<u8>>)>,
    /// Everything since the compaction.
    events: Vec<Seen>,
    alarms: Vec<pb::AlarmMember>,
    users: Users,
}

impl Picture {
    /// As the server tells it to root; there are no events in one of a server without any.
    pub async fn of(rpc: &mut Rpc, root: &Token) -> Result<Self> {
        let hash = hash_kv(rpc, root, 0).await?;
        let (head, now) = range(rpc, root, 0).await?;
        let (mut past, mut hashes) = (vec![(0, now)], Vec::new());
        let compacted = hash.compact_revision;
        let step = ((head - compacted) / LOOKED_AT).max(1) as usize;
        for revision in (compacted.max(1)..=head).step_by(step) {
            past.push((revision, range(rpc, root, revision).await?.1));
            if revision > compacted {
                hashes.push(hash_kv(rpc, root, revision).await?);
            }
        }
        let list = root.with(pb::AlarmRequest::default());
        let alarms = rpc.maintenance.alarm(list).await?.into_inner().alarms;
        let events = match head > compacted.max(1) {
            true => events_since(rpc, root, compacted.max(1) + 1, head).await?,
            false => Vec::new(),
        };
        let (leases, users) = (leases(rpc, root).await?, Users::of(rpc, root).await?);
        Ok(Self { hash, past, hashes, leases, events, alarms, users })
    }

    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// Key-values there are now.
    pub fn keys(&self) -> usize {
        self.past[0].1.len()
    }

    /// Compares without printing thousands of keys.
    pub fn assert_is(&self, stop: &str, found: &Self) {
        assert_hashes(stop, &[self.hash], &[found.hash]);
        assert_hashes(stop, &self.hashes, &found.hashes);
        assert_eq!(self.users, found.users, "{stop}: users and roles");
        assert_eq!(self.leases, found.leases, "{stop}: the leases");
        assert_eq!(self.alarms, found.alarms, "{stop}: the alarms");
        assert_eq!(self.past.len(), found.past.len(), "{stop}: as many revisions");
        for (expected, found) in self.past.iter().zip(&found.past) {
            let at = expected.0;
            assert_eq!(at, found.0, "{stop}");
            // Encoded the same, or else with the same in it.
            let same = expected.1 == found.1 || key_values(&expected.1) == key_values(&found.1);
            assert!(same, "{stop}: the keys at revision {at}");
        }
        let mut events = self.events.iter().zip(&found.events);
        let differs = events.find(|(expected, found)| expected != found);
        assert_eq!(differs, None, "{stop}: this event");
        assert_eq!(self.events.len(), found.events.len(), "{stop}: the events");
    }
}

#[track_caller]
fn assert_hashes(stop: &str, expected: &[pb::HashKvResponse], found: &[pb::HashKvResponse]) {
    let same = expected.len() == found.len();
    let same = same && expected.iter().zip(found).all(|(expected, found)| is_same(expected, found));
    assert!(same, "{stop}: {expected:?} and {found:?}");
}

/// Of what revision a hash is, only newer etcds say.
pub fn is_same(one: &pb::HashKvResponse, other: &pb::HashKvResponse) -> bool {
    let at = [one.hash_revision, other.hash_revision];
    let is_told = !at.contains(&0);
    (one.hash, one.compact_revision) == (other.hash, other.compact_revision)
        && (!is_told || at[0] == at[1])
}

async fn hash_kv(rpc: &mut Rpc, root: &Token, revision: i64) -> Result<pb::HashKvResponse> {
    let request = root.with(pb::HashKvRequest { revision });
    let answer = rpc.maintenance.hash_kv(request).await?.into_inner();
    Ok(pb::HashKvResponse { header: None, ..answer })
}

async fn range(rpc: &mut Rpc, root: &Token, revision: i64) -> Result<(i64, Vec<Bytes>)> {
    let all = pb::RangeRequest { key: ALL, range_end: ALL, revision, ..Default::default() };
    let answer = rpc.kv.range(root.with(all)).await?.into_inner();
    Ok((answer.header.context("header")?.revision, answer.kvs))
}

async fn leases(rpc: &mut Rpc, root: &Token) -> Result<Vec<(i64, i64, Vec<Vec<u8>>)>> {
    let list = root.with(pb::LeaseLeasesRequest {});
    let mut leases = Vec::new();
    for lease in rpc.lease.lease_leases(list).await?.into_inner().leases {
        let request = root.with(pb::LeaseTimeToLiveRequest { id: lease.id, keys: true });
        let left = rpc.lease.lease_time_to_live(request).await?.into_inner();
        ensure!(0 < left.ttl && left.ttl <= left.granted_ttl, "{} is left", left.ttl);
        let mut keys: Vec<Vec<u8>> = left.keys.iter().map(|key| key.to_vec()).collect();
        keys.sort();
        leases.push((lease.id, left.granted_ttl, keys));
    }
    leases.sort();
    Ok(leases)
}

async fn events_since(rpc: &mut Rpc, root: &Token, from: i64, to: i64) -> Result<Vec<Seen>> {
    let create = pb::WatchCreateRequest {
        key: ALL,
        range_end: ALL,
        start_revision: from,
        prev_kv: true,
        ..Default::default()
    };
    let create = pb::watch_request::RequestUnion::CreateRequest(create);
    let (requests, receiver) = tokio::sync::mpsc::channel(1);
    requests.send(pb::WatchRequest { request_union: Some(create) }).await?;
    let stream = root.with(ReceiverStream::new(receiver));
    let mut answers = rpc.watch.watch(stream).await?.into_inner();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last: &Seen| last.kv.mod_revision < to) {
        let answer = answers.message().await?.context("the watch goes on")?;
        ensure!(!answer.canceled, "{}", answer.cancel_reason);
        seen.extend(events(&answer.events));
    }
    Ok(seen)
}
