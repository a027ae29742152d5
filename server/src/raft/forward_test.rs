//! Forwarded requests: replies, and what is said of those without one.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::cluster_test::*;
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_has_the_leader_execute_requests() {
    let cluster = Cluster::of_three().await;
    let (leader, _) = cluster.leader().await;
    let to = cluster.members[leader].id;
    let follower = cluster.members[(leader + 1) % 3].group();
    let requests = values(0..1000);
    let replies = requests.iter().map(|request| follower.forward(to, request.clone()));
    let replies = futures::future::join_all(replies).await;
    let expected: Vec<_> = requests.into_iter().map(Ok).collect();
    assert_eq!(replies, expected);
    assert_eq!(cluster.members[leader].handler.begun.load(Ordering::SeqCst), 1000);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_link_leaves_sent_requests_unknown_and_refuses_the_rest() {
    let mut cluster = Cluster::of_three().await;
    let (leader, _) = cluster.leader().await;
    let to = cluster.members[leader].id;
    let handler = cluster.members[leader].handler.clone();
    handler.held.send_replace(true);
    let follower = (leader + 1) % 3;
    let from = cluster.members.remove(follower);
    let from = std::sync::Arc::new(from);
    let asking = {
        let from = from.clone();
        tokio::spawn(async move { from.group().forward(to, Bytes::from_static(b"x")).await })
    };
    eventually("the leader has the request", async || {
        (handler.begun.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    let at = cluster.members.iter().position(|member| member.id == to).expect("it is a member");
    cluster.members[at].stop().await;
    let fate = tokio::time::timeout(PATIENCE, asking).await.expect("the link breaks");
    assert_eq!(fate.expect("no panic"), Err(ForwardError::Unknown));
    // Nobody listens there any more: this one was never sent.
    let refused = from.group().forward(to, Bytes::from_static(b"y")).await;
    assert_eq!(refused, Err(ForwardError::NotExecuted));
    assert_eq!(handler.begun.load(Ordering::SeqCst), 1);
    let unknown_member = from.group().forward(99, Bytes::from_static(b"z")).await;
    assert_eq!(unknown_member, Err(ForwardError::NotExecuted));
    handler.held.send_replace(false);
    from.group().shutdown().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_given_up_ends_on_the_leader() {
    let cluster = Cluster::of_three().await;
    let (leader, _) = cluster.leader().await;
    let to = cluster.members[leader].id;
    let handler = cluster.members[leader].handler.clone();
    handler.held.send_replace(true);
    let follower = cluster.members[(leader + 1) % 3].group();
    let mut asked: Vec<_> =
        (0..3).map(|_| Box::pin(follower.forward(to, Bytes::from_static(b"x")))).collect();
    let under_way = |count: usize| {
        let handler = handler.clone();
        async move || (handler.held.receiver_count() == count).then_some(())
    };
    for one in &mut asked {
        assert!(futures::poll!(one).is_pending());
    }
    eventually("the leader works on all of them", under_way(3)).await;
    drop(asked.pop());
    eventually("one is called off", under_way(2)).await;
    handler.held.send_replace(false);
    for one in asked {
        assert_eq!(one.await, Ok(Bytes::from_static(b"x")), "the others are answered");
    }
    assert_eq!(handler.begun.load(Ordering::SeqCst), 3);
    cluster.stop().await;
}
