//! Requests written by hand: every option once, and what must be refused.

use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request as Op;
use pb::watch_create_request::FilterType;
use portunus_proto::etcdserverpb as pb;

use crate::call::{Call, Case, FROM_KEY, all, delete, grant, op, put, range};

/// The whole script; parts build upon what those before have left.
pub fn script() -> Vec<Case> {
    let calls = [members(), ranges(), puts(), deletes(), txns(), leases(), watches(), upkeep()];
    let mut script: Vec<Case> = calls.into_iter().flatten().collect();
    script.extend(compaction());
    script
}

fn cases(calls: impl IntoIterator<Item = Call>) -> Vec<Case> {
    calls.into_iter().map(Case::from).collect()
}

fn members() -> Vec<Case> {
    cases([
        Call::Members { linearizable: true },
        Call::Members { linearizable: false },
        Call::Status,
        Call::AuthStatus,
        Call::Range(all()),
        Call::HashKv(0),
        Call::HashKv(5),
        Call::HashKv(-1),
        Call::Hash,
    ])
}

fn ranges() -> Vec<Case> {
    let mut calls: Vec<Call> = Vec::new();
    for (key, value) in [("a", "3"), ("b", "1"), ("c", "2"), ("d", ""), ("a", "9"), ("b", "1")] {
        calls.push(Call::Put(put(key, value)));
    }
    calls.extend(["", "a", "nothing"].map(|key| Call::Range(range(key))));
    let ends = [("a", "c"), ("c", "a"), ("a", "a"), ("", "z"), ("b", "\0"), ("\0", "\0")];
    for (key, end) in ends {
        calls.push(Call::Range(pb::RangeRequest { range_end: end.into(), ..range(key) }));
    }
    for target in 0..6 {
        for order in 0..4 {
            for limit in [0, 2] {
                let sorted = pb::RangeRequest { sort_order: order, sort_target: target, ..all() };
                calls.push(Call::Range(pb::RangeRequest { limit, ..sorted }));
            }
        }
    }
    for limit in [-1, 1, 4, 5, i64::MAX, i64::MIN] {
        calls.push(Call::Range(pb::RangeRequest { limit, ..all() }));
        calls.push(Call::Range(pb::RangeRequest { limit, count_only: true, ..all() }));
        calls.push(Call::Range(pb::RangeRequest { limit, keys_only: true, ..all() }));
    }
    for revision in [-5, -1, 1, 2, 4, 7, 8, i64::MAX] {
        calls.push(Call::Range(pb::RangeRequest { revision, ..all() }));
        calls.push(Call::Range(pb::RangeRequest { revision, limit: 1, ..all() }));
        calls.push(Call::Range(pb::RangeRequest { revision, count_only: true, ..all() }));
        calls.push(Call::Range(pb::RangeRequest { revision, ..range("a") }));
    }
    for (min, max) in [(3, 0), (0, 5), (4, 6), (6, 4), (-1, -1), (0, -3)] {
        let modified = pb::RangeRequest { min_mod_revision: min, max_mod_revision: max, ..all() };
        let created =
            pb::RangeRequest { min_create_revision: min, max_create_revision: max, ..all() };
        for filtered in [modified, created] {
            calls.push(Call::Range(pb::RangeRequest { limit: 1, ..filtered.clone() }));
            calls.push(Call::Range(pb::RangeRequest { count_only: true, ..filtered.clone() }));
            calls.push(Call::Range(pb::RangeRequest { serializable: true, ..filtered }));
        }
    }
    cases(calls)
}

