//! Purging the log and sending snapshots in its place.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use portunus_proto::portunus::peer::v1 as wire;
use portunus_proto::portunus::peer::v1::snapshot_frame::Frame;

use super::cluster_test::*;
use super::network::{Pool, Target, Use};
use super::*;
use crate::types::MemberId;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lagging_follower_gets_a_snapshot_while_writes_go_on() {
    let mut cluster = Cluster::of_three().await;
    let (leader, term) = cluster.leader().await;
    let follower = (leader + 1) % 3;
    cluster.members[follower].stop().await;
    let mut all = values(0..100);
    propose_all(cluster.members[leader].group(), term, &all).await;
    let applied = cluster.members[leader].values.last_index().expect("something is applied");
    cluster.members[leader].group().purge(applied - 5).await.expect("all of it is applied");
    eventually("the log is purged", async || {
        (cluster.members[leader].log.first() == Some(applied - 4)).then_some(())
    })
    .await;

    cluster.members[leader].gate.shut();
    cluster.members[follower].restart().await;
    eventually("the snapshot is being read", async || {
        (cluster.members[leader].gate.arrived() > 0).then_some(())
    })
    .await;
    // The snapshot stands still; writes do not, and the log it needs afterwards stays.
    let more = values(100..150);
    let group = cluster.members[leader].group();
    let outcomes = propose_all(group, term, &more).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(Outcome::Applied)), "{outcomes:?}");
    all.extend(more);
    group.purge(cluster.members[leader].values.last_index().unwrap_or(0)).await.expect("applied");
    assert!(cluster.members[leader].log.first() <= Some(applied + 1), "the log is kept for it");
    cluster.members[leader].gate.open();

    cluster.members[follower].has(&all).await;
    assert_eq!(cluster.members[follower].values.installs(), 1);
    assert_eq!(cluster.members[follower].staging.load(Ordering::SeqCst), 0);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_member_starts_from_a_snapshot_and_votes() {
    let cluster = Cluster::of_three().await;
    let (leader, term) = cluster.leader().await;
    let all = values(0..40);
    let group = cluster.members[leader].group();
    propose_all(group, term, &all).await;
    let applied = cluster.members[leader].values.last_index().expect("something is applied");
    group.purge(applied).await.expect("all of it is applied");
    let mut fourth = TestMember::new(4, CLUSTER, timing()).await;
    let learner = MemberChange::AddLearner(4, fourth.peer());
    group.change_members(learner).await.expect("a learner is added");
    fourth.has(&all).await;
    assert_eq!(fourth.values.installs(), 1);
    group.change_members(MemberChange::Promote(4)).await.expect("it becomes a voter");
    // The second half of the change may reach it a little later than the leader.
    eventually("the new member knows itself a voter", async || {
        let membership = fourth.group().membership();
        (membership.is_voter(4) && !membership.is_joint()).then_some(())
    })
    .await;
    group.change_members(MemberChange::Remove(4)).await.expect("it is removed");
    assert!(!group.membership().is_voter(4));
    fourth.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purged_member_restarts_from_its_state() {
    let mut member = TestMember::new(7, CLUSTER, timing()).await;
    member.group().initialize([(7, member.peer())].into()).await.expect("founding works");
    let term = member.leads().await;
    let all = values(0..30);
    propose_all(member.group(), term, &all).await;
    let last = member.values.last_index().expect("something is applied");
    member.group().purge(last).await.expect("all of it is applied");
    assert_eq!(member.group().purge(last + 1000).await, Err(PurgeError::NotApplied(last + 1000)));
    eventually("the log is purged", async || member.log.first().is_none().then_some(())).await;
    member.stop().await;
    member.restart().await;
    let term = member.leads().await;
    member.has(&all).await;
    let more = values(30..31);
    assert_eq!(propose_all(member.group(), term, &more).await, [Ok(Outcome::Applied)]);
    member.stop().await;
}

/// What of a snapshot is not as it should be.
enum Fault {
    Checksum,
    Truncated,
    Count,
}

fn frames(fault: &Fault) -> Vec<wire::SnapshotFrame> {
    let data = Bytes::from_static(b"\0\0\0\x01x");
    let crc = crc32c::crc32c(&data);
    let header = wire::SnapshotHeader {
        version: 1,
        vote: Some(wire::Vote { term: 9, member: 2, committed: true }),
        last: Some(wire::LogId { term: 9, index: 100 }),
        membership: Some(wire::Membership::default()),
    };
    let running_crc = if matches!(fault, Fault::Checksum) { crc ^ 1 } else { crc };
    let chunks = if matches!(fault, Fault::Count) { 2 } else { 1 };
    let mut frames = vec![
        Frame::Header(header),
        Frame::Chunk(wire::SnapshotChunk { data: data.clone(), running_crc }),
    ];
    if !matches!(fault, Fault::Truncated) {
        let bytes = data.len() as u64;
        frames.push(Frame::Trailer(wire::SnapshotTrailer { chunks, bytes, crc }));
    }
    frames.into_iter().map(|frame| wire::SnapshotFrame { frame: Some(frame) }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_snapshot_leaves_nothing_behind() {
    let mut member = TestMember::new(7, CLUSTER, timing()).await;
    let pool = Pool::new(
        Identity { cluster: CLUSTER, member: MemberId(2) },
        crate::tls::Dialer::new(Default::default()),
    );
    let target = Target::new(7, &member.peer());
    for (fault, said) in [
        (Fault::Checksum, "a snapshot chunk's checksum differs"),
        (Fault::Truncated, "the snapshot ends without its trailer"),
        (Fault::Count, "the snapshot differs from its trailer"),
    ] {
        let mut client = pool.client(&target, Use::Snapshot).expect("a usable URL");
        let sent = client.snapshot(tokio_stream::iter(frames(&fault))).await;
        assert_eq!(sent.expect_err("it is refused").message(), said);
        eventually("nothing is staged", async || {
            (member.staging.load(Ordering::SeqCst) == 0).then_some(())
        })
        .await;
    }
    assert_eq!(member.values.installs(), 0);
    member.stop().await;
}
