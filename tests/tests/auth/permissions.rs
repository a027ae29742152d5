//! What a user's permissions let through: reads, writes, every part of a transaction, leases, locks
//! and queues. `ada` has all of `a/`, may read `r/` and write `w/`.

use anyhow::Result;
use pb::request_op::Request as Op;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1;
use portunus_proto::v3electionpb::election_client::ElectionClient;
use portunus_proto::v3electionpb::{CampaignRequest, LeaderRequest};
use portunus_proto::v3lockpb::LockRequest;
use portunus_proto::v3lockpb::lock_client::LockClient;
use portunus_tests::Rpc;
use tonic::Code;

use crate::fixture::{
    DENIED, Token, World, assert_done, assert_refused, delete, login, put, range,
};

async fn ada() -> Result<(World, Token, Token)> {
    let (mut world, root) = World::guarded(&[]).await?;
    let ada = login(&mut world.rpc, "ada", "secret").await?;
    Ok((world, root, ada))
}

fn span(key: &str, end: &str) -> pb::RangeRequest {
    pb::RangeRequest { range_end: end.to_owned().into(), ..range(key) }
}

#[tokio::test]
async fn reads_need_every_key_of_their_range() -> Result<()> {
    let (mut world, _, ada) = ada().await?;
    let kv = &mut world.rpc.kv;
    for (key, end) in [("a/k", ""), ("a/", "a0"), ("r/x", "r/y"), ("r/", "r0")] {
        for serializable in [false, true] {
            let own = pb::RangeRequest { serializable, ..span(key, end) };
            assert_done(key, kv.range(ada.with(own.clone())).await);
            assert_done(key, kv.range_stream(ada.with(own)).await);
        }
    }
    let others = [
        ("b", ""),
        ("w/k", ""),
        ("a/", "a1"),
        ("a", "a0"),
        ("a/", "\0"),
        ("\0", "\0"),
        ("r/", "w0"),
    ];
    for (key, end) in others {
        for serializable in [false, true] {
            let request = pb::RangeRequest { serializable, ..span(key, end) };
            assert_refused(key, kv.range(ada.with(request.clone())).await, DENIED);
            assert_refused(key, kv.range_stream(ada.with(request)).await, DENIED);
        }
    }
    Ok(())
}

#[tokio::test]
async fn writes_need_the_key_and_what_was_there_must_be_readable() -> Result<()> {
    let (mut world, root, ada) = ada().await?;
    let kv = &mut world.rpc.kv;
    for key in ["a/k", "w/k"] {
        assert_done(key, kv.put(ada.with(put(key))).await);
        assert_done(key, kv.delete_range(ada.with(delete(key, ""))).await);
    }
    for key in ["r/k", "b", "a", "a0"] {
        assert_refused(key, kv.put(ada.with(put(key))).await, DENIED);
        assert_refused(key, kv.delete_range(ada.with(delete(key, ""))).await, DENIED);
    }
    assert_refused("w to x", kv.delete_range(ada.with(delete("w/", "x"))).await, DENIED);
    kv.put(root.with(put("w/k"))).await?;
    let before = |key: &str| pb::PutRequest { prev_kv: true, ..put(key) };
    assert_done("own", kv.put(ada.with(before("a/k"))).await);
    assert_refused("unreadable", kv.put(ada.with(before("w/k"))).await, DENIED);
    let gone = |key: &str| pb::DeleteRangeRequest { prev_kv: true, ..delete(key, "") };
    assert_refused("unreadable", kv.delete_range(ada.with(gone("w/k"))).await, DENIED);
    assert_done("own", kv.delete_range(ada.with(gone("a/k"))).await);
    let left = kv.range(root.with(range("w/k"))).await?.into_inner();
    assert_eq!(left.count, 1, "what was refused changed nothing");
    Ok(())
}

fn op(request: Op) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

fn then(request: Op) -> pb::TxnRequest {
    pb::TxnRequest { success: vec![op(request)], ..Default::default() }
}

fn otherwise(request: Op) -> pb::TxnRequest {
    pb::TxnRequest { failure: vec![op(request)], ..Default::default() }
}

fn compared(key: &str) -> pb::TxnRequest {
    let compare = pb::Compare { key: key.to_owned().into(), ..Default::default() };
    pb::TxnRequest { compare: vec![compare], ..Default::default() }
}

