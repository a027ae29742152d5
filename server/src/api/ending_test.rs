//! Streams end for the right reason and not without one.

use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use tokio::sync::watch;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use super::Ending;
use crate::raft::Leadership;

/// Short, because the tests wait for it.
const ELECTION: Duration = Duration::from_millis(5);
/// Long enough that a stream which is to end by then would have.
const LONG: Duration = Duration::from_millis(60);

struct Member {
    stopping: watch::Sender<bool>,
    leadership: watch::Sender<Leadership>,
    ending: Ending,
}

fn member(leader: Option<u64>) -> Member {
    let (stopping, stops) = watch::channel(false);
    let (leadership, leads) = watch::channel(Leadership { leader, ..Leadership::default() });
    Member { stopping, leadership, ending: Ending::new(stops, leads, ELECTION) }
}

impl Member {
    fn set_leader(&self, leader: Option<u64>) {
        self.leadership.send_modify(|now| now.leader = leader);
    }
}

fn metadata(requires_leader: bool) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    if requires_leader {
        metadata.insert("hasleader", "true".parse().expect("is ascii"));
    }
    metadata
}

#[tokio::test]
async fn a_stream_that_requires_a_leader_ends_when_there_is_none_for_long() {
    let member = member(Some(1));
    let mut end = member.ending.of(&metadata(true));
    assert!((&mut end).now_or_never().is_none(), "there is a leader");
    member.set_leader(None);
    let status = end.await;
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "etcdserver: no leader"));
}

#[tokio::test]
async fn a_new_leader_in_time_spares_the_stream() {
    let member = member(None);
    let mut end = member.ending.of(&metadata(true));
    assert!((&mut end).now_or_never().is_none(), "none yet, but not for long");
    member.set_leader(Some(2));
    assert!(tokio::time::timeout(LONG, &mut end).await.is_err(), "a leader was found");
    member.set_leader(None);
    assert_eq!(end.await.message(), "etcdserver: no leader");
}

#[tokio::test]
async fn without_the_wish_only_the_stop_ends_it() {
    let member = member(None);
    let mut end = member.ending.of(&metadata(false));
    assert!(tokio::time::timeout(LONG, &mut end).await.is_err());
    member.stopping.send_replace(true);
    let status = end.await;
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "etcdserver: server stopped")
    );
}

#[tokio::test]
async fn a_cut_stream_says_why_and_is_over() {
    let member = member(Some(1));
    let items = stream::iter([Ok::<_, Status>(1), Ok(2)]).chain(stream::pending());
    let mut cut = member.ending.of(&metadata(false)).cut(items);
    assert_eq!(cut.next().await.expect("an item").expect("is fine"), 1);
    assert_eq!(cut.next().await.expect("an item").expect("is fine"), 2);
    assert!(cut.next().now_or_never().is_none(), "nothing more for now");
    member.stopping.send_replace(true);
    assert_eq!(cut.next().await.expect("the reason").expect_err("ends").code(), Code::Unavailable);
    assert!(cut.next().await.is_none());
}
