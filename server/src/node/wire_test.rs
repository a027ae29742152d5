//! Every question, answer and refusal reads back as it was.

use bytes::{Bytes, BytesMut};
use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::{LockAsk, LockSaid, QueueAsk, QueueSaid, lock_ask, queue_ask};

use super::{Delivered, MemberAsk, decode_ask, decode_delivery, encode_ask, encode_delivery};
use crate::decide::{
    Advance, Deploy, LockRefusal, QueueRefusal, RecipeCall, Refusal, Reply, Request, Rollback,
    SetMode, SetTrigger, TriggerChange, Undeploy,
};
use crate::effect::{Binding, Component, Mode, Plugin};
use crate::node::answer::{Bounce, Executed};
use crate::node::ask::{Ask, KeepAlive, Said, TimeToLive};
use crate::node::error::Failure;
use crate::node::wire_refusal::{decode_refusal, encode_refusal};
use crate::types::LeaseId;

fn requests() -> Vec<Request> {
    let binding = Binding { plugin: "n".into(), digest: "d".into(), ..Binding::default() };
    let plugin = Plugin {
        name: "n".into(),
        digest: "d".into(),
        bindings: vec![binding],
        ..Plugin::default()
    };
    let trigger = |change| SetTrigger { binding: "b".into(), change, caller: "c".into() };
    vec![
        Request::Put(pb::PutRequest { key: "k".into(), lease: -3, ..Default::default() }),
        Request::DeleteRange(pb::DeleteRangeRequest { key: "k".into(), ..Default::default() }),
        Request::Txn(pb::TxnRequest { compare: vec![Default::default()], ..Default::default() }),
        Request::Compact(pb::CompactionRequest { revision: 5, physical: true }),
        Request::LeaseGrant(pb::LeaseGrantRequest { ttl: 5, id: 7 }),
        Request::LeaseRevoke(pb::LeaseRevokeRequest { id: 7 }),
        Request::LeaseCheckpoint { id: LeaseId(1), remaining: 9 },
        Request::LeaseExpire(vec![LeaseId(1), LeaseId(-2)]),
        Request::Alarm(pb::AlarmRequest { member_id: 3, ..Default::default() }),
        Request::Deploy(Deploy {
            plugins: vec![plugin],
            components: vec![Component { digest: "d".into(), bytes: "b".into() }],
            from_revision: Some(0),
            caller: "c".into(),
        }),
        Request::Undeploy(Undeploy { name: "n".into(), caller: "c".into() }),
        Request::Rollback(Rollback { name: "n".into(), to: None, caller: "c".into() }),
        Request::Rollback(Rollback { name: "n".into(), to: Some(3), caller: String::new() }),
        Request::SetMode(SetMode {
            name: "n".into(),
            binding: Some("b".into()),
            mode: Mode::Monitor,
            caller: "c".into(),
        }),
        Request::Call(RecipeCall {
            plugin: "n".into(),
            function: "f".into(),
            payload: "p".into(),
            caller: "c".into(),
        }),
        Request::Advance(Advance { binding: "b".into(), from: 3, to: 4 }),
        Request::SetTrigger(trigger(TriggerChange::Pause {
            at: 3,
            error: "why".into(),
            attempts: 10,
            last: 5,
        })),
        Request::SetTrigger(trigger(TriggerChange::Resume)),
        Request::SetTrigger(trigger(TriggerChange::Skip { to: None })),
        Request::SetTrigger(trigger(TriggerChange::Skip { to: Some(9) })),
        Request::Lock(LockAsk {
            ask: Some(lock_ask::Ask::Release(Default::default())),
            ..Default::default()
        }),
        Request::Queue(QueueAsk {
            ask: Some(queue_ask::Ask::Tidy("q".into())),
            ..Default::default()
        }),
        Request::Publish(Default::default()),
        Request::RaiseFeatureLevel(2),
    ]
}

#[test]
fn questions_read_back() {
    let asks = requests().into_iter().map(Ask::Decide).chain([
        Ask::KeepAlive(LeaseId(i64::MIN)),
        Ask::TimeToLive { id: LeaseId(4), keys: true },
        Ask::Member(MemberAsk::Add { peer_urls: vec!["http://a:1".into()], learner: true }),
        Ask::Member(MemberAsk::Remove(u64::MAX)),
        Ask::Member(MemberAsk::Update { id: 7, peer_urls: vec!["http://b:1".into()] }),
        Ask::Member(MemberAsk::Promote(8)),
    ]);
    for ask in asks {
        let bytes = encode_ask(&ask);
        assert_eq!(format!("{:?}", decode_ask(bytes).unwrap()), format!("{ask:?}"));
    }
    assert!(decode_ask(Bytes::from_static(&[99])).is_err());
    assert!(decode_ask(Bytes::new()).is_err());
}