/// Transactions that do one thing each with a key.
fn with_key(key: &str) -> Vec<(&'static str, pb::TxnRequest)> {
    let put_before = pb::PutRequest { prev_kv: true, ..put(key) };
    let delete_before = pb::DeleteRangeRequest { prev_kv: true, ..delete(key, "") };
    vec![
        ("compare", compared(key)),
        ("range", then(Op::RequestRange(range(key)))),
        ("put", then(Op::RequestPut(put(key)))),
        ("delete", then(Op::RequestDeleteRange(delete(key, "")))),
        ("put and tell", then(Op::RequestPut(put_before))),
        ("delete and tell", then(Op::RequestDeleteRange(delete_before))),
    ]
}

fn nested(txn: pb::TxnRequest) -> [(&'static str, pb::TxnRequest); 4] {
    let inner = |txn: pb::TxnRequest| Op::RequestTxn(txn);
    [
        ("alone", txn.clone()),
        ("in the branch that is taken", then(inner(txn.clone()))),
        ("in the branch that is not", otherwise(inner(txn.clone()))),
        ("two levels down", then(inner(otherwise(inner(txn))))),
    ]
}

#[tokio::test]
async fn every_part_of_a_transaction_needs_its_permission() -> Result<()> {
    let (mut world, _, ada) = ada().await?;
    let readable = ["compare", "range"];
    let writable = ["put", "delete"];
    for key in ["a/k", "r/k", "w/k", "b"] {
        for (what, txn) in with_key(key) {
            let allowed = match key {
                "a/k" => true,
                "r/k" => readable.contains(&what),
                "w/k" => writable.contains(&what),
                _ => false,
            };
            for (place, txn) in nested(txn) {
                let what = format!("{what} {key} {place}");
                let answer = world.rpc.kv.txn(ada.with(txn)).await;
                match allowed {
                    true => drop(assert_done(&what, answer)),
                    false => assert_refused(&what, answer, DENIED),
                }
            }
        }
    }
    Ok(())
}

async fn granted(rpc: &mut Rpc, token: &Token) -> Result<i64> {
    let grant = pb::LeaseGrantRequest { ttl: 600, id: 0 };
    Ok(rpc.lease.lease_grant(token.with(grant)).await?.into_inner().id)
}

async fn keep_alive(
    rpc: &mut Rpc,
    token: &Token,
    id: i64,
) -> Result<Option<pb::LeaseKeepAliveResponse>, tonic::Status> {
    let asked = futures::stream::iter([pb::LeaseKeepAliveRequest { id }]);
    let mut answers = rpc.lease.lease_keep_alive(token.with(asked)).await?.into_inner();
    answers.message().await
}

/// A lease under which somebody else's key lies is somebody else's: who could end it could delete
/// the key.
#[tokio::test]
async fn a_lease_is_worth_what_hangs_on_it() -> Result<()> {
    let (mut world, root, ada) = ada().await?;
    let lease = granted(&mut world.rpc, &ada).await?;
    let under = |key: &str| pb::PutRequest { lease, ..put(key) };
    assert_done("own", world.rpc.kv.put(ada.with(under("a/k"))).await);
    assert_done("renew", keep_alive(&mut world.rpc, &ada, lease).await);
    let keys = pb::LeaseTimeToLiveRequest { id: lease, keys: true };
    let rpc = &mut world.rpc;
    let seen = rpc.lease.lease_time_to_live(ada.with(keys)).await?.into_inner();
    assert_eq!(seen.keys, ["a/k"]);
    assert_done("list", rpc.lease.lease_leases(ada.with(pb::LeaseLeasesRequest {})).await);
    rpc.kv.put(root.with(under("b"))).await?;
    assert_refused("attach", rpc.kv.put(ada.with(under("a/other"))).await, DENIED);
    let txn = then(Op::RequestPut(under("a/other")));
    for (place, txn) in nested(txn) {
        assert_refused(place, rpc.kv.txn(ada.with(txn)).await, DENIED);
    }
    let revoke = pb::LeaseRevokeRequest { id: lease };
    assert_refused("revoke", rpc.lease.lease_revoke(ada.with(revoke)).await, DENIED);
    assert_refused("renew", keep_alive(rpc, &ada, lease).await, DENIED);
    assert_refused("keys", rpc.lease.lease_time_to_live(ada.with(keys)).await, DENIED);
    let list = pb::LeaseLeasesRequest {};
    assert_refused("list", rpc.lease.lease_leases(ada.with(list)).await, DENIED);
    let time = pb::LeaseTimeToLiveRequest { id: lease, keys: false };
    assert_done("time", rpc.lease.lease_time_to_live(ada.with(time)).await);
    assert_done("root", rpc.lease.lease_revoke(root.with(revoke)).await);
    Ok(())
}

#[tokio::test]
async fn locks_and_elections_need_their_lines() -> Result<()> {
    let (mut world, _, ada) = ada().await?;
    let mut locks = LockClient::new(world.rpc.channel.clone());
    let mut elections = ElectionClient::new(world.rpc.channel.clone());
    let mut ours = v1::lock_client::LockClient::new(world.rpc.channel.clone());
    for (name, allowed) in [("a/door", true), ("r/door", false), ("b", false)] {
        let lease = granted(&mut world.rpc, &ada).await?;
        let name = bytes::Bytes::from_static(name.as_bytes());
        let lock = LockRequest { name: name.clone(), lease };
        let acquire = v1::LockAcquireRequest {
            names: vec![[&name[..], b"2"].concat().into()],
            lease,
            ..Default::default()
        };
        let campaign =
            CampaignRequest { name: [&name[..], b"3"].concat().into(), lease, value: name.clone() };
        // etcd's services of that kind pass on texts without their codes.
        let text = (Code::Unknown, DENIED.1);
        let answers = [
            ("lock", text, locks.lock(ada.with(lock)).await.map(drop)),
            ("acquire", DENIED, ours.acquire(ada.with(acquire)).await.map(drop)),
            ("campaign", text, elections.campaign(ada.with(campaign)).await.map(drop)),
        ];
        for (what, refusal, answer) in answers {
            match allowed {
                true => assert_done(what, answer),
                false => assert_refused(&format!("{what} {name:?}"), answer, refusal),
            }
        }
    }
    let seen = elections.leader(ada.with(LeaderRequest { name: "b".into() })).await;
    assert_refused("leader", seen, (Code::Unknown, DENIED.1));
    let describe = v1::LockDescribeRequest { name: "b".into() };
    assert_refused("describe", ours.describe(ada.with(describe)).await, DENIED);
    Ok(())
}

#[tokio::test]
async fn queues_need_their_prefix() -> Result<()> {
    let (world, _, ada) = ada().await?;
    let mut queues = v1::queue_client::QueueClient::new(world.rpc.channel.clone());
    let items = || vec![v1::QueueNewItem { payload: "item".into(), ..Default::default() }];
    // What is put in may be put in by who cannot look.
    for (name, put_in, take_out) in
        [("a/q", true, true), ("w/q", true, false), ("r/q", false, false), ("b", false, false)]
    {
        let queue = bytes::Bytes::from_static(name.as_bytes());
        let enqueue = v1::QueueEnqueueRequest { queue: queue.clone(), items: items(), wait: false };
        let dequeue = v1::QueueDequeueRequest { queue: queue.clone(), ..Default::default() };
        let stats = v1::QueueStatsRequest { queue };
        let answers = [
            ("enqueue", put_in, queues.enqueue(ada.with(enqueue)).await.map(drop)),
            ("dequeue", take_out, queues.dequeue(ada.with(dequeue)).await.map(drop)),
            ("stats", take_out || name == "r/q", queues.stats(ada.with(stats)).await.map(drop)),
        ];
        for (what, allowed, answer) in answers {
            let what = format!("{what} {name}");
            match allowed {
                true => assert_done(&what, answer),
                false => assert_refused(&what, answer, DENIED),
            }
        }
    }
    Ok(())
}

/// The right is looked up when the decision is made, not when the connection was.
#[tokio::test]
async fn a_right_that_is_taken_away_is_gone_at_once() -> Result<()> {
    let (mut world, root, ada) = ada().await?;
    let rpc = &mut world.rpc;
    assert_done("before", rpc.kv.put(ada.with(put("a/k"))).await);
    let revoke = pb::AuthRoleRevokePermissionRequest {
        role: "own".into(),
        key: "a/".into(),
        range_end: "a0".into(),
    };
    rpc.auth.role_revoke_permission(root.with(revoke)).await?;
    assert_refused("after", rpc.kv.put(ada.with(put("a/k"))).await, DENIED);
    assert_done("another", rpc.kv.put(ada.with(put("w/k"))).await);
    Ok(())
}
