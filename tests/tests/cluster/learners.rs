//! Learners: what they answer, how many there may be, and when they may vote.

use anyhow::{Result, ensure};
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{Growing, Rpc, eventually, refusal};
use tonic::{Code, Request};

use crate::load::Ledger;
use crate::turn::turn;

const NOT_FOR_LEARNERS: &str = "etcdserver: rpc not supported for learner";

fn get(serializable: bool) -> pb::RangeRequest {
    pb::RangeRequest { key: "key".into(), serializable, ..Default::default() }
}

fn put() -> pb::PutRequest {
    pb::PutRequest { key: "key".into(), value: "value".into(), ..Default::default() }
}

/// What a learner refuses, each in the same words.
async fn assert_refuses(url: &str) -> Result<()> {
    let mut rpc = Rpc::connect(url).await?;
    let linearizable = true;
    let watch = pb::WatchRequest::default();
    let refused = [
        refusal(rpc.kv.range(get(false)).await),
        refusal(rpc.kv.put(put()).await),
        refusal(rpc.kv.txn(pb::TxnRequest::default()).await),
        refusal(rpc.lease.lease_grant(pb::LeaseGrantRequest { ttl: 60, id: 0 }).await),
        refusal(rpc.watch.watch(Request::new(futures::stream::iter([watch]))).await),
        refusal(rpc.cluster.member_list(pb::MemberListRequest { linearizable }).await),
        refusal(rpc.maintenance.hash_kv(pb::HashKvRequest::default()).await),
        refusal(rpc.auth.auth_status(pb::AuthStatusRequest {}).await),
    ];
    for refused in refused {
        assert_eq!(refused, (Code::FailedPrecondition, NOT_FOR_LEARNERS.to_owned()));
    }
    Ok(())
}

/// Waits until the learner has what was written, and reads it there.
async fn assert_follows(url: &str) -> Result<()> {
    let mut rpc = Rpc::connect(url).await?;
    eventually("the learner has the key", || {
        let mut kv = rpc.kv.clone();
        async move {
            let found = kv.range(get(true)).await?.into_inner().count;
            ensure!(found == 1, "it has not");
            Ok(())
        }
    })
    .await;
    let status = rpc.maintenance.status(pb::StatusRequest {}).await?.into_inner();
    assert!(status.is_learner && status.leader != 0, "{status:?}");
    let mut snapshot = rpc.maintenance.snapshot(pb::SnapshotRequest {}).await?.into_inner();
    assert!(snapshot.message().await?.is_some_and(|piece| !piece.blob.is_empty()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_follows_refuses_and_is_promoted() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Growing::founded(3, &[])?;
    let mut rpc = cluster.rpc().await?;
    rpc.kv.put(put()).await?;
    let n = cluster.grow(true).await?;
    let url = cluster.members[n].client_url.clone();
    assert_follows(&url).await?;
    assert_refuses(&url).await?;

    let another = vec!["http://127.0.0.1:1".to_owned()];
    let too_many = pb::MemberAddRequest { peer_urls: another, is_learner: true };
    assert_eq!(
        refusal(rpc.cluster.member_add(too_many).await),
        (Code::FailedPrecondition, "etcdserver: too many learner members in cluster".to_owned())
    );
    let id = cluster.id(n).await;
    let promote = pb::MemberPromoteRequest { id };
    let listed = rpc.cluster.member_promote(promote).await?.into_inner().members;
    assert_eq!(listed.len(), 4);
    assert!(listed.iter().all(|member| !member.is_learner), "{listed:?}");
    assert_eq!(
        refusal(rpc.cluster.member_promote(promote).await),
        (Code::FailedPrecondition, "etcdserver: can only promote a learner member".to_owned())
    );
    eventually("the promoted member answers", || async {
        let mut rpc = Rpc::connect(&url).await?;
        rpc.kv.put(put()).await?;
        rpc.kv.range(get(false)).await?;
        anyhow::Ok(())
    })
    .await;
    // It votes: with two of the three others it is a quorum of four.
    cluster.members[0].kill()?;
    let ledger = Ledger::start(&cluster.members[n..], 1);
    ledger.grows_by(20).await;
    ledger.stop().await?.assert_kept(&mut cluster.members[n].client().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_that_never_started_is_not_promoted() -> Result<()> {
    let _turn = turn().await;
    let cluster = Growing::founded(1, &["--max-learners=2"])?;
    let (one, two) = (cluster.newcomer(), cluster.newcomer());
    let added = cluster.add(&one, true).await;
    let id = added.member.expect("the member that was added").id;
    let mut rpc = cluster.rpc().await?;
    // Enough entries for it to lack more than a tenth of them.
    for _ in 0..50 {
        rpc.kv.put(put()).await?;
    }
    assert_eq!(
        refusal(rpc.cluster.member_promote(pb::MemberPromoteRequest { id }).await),
        (
            Code::FailedPrecondition,
            "etcdserver: can only promote a learner member which is in sync with leader".to_owned()
        )
    );
    cluster.add(&two, true).await;
    let listed = cluster.list().await?;
    assert_eq!(listed.iter().filter(|member| member.is_learner).count(), 2);
    // Learners that are gone or never came hold nobody up.
    let ledger = Ledger::start(&cluster.members, 1);
    ledger.grows_by(20).await;
    for member in listed.iter().filter(|member| member.is_learner) {
        rpc.cluster.member_remove(pb::MemberRemoveRequest { id: member.id }).await?;
    }
    assert_eq!(cluster.list().await?.len(), 1);
    ledger.grows_by(20).await;
    ledger.stop().await?.assert_kept(&mut cluster.members[0].client().await?).await
}
