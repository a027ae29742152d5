//! Members, alarms and compaction.

use pb::compare::{CompareResult, CompareTarget};
use pb::request_op::Request as Op;
use portunus_proto::etcdserverpb as pb;

use super::script::cases;
use super::txn::{compare, txn};
use crate::call::{Call, Case, all, delete, grant, put, range};

pub fn members() -> Vec<Case> {
    let mut script = cases([
        Call::Members { linearizable: true },
        Call::Members { linearizable: false },
        Call::Range(all()),
        Call::HashKv(0),
        Call::HashKv(5),
        Call::HashKv(-1),
        Call::Hash,
    ]);
    script.push(Case::since(Call::AuthStatus, (3, 5, 0), "AuthStatus is new"));
    script
}

pub fn upkeep() -> Vec<Case> {
    let alarm = |action, alarm| Call::Alarm(pb::AlarmRequest { action, alarm, member_id: 0 });
    let mut calls = vec![alarm(0, 0), alarm(0, 1), alarm(2, 1)];
    for raised in [1, 2] {
        calls.extend([alarm(1, raised), alarm(1, raised), alarm(0, 0), alarm(0, 1), alarm(0, 2)]);
        calls.extend(under_an_alarm());
        calls.extend([alarm(2, raised), alarm(2, raised), alarm(0, 0)]);
    }
    calls.extend([
        Call::Put(put("full", "2")),
        Call::Defragment,
        Call::MoveLeader(12345),
        Call::MoveLeader(0),
    ]);
    cases(calls)
}

fn under_an_alarm() -> Vec<Call> {
    let write = || Op::RequestPut(put("full", "1"));
    let read = || Op::RequestRange(range("full"));
    let never = || compare(CompareTarget::Value, CompareResult::Equal, None);
    vec![
        Call::Put(put("full", "1")),
        Call::Put(put("", "1")),
        Call::Txn(txn(vec![], vec![write()], vec![])),
        // What is not taken costs as well.
        Call::Txn(txn(vec![never()], vec![write()], vec![])),
        Call::Txn(txn(vec![], vec![read()], vec![])),
        Call::Txn(txn(vec![], vec![Op::RequestDeleteRange(delete("full"))], vec![])),
        grant(50, 100),
        grant(50, 9_000_000_001),
        Call::Revoke(98),
        Call::KeepAlive(vec![98]),
        Call::TimeToLive(pb::LeaseTimeToLiveRequest { id: 98, keys: true }),
        Call::Delete(delete("k")),
        Call::Range(all()),
        Call::Range(pb::RangeRequest { serializable: true, ..all() }),
        Call::Compact(pb::CompactionRequest { revision: i64::MAX, physical: false }),
        Call::HashKv(0),
        Call::Status,
        Call::Members { linearizable: true },
    ]
}

pub fn compaction() -> Vec<Case> {
    let compact = |revision, physical| Call::Compact(pb::CompactionRequest { revision, physical });
    let at = |revision| Call::Range(pb::RangeRequest { revision, ..all() });
    let watch = |start_revision| {
        Call::Watch(vec![pb::WatchCreateRequest {
            key: "a".into(),
            range_end: "z".into(),
            start_revision,
            prev_kv: true,
            ..Default::default()
        }])
    };
    let mut script = cases([
        compact(i64::MAX, false),
        compact(-1, false),
        compact(0, false),
        compact(3, false),
        compact(3, false),
        compact(2, true),
        at(2),
        at(3),
        at(4),
        compact(20, true),
        at(19),
        at(20),
        watch(2),
        watch(19),
        watch(21),
        Call::Txn(txn(
            vec![],
            vec![Op::RequestRange(pb::RangeRequest { revision: 4, ..all() })],
            vec![],
        )),
        Call::HashKv(19),
        Call::HashKv(i64::MAX),
        Call::Put(put("after", "1")),
        Call::Range(all()),
    ]);
    // Newer ones keep what they hashed when they compacted, and answer with it for every revision
    // up to there, also for revision 0.
    let what = "A hash after a compaction: newer ones keep the compaction's";
    script.push(Case::until(Call::HashKv(0), (3, 5, 0), what));
    let what = "A deletion at the compacted revision: older ones have forgotten it";
    script.push(Case::since(watch(20), (3, 5, 16), what));
    script
}
