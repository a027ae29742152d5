//! What the suite does not ask: reopening, sharing, bounds and the membership hook.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::TryStreamExt;
use openraft::EntryPayload;
use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt};

use super::LogStore;
use crate::raft::types::{Entry, Peer, Proposal, RaftMembership, StoredMembership, Vote, log_id};
use crate::wal::{Identity, Options, Wal};

pub fn open(dir: &Path) -> LogStore {
    let identity = Identity { cluster: 1, member: 2 };
    // Small in every way, so that reads come from the disk and segments roll over.
    let options = Options { segment_bytes: 16 * 1024, ring_bytes: 4096, ..Options::default() };
    LogStore::new(Arc::new(Wal::open(dir, identity, options).unwrap()))
}

fn proposal(term: u64, index: u64, bytes: usize) -> Entry {
    let payload = EntryPayload::Normal(Proposal(Bytes::from(vec![index as u8; bytes])));
    Entry { log_id: log_id(term, index), payload }
}

fn membership(term: u64, index: u64, voters: &[u64]) -> Entry {
    let nodes: BTreeMap<u64, Peer> = voters.iter().map(|id| (*id, Peer::default())).collect();
    let membership = RaftMembership::new(vec![voters.iter().copied().collect()], nodes).unwrap();
    Entry { log_id: log_id(term, index), payload: EntryPayload::Membership(membership) }
}

#[tokio::test]
async fn everything_comes_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let mut entries = vec![membership(1, 0, &[1, 2, 3])];
    entries.extend((1..50).map(|index| proposal(1, index, 1000)));
    store.blocking_append(entries.clone()).await.unwrap();
    store.save_vote(&Vote::new_committed(4, 7)).await.unwrap();
    store.save_committed(Some(log_id(1, 30))).await.unwrap();
    store.truncate_after(Some(log_id(1, 39))).await.unwrap();
    store.purge(log_id(1, 9)).await.unwrap();
    drop(store);

    let mut store = open(dir.path());
    assert_eq!(store.try_get_log_entries(..).await.unwrap(), entries[10..40]);
    assert_eq!(store.read_vote().await.unwrap(), Some(Vote::new_committed(4, 7)));
    assert_eq!(store.read_committed().await.unwrap(), Some(log_id(1, 30)));
    let state = store.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(log_id(1, 9)));
    assert_eq!(state.last_log_id, Some(log_id(1, 39)));
}

#[tokio::test]
async fn a_proposal_in_memory_is_the_one_that_was_appended() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let bytes = Bytes::from(vec![7; 500]);
    let payload = EntryPayload::Normal(Proposal(bytes.clone()));
    store.blocking_append([Entry { log_id: log_id(1, 0), payload }]).await.unwrap();
    let read = store.try_get_log_entries(0..1).await.unwrap().remove(0);
    let EntryPayload::Normal(Proposal(read)) = read.payload else { panic!("another kind") };
    assert_eq!(read.as_ptr(), bytes.as_ptr());
}

#[tokio::test]
async fn large_ranges_are_read_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let entries: Vec<Entry> = (0..12).map(|index| proposal(1, index, 900_000)).collect();
    store.blocking_append(entries.clone()).await.unwrap();
    assert_eq!(store.limited_get_log_entries(3, 12).await.unwrap(), entries[3..5]);
    let vote = Vote::new_committed(1, 2);
    store.save_vote(&vote).await.unwrap();

    let all: Vec<Entry> = store.entries_stream(2..).await.try_collect().await.unwrap();
    assert_eq!(all, entries[2..]);

    let mut other = store.clone();
    let mut stream = Box::pin(store.leader_bounded_stream(vote.leader_id, 0..12).await);
    assert!(stream.try_next().await.unwrap().is_some());
    other.save_vote(&Vote::new(2, 3)).await.unwrap();
    let rest: Result<Vec<Entry>, _> = stream.try_collect().await;
    assert!(rest.is_err(), "it goes on under another leader");
}

#[tokio::test]
async fn a_membership_is_told_before_it_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let told = Arc::new(Mutex::new(Vec::<(StoredMembership, u64)>::new()));
    let (sink, log) = (told.clone(), store.clone());
    let hook = move |membership: &StoredMembership| {
        let readable = log.readable_end();
        sink.lock().unwrap().push((membership.clone(), readable));
    };
    store.on_membership(hook);
    let entries = [proposal(1, 0, 5), membership(1, 1, &[1]), membership(1, 2, &[1, 2])];
    store.blocking_append(entries).await.unwrap();
    let told = told.lock().unwrap();
    let seen: Vec<_> = told.iter().map(|(told, end)| (told.log_id, *end)).collect();
    assert_eq!(seen, [(Some(log_id(1, 1)), 0), (Some(log_id(1, 2)), 0)]);
    assert!(told[0].0.is_sole_voter(1) && !told[1].0.is_sole_voter(1));
}
