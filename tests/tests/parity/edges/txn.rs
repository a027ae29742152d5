//! Transactions: compares, branches, nesting, the rules of duplicate keys, the budget.

use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use pb::request_op::Request as Op;
use portunus_proto::etcdserverpb as pb;

use super::script::cases;
use crate::call::{Call, Case, all, delete, op, put, range};

pub fn compare(
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

pub fn txn(compare: Vec<pb::Compare>, success: Vec<Op>, failure: Vec<Op>) -> pb::TxnRequest {
    let ops = |list: Vec<Op>| list.into_iter().map(op).collect();
    pb::TxnRequest { compare, success: ops(success), failure: ops(failure) }
}

pub fn txns() -> Vec<Case> {
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
    let mut script = cases(calls);
    script.push(unknown_order());
    script
}

fn unknown_order() -> Case {
    let unsorted = Op::RequestRange(pb::RangeRequest { sort_order: 7, ..all() });
    let call = Call::Txn(txn(vec![], vec![unsorted], vec![]));
    Case::since(call, (3, 6, 0), "An unknown sort option is refused")
}
