//! Watches.

use pb::watch_create_request::FilterType;
use portunus_proto::etcdserverpb as pb;

use super::script::cases;
use crate::call::{Call, Case};

pub fn watches() -> Vec<Case> {
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
