//! Elections, replication and the fates of proposals.

#![allow(clippy::disallowed_methods, reason = "a test measures or waits by the real clock")]

use bytes::Bytes;

use super::cluster_test::*;
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sole_member_leads_at_once_and_after_a_restart() {
    let mut member = TestMember::new(7, CLUSTER, timing()).await;
    member.group().initialize([(7, member.peer())].into()).await.expect("founding works");
    let term = member.leads().await;
    let all = values(0..10);
    let outcomes = propose_all(member.group(), term, &all).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(Outcome::Applied)), "{outcomes:?}");
    member.stop().await;
    member.restart().await;
    assert!(member.leads().await > term, "a restarted leader leads in a new term");
    member.has(&all).await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_replicate_and_outlive_their_leader() {
    let mut cluster = Cluster::of_three().await;
    let (first, term) = cluster.leader().await;
    let mut all = values(0..300);
    let outcomes = propose_all(cluster.members[first].group(), term, &all).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(Outcome::Applied)), "{outcomes:?}");
    for member in &cluster.members {
        member.has(&all).await;
    }
    cluster.members[first].stop().await;
    let (second, later) = cluster.leader().await;
    assert_ne!(first, second);
    assert!(later > term);
    let more = values(300..310);
    propose_all(cluster.members[second].group(), later, &more).await;
    all.extend(more);
    cluster.members[first].restart().await;
    for member in &cluster.members {
        member.has(&all).await;
    }
    for member in &cluster.members {
        assert_eq!(*member.fatal.lock(), None);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_follower_catches_up_from_the_log() {
    let mut cluster = Cluster::of_three().await;
    let (leader, term) = cluster.leader().await;
    let follower = (leader + 1) % 3;
    cluster.members[follower].stop().await;
    let all = values(0..50);
    propose_all(cluster.members[leader].group(), term, &all).await;
    cluster.members[follower].restart().await;
    cluster.members[follower].has(&all).await;
    assert_eq!(cluster.members[follower].values.installs(), 0, "no snapshot was needed");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rejected_in_the_middle_of_a_pipeline_is_reported_and_leaves_no_trace() {
    let cluster = Cluster::of_three().await;
    let (leader, term) = cluster.leader().await;
    let group = cluster.members[leader].group();
    group.reject_proposals([false, true, false]);
    let all = values(0..3);
    let outcomes = propose_all(group, term, &all).await;
    let applied = Ok(Outcome::Applied);
    assert_eq!(outcomes, [applied, Err(ProposeError::Rejected), applied]);
    for member in &cluster.members {
        member.has(&[all[0].clone(), all[2].clone()]).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_and_bygone_terms_reject_and_void_entries_say_so() {
    let cluster = Cluster::of_three().await;
    let (leader, term) = cluster.leader().await;
    let value = values(0..1);
    let follower = cluster.members[(leader + 1) % 3].group();
    assert_eq!(propose_all(follower, term, &value).await, [Err(ProposeError::Rejected)]);
    let group = cluster.members[leader].group();
    assert_eq!(propose_all(group, term - 1, &value).await, [Err(ProposeError::Rejected)]);
    let void = [Bytes::from_static(b"!void")];
    assert_eq!(propose_all(group, term, &void).await, [Ok(Outcome::Void)]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_without_a_quorum_is_unknown_when_its_member_stops() {
    let mut cluster = Cluster::of_three().await;
    let (leader, term) = cluster.leader().await;
    cluster.members[(leader + 1) % 3].stop().await;
    cluster.members[(leader + 2) % 3].stop().await;
    let group = cluster.members[leader].group();
    let before = group.status().last_index;
    // The lease still holds, so the entry enters the log; nobody will ever confirm it.
    let fate = tokio::spawn(group.propose(values(0..1).remove(0), term));
    eventually("the entry is in the log", async || {
        (group.status().last_index > before).then_some(())
    })
    .await;
    assert!(group.confirm(term).await.is_err(), "a leader without a quorum confirms nothing");
    cluster.members[leader].stop().await;
    assert_eq!(fate.await.expect("no panic"), Err(ProposeError::Unknown));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_moves_on_request() {
    let cluster = Cluster::of_three().await;
    let (leader, term) = cluster.leader().await;
    let heir = (leader + 1) % 3;
    let to = cluster.members[heir].id;
    let old = cluster.members[leader].group();
    assert_eq!(old.transfer_leader(99).await, Err(TransferError::NotVoter(99)));
    assert_eq!(
        cluster.members[heir].group().transfer_leader(to).await,
        Err(TransferError::NotLeader)
    );
    old.transfer_leader(to).await.expect("the heir takes over");
    assert!(cluster.members[heir].leads().await > term);
    assert_eq!(propose_all(old, term, &values(0..1)).await, [Err(ProposeError::Rejected)]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_heir_leaves_the_group_to_an_election() {
    let mut cluster = Cluster::of_three().await;
    let (leader, term) = cluster.leader().await;
    let heir = (leader + 1) % 3;
    let to = cluster.members[heir].id;
    cluster.members[heir].stop().await;
    let handed = cluster.members[leader].group().transfer_leader(to).await;
    assert_eq!(handed, Err(TransferError::TimedOut(to)));
    let (next, later) = cluster.leader().await;
    assert!(later > term);
    let all = values(0..1);
    let outcomes = propose_all(cluster.members[next].group(), later, &all).await;
    assert_eq!(outcomes, [Ok(Outcome::Applied)]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_member_learns_the_read_index_and_only_the_leader_confirms_its_term() {
    let cluster = Cluster::of_three().await;
    let (leader, term) = cluster.leader().await;
    propose_all(cluster.members[leader].group(), term, &values(0..5)).await;
    let applied = cluster.members[leader].values.last_index().expect("something is applied");
    for member in &cluster.members {
        let index = eventually("a read index", async || member.group().read_index().await.ok());
        assert!(index.await >= applied);
    }
    let group = cluster.members[leader].group();
    assert!(group.confirm(term).await.expect("it leads") >= applied);
    assert_eq!(group.confirm(term - 1).await, Err(ReadError::NotLeading(term - 1)));
    let follower = cluster.members[(leader + 1) % 3].group();
    assert_eq!(follower.confirm(term).await, Err(ReadError::NoLeader));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_another_cluster_is_refused_by_name() {
    let stranger = TestMember::new(1, crate::types::ClusterId(0xbad), timing()).await;
    let own = Identity { cluster: CLUSTER, member: crate::types::MemberId(2) };
    let call = |own: Identity, target: u64| {
        let target = network::Target::new(target, &stranger.peer());
        async move {
            let pool = network::Pool::new(own, crate::tls::Dialer::new(Default::default()));
            let mut client = pool.client(&target, network::Use::Control).expect("a usable URL");
            let request = portunus_proto::portunus::peer::v1::ReadIndexRequest {};
            client.read_index(request).await.expect_err("it is refused")
        }
    };
    assert_eq!(call(own, 1).await.message(), "cluster ID mismatch");
    let kin = Identity { cluster: crate::types::ClusterId(0xbad), ..own };
    assert_eq!(call(kin, 5).await.message(), "member ID mismatch: this member is 1");
    let mut stranger = stranger;
    stranger.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_went_silent_does_not_wedge_a_follower() {
    let mut members = Vec::new();
    for id in 1..=3 {
        members.push(TestMember::new(id, CLUSTER, timing()).await);
    }
    let proxy = proxy_test::Proxy::to(members[2].address).await;
    members[2].advertised = proxy.address;
    let cluster = Cluster { members };
    for member in &cluster.members[..2] {
        member.group().initialize(cluster.peers()).await.expect("founding works");
    }
    let (mut leader, mut term) = cluster.leader().await;
    if leader == 2 {
        cluster.members[2].group().transfer_leader(1).await.expect("the first takes over");
        (leader, term) = (0, cluster.members[0].leads().await);
    }
    let mut all = values(0..10);
    propose_all(cluster.members[leader].group(), term, &all).await;
    cluster.members[2].has(&all).await;
    proxy.silence();
    let more = values(10..20);
    let outcomes = propose_all(cluster.members[leader].group(), term, &more).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(Outcome::Applied)), "{outcomes:?}");
    all.extend(more);
    cluster.members[2].has(&all).await;
    let leadership = cluster.members[leader].group().leadership().borrow().clone();
    assert_eq!((leadership.is_leader, leadership.term), (true, term), "nobody was unseated");
    cluster.stop().await;
}

/// Not an assertion: prints what E makes of a failover. `cargo test -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn measure_failover() {
    let timing = Timing {
        heartbeat_interval: std::time::Duration::from_millis(100),
        election_timeout: std::time::Duration::from_millis(1000),
    };
    let mut took = Vec::new();
    for _ in 0..10 {
        let mut cluster = Cluster::of_three_with(timing).await;
        let founding = std::time::Instant::now();
        let (leader, _) = cluster.leader().await;
        let founded = founding.elapsed();
        cluster.members[leader].stop().await;
        let stopped = std::time::Instant::now();
        cluster.leader().await;
        took.push((founded, stopped.elapsed()));
        cluster.stop().await;
    }
    took.sort_by_key(|(_, failover)| *failover);
    println!("founding to first write, leader stopped to next write: {took:#?}");
}