#[test]
fn answers_read_back() {
    let said = [
        Said::Reply(Reply::Put(pb::PutResponse { prev_kv: "x".into(), ..Default::default() })),
        Said::Reply(Reply::Txn(pb::TxnResponse { succeeded: true, ..Default::default() })),
        Said::Reply(Reply::Done { revision: 3 }),
        Said::Reply(Reply::Lock(LockSaid { revision: 3, granted: true, ..Default::default() })),
        Said::Reply(Reply::Queue(QueueSaid { revision: 3, said: None })),
        Said::Reply(Reply::Called { revision: 3, payload: "p".into() }),
        Said::Reply(Reply::LeaseExpire(vec![LeaseId(5)])),
        Said::KeepAlive(KeepAlive { ttl: 4, revision: 5 }),
        Said::TimeToLive(TimeToLive { ttl: -1, granted_ttl: 2, keys: vec!["k".into()] }),
    ];
    for said in said {
        let bytes = encode_delivery(&Ok(Executed { result: Ok(said.clone()), index: 77 }));
        let Ok(Delivered::Executed(back)) = decode_delivery(bytes) else { panic!("{said:?}") };
        assert_eq!((format!("{:?}", back.result.unwrap()), back.index), (format!("{said:?}"), 77));
    }
}

#[test]
fn failures_keep_what_is_known_of_the_execution() {
    let ask = Box::new(Ask::KeepAlive(LeaseId(1)));
    let bytes = encode_delivery(&Err(Bounce::NotExecuted(ask, Failure::NotLeader)));
    assert!(matches!(decode_delivery(bytes), Ok(Delivered::NotExecuted(Failure::NotLeader))));
    let bytes = encode_delivery(&Err(Bounce::Unknown(Failure::TimedOutLeaderFailed)));
    let back = decode_delivery(bytes);
    assert!(matches!(back, Ok(Delivered::Unknown(Failure::TimedOutLeaderFailed))));
}

#[test]
fn refusals_read_back() {
    let refusals = [
        Refusal::EmptyKey,
        Refusal::Lock(LockRefusal::Unnamed),
        Refusal::Lock(LockRefusal::TooMany { names: 3, max: 2 }),
        Refusal::Lock(LockRefusal::TooHeavy { weight: 3, permits: 2 }),
        Refusal::Lock(LockRefusal::Differs { name: "n".into() }),
        Refusal::Lock(LockRefusal::Held { name: "n".into() }),
        Refusal::Lock(LockRefusal::Lost { name: "n".into() }),
        Refusal::Lock(LockRefusal::Admitted { prefix: "a b/".into(), plugin: "p".into() }),
        Refusal::Queue(QueueRefusal::NoCondition { queue: "q".into(), plugin: "p".into() }),
        Refusal::Queue(QueueRefusal::Unnamed),
        Refusal::Queue(QueueRefusal::Text { key: "k".into(), at: 4, what: "w".into() }),
        Refusal::Queue(QueueRefusal::BatchTooLarge { items: 3, max: 2 }),
        Refusal::Queue(QueueRefusal::Priority { priority: 3, max: 2 }),
        Refusal::Queue(QueueRefusal::Full { queue: "q".into(), max: 2 }),
        Refusal::Queue(QueueRefusal::ClaimLost { id: u64::MAX }),
        Refusal::Corrupt,
        Refusal::NotApplied(7),
        Refusal::FeatureLevel { needed: 2, level: 1 },
        Refusal::Unreadable("why".into()),
        Refusal::PolicyRefused { binding: "b".into(), reason: "r".into() },
        Refusal::ComponentNotFound("d".into()),
        Refusal::ComponentTooLarge { bytes: 2, max: 1 },
        Refusal::BindingNotFound("n".into()),
        Refusal::DeployTooLarge { bytes: 2, max: 1 },
        Refusal::InvalidPlugin { plugin: "p".into(), why: "w".into() },
        Refusal::TooManyBindings { bindings: 2, max: 1 },
        Refusal::PluginNotFound("n".into()),
        Refusal::GenerationNotKept { plugin: "p".into(), generation: 1, kept: "2, 3".into() },
        Refusal::NoEarlierGeneration { plugin: "p".into(), generation: 1 },
        Refusal::CursorMoved("b".into()),
        Refusal::InvalidSkip { binding: "b".into(), to: 1, cursor: 2, revision: 3 },
        Refusal::NoRecipe("n".into()),
        Refusal::PluginDisabled("n".into()),
        Refusal::UnknownFunction { plugin: "p".into(), function: "f".into(), known: "g".into() },
        Refusal::InvalidPayload { plugin: "p".into(), reason: "r".into() },
        Refusal::Conflict { binding: "b".into() },
        Refusal::InvalidComponent("why".into()),
    ];
    for refusal in refusals {
        let mut out = BytesMut::new();
        encode_refusal(&refusal, &mut out);
        assert_eq!(decode_refusal(out.freeze()), Ok(refusal));
    }
}
