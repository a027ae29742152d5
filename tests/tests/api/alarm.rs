//! Alarms: raised by hand and by a store that is full, and the way back.

use portunus_proto::etcdserverpb as pb;
use portunus_tests::{eventually, refusal};
use tonic::Code;

use crate::fixture::{FROM_KEY, Single, delete, put, range};

const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";
const CORRUPT: &str = "etcdserver: corrupt cluster";

async fn alarm(
    single: &mut Single,
    action: pb::alarm_request::AlarmAction,
    alarm: pb::AlarmType,
) -> Vec<pb::AlarmMember> {
    let (action, alarm) = (action.into(), alarm.into());
    let request = pb::AlarmRequest { action, alarm, member_id: 0 };
    single.rpc.maintenance.alarm(request).await.unwrap().into_inner().alarms
}

#[tokio::test]
async fn alarms_are_raised_listed_and_cleared() {
    use pb::AlarmType::{Corrupt, None, Nospace};
    use pb::alarm_request::AlarmAction::{Activate, Deactivate, Get};
    let mut single = Single::start().await;
    assert_eq!(alarm(&mut single, Get, None).await, []);
    assert_eq!(alarm(&mut single, Activate, Nospace).await.len(), 1);
    assert_eq!(alarm(&mut single, Get, None).await[0].alarm(), Nospace);
    assert_eq!(alarm(&mut single, Get, Corrupt).await, []);
    let refused = refusal(single.rpc.kv.put(put("a", "v")).await);
    assert_eq!(refused, (Code::ResourceExhausted, NO_SPACE.to_owned()));
    let status = single.rpc.maintenance.status(pb::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.errors, ["alarm:NOSPACE "], "nobody is named who raised it");
    assert_eq!(alarm(&mut single, Deactivate, Nospace).await.len(), 1);
    assert_eq!(alarm(&mut single, Deactivate, Nospace).await, []);
    single.put("a", "v").await;
}

#[tokio::test]
async fn a_corrupt_cluster_takes_no_changes_and_serves_reads() {
    use pb::AlarmType::Corrupt;
    use pb::alarm_request::AlarmAction::{Activate, Deactivate};
    let mut single = Single::start().await;
    alarm(&mut single, Activate, Corrupt).await;
    let grant = pb::LeaseGrantRequest { id: 1, ttl: 60 };
    let txn = pb::TxnRequest {
        success: vec![pb::RequestOp {
            request: Some(pb::request_op::Request::RequestPut(put("a", "v"))),
        }],
        ..Default::default()
    };
    let compact = pb::CompactionRequest { revision: 1, physical: false };
    let refusals = [
        refusal(single.rpc.kv.put(put("a", "v")).await),
        refusal(single.rpc.kv.delete_range(delete("a")).await),
        refusal(single.rpc.kv.txn(txn).await),
        refusal(single.rpc.kv.compact(compact).await),
        refusal(single.rpc.lease.lease_grant(grant).await),
        refusal(single.rpc.lease.lease_revoke(pb::LeaseRevokeRequest { id: 1 }).await),
    ];
    for (number, refused) in refusals.into_iter().enumerate() {
        assert_eq!(refused, (Code::DataLoss, CORRUPT.to_owned()), "{number}");
    }
    single.rpc.kv.range(range("a")).await.unwrap();
    alarm(&mut single, Deactivate, Corrupt).await;
    single.put("a", "v").await;
}

#[tokio::test]
async fn a_full_store_refuses_what_would_grow_it_until_space_is_won_back() {
    use pb::alarm_request::AlarmAction::{Deactivate, Get};
    let mut single = Single::with(&["--quota-backend-bytes=1000000"]).await;
    let value = bytes::Bytes::from(vec![b'x'; 100_000]);
    let large = || pb::PutRequest { value: value.clone(), ..put("large", "") };
    let mut refused = None;
    for _ in 0..100 {
        if let Err(status) = single.rpc.kv.put(large()).await {
            refused = Some(status);
            break;
        }
    }
    let refused = refused.expect("ten times the quota was taken");
    assert_eq!((refused.code(), refused.message()), (Code::ResourceExhausted, NO_SPACE));
    eventually("the alarm is raised", || async {
        let mut client = single.member.client().await?;
        let alarms =
            client.alarm(etcd_client::AlarmAction::Get, etcd_client::AlarmType::None, None);
        anyhow::ensure!(alarms.await?.alarms().len() == 1, "it is not listed");
        Ok(())
    })
    .await;
    // Small ones are refused too, reads and deletes are not.
    let small = refusal(single.rpc.kv.put(put("small", "v")).await);
    assert_eq!(small, (Code::ResourceExhausted, NO_SPACE.to_owned()));
    let grant = pb::LeaseGrantRequest { id: 1, ttl: 60 };
    let lease = refusal(single.rpc.lease.lease_grant(grant).await);
    assert_eq!(lease, (Code::ResourceExhausted, NO_SPACE.to_owned()));
    single.rpc.kv.range(range("large")).await.unwrap();
    let all = pb::DeleteRangeRequest { range_end: FROM_KEY.into(), ..delete("\0") };
    let deleted = single.rpc.kv.delete_range(all).await.unwrap().into_inner();
    let revision = deleted.header.unwrap().revision;
    let compact = pb::CompactionRequest { revision, physical: true };
    single.rpc.kv.compact(compact).await.unwrap();
    single.rpc.maintenance.defragment(pb::DefragmentRequest {}).await.unwrap();
    let raised = alarm(&mut single, Get, pb::AlarmType::None).await;
    let [raised] = &raised[..] else { panic!("{raised:?}") };
    assert_eq!(raised.alarm(), pb::AlarmType::Nospace);
    // An alarm is cleared for the member that raised it and for no other.
    assert_eq!(alarm(&mut single, Deactivate, pb::AlarmType::Nospace).await, []);
    let request = pb::AlarmRequest {
        action: Deactivate.into(),
        member_id: raised.member_id,
        alarm: raised.alarm,
    };
    single.rpc.maintenance.alarm(request).await.unwrap();
    assert_eq!(alarm(&mut single, Get, pb::AlarmType::None).await, []);
    single.put("small", "v").await;
}
