//! Leases: granting, attaching, renewing, asking, revoking, expiring.

use std::time::Duration;

use portunus_proto::etcdserverpb as pb;
use portunus_tests::{eventually, refusal};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::fixture::{PATIENCE, Single, put, revision};

const NOT_FOUND: &str = "etcdserver: requested lease not found";

async fn grant(single: &mut Single, id: i64, ttl: i64) -> pb::LeaseGrantResponse {
    let request = pb::LeaseGrantRequest { id, ttl };
    single.rpc.lease.lease_grant(request).await.unwrap().into_inner()
}

async fn left(single: &mut Single, id: i64) -> pb::LeaseTimeToLiveResponse {
    let request = pb::LeaseTimeToLiveRequest { id, keys: true };
    single.rpc.lease.lease_time_to_live(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_lease_has_the_id_and_time_it_was_asked_for() {
    let mut single = Single::start().await;
    let granted = grant(&mut single, 7, 60).await;
    assert_eq!((granted.id, granted.ttl, granted.error.as_str()), (7, 60, ""));
    assert_eq!(revision(&granted.header), 1, "a lease makes no revision");
    let drawn = grant(&mut single, 0, 60).await;
    assert!(drawn.id > 0);
    // Shorter ones are raised to what an election takes.
    assert_eq!(grant(&mut single, 8, 1).await.ttl, 2);
    assert_eq!(grant(&mut single, 9, -1).await.ttl, 2);
    let leases = single.rpc.lease.lease_leases(pb::LeaseLeasesRequest {}).await.unwrap();
    let mut ids: Vec<i64> = leases.into_inner().leases.iter().map(|lease| lease.id).collect();
    ids.retain(|id| *id != drawn.id);
    ids.sort_unstable();
    // The short ones may be over by now.
    assert_eq!(ids[0], 7);
}

#[tokio::test]
async fn refusals() {
    let mut single = Single::start().await;
    grant(&mut single, 7, 60).await;
    let cases = [
        (7, 60, Code::FailedPrecondition, "etcdserver: lease already exists"),
        (8, 9_000_000_001, Code::OutOfRange, "etcdserver: too large lease TTL"),
    ];
    for (id, ttl, code, text) in cases {
        let request = pb::LeaseGrantRequest { id, ttl };
        let refused = refusal(single.rpc.lease.lease_grant(request).await);
        assert_eq!(refused, (code, text.to_owned()));
    }
    assert_eq!(grant(&mut single, 8, 9_000_000_000).await.ttl, 9_000_000_000);
    for id in [99, 0] {
        let request = pb::LeaseRevokeRequest { id };
        let refused = refusal(single.rpc.lease.lease_revoke(request).await);
        assert_eq!(refused, (Code::NotFound, NOT_FOUND.to_owned()));
    }
}

#[tokio::test]
async fn a_key_follows_its_last_lease() {
    let mut single = Single::start().await;
    grant(&mut single, 1, 60).await;
    grant(&mut single, 2, 60).await;
    for (key, lease) in [("b", 1), ("a", 1), ("c", 1), ("b", 2), ("c", 0)] {
        single.rpc.kv.put(pb::PutRequest { lease, ..put(key, "v") }).await.unwrap();
    }
    assert_eq!(left(&mut single, 1).await.keys, ["a"]);
    assert_eq!(left(&mut single, 2).await.keys, ["b"]);
    let request = pb::LeaseRevokeRequest { id: 1 };
    let revoked = single.rpc.lease.lease_revoke(request).await.unwrap().into_inner();
    assert_eq!(revision(&revoked.header), 7, "its keys are deleted at one revision");
    let live: Vec<String> = single.live().await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(live, ["b", "c"]);
}

#[tokio::test]
async fn what_is_left_of_a_lease() {
    let mut single = Single::start().await;
    grant(&mut single, 1, 600).await;
    let now = left(&mut single, 1).await;
    assert_eq!((now.id, now.granted_ttl), (1, 600));
    assert!((500..=600).contains(&now.ttl), "{}", now.ttl);
    let gone = left(&mut single, 99).await;
    assert_eq!((gone.id, gone.ttl, gone.granted_ttl), (99, -1, 0));
}

#[tokio::test]
async fn keep_alives_of_one_stream_are_answered_in_order() {
    let mut single = Single::start().await;
    grant(&mut single, 1, 60).await;
    grant(&mut single, 2, 90).await;
    let (requests, receiver) = tokio::sync::mpsc::channel(8);
    let answers = single.rpc.lease.lease_keep_alive(ReceiverStream::new(receiver)).await;
    let mut answers = answers.unwrap().into_inner();
    // One that does not exist has no time and does not end the stream.
    for (id, ttl) in [(1, 60), (99, 0), (2, 90), (0, 0), (1, 60)] {
        requests.send(pb::LeaseKeepAliveRequest { id }).await.unwrap();
        let answer = answers.message().await.unwrap().unwrap();
        assert_eq!((answer.id, answer.ttl), (id, ttl));
        assert_eq!(revision(&answer.header), 1);
    }
    drop(requests);
    assert!(answers.message().await.unwrap().is_none(), "the stream ends with the client's side");
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_takes_its_keys_along() {
    let mut single = Single::start().await;
    grant(&mut single, 1, 2).await;
    grant(&mut single, 2, 2).await;
    for lease in [1, 2] {
        let key = if lease == 1 { "lost" } else { "kept" };
        single.rpc.kv.put(pb::PutRequest { lease, ..put(key, "v") }).await.unwrap();
    }
    let (requests, receiver) = tokio::sync::mpsc::channel(8);
    let answers = single.rpc.lease.lease_keep_alive(ReceiverStream::new(receiver)).await;
    let mut answers = answers.unwrap().into_inner();
    tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(300));
        while requests.send(pb::LeaseKeepAliveRequest { id: 2 }).await.is_ok() {
            every.tick().await;
        }
    });
    let mut watch = single.client.watch("lost", None).await.unwrap();
    let told = async {
        loop {
            let answer = watch.message().await.unwrap().unwrap();
            if let Some(event) = answer.events().first() {
                return event.event_type();
            }
        }
    };
    // It may have gone before the watch began.
    let gone = tokio::select! {
        told = told => told == etcd_client::EventType::Delete,
        () = eventually_gone(&single) => true,
    };
    assert!(gone);
    let renewed = answers.message().await.unwrap().unwrap();
    assert_eq!((renewed.id, renewed.ttl), (2, 2));
    assert_eq!(single.live().await, [("kept".to_owned(), "v".to_owned())]);
    assert_eq!(left(&mut single, 1).await.ttl, -1);
}

async fn eventually_gone(single: &Single) {
    eventually("the key of the dead lease is gone", || async {
        let mut client = single.member.client().await?;
        let count = client.get("lost", None).await?.count();
        anyhow::ensure!(count == 0, "it is still there");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_lease_outlives_a_restart() {
    let mut single = Single::start().await;
    grant(&mut single, 1, 600).await;
    single.rpc.kv.put(pb::PutRequest { lease: 1, ..put("a", "v") }).await.unwrap();
    single.member.kill().unwrap();
    single.member.start().unwrap();
    let mut client = single.member.client().await.unwrap();
    let options = etcd_client::LeaseTimeToLiveOptions::new().with_keys();
    let left = tokio::time::timeout(PATIENCE, client.lease_time_to_live(1, Some(options)));
    let left = left.await.unwrap().unwrap();
    assert_eq!((left.granted_ttl(), left.keys()), (600, &[b"a".to_vec()][..]));
}
