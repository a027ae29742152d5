//! Ranges, puts and deletes.

use portunus_proto::etcdserverpb as pb;

use super::script::cases;
use crate::call::{Call, Case, all, delete, put, range};

pub fn ranges() -> Vec<Case> {
    let mut calls: Vec<Call> = Vec::new();
    for (key, value) in [("a", "3"), ("b", "1"), ("c", "2"), ("d", ""), ("a", "9"), ("b", "1")] {
        calls.push(Call::Put(put(key, value)));
    }
    calls.extend(["", "a", "nothing"].map(|key| Call::Range(range(key))));
    let ends = [("a", "c"), ("c", "a"), ("a", "a"), ("", "z"), ("b", "\0"), ("\0", "\0")];
    for (key, end) in ends {
        calls.push(Call::Range(pb::RangeRequest { range_end: end.into(), ..range(key) }));
    }
    for target in 0..5 {
        for order in 0..3 {
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
    let mut script = cases(calls);
    for (sort_order, sort_target) in [(3, 0), (0, 5), (-1, 2)] {
        let call = Call::Range(pb::RangeRequest { sort_order, sort_target, ..all() });
        script.push(Case::since(
            call,
            (3, 6, 0),
            "An unknown sort option is refused: older ones ignore an order and crash at a target",
        ));
    }
    script
}

pub fn puts() -> Vec<Case> {
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

pub fn deletes() -> Vec<Case> {
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