fn puts() -> Vec<Case> {
    let keep_value = |key| pb::PutRequest { ignore_value: true, ..put(key, "") };
    let keep_lease = |key, value| pb::PutRequest { ignore_lease: true, ..put(key, value) };
    let mut calls = vec![
        Call::Put(put("", "v")),
        Call::Put(pb::PutRequest { prev_kv: true, ..put("a", "10") }),
        Call::Put(pb::PutRequest { prev_kv: true, ..put("new", "1") }),
        Call::Put(keep_value("a")),
        Call::Put(keep_value("not there")),
        Call::Put(pb::PutRequest { value: "v".into(), ..keep_value("a") }),
        Call::Put(keep_lease("a", "11")),
        Call::Put(keep_lease("not there", "11")),
        Call::Put(pb::PutRequest { lease: 7, ..keep_lease("a", "11") }),
        Call::Put(pb::PutRequest { lease: 7, ..put("a", "11") }),
        Call::Put(pb::PutRequest { lease: -7, ..put("a", "11") }),
        Call::Put(pb::PutRequest { lease: 7, ..keep_value("not there") }),
        Call::Put(pb::PutRequest { ignore_lease: true, ..keep_value("a") }),
        Call::Put(pb::PutRequest {
            ignore_lease: true,
            lease: 5,
            value: "x".into(),
            ..keep_value("")
        }),
        Call::Range(all()),
    ];
    let large = bytes::Bytes::from(vec![b'x'; 1024 * 1024]);
    calls.push(Call::Put(pb::PutRequest { value: large, ..put("large", "") }));
    let too_large = bytes::Bytes::from(vec![b'x'; 1700 * 1024]);
    calls.push(Call::Put(pb::PutRequest { value: too_large, ..put("large", "") }));
    calls.push(Call::Delete(delete("large")));
    cases(calls)
}

fn deletes() -> Vec<Case> {
    let to =
        |key, end: &'static str| pb::DeleteRangeRequest { range_end: end.into(), ..delete(key) };
    cases([
        Call::Delete(delete("")),
        Call::Delete(delete("not there")),
        Call::Delete(pb::DeleteRangeRequest { prev_kv: true, ..delete("new") }),
        Call::Delete(pb::DeleteRangeRequest { prev_kv: true, ..to("c", "a") }),
        Call::Delete(pb::DeleteRangeRequest { prev_kv: true, ..to("b", "d") }),
        Call::Put(put("b", "again")),
        Call::Range(all()),
        Call::Delete(pb::DeleteRangeRequest { prev_kv: true, ..to("b", "\0") }),
        Call::Delete(to("\0", "\0")),
        Call::Delete(to("\0", "\0")),
        Call::Range(all()),
    ])
}

fn compare(
    target: CompareTarget,
    result: CompareResult,
    union: Option<TargetUnion>,
) -> pb::Compare {
    let (target, result) = (target.into(), result.into());
    pb::Compare { target, result, target_union: union, key: "k".into(), ..Default::default() }
}

fn compares() -> Vec<pb::Compare> {
    let results = [
        CompareResult::Equal,
        CompareResult::Greater,
        CompareResult::Less,
        CompareResult::NotEqual,
    ];
    let mut compares = Vec::new();
    for result in results {
        for number in [0, 1, 2, i64::MAX, -1] {
            use CompareTarget::{Create, Lease, Mod, Version};
            compares.extend([
                compare(Version, result, Some(TargetUnion::Version(number))),
                compare(Create, result, Some(TargetUnion::CreateRevision(number))),
                compare(Mod, result, Some(TargetUnion::ModRevision(number))),
                compare(Lease, result, Some(TargetUnion::Lease(number))),
            ]);
        }
        for value in ["", "m", "v", "vv"] {
            let value = TargetUnion::Value(value.into());
            compares.push(compare(CompareTarget::Value, result, Some(value)));
        }
        // Without a value, and with one of another kind.
        compares.push(compare(CompareTarget::Value, result, None));
        compares.push(compare(CompareTarget::Mod, result, None));
        compares.push(compare(CompareTarget::Mod, result, Some(TargetUnion::Version(3))));
        compares.push(compare(
            CompareTarget::Version,
            result,
            Some(TargetUnion::Value("v".into())),
        ));
    }
    let mut odd = compare(CompareTarget::Version, CompareResult::Equal, None);
    odd.result = 9;
    compares.push(odd.clone());
    odd.target = 9;
    compares.push(odd);
    compares
}

fn txn(compare: Vec<pb::Compare>, success: Vec<Op>, failure: Vec<Op>) -> pb::TxnRequest {
    let ops = |list: Vec<Op>| list.into_iter().map(op).collect();
    pb::TxnRequest { compare, success: ops(success), failure: ops(failure) }
}

