//! Round trips of every effect, and what happens to bytes that are not an entry.

use bytes::Bytes;
use triomphe::Arc;

use super::{CodecError, decode, encode};
use crate::effect::{
    Alarm, AlarmKind, Attributes, Author, Binding, ChainId, Component, Effect, Entry,
    FailurePolicy, Grants, Isolation, Mode, Plugin, PluginLimits, PluginRecord, Point,
    TriggerState, TriggerStatus,
};
use crate::types::{Item, KeyRange, LeaseId, MemberId, Revision};

/// A generation in which no field has its default.
fn plugin(point: Point, mode: Mode) -> Plugin {
    let binding = Binding {
        plugin: "n".into(),
        point,
        digest: "d".into(),
        prefix: "p".into(),
        config: "c".into(),
        grants: Grants {
            read: vec![KeyRange::single("a"), KeyRange::prefix("b"), KeyRange::all()],
            write: vec![KeyRange::prefix(&b"\xff"[..])],
        },
        limits: PluginLimits {
            call_time_ms: Some(0),
            memory_bytes: Some(1),
            reads: Some(2),
            read_bytes: Some(3),
            writes: Some(4),
            result_bytes: Some(5),
            log_bytes: Some(u64::MAX),
        },
        on_failure: FailurePolicy::Open,
        mode,
        isolation: Isolation::Fresh,
    };
    let plain =
        Binding { limits: PluginLimits::default(), prefix: Bytes::new(), ..binding.clone() };
    Plugin {
        name: "n".into(),
        generation: u64::MAX,
        digest: "d".into(),
        bindings: vec![plain, binding],
        restored: Some(7),
    }
}

fn every_effect() -> Vec<Effect> {
    let alarm = Alarm { member: MemberId(u64::MAX), kind: AlarmKind::Corrupt };
    vec![
        Effect::Put(Item::new(b"k", b"v", 1, Revision::new(2, 3), 4, LeaseId(-5))),
        Effect::Delete { key: "k".into(), at: Revision::new(9, 1) },
        Effect::LeaseGrant { id: LeaseId(7), ttl: 60 },
        Effect::LeaseRevoke { id: LeaseId(7) },
        Effect::LeaseCheckpoint { id: LeaseId(7), remaining: 0 },
        Effect::Compact { revision: 5 },
        Effect::AlarmRaise(alarm),
        Effect::AlarmClear(Alarm { kind: AlarmKind::NoSpace, ..alarm }),
        Effect::ComponentStore(Component { digest: "d".into(), bytes: "b".into() }),
        Effect::ComponentDrop { digest: "d".into() },
        Effect::PluginPut(PluginRecord {
            current: plugin(Point::WritePolicy, Mode::Enforce),
            previous: vec![
                plugin(Point::Trigger, Mode::Monitor),
                plugin(Point::Recipe, Mode::Disabled),
            ],
        }),
        Effect::PluginRemove { name: "n".into() },
        Effect::TriggerSet(TriggerState {
            binding: "n/trigger/p".into(),
            cursor: 9,
            status: TriggerStatus::Running,
        }),
        Effect::TriggerSet(TriggerState {
            binding: "n/trigger/p".into(),
            cursor: 9,
            status: TriggerStatus::Paused { error: "why".into(), attempts: 3, last: 11 },
        }),
        Effect::TriggerDrop { binding: "n/trigger/p".into() },
        Effect::By {
            main: 4,
            author: Arc::new(Author {
                plugin: "b".into(),
                point: Point::Recipe,
                digest: "d".into(),
                caller: "c".into(),
                depth: 255,
                via: vec!["a".into(), "b".into()],
            }),
        },
        Effect::Request { id: "id".into() },
        Effect::FeatureLevel(3),
        Effect::Publish(Attributes {
            member: MemberId(u64::MAX),
            name: "m".into(),
            client_urls: vec!["http://a".into(), "http://b".into()],
            feature_level: u32::MAX,
        }),
    ]
}

fn entry(effects: Vec<Effect>) -> Entry {
    let mut bytes = Vec::new();
    effects.iter().for_each(|effect| super::encode_effect(effect, &mut bytes));
    let prev = ChainId { term: 1, epoch: 2, seq: 3, hash: 4 };
    Entry { id: prev.next(1, 2, &bytes), prev, digest: 99, effects }
}

#[test]
fn an_entry_with_every_effect_reads_back() {
    let entry = entry(every_effect());
    assert_eq!(decode(&encode(&entry)), Ok(entry));
}

#[test]
fn a_flipped_or_cut_entry_is_refused() {
    let bytes = encode(&entry(every_effect()));
    for cut in 0..bytes.len() {
        assert!(decode(&bytes.slice(..cut)).is_err(), "cut at {cut}");
    }
    // The digest (8 bytes behind format and both ids) is checked against the state, not here.
    let digest = 1 + 2 * ChainId::ENCODED_BYTES..1 + 2 * ChainId::ENCODED_BYTES + 8;
    for at in (0..bytes.len()).filter(|at| !digest.contains(at)) {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 0x10;
        assert!(decode(&flipped.into()).is_err(), "flipped at {at}");
    }
}

#[test]
fn an_effect_of_a_newer_program_is_named() {
    let prev = ChainId::default();
    let effects = [200, 1, 2];
    let bytes = super::encode_around(prev.next(1, 1, &effects), prev, 0, &effects);
    assert_eq!(decode(&bytes), Err(CodecError::UnknownEffect(200)));
    assert_eq!(decode(&Bytes::from_static(&[9])), Err(CodecError::Format(9)));
}