fn txns() -> Vec<Case> {
    let mut calls = Vec::new();
    let outcome = |compare: pb::Compare| Call::Txn(txn(vec![compare], vec![], vec![]));
    for state in [None, Some(Call::Put(put("k", "v"))), Some(Call::Put(put("l", "vv")))] {
        calls.extend(state);
        for compare in compares() {
            for end in ["", "l", "m", "\0", "a"] {
                let range_end = end.into();
                calls.push(outcome(pb::Compare { range_end, ..compare.clone() }));
            }
        }
    }
    calls.push(outcome(pb::Compare::default()));
    let read = |key| Op::RequestRange(range(key));
    let write = |key, value| Op::RequestPut(put(key, value));
    let remove = |key, end: &'static str| {
        let request = delete(key);
        Op::RequestDeleteRange(pb::DeleteRangeRequest {
            range_end: end.into(),
            prev_kv: true,
            ..request
        })
    };
    let at = |revision| Op::RequestRange(pb::RangeRequest { revision, ..all() });
    let nested = |success, failure| Op::RequestTxn(txn(vec![], success, failure));
    let never = compare(CompareTarget::Value, CompareResult::Equal, None);
    let lists: Vec<Vec<Op>> = vec![
        vec![],
        vec![read("k"), write("t", "1"), read("t"), remove("k", ""), read("k")],
        vec![write("t", "2"), write("u", "2"), remove("v", "w")],
        vec![write("t", "2"), write("t", "3")],
        vec![write("t", "2"), remove("t", "")],
        vec![remove("a", "z"), write("t", "2")],
        vec![remove("a", "z"), remove("t", ""), remove("t", "")],
        vec![remove("t", "\0"), write("t", "5"), read("t")],
        vec![at(1), write("t", "6")],
        vec![write("t", "7"), at(i64::MAX)],
        vec![at(-3)],
        vec![write("", "7")],
        vec![read("")],
        vec![remove("", "")],
        vec![nested(vec![write("n", "1"), read("n")], vec![]), read("n")],
        vec![nested(vec![write("n", "1")], vec![write("n", "2")])],
        vec![nested(vec![write("n", "1")], vec![]), write("n", "2")],
        vec![nested(vec![remove("n", "")], vec![]), write("n", "2")],
        vec![nested(vec![write("n", "1")], vec![]), nested(vec![], vec![write("n", "2")])],
        vec![nested(vec![nested(vec![nested(vec![write("deep", "1")], vec![])], vec![])], vec![])],
        vec![Op::RequestPut(pb::PutRequest { lease: 99, ..put("t", "8") })],
        vec![write("w", "1"), Op::RequestPut(pb::PutRequest { lease: 99, ..put("t", "8") })],
        vec![Op::RequestPut(pb::PutRequest { ignore_value: true, ..put("none", "") })],
        vec![Op::RequestPut(pb::PutRequest { ignore_value: true, ..put("t", "v") })],
        vec![Op::RequestRange(pb::RangeRequest { sort_order: 7, ..all() })],
    ];
    for list in lists {
        calls.push(Call::Txn(txn(vec![], list.clone(), vec![])));
        calls.push(Call::Txn(txn(vec![never.clone()], vec![], list)));
        calls.push(Call::Range(all()));
    }
    for count in [128, 129] {
        let many = || (0..count).map(|_| read("k")).collect::<Vec<_>>();
        calls.push(Call::Txn(txn(vec![], many(), vec![])));
        calls.push(Call::Txn(txn(vec![], vec![], many())));
        calls.push(Call::Txn(txn(vec![never.clone(); count], vec![], vec![])));
        calls.push(Call::Txn(txn(vec![], vec![nested(many(), vec![])], vec![])));
    }
    let empty =
        pb::TxnRequest { success: vec![pb::RequestOp { request: None }], ..Default::default() };
    calls.push(Call::Txn(empty));
    cases(calls)
}

fn leases() -> Vec<Case> {
    let ttl = |id, keys| Call::TimeToLive(pb::LeaseTimeToLiveRequest { id, keys });
    let leased = |key, lease| Call::Put(pb::PutRequest { lease, prev_kv: true, ..put(key, "v") });
    cases([
        grant(1, 600),
        grant(1, 600),
        grant(2, 9_000_000_001),
        grant(2, 9_000_000_000),
        grant(3, 0),
        grant(4, -5),
        grant(-6, 600),
        grant(0, 600),
        Call::Revoke(3),
        Call::Revoke(4),
        leased("l/b", 1),
        leased("l/a", 1),
        leased("l/b", 2),
        leased("l/c", -6),
        Call::Put(pb::PutRequest { ignore_lease: true, ..put("l/a", "w") }),
        Call::Put(pb::PutRequest { ignore_value: true, lease: 2, ..put("l/a", "") }),
        leased("l/z", 1),
        leased("l/y", 1),
        leased("l/y", 0),
        Call::Range(all()),
        ttl(1, true),
        ttl(1, false),
        ttl(2, true),
        ttl(-6, true),
        ttl(0, true),
        ttl(99, true),
        Call::KeepAlive(vec![1, 99, -6, 0, 1]),
        Call::Revoke(99),
        Call::Revoke(0),
        Call::Revoke(2),
        Call::Range(all()),
        Call::Revoke(-6),
        Call::Delete(pb::DeleteRangeRequest { range_end: FROM_KEY, ..delete("l/") }),
        ttl(1, true),
        Call::Revoke(1),
    ])
}

fn watches() -> Vec<Case> {
    let on = |key: &'static str| pb::WatchCreateRequest { key: key.into(), ..Default::default() };
    let to = |key, end: &'static str| pb::WatchCreateRequest { range_end: end.into(), ..on(key) };
    let from = |start_revision, create| pb::WatchCreateRequest { start_revision, ..create };
    let filter = |filter: FilterType| vec![i32::from(filter)];
    let (no_put, no_delete) = (filter(FilterType::Noput), filter(FilterType::Nodelete));
    let unknown = "A filter that is unknown: 3.4 and later pass it over";
    let mut script = cases([
        Call::Watch(vec![on("a")]),
        Call::Watch(vec![from(1, on("k"))]),
        Call::Watch(vec![from(1, to("\0", "\0"))]),
        Call::Watch(vec![pb::WatchCreateRequest { prev_kv: true, ..from(1, to("a", "z")) }]),
        Call::Watch(vec![pb::WatchCreateRequest {
            filters: no_put.clone(),
            ..from(1, to("a", "z"))
        }]),
        Call::Watch(vec![pb::WatchCreateRequest { filters: no_delete, ..from(1, to("a", "z")) }]),
        Call::Watch(vec![on(""), to("", "\0"), to("b", "\0")]),
        Call::Watch(vec![to("b", "a"), to("a", "a"), on("x")]),
        Call::Watch(vec![pb::WatchCreateRequest { watch_id: 5, ..on("a") }, on("b"), on("c")]),
        Call::Watch(vec![pb::WatchCreateRequest { watch_id: 1, ..on("a") }, on("b"), on("c")]),
        Call::Watch(vec![
            pb::WatchCreateRequest { watch_id: 3, ..on("a") },
            pb::WatchCreateRequest { watch_id: 3, ..on("b") },
            on("c"),
        ]),
        Call::Watch(vec![from(i64::from(u32::MAX) >> 22, on("future"))]),
        Call::Watch(vec![pb::WatchCreateRequest { fragment: true, ..from(1, to("a", "z")) }]),
        Call::Watch(vec![pb::WatchCreateRequest { progress_notify: true, ..on("p") }]),
        Call::Progress(vec![on("a"), to("b", "\0")]),
    ]);
    let negative = "A negative start revision: older ones watch from the beginning";
    let call = Call::Watch(vec![from(-1, on("a")), on("b")]);
    script.push(Case::since(call, (3, 6, 0), negative));
    let filters = vec![9];
    let call = Call::Watch(vec![pb::WatchCreateRequest { filters, ..from(1, on("a")) }]);
    script.push(Case::since(call, (3, 4, 0), unknown));
    script
}

fn upkeep() -> Vec<Case> {
    let alarm = |action, alarm| Call::Alarm(pb::AlarmRequest { action, alarm, member_id: 0 });
    cases([
        alarm(0, 0),
        alarm(0, 1),
        alarm(2, 1),
        alarm(1, 1),
        alarm(0, 0),
        alarm(0, 2),
        Call::Put(put("full", "1")),
        grant(50, 100),
        Call::Delete(delete("k")),
        Call::Range(all()),
        Call::Status,
        alarm(2, 2),
        alarm(2, 1),
        alarm(0, 0),
        Call::Put(put("full", "2")),
        alarm(7, 1),
        alarm(1, 0),
        alarm(1, 9),
        Call::Defragment,
        Call::MoveLeader(12345),
        Call::MoveLeader(0),
    ])
}

fn compaction() -> Vec<Case> {
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
    cases([
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
        watch(20),
        watch(21),
        Call::Txn(txn(
            vec![],
            vec![Op::RequestRange(pb::RangeRequest { revision: 4, ..all() })],
            vec![],
        )),
        Call::HashKv(0),
        Call::HashKv(19),
        Call::HashKv(20),
        Call::HashKv(i64::MAX),
        Call::Put(put("after", "1")),
        Call::Range(all()),
    ])
}
